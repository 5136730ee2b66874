/**
 * Listings while bytes of the log cannot be read. Then no catalog and no index says what there is, for a change that this
 * process cannot read may be in a file by now: every session is looked up by itself. That is slow, and lasts until a process
 * that had read those bytes has written their sessions.
 */
import { isSessionDamaged } from "../../errors.js";
import type { DamagedSession, EngineQuery, EngineScan } from "../contract.js";
import { catalogFromFiles, useCatalog, type CatalogSource } from "./catalog-loader.js";
import { liveRows, type Layer } from "./catalog/layer.js";
import { SessionIndex } from "./session-index.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";

/**
 * The log must have been read just before.
 * @param onCorrupt Hears, in each listing, of sessions that are left out because of their files.
 */
export function* scanInDoubt(
  log: SessionLog,
  source: CatalogSource,
  query: EngineQuery,
  onCorrupt: (session: DamagedSession) => void,
): Generator<void, EngineScan> {
  const found = new Map<string, SessionState>();
  const damaged: DamagedSession[] = [];
  // Of a session whose file is damaged the log may have all there is to know.
  const files = yield* catalogFromFiles({ ...source, onWarning: () => {} }, 0);
  const { damaged: unreadable = [] } = files;
  const inFiles = yield* keysOf(files.layers);
  const inCatalog = yield* useCatalog(source, 0, log.active.number, ({ layers }) => keysOf(layers), "ignore");
  const keys = [...(inCatalog ?? []), ...inFiles, ...unreadable.map(({ key }) => key)];
  for (const key of new Set([...keys, ...log.hot.keys(), ...log.doubts.mentioned().keys()])) {
    yield;
    if (key?.startsWith(query.prefix) !== true) continue;
    try {
      const state = log.read(key);
      if (state.stored !== undefined) found.set(key, state);
    } catch (error) {
      if (!isSessionDamaged(error)) throw error;
      const isFile = error.code === "entry_corrupt";
      const session = {
        key,
        path: String(error.data["path"]),
        reason: String(error.data["reason"]),
        missing: error.data["missing"] === true,
      };
      damaged.push(session);
      if (isFile) onCorrupt(session);
    }
  }
  const unnamed = unreadable.filter(({ key }) => key === undefined);
  for (const session of unnamed) onCorrupt(session);
  const updatedAt = (state: SessionState): number =>
    state.stored === undefined ? 0 : source.updatedAtOf(state.stored);
  const index = yield* SessionIndex.build([], found, updatedAt);
  const selection = yield* index.select(query);
  const records = selection.rows.flatMap(({ key }) => found.get(key) ?? []);
  const last = selection.rows.at(-1);
  const next =
    selection.more && last !== undefined ? { key: last.key, updatedAt: last.updatedAt } : undefined;
  const all = query.after === undefined ? [...damaged, ...unnamed] : [];
  return { records, next, ...(all.length > 0 && { damaged: all }) };
}

function* keysOf(layers: readonly Layer[]): Generator<void, string[]> {
  const keys: string[] = [];
  for (const rows of liveRows(layers)) {
    yield;
    for (const { key } of rows) keys.push(key);
  }
  return keys;
}
