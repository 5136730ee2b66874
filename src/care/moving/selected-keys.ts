/** The keys that a selection means, page by page, in order: of a store of any size only its keys are in memory. */
import type { DamagedSession } from "../../engine/contract.js";
import { keysThatMayHaveTranscripts } from "../../store/transcript-keys.js";
import type { AnyStore, Selection } from "./options.js";

/** Rows of a listing that are in memory at once; their big values are not loaded. */
const PAGE_SESSIONS = 500;

/**
 * Keys that were named come first, in the order of their names, each once and whether it is there or not; then those of the prefix: what a
 * listing has, and then what may have transcripts and no record.
 * A session that is made while this runs may be left out, one that was there from beginning to end never is.
 * @param onDamaged Hears of sessions that a listing cannot read, without those whose key it knows: they are given like others.
 */
export async function* selectedKeys(
  store: AnyStore,
  { keys, prefix }: Selection,
  onDamaged: (damaged: DamagedSession) => void,
): AsyncGenerator<string, void> {
  const given = new Set(keys);
  yield* [...given].sort();
  if (keys !== undefined && prefix === undefined) return;
  for (let cursor: string | undefined; ;) {
    const page = await store.list({ prefix, limit: PAGE_SESSIONS, ...(cursor && { cursor }) });
    const found = page.sessions.map(({ key }) => key);
    for (const damaged of page.damaged ?? []) {
      if (damaged.key === undefined) onDamaged(damaged);
      else found.push(damaged.key);
    }
    for (const key of found.sort()) {
      if (given.has(key)) continue;
      given.add(key);
      yield key;
    }
    cursor = page.cursor;
    if (cursor === undefined) break;
  }
  const others = await keysThatMayHaveTranscripts(store);
  const wanted = (key: string): boolean => !given.has(key) && key.startsWith(prefix ?? "");
  for (const key of others.filter(wanted).sort()) if ((await store.transcripts(key)).length > 0) yield key;
}
