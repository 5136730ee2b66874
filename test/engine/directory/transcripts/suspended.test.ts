/**
 * Goal: a process that is stopped while it writes files of transcripts, at any call and for any time, changes nothing that it should
 * not when it goes on: places, staged chunks and removals of an older state do no harm (T1, T2, T4 to T6).
 * Method: A flushes or checkpoints, and is stopped before its Nth deferred call, or behind it before it hears of it, for every N. B
 * appends, truncates, trims, removes, deletes and makes anew, and flushes or checkpoints so often. A goes on. Then A, B and a newcomer
 * say what the twin says, and after a checkpoint so do the files alone.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { HeldAnswers, parkFrom, settled, turn, type Process } from "../../../support/processes.js";
import { append, expectFiles, expectState, staged, startSmall, stateOf, Twin, type Change } from "./scene.js";
import { each, stride } from "../../../support/thoroughness.js";

/** Each call is one store from its beginning to its end. */
const TIMEOUT_MS = 120_000;
const KEYS = ["grows", "cut", "trimmed", "gone", "none"];

/** Some of it in files that were checkpointed, some only in the log. */
const BEFORE: readonly Change[] = KEYS.slice(0, 4).map((key) => append(key, 1, 7));
const HOT: readonly Change[] = [
  ...KEYS.slice(0, 4).map((key) => append(key, 8, 3)),
  (store) => store.truncate("cut", { afterSeq: 9 }),
  (store) => store.trim("trimmed", { length: 4 }),
];

const CHANGES: readonly Change[] = [
  append("grows", 20, 6),
  (store) => store.truncate("cut", { afterSeq: 6 }),
  append("cut", 20, 2),
  (store) => store.append("trimmed", [1, 2], { maxLength: 3 }),
  (store) => store.delete("gone"),
  append("none", 20, 3),
  append("gone", 20, 2),
  (store) => store.truncate("cut", { length: 0 }),
  append("cut", 30, 5),
  (store) => store.truncate("grows", { afterSeq: 12 }),
  (store) => store.removeTranscript("none"),
  append("none", 40, 1),
];

type Interference = readonly ("change" | "flush" | "checkpoint")[];
const INTERFERENCES: Readonly<Record<string, Interference>> = {
  flushes: ["change", "flush", "change"],
  checkpoints: ["change", "checkpoint", "change"],
  "checkpoints twice": ["change", "checkpoint", "change", "checkpoint"],
};

async function both(twin: Twin, { store }: Process, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    await change(store);
    await twin.apply(change);
  }
}

async function interfere(twin: Twin, process: Process, steps: Interference): Promise<void> {
  let half = 0;
  for (const step of steps) {
    if (step === "change") await both(twin, process, CHANGES.slice(6 * half, 6 * ++half));
    else await settled(process.store[step](), process);
  }
}

/** @returns Whether A came as far as that. */
async function run(
  work: "flush" | "checkpoint",
  stop: "before" | "behind",
  from: number,
  steps: Interference,
): Promise<boolean> {
  const disk = new SimulatedDisk();
  const twin = new Twin(KEYS);
  const answers = new HeldAnswers();
  const a = await startSmall(disk, "A", { durability: "os", through: answers.through });
  await both(twin, a, BEFORE);
  await settled(a.store.checkpoint(), a);
  await both(twin, a, HOT);
  const b = await startSmall(disk, "B", { durability: "os" });
  const parking = stop === "before" ? parkFrom(a.fs, from) : undefined;
  if (stop === "behind") answers.holdFrom(from);
  const working = a.store[work]().catch((error: unknown) => error);
  for (let turns = 0; turns < 30 && (parking?.at ?? answers.held) === undefined; turns++) await turn();
  const stopped = (parking?.at ?? answers.held) !== undefined;
  if (stopped) {
    await interfere(twin, b, steps);
    parking?.release();
    answers.release();
  }
  const failure = await settled(working, a);
  if (failure !== undefined) expect(failure).toBeInstanceOf(SessionStoreError);
  expect(failure).toBeUndefined();
  const state = await twin.state();
  const c = await startSmall(disk, "C", { durability: "os" });
  for (const { store } of [a, b, c]) expect(await stateOf(store, KEYS)).toEqual(state);
  await settled(c.store.checkpoint(), c);
  expectFiles(disk, state, KEYS);
  expect(staged(disk)).toEqual([]);
  const d = await startSmall(disk, "D", { durability: "os" });
  expect(await stateOf(a.store, KEYS)).toEqual(state);
  await expectState(d, state, KEYS);
  for (const { warnings } of [a, b, c, d]) expect(warnings).toEqual([]);
  for (const { fs } of [a, b, c, d]) fs.kill();
  return stopped;
}

const STRIDE = 3;

describe.each(["flush", "checkpoint"] as const)("A stops in a %s", (work) => {
  it.each([
    ["flushes", "before"],
    ["checkpoints", "before"],
    ["checkpoints", "behind"],
    ["checkpoints twice", "before"],
  ] as const)(
    `and B changes everything and %s: %s ${each("call", STRIDE)}`,
    async (name, stop) => {
      let from = 1;
      while (await run(work, stop, from, INTERFERENCES[name] ?? [])) from += stride(STRIDE);
      expect(from).toBeGreaterThan(10);
    },
    TIMEOUT_MS,
  );
});
