// @ts-check
/**
 * Several stores on one folder in one thread, which is one of several of its process: counts with each of them in
 * turn, follows all changes with one, and says what each store made of it.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, onMessage, say } from "./conversation.mjs";

const { paths, name, updates, keys, options } = argument;

/** @type {import("sessiondir").DirectorySessionStore<any>[]} */
const stores = await Promise.all(
  paths.map((/** @type {string} */ path) => openDirectoryStore(path, options)),
);
const stop = new AbortController();
const [first] = stores;
if (first === undefined) throw new Error("a thread needs a path");
const changes = first.watch({ since: 0, signal: stop.signal });
const seen = follow(changes);
const finished = new Promise((resolve) => {
  const stopListening = onMessage(({ event, revision }) => {
    if (event !== "finish") return;
    stopListening();
    resolve(revision);
  });
});
say({ event: "open" });

for (let step = 0; step < updates; step++) {
  const store = stores[step % stores.length] ?? first;
  await store.update(`counter:${step % keys}`, (/** @type {any} */ entry) => ({
    ...entry,
    count: (entry?.count ?? 0) + 1,
    [name]: (entry?.[name] ?? 0) + 1,
  }));
  if (step % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
}
say({ event: "counted" });

const last = await finished;
const { revisions, waitFor } = seen;
await waitFor(last);
stop.abort();
const views = stores.map((store) => store.listSync().sessions.map(({ key, entry }) => [key, entry.count]));
await Promise.all(stores.map((store) => store.close()));
say({ event: "done", revisions, views });

/** @param {AsyncIterable<any>} changes */
function follow(changes) {
  /** @type {number[]} */
  const revisions = [];
  let reached = () => {};
  (async () => {
    for await (const { revision } of changes) {
      revisions.push(revision);
      reached();
    }
  })().catch((error) => say({ event: "failed", message: String(error.stack) }));
  const waitFor = (/** @type {number} */ revision) =>
    new Promise((resolve) => {
      reached = () => {
        if ((revisions.at(-1) ?? 0) >= revision) resolve(undefined);
      };
      reached();
    });
  return { revisions, waitFor };
}
