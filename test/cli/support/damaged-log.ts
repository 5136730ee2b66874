/** Stores as a killed process leaves them, of whose log one bit is flipped. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSessionStore, type SessionStore } from "../../../src/index.js";
import { emptyFolder } from "./stores.js";

type Entry = Record<string, unknown>;

/** Behind the checksum, and in front of what a line is made of. */
const IN_A_RECORD = 30;

/** A store as it is when the only process of it was killed behind these writes. */
export async function killedAfter(writes: (store: SessionStore<Entry>) => Promise<unknown>): Promise<string> {
  const folder = emptyFolder();
  const [alive, killed] = [join(folder, "alive.d"), join(folder, "sessions.d")];
  const store = await openSessionStore<Entry>(alive, { flushDelayMs: 3_600_000 });
  await writes(store);
  cpSync(alive, killed, { recursive: true });
  await store.close();
  return killed;
}

export const segmentOf = (path: string): string => join(path, ".store/log/00000001.jsonl");

/** Flips one bit of the first record of a session. */
export function damageRecord(path: string, key: string): string {
  const segment = segmentOf(path);
  const bytes = readFileSync(segment);
  const at = bytes.lastIndexOf("\n", bytes.indexOf(`"k":"${key}"`)) + 1;
  bytes[at + IN_A_RECORD] = (bytes[at + IN_A_RECORD] ?? 0) ^ 1;
  writeFileSync(segment, bytes);
  return segment;
}

/** `a` is in its file, `b` has changes behind the damage, of which nothing else knows. */
export async function damagedStore(): Promise<string> {
  const path = await killedAfter(async (store) => {
    await store.put("a", { n: 1 });
    await store.flush();
    await store.put("b", { n: 1 });
    await store.put("c", { n: 1 });
    await store.update("b", () => ({ n: 2 }));
  });
  damageRecord(path, "c");
  return path;
}
