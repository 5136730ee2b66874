/** Stores that are moved, and what is the same about them afterwards. */
import { openSessionStore, type SessionStore } from "../../../../src/index.js";
import { exportSessions, type ExportOptions, type ExportReport } from "../../../../src/moving/index.js";

export type Entry = Record<string, unknown>;
export type Store = SessionStore<Entry>;

export const memoryStore = (): Promise<Store> => openSessionStore<Entry>("memory:");

/** What a move has to keep: entries, and transcripts with the ids of their items. */
export type Content = Record<string, { entry: unknown; transcripts: Record<string, unknown[]> }>;

/** @param keys Sessions that have no record, which no listing knows. */
export async function contentOf(store: Store, keys: readonly string[] = []): Promise<Content> {
  const content = new Map<string, Content[string]>();
  const { sessions } = await store.list();
  for (const key of [...sessions.map((record) => record.key), ...keys]) {
    const transcripts: Record<string, unknown[]> = {};
    for (const name of await store.transcripts(key)) {
      const items: unknown[] = [];
      for await (const { id, item } of store.iterateItems(key, { transcript: name })) items.push([id, item]);
      if (items.length > 0) transcripts[name] = items;
    }
    const entry = await store.get(key);
    if (entry === undefined && Object.keys(transcripts).length === 0) continue;
    content.set(key, { entry: entry && JSON.parse(JSON.stringify(entry)), transcripts });
  }
  return Object.fromEntries(content);
}

export async function exported(
  store: Store,
  options?: ExportOptions,
): Promise<{ readonly text: string; readonly report: ExportReport }> {
  const pieces = exportSessions(store, options);
  let text = "";
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) return { text, report: next.value };
    text += next.value;
  }
}

/** Bytes as they come from a file or a pipe, in pieces of any size. */
export async function* piecesOf(text: string | Buffer, pieceBytes = 1000): AsyncGenerator<Uint8Array, void> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

export const linesOf = (text: string): Entry[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Entry);

/** A store of everything that can be in one. */
export async function fullStore(store: Store): Promise<Store> {
  const prompt = "skill ".repeat(3000);
  for (let number = 0; number < 20; number++)
    await store.put(`agent:main:many:${number}`, { number, updatedAt: number, skills: { prompt, number } });
  await store.put("agent:main:main", {
    sessionId: "s-1",
    updatedAt: 1000,
    sessionFile: "/home/old/.openclaw/agents/main/sessions/s-1.jsonl",
    $odd: { $shared: "no reference", $$: 1 },
    ["__proto__"]: { polluted: true },
    text: "ä\u0000\ud800",
    none: null,
  });
  await store.append("agent:main:main", [{ role: "user", text: "hi" }, "text", null, [1]], {
    ids: ["m-1", undefined, "m-3", undefined],
  });
  await store.append("agent:main:main", [{ n: 1 }], { transcript: "side" });
  await store.append("no record", [{ only: "a transcript" }]);
  return store;
}
