// @ts-check
/**
 * What reading, updating and listing cost: in one `sessions.json` as gateways kept it, where every answer is a read and
 * a parse of the whole file and every change writes all of it, and in the store.
 */
import { open, readFile, rename } from "node:fs/promises";
import { openDirectoryStore } from "sessiondir";
import { quantile } from "./report.mjs";

/** The whole file each time; more would only take longer. */
const FILE_REPEATS = 3;
/** Each of another session. */
const STORE_REPEATS = 100;

/**
 * @typedef {{ readUs: number, updateUs: number, listUs: number }} Costs Medians.
 */

/**
 * @param {string} path
 * @param {readonly { key: string, entry: object }[]} sessions
 */
export async function writeSessionsJson(path, sessions) {
  await replaceFile(path, Object.fromEntries(sessions.map(({ key, entry }) => [key, entry])));
}

/**
 * @param {string} path
 * @param {readonly string[]} keys
 * @returns {Promise<Costs>}
 */
export async function measureFile(path, keys) {
  const load = async () => JSON.parse(await readFile(path, "utf8"));
  const readUs = await median(keys, FILE_REPEATS, async (key) => (await load())[key]);
  const updateUs = await median(keys, FILE_REPEATS, async (key) => {
    const sessions = await load();
    sessions[key] = { ...sessions[key], updatedAt: Date.now() };
    await replaceFile(path, sessions);
  });
  const listUs = await median(keys, FILE_REPEATS, async () => Object.entries(await load()));
  return { readUs, updateUs, listUs };
}

/**
 * Every call meets sessions that are not in memory: listing is measured first, on a store that was just opened, and
 * reading on another one.
 * @param {string} path
 * @param {readonly string[]} keys
 * @returns {Promise<Costs>}
 */
export async function measureStore(path, keys) {
  const listUs = await median(keys, FILE_REPEATS, async () => {
    const store = await openDirectoryStore(path);
    await store.list();
    await store.close();
  });
  const store = await openDirectoryStore(path);
  try {
    const readUs = await median(keys, STORE_REPEATS, (key) => store.get(key));
    const updateUs = await median([...keys].reverse(), STORE_REPEATS, (key) =>
      store.patch(key, { updatedAt: Date.now() }),
    );
    return { readUs, updateUs, listUs };
  } finally {
    await store.close();
  }
}

/**
 * @param {readonly string[]} keys
 * @param {number} repeats
 * @param {(key: string) => Promise<unknown>} work
 */
async function median(keys, repeats, work) {
  /** @type {number[]} */
  const microseconds = [];
  for (const key of keys.slice(0, repeats)) {
    const start = performance.now();
    await work(key);
    microseconds.push((performance.now() - start) * 1000);
  }
  return quantile(
    microseconds.sort((a, b) => a - b),
    0.5,
  );
}

/**
 * @param {string} path
 * @param {object} sessions
 */
async function replaceFile(path, sessions) {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(sessions, null, 2));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
