// @ts-check
/**
 * `node bench/openclaw/update.mjs [--rounds N] [--sessions N]`: one session of a store of 650 large ones changed by OpenClaw's own
 * functions, `updateSessionStoreEntry` and `updateLastRoute`: those of the openclaw package 2026.4.24, over its `sessions.json`,
 * and those of `sessiondir/openclaw`, over a directory and over the same `sessions.json`, by turns in one run; medians.
 * Then what reading costs: `loadSessionStore` of an unchanged store, and touching one entry of it.
 *
 * Each side is a process of its own under the same Node (the newest that bench/install.mjs has) and with its defaults:
 * every update is durable when it resolves. The released package's maintenance only warns: otherwise it would remove 150 of these
 * sessions, and copy the whole file before each write. Each side's updates are counted in the end, in what lies on the disk.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { keyOf, makeEntries } from "../data/entries.mjs";
import { installOpenclaw, newerNode, openclawFolder } from "../install.mjs";
import { describeMachine } from "../runner/machine.mjs";
import { median } from "../report/statistics.mjs";

/** Updates of one turn: the released package takes about a second for each. */
const BATCH = { released: 2, directory: 200, "legacy file": 2 };
const GOAL = 100;
const LOAD_GOAL_US = 20;
const READS = 2000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    sessions: { type: "string", default: "650" },
    side: { type: "string" },
    folder: { type: "string" },
  },
});
const sessions = Number(values.sessions);

if (values.side === undefined) await main();
else await beAside(values.side, values.folder ?? "");

async function main() {
  const missing = installOpenclaw("JSON");
  const node = newerNode();
  if (missing !== undefined || node === undefined) {
    console.error(`the released package cannot be measured: ${missing ?? "no Node 22 or newer"}`);
    process.exit(1);
  }
  const root = mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), "sessiondir-bench-openclaw-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  const sides = /** @type {const} */ (["released", "directory", "legacy file"]);
  const workers = new Map();
  for (const side of sides) workers.set(side, await start(node, side, mkdtempSync(join(root, "side-"))));
  /** @type {Map<string, number[]>} */
  const samples = new Map();
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const call of ["updateSessionStoreEntry", "updateLastRoute"]) {
      for (const side of sides) {
        const { us } = await workers.get(side).ask({ call, count: BATCH[side] });
        if (round > 0) samples.set(`${side} ${call}`, [...(samples.get(`${side} ${call}`) ?? []), ...us]);
      }
    }
  }
  const { load, touch } = await workers.get("directory").ask({ call: "reads" });
  for (const worker of workers.values()) await worker.ask({ call: "end" });
  print(samples, load, touch, workers.get("directory").node);
}

/** @param {Map<string, number[]>} samples @param {number} load @param {number} touch @param {string} node */
function print(samples, load, touch, node) {
  const { cpu, fileSystem } = describeMachine(tmpdir());
  console.log(`${sessions} sessions of 90 KB; ${cpu}, ${fileSystem}, Node ${node}`);
  let short = false;
  for (const call of ["updateSessionStoreEntry", "updateLastRoute"]) {
    const [released, directory, file] = ["released", "directory", "legacy file"].map((side) =>
      median(samples.get(`${side} ${call}`) ?? [Number.NaN]),
    );
    if (released === undefined || directory === undefined || file === undefined)
      throw new Error("no samples");
    const times = released / directory;
    short ||= !(times >= GOAL);
    console.log(
      `${call}: openclaw 2026.4.24 ${(released / 1000).toFixed(0)} ms; sessiondir, directory ${directory.toFixed(0)} µs = ` +
        `${times.toFixed(0)} times (goal ${GOAL}); sessiondir, same sessions.json ${(file / 1000).toFixed(0)} ms`,
    );
  }
  short ||= !(load < LOAD_GOAL_US);
  console.log(
    `loadSessionStore, nothing changed: ${load.toFixed(1)} µs (goal ${LOAD_GOAL_US}); and one entry touched: ${touch.toFixed(1)} µs`,
  );
  process.exitCode = short ? 1 : 0;
}

