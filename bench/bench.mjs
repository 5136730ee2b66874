// @ts-check
/**
 * `npm run bench`: sessiondir beside its peers, in one run, by turns. A complete run takes about half an hour
 * and rebuilds docs/performance.md and its charts.
 *
 *   --quick            about a minute: few rounds, no store of 100,000 sessions, no released gateways
 *   --only NAME        only the workload in workloads/NAME.mjs, or those in workloads/NAME/; may be given more than once
 *   --peer NAME        only this peer and sessiondir; may be given more than once
 *   --render [FILE]    measures nothing: rebuilds the page and its charts from the newest complete results, or from FILE
 *
 * `--only transcripts`, with all rounds and peers, rebuilds that section of the page.
 *
 * A figure is printed only if the work behind it was verified; if any was not, or if better-sqlite3 could not be measured, which the
 * goals are about, the exit code is 1. BENCH_FOLDER names
 * the folder in which the stores are made (default: the system's temporary folder); it should be on the disk that matters.
 *
 * Beside this: what is stored and in which order it is used (data/), who stores it (peers/), what is measured (workloads/), what a
 * worker is told to do (orders/), how processes are started and take turns (runner/), and what becomes of the figures (report/).
 * install.mjs fetches the peers; migration.mjs and openclaw/ are measurements and comparisons of their own.
 */
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { bold, dim, red, say } from "../examples/demo/report.mjs";
import { evaluateGoals, PEER } from "./report/goals.mjs";
import { installOpenclaw, installPeers, newerNode, OPENCLAW_VERSIONS } from "./install.mjs";
import { describeMachine } from "./runner/machine.mjs";
import { renderPage, renderTranscripts, TRANSCRIPTS } from "./report/page.mjs";
import { FLOORS, PEERS } from "./peers/index.mjs";
import { missingOf, printFailures, printFigures, printGoals } from "./report/terminal.mjs";
import { newestResults, partOf, readResults, writeResults } from "./report/results.mjs";
import { Sheet } from "./runner/sheet.mjs";
import { Stores } from "./runner/stores.mjs";
import { askOnce, killWorkers } from "./runner/workers.mjs";

/** In the order in which they run: what needs untouched stores first. */
const WORKLOADS = [
  "footprint",
  "get",
  "open",
  "successor",
  "list",
  "update",
  "durable",
  "processes",
  "sustained",
  "churn",
  "big-field",
  "seen",
  "day",
  "migration",
  "transcripts/append",
  "transcripts/read",
  "transcripts/footprint",
  "transcripts/processes",
];

/**
 * @typedef {import("./runner/turns.mjs").Workload} Workload
 * @typedef {import("./report/results.mjs").Results} Results
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    peer: { type: "string", multiple: true, default: [] },
    render: { type: "boolean", default: false },
  },
});
for (const [option, names, known] of /** @type {const} */ ([
  ["--only", values.only, [...WORKLOADS, TRANSCRIPTS]],
  ["--peer", values.peer, PEERS.map(({ name }) => name)],
])) {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) continue;
  console.error(`${option} ${unknown.join(", ")}: there are ${known.join(", ")}`);
  process.exit(2);
}

if (values.render) {
  const [file] = positionals;
  const found = file === undefined ? [newestResults(), newestResults(TRANSCRIPTS)] : [readResults(file)];
  const files = found.flatMap((results) => (results === undefined ? [] : render(results)));
  if (files.length === 0) {
    console.error("there are no complete results in bench/results yet: npm run bench");
    process.exit(2);
  }
  for (const path of new Set(files)) say(path);
} else {
  await main();
}

