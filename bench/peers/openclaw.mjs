// @ts-check
/**
 * The released gateways themselves, through the functions that they export to plugins. Their packages are large, so
 * they are installed only when they are measured (see install.mjs), and never run: a function is called.
 *
 * Their maintenance is off, for it would remove what the benchmark counts (more than 500 sessions, or sessions older
 * than a month).
 */
import { mkdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { OPENCLAW_VERSIONS, openclawFolder } from "../install.mjs";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {Record<string, any>} Store Of entries.
 *
 * @typedef {object} JsonRuntime
 * @property {(path: string) => Store} loadSessionStore
 * @property {<T>(path: string, change: (store: Store) => T, options: object) => Promise<T>} updateSessionStore
 *
 * @typedef {object} SqliteRuntime
 * @property {(where: object) => Entry | undefined} getSessionEntry
 * @property {(where: object) => { sessionKey: string, entry: Entry }[]} listSessionEntries
 * @property {(where: object) => Promise<Entry | null>} patchSessionEntry
 * @property {(where: object) => Promise<void>} upsertSessionEntry
 * @property {(where: object) => Promise<boolean>} deleteSessionEntry
 * @property {(path: string, change: (store: Store) => void, options: object) => Promise<void>} updateSessionStore
 */

const SESSIONS_PER_FILL = 2_000;
/** Its lock gives up after ten seconds, and another write in between is an error; the benchmark repeats and counts the time. */
const ATTEMPTS_MAX = 30;

/** @param {"JSON" | "SQLite"} kind @returns {import("./peer.mjs").PeerModule} */
export function release(kind) {
  const version = async (/** @type {string} */ folder) => {
    await loadRuntime(kind, folder);
    const path = join(openclawFolder(kind), "node_modules/openclaw/package.json");
    return `${JSON.parse(readFileSync(path, "utf8")).version}, Node ${process.versions.node}`;
  };
  return kind === "JSON"
    ? { version, open: openJson, fill: fillJson }
    : { version, open: openSqlite, fill: fillSqlite };
}

/**
 * @template {"JSON" | "SQLite"} Kind
 * @param {Kind} kind
 * @param {string} folder
 * @returns {Promise<{ runtime: Kind extends "JSON" ? JsonRuntime : SqliteRuntime, storePath: string }>}
 */
async function loadRuntime(kind, folder) {
  // It reads these while it loads, and must not touch the user's own gateway.
  process.env.OPENCLAW_STATE_DIR = folder;
  process.env.OPENCLAW_CONFIG_PATH = join(folder, "openclaw.json");
  process.env.HOME = folder;
  const { entry } = OPENCLAW_VERSIONS[kind];
  const runtime = await import(
    pathToFileURL(join(openclawFolder(kind), "node_modules/openclaw", entry)).href
  );
  return { runtime, storePath: join(folder, "agents/main/sessions/sessions.json") };
}

/** @param {string} folder */
function makeState(folder) {
  mkdirSync(join(folder, "agents/main/sessions"), { recursive: true });
  const config = { session: { maintenance: { mode: "warn" } } };
  writeFileSync(join(folder, "openclaw.json"), JSON.stringify(config));
}

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function insistently(work) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !/timeout|timed out|locked|conflict/i.test(String(error))) throw error;
    }
  }
}

/** @param {import("./peer.mjs").KeyedEntry[]} sessions @param {number} direction */
const byUpdatedAt = (sessions, direction) =>
  sessions.sort((a, b) => direction * (a.entry.updatedAt - b.entry.updatedAt));

/** @type {import("./peer.mjs").PeerModule["open"]} */
async function openJson(folder) {
  const { runtime, storePath } = await loadRuntime("JSON", folder);
  /** @param {string} key @param {(store: Store) => void} change */
  const write = (key, change) =>
    insistently(() =>
      runtime.updateSessionStore(storePath, change, { activeSessionKey: key, skipMaintenance: true }),
    );
  const all = () =>
    Object.entries(runtime.loadSessionStore(storePath)).map(([key, entry]) => ({ key, entry }));
  return {
    get: (key) => runtime.loadSessionStore(storePath)[key],
    update: (key, change) =>
      write(key, (store) => {
        store[key] = change(/** @type {Entry} */ (store[key]));
      }),
    put: (key, entry) =>
      write(key, (store) => {
        store[key] = entry;
      }),
    delete: (key) =>
      write(key, (store) => {
        delete store[key];
      }),
    newest: (count) => byUpdatedAt(all(), -1).slice(0, count),
    oldest: (count) => byUpdatedAt(all(), 1).slice(0, count),
    all,
    ...common(join(folder, "agents/main/sessions")),
  };
}

/** @type {import("./peer.mjs").PeerModule["open"]} */
async function openSqlite(folder) {
  const { runtime, storePath } = await loadRuntime("SQLite", folder);
  const where = { storePath, agentId: "main" };
  const all = () =>
    runtime.listSessionEntries(where).map(({ sessionKey, entry }) => ({ key: sessionKey, entry }));
  return {
    get: (sessionKey) => runtime.getSessionEntry({ ...where, sessionKey }),
    update: (sessionKey, update) =>
      insistently(() => runtime.patchSessionEntry({ ...where, sessionKey, skipMaintenance: true, update })),
    put: (sessionKey, entry) =>
      insistently(() => runtime.upsertSessionEntry({ ...where, sessionKey, entry })),
    delete: (sessionKey) => insistently(() => runtime.deleteSessionEntry({ ...where, sessionKey })),
    newest: (count) => byUpdatedAt(all(), -1).slice(0, count),
    oldest: (count) => byUpdatedAt(all(), 1).slice(0, count),
    all,
    ...common(join(folder, "agents/main/agent")),
  };
}

/** @param {string} watched */
function common(watched) {
  return {
    onChange(/** @type {() => void} */ listener) {
      const watcher = watch(watched, listener);
      return () => watcher.close();
    },
    settle: async () => {},
    tidy: async () => {},
    checkpoints: () => 0,
    close: async () => {},
  };
}

/** @type {import("./peer.mjs").PeerModule["fill"]} */
async function fillJson(folder, entries) {
  makeState(folder);
  const path = join(folder, "agents/main/sessions/sessions.json");
  writeFileSync(path, JSON.stringify(Object.fromEntries(entries), null, 2));
}

/** @type {import("./peer.mjs").PeerModule["fill"]} */
async function fillSqlite(folder, entries) {
  makeState(folder);
  const { runtime, storePath } = await loadRuntime("SQLite", folder);
  const left = [...entries];
  while (left.length > 0) {
    const batch = left.splice(0, SESSIONS_PER_FILL);
    const add = (/** @type {Store} */ store) => {
      for (const [key, entry] of batch) store[key] = entry;
    };
    await runtime.updateSessionStore(storePath, add, { skipMaintenance: true });
  }
}