/** @param {string} node @param {string} side @param {string} folder */
async function start(node, side, folder) {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(node, [self, "--side", side, "--folder", folder, "--sessions", String(sessions)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      HOME: folder,
      OPENCLAW_STATE_DIR: folder,
      OPENCLAW_CONFIG_PATH: join(folder, "openclaw.json"),
    },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${side} ended too early`);
      if (value.startsWith("{")) return JSON.parse(value);
    }
  };
  const { node: version } = await answer();
  return {
    node: version,
    /** @param {object} question */
    ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return answer();
    },
  };
}

/** One side: makes its store, then does what it is told. @param {string} side @param {string} folder */
async function beAside(side, folder) {
  const storePath = join(folder, "sessions.json");
  writeFileSync(storePath, JSON.stringify(Object.fromEntries(makeEntries(sessions, () => "large")), null, 2));
  const gateway = side === "released" ? await released(folder) : await own(side, storePath);
  const done = { updateSessionStoreEntry: 0, updateLastRoute: 0 };
  say({ node: process.versions.node });
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, count } = JSON.parse(line);
    if (call === "reads") say(await reads(storePath));
    else if (call === "end") break;
    else say({ us: await updates(gateway, call, count, storePath, done) });
  }
  verify(await gateway.load(storePath), done);
  await gateway.close();
  say({ ended: true });
  process.exit(0);
}

/**
 * @param {any} gateway
 * @param {"updateSessionStoreEntry" | "updateLastRoute"} call
 * @param {number} count
 * @param {string} storePath
 * @param {Record<string, number>} done
 */
async function updates(gateway, call, count, storePath, done) {
  const us = [];
  for (let n = 0; n < count; n++) {
    const number = (done[call] ?? 0) + 1;
    done[call] = number;
    const sessionKey = keyOf((number * 37) % sessions);
    const start = performance.now();
    if (call === "updateLastRoute") {
      await gateway.updateLastRoute({ storePath, sessionKey, channel: "telegram", to: `route-${number}` });
    } else {
      const update = async (/** @type {{ n: number }} */ entry) => ({ n: entry.n + 1 });
      await gateway.updateSessionStoreEntry({ storePath, sessionKey, update });
    }
    us.push((performance.now() - start) * 1000);
  }
  return us;
}

/** Every update counted, every route where the last one put it. @param {Record<string, any>} store @param {Record<string, number>} done */
function verify(store, done) {
  const counted = Object.values(store).reduce((sum, { n }) => sum + n, 0);
  const newest = store[keyOf(((done.updateLastRoute ?? 0) * 37) % sessions)]?.lastTo;
  const complete = Object.keys(store).length === sessions;
  if (counted !== done.updateSessionStoreEntry || newest !== `route-${done.updateLastRoute}` || !complete)
    throw new Error(`lost updates: ${counted} of ${done.updateSessionStoreEntry}, last route ${newest}`);
}

/** The released package: its functions are in modules whose names have a hash. @param {string} folder */
async function released(folder) {
  writeFileSync(
    join(folder, "openclaw.json"),
    JSON.stringify({ session: { maintenance: { mode: "warn" } } }),
  );
  const dist = join(openclawFolder("JSON"), "node_modules/openclaw/dist");
  const runtime = readdirSync(dist).find((name) => /^store\.runtime-.*\.js$/.test(name));
  if (runtime === undefined) throw new Error("the released package has no store.runtime");
  const { updateSessionStoreEntry } = await import(pathToFileURL(join(dist, runtime)).href);
  const sdk = await import(pathToFileURL(join(dist, "plugin-sdk/config-runtime.js")).href);
  const load = (/** @type {string} */ path) => JSON.parse(readFileSync(path, "utf8"));
  return { updateSessionStoreEntry, updateLastRoute: sdk.updateLastRoute, load, close: async () => {} };
}

/** @param {string} side @param {string} storePath */
async function own(side, storePath) {
  const openclaw = await import("../../dist/openclaw/index.js");
  const legacy = await import("../../dist/legacy/index.js");
  if (side === "directory") {
    const { outcome } = await legacy.migrateLegacyStore(storePath);
    if (outcome !== "migrated") throw new Error(outcome);
  }
  const { updateSessionStoreEntry, updateLastRoute, loadSessionStore, closeSessionStores } = openclaw;
  return { updateSessionStoreEntry, updateLastRoute, load: loadSessionStore, close: closeSessionStores };
}

/** @param {string} storePath */
async function reads(storePath) {
  const { loadSessionStore } = await import("../../dist/openclaw/index.js");
  const time = (/** @type {() => unknown} */ call) => {
    const us = [];
    for (let n = 0; n < READS; n++) {
      const start = performance.now();
      call();
      us.push((performance.now() - start) * 1000);
    }
    return median(us.slice(READS / 2));
  };
  const key = keyOf(7);
  return {
    load: time(() => loadSessionStore(storePath)),
    touch: time(() => loadSessionStore(storePath)[key]?.lastTo),
  };
}

/** @param {object} message */
function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
