// @ts-check
/**
 * `npm run bench`: sessiondir beside its peers, in one run, by turns.
 *
 *   --quick       half a minute instead of several: fewer rounds, and no store of 100,000 sessions
 *   --only NAME   only the workload in workloads/NAME.mjs; may be given more than once
 *
 * A figure is printed only if the work behind it was verified. BENCH_FOLDER names the folder in which the stores are
 * made (default: the system's temporary folder); it should be on the disk that matters.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { bold, red, say } from "../examples/demo/report.mjs";
import { describeMachine } from "./machine.mjs";
import { NotVerified } from "./measure.mjs";
import { loadBetterSqlite3 } from "./peers/better-sqlite3.mjs";
import { PEERS } from "./peers/index.mjs";
import { sessiondir } from "./peers/sessiondir.mjs";
import { evaluate, printResults } from "./report.mjs";
import { Stores } from "./stores.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
  },
});

/** In the order in which they run. */
const ALL = [
  "warm-get",
  "update-os",
  "update-disk",
  "four-processes",
  "cold-open",
  "list",
  "footprint",
  "sustained",
];
const unknown = values.only.filter((name) => !ALL.includes(name));
if (unknown.length > 0) {
  console.error(`--only ${unknown.join(", ")}: there are ${ALL.join(", ")}`);
  process.exit(2);
}

installPeers();
const unavailable = await loadBetterSqlite3();
const peers = unavailable === undefined ? PEERS : [sessiondir];
const stores = new Stores();
process.once("exit", () => stores.remove());
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"]))
  process.once(signal, () => process.exit(130));

const machine = describeMachine(stores.folder);
say(bold("sessiondir and its peers"));
for (const [name, value] of Object.entries(machine)) say(`  ${name.padEnd(10)}  ${value}`);
for (const { name, settings } of peers) say(`  ${name}: ${settings}`);
if (unavailable !== undefined) say(red(`  better-sqlite3 is unavailable: ${unavailable}`));
say(
  "  Medians of rounds that the contenders do by turns. Ratio: how many times better than the peer, by rounds.",
);

const started = new Date();
const results = [];
for (const name of ALL) {
  if (values.only.length > 0 && !values.only.includes(name)) continue;
  const file = pathToFileURL(join(here, "workloads", `${name}.mjs`)).href;
  const workload = /** @type {import("./workload.mjs").Workload} */ (await import(file));
  try {
    const rows = (await workload.run({ stores, ours: sessiondir, peers, quick: values.quick })).map(evaluate);
    printResults(workload.title, rows);
    results.push({ workload: name, rows });
  } catch (error) {
    if (!(error instanceof NotVerified)) throw error;
    process.exitCode = 1;
    say();
    say(bold(workload.title));
    say(red(`  not verified, so there is no figure: ${error.message}`));
    results.push({ workload: name, notVerified: error.message });
  }
}

const seconds = Math.round((Date.now() - started.getTime()) / 1000);
const folder = join(here, "results", "local");
mkdirSync(folder, { recursive: true });
const stamp = started.toISOString().slice(0, 19).replaceAll(":", "");
const path = join(folder, `${stamp}-${process.platform}-${process.arch}-node${process.versions.node}.json`);
writeFileSync(
  path,
  `${JSON.stringify({ started, seconds, quick: values.quick, machine, results }, null, 1)}\n`,
);
say();
say(`${seconds} s, written to bench/results/local/${basename(path)}`);

/** The peers are not dependencies of sessiondir: they are installed here, when they are first needed. */
function installPeers() {
  if (existsSync(join(here, "node_modules")) && readdirSync(join(here, "node_modules")).length > 0) return;
  say("bench/node_modules is missing: npm ci --prefix bench (compiles better-sqlite3, a minute or two)");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const installed = spawnSync(npm, ["ci", "--prefix", here, "--no-audit", "--no-fund"], {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  // Without its native part the other contenders are still worth measuring.
  if (installed.status !== 0) say(red("npm ci failed: the peers that it was to install are unavailable"));
}