async function main() {
  const started = new Date();
  const stores = new Stores();
  process.once("exit", () => {
    killWorkers();
    stores.remove();
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"]))
    process.once(signal, () => process.exit(130));

  const machine = describeMachine(stores.folder);
  say(bold("sessiondir and its peers"));
  for (const [name, value] of Object.entries(machine)) say(`  ${name.padEnd(10)}  ${value}`);
  const chosen = await chooseWorkloads();
  const { peers, skipped } = await choosePeers(stores.folder, chosen);
  for (const { name, version, settings, transcripts } of peers)
    say(`  ${name} (${version}): ${[settings, transcripts].filter(Boolean).join("; transcripts: ")}`);
  for (const { name, settings } of FLOORS) say(dim(`  ${name}: ${settings}`));
  for (const { name, reason } of skipped) say(red(`  skipped: ${name}: ${reason}`));
  if (!peers.some(({ name }) => name === "sessiondir")) return void (process.exitCode = 1);
  say(
    "  Medians of rounds that all do by turns, each in processes of its own; in brackets the middle 80 % of the rounds.",
  );

  const workloads = [];
  for (const { name, workload } of chosen)
    workloads.push(await measure(name, workload, { stores, peers, quick: values.quick }));

  printGoals(evaluateGoals(workloads.flatMap(({ figures }) => figures)));
  const seconds = Math.round((Date.now() - started.getTime()) / 1000);
  const whole = !values.quick && values.peer.length === 0;
  const complete = whole && values.only.length === 0;
  const section = whole && values.only.join() === TRANSCRIPTS && { section: TRANSCRIPTS };
  const about = peers.map(({ name, short, version, settings, reads, transcripts }) => ({
    name,
    short,
    version,
    settings,
    reads,
    transcripts,
  }));
  const results = {
    started: started.toISOString(),
    seconds,
    complete,
    ...section,
    machine,
    peers: about,
    skipped,
    workloads,
  };
  say();
  const written = writeResults(results);
  say(`${seconds} s, written to ${relative(process.cwd(), written)}`);
  const measured = workloads.flatMap(({ figures }) => figures.flatMap(({ samples }) => Object.keys(samples)));
  const { lines, hollow } = missingOf({ skipped, measured, needsPeer: needsPeer() });
  for (const line of lines) say(red(line));
  if (hollow) {
    process.exitCode = 1;
    return;
  }
  // From the file, so that it comes out the same with --render.
  if (complete || section) for (const path of render(readResults(written))) say(`rebuilt ${path}`);
}

/** @param {Results} results @returns {string[]} The files that were rebuilt: all that these results are complete enough for. */
function render(results) {
  const files = [
    ...(results.complete ? renderPage(results) : []),
    ...(partOf(results, TRANSCRIPTS).length > 0 ? renderTranscripts(results) : []),
  ];
  return [...new Set(files)];
}

async function chooseWorkloads() {
  const names = WORKLOADS.filter(
    (name) => values.only.length === 0 || values.only.some((only) => `${name}/`.startsWith(`${only}/`)),
  );
  return Promise.all(
    names.map(async (name) => {
      const file = new URL(`workloads/${name}.mjs`, import.meta.url).href;
      return { name, workload: /** @type {Workload} */ (await import(file)) };
    }),
  );
}

/**
 * Runs a workload and prints its figures.
 * @param {string} name
 * @param {Workload} workload
 * @param {Omit<import("./runner/turns.mjs").Context, "sheet">} context
 */
async function measure(name, workload, context) {
  const { title, note, keeps } = workload;
  const began = Date.now();
  const sheet = new Sheet();
  const peers = context.peers.filter((peer) => isKept(peer, keeps));
  try {
    await workload.run({ ...context, peers, sheet });
  } catch (error) {
    // The other workloads are still worth their time.
    sheet.fail("everybody", title, [], error);
  }
  const [figures, { failures }] = [sheet.figures(), sheet];
  printFigures(
    title,
    note,
    figures,
    peers.map(({ name }) => name),
  );
  printFailures(failures);
  if (failures.length > 0) process.exitCode = 1;
  const seconds = Math.round((Date.now() - began) / 1000);
  say(dim(`  ${seconds} s`));
  return { name, title, note, seconds, figures, failures };
}

/**
 * @param {import("./peers/peer.mjs").Peer} peer
 * @param {Workload["keeps"]} keeps What the workload is about.
 */
function isKept({ records, transcripts }, keeps = "records") {
  return keeps === "records" ? records : transcripts !== "";
}

/** Whether this run is meant to compare with the peer of the goals: all are, but those of chosen others. */
function needsPeer() {
  return values.peer.length === 0 || values.peer.includes(PEER);
}

/**
 * Installs what is missing and asks each peer that the workloads need for its version, which loads it.
 * @param {string} folder
 * @param {readonly { workload: Workload }[]} chosen
 */
async function choosePeers(folder, chosen) {
  const failed = installPeers();
  /** @type {{ name: string, reason: string }[]} */
  const skipped = [];
  const peers = [];
  for (const peer of PEERS) {
    if (values.peer.length > 0 && !values.peer.includes(peer.name) && peer.name !== "sessiondir") continue;
    if (!chosen.some(({ workload }) => isKept(peer, workload.keeps))) continue;
    try {
      const reason = whyNot(peer);
      if (reason !== undefined) throw new Error(reason);
      const which = { peer: peer.name, folder, durability: /** @type {const} */ ("os") };
      const version = /** @type {string} */ (await askOnce(which, { kind: "version" }));
      peers.push({ ...peer, version });
    } catch (error) {
      const reason = /** @type {Error} */ (error).message.split("\n")[0] ?? "";
      skipped.push({ name: peer.name, reason: failed === undefined ? reason : `${reason} (${failed})` });
    }
  }
  return { peers, skipped };
}

/** @param {import("./peers/peer.mjs").Peer} peer @returns {string | undefined} */
function whyNot(peer) {
  if (peer.newNode && newerNode() === undefined)
    return "no Node 24.16 or newer for it: npm ci --prefix bench";
  for (const kind of /** @type {const} */ (["JSON", "SQLite"])) {
    if (!peer.name.startsWith(`openclaw ${OPENCLAW_VERSIONS[kind].version}`)) continue;
    return values.quick ? "not in a quick run" : installOpenclaw(kind);
  }
  return undefined;
}
