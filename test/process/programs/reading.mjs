// @ts-check
/** Uses a store in every way that only reads, and says what came of it. */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";
import { region } from "./mark.mjs";

const { path } = argument;
/** @param {() => unknown} call */
const codeOf = async (call) => {
  try {
    await call();
    return "no error";
  } catch (error) {
    return /** @type {any} */ (error).code ?? String(error);
  }
};

await region("reading", async () => {
  /** @type {import("sessiondir").DirectorySessionStore<any>} */
  const store = await openDirectoryStore(path, { readOnly: true, flushDelayMs: 0 });
  const stop = new AbortController();
  const changes = store.watch({ since: await store.revision(), signal: stop.signal });
  const { sessions } = await store.list({ orderBy: "updatedAt" });
  say({
    event: "read",
    keys: sessions.map(({ key }) => key),
    same: JSON.stringify(store.listSync({ orderBy: "updatedAt" })) === JSON.stringify({ sessions }),
    big: sessions.map(({ entry }) => entry.skills?.prompt?.length ?? 0),
    count: await store.count(),
    revision: await store.revision(),
    one: await store.get("agent:main:a"),
    now: store.getSync("agent:main:b")?.updatedAt,
    nothing: (await store.get("nobody")) ?? "nothing",
    stats: (await store.stats()).sessions,
    refused: [
      await codeOf(() => store.put("agent:main:a", { updatedAt: 9 })),
      await codeOf(() => store.update("agent:main:a", () => ({ updatedAt: 9 }))),
      await codeOf(() => store.delete("agent:main:a")),
      await codeOf(() => store.transact((tx) => tx.put("agent:main:a", { updatedAt: 9 }))),
      await codeOf(() => store.flush()),
      await codeOf(() => store.checkpoint()),
    ],
  });
  stop.abort();
  for await (const change of changes) throw new Error(`nothing changed, but ${change.key}`);
  await store.close();
});
