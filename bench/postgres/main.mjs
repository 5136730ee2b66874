// @ts-check
/**
 * `npm run bench:postgres`: sessiondir over PostgreSQL beside a compare-and-swap by hand and `@keyv/postgres`, by turns, on one server.
 *
 *   --quick    few rounds, and 10,000 sessions to list instead of 100,000
 *
 * BENCH_POSTGRES names a server (a database of its own, please: tables are made in it), else one is started. Each figure is the
 * median of rounds; the ratio is the median of the rounds' ratios to the bare compare-and-swap.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { installPeers } from "../install.mjs";
import { describeMachine } from "../runner/machine.mjs";
import { contender, entryOf, load } from "./contenders.mjs";
import { keyOf, rate } from "./rate.mjs";
import { startServer } from "./server.mjs";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const ROUNDS = values.quick ? 3 : 9;
const MS = values.quick ? 500 : 1000;
const SESSIONS = values.quick ? 10_000 : 100_000;
const KEYS = 1000;
const NAMES = /** @type {const} */ (["bare", "sessiondir", "keyv"]);

/** @typedef {{ what: string, unit: string, rates: Record<string, number[]> }} Figure */

const failed = installPeers();
if (failed !== undefined) throw new Error(`what it is compared with is not installed: ${failed}`);
const machine = describeMachine(tmpdir());
for (const [name, value] of Object.entries(machine)) console.log(`  ${name.padEnd(10)}  ${value}`);
const server = await startServer();
/** @type {Figure[]} */
const figures = [];
const contenders = await Promise.all(NAMES.map((name) => contender(name, server.url)));
try {
  for (const one of contenders) {
    const count = one.name === "@keyv/postgres" ? KEYS : SESSIONS;
    await one.fill(Array.from({ length: count }, (_, n) => [keyOf(n), entryOf(n)]));
  }
  for (const lanes of [1, 32]) {
    await measure(`get, ${lanes} in flight`, (one) => rate(one.get, { lanes, ms: MS, keys: KEYS }));
    await measure(`update, ${lanes} in flight`, (one) => rate(one.update, { lanes, ms: MS, keys: KEYS }));
  }
  for (let n = 0; n < KEYS; n++) await contenders[1]?.getWithin?.(keyOf(n));
  await measure("get within a second", (one) => {
    const { getWithin } = one;
    return getWithin && rate(getWithin, { lanes: 1, ms: MS, keys: KEYS });
  });
  await measure(`50 newest of ${SESSIONS}`, (one) => {
    const { list } = one;
    return list && rate(list, { lanes: 1, ms: MS, keys: KEYS });
  });
  for (const lanes of [1, 32]) await processes(lanes);
  await seen();
} finally {
  for (const one of contenders) await one.close();
  await server.stop();
}
const folder = new URL("../results/postgres/", import.meta.url);
mkdirSync(folder, { recursive: true });
const started = new Date().toISOString();
const file = new URL(`${started.replaceAll(/[:.]\d*Z?$|:/g, "")}.json`, folder);
writeFileSync(file, `${JSON.stringify({ started, quick: values.quick, machine, figures }, undefined, 2)}\n`);

/**
 * @param {string} what
 * @param {(one: import("./contenders.mjs").Contender) => Promise<number> | undefined} run
 */
async function measure(what, run) {
  /** @type {Figure} */
  const figure = { what, unit: "calls/s", rates: {} };
  for (let round = -1; round < ROUNDS; round++)
    for (const one of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const running = run(one);
      if (running === undefined) continue;
      const calls = await running;
      if (round >= 0) (figure.rates[one.name] ??= []).push(calls); // the first one warms up
    }
  say(figure);
}

/** Four processes, each with sessions of its own. @param {number} lanes */
async function processes(lanes) {
  /** @type {Figure} */
  const figure = { what: `update, 4 processes, ${lanes} in flight each`, unit: "calls/s", rates: {} };
  const path = new URL("worker.mjs", import.meta.url);
  const crews = [];
  for (const name of NAMES) {
    const crew = Array.from({ length: 4 }, () => fork(path, [name, server.url]));
    await Promise.all(crew.map((child) => once(child, "message")));
    crews.push({ name: name === "keyv" ? "@keyv/postgres" : name, crew });
  }
  for (let round = -1; round < ROUNDS; round++)
    for (const { name, crew } of round % 2 === 0 ? crews : crews.toReversed()) {
      const answers = crew.map(async (child, index) => {
        child.send({ lanes, ms: MS, from: index * 250 });
        const [calls] = await once(child, "message");
        return Number(calls);
      });
      const sum = (await Promise.all(answers)).reduce((one, other) => one + other, 0);
      if (round >= 0) (figure.rates[name] ??= []).push(sum);
    }
  for (const { crew } of crews) for (const child of crew) child.send("end");
  say(figure);
}

/** From the beginning of an update until the watch of another store has it. */
async function seen() {
  const { openPostgresStore } = await load("../../dist/postgres/index.js");
  for (const hints of [true, false]) {
    const options = { connectionString: server.url, store: "seen", hints };
    const [writer, reader] = [await openPostgresStore(options), await openPostgresStore(options)];
    const watch = reader.watch()[Symbol.asyncIterator]();
    /** @type {number[]} */
    const ms = [];
    for (let round = 0; round < ROUNDS * 5; round++) {
      const next = watch.next();
      await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 250));
      const began = performance.now();
      await writer.put("a", { round });
      await next;
      ms.push(performance.now() - began);
    }
    say({
      what: `seen by another host, ${hints ? "with" : "without"} hints`,
      unit: "ms",
      rates: { sessiondir: ms },
    });
    await writer.close();
    await reader.close();
  }
}

/** @param {Figure} figure */
function say(figure) {
  figures.push(figure);
  const { what, unit, rates } = figure;
  const bare = rates["bare"];
  const parts = Object.entries(rates).map(([name, all]) => {
    const ratio =
      bare === undefined || name === "bare"
        ? ""
        : ` (${median(all.map((calls, round) => calls / (bare[round] ?? NaN))).toFixed(2)} x bare)`;
    const text = median(all) < 100 ? median(all).toFixed(1) : median(all).toFixed(0);
    return `${name} ${text}${ratio}`;
  });
  console.log(`${what.padEnd(38)} ${unit}: ${parts.join("   ")}`);
}

/** @param {readonly number[]} all */
function median(all) {
  const sorted = all.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
