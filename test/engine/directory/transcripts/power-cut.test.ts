/**
 * Goal: whenever a process is killed or the power goes, every acknowledged change of a transcript is there afterwards, exactly once, no
 * commit is there by half, and nobody has to repair anything (T1 to T6).
 * Method: one run of appends, truncations, trims, removals, flushes and checkpoints, each together with a counter in the record; before
 * every system call a copy of the disk. On each copy the process is dead, or the power is cut, which keeps all, a random choice, or
 * nothing of what was never synced. A new process must say what the twin said before or behind the change that was under way; it then
 * appends, checkpoints, and the files alone say it.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { settled, type Process } from "../../../support/processes.js";
import {
  append,
  expectFiles,
  expectState,
  staged,
  startSmall,
  stateOf,
  Twin,
  type Change,
  type State,
} from "./scene.js";

const KEYS = ["a", "b"];
/** Some hundred stores are opened, twice each. */
const TIMEOUT_MS = 120_000;
type Step = Change | "flush" | "checkpoint";

const STEPS: readonly Step[] = [
  append("a", 1, 5),
  append("b", 1, 2),
  "flush",
  append("a", 6, 4),
  (store) => store.truncate("a", { afterSeq: 7 }),
  "flush",
  append("a", 12, 1),
  "checkpoint",
  (store) => store.truncate("a", { length: 3 }),
  append("a", 20, 3),
  append("b", 20, 5, "other"),
  "checkpoint",
  (store) => store.append("a", [1, 2], { maxLength: 3 }),
  (store) => store.removeTranscript("b"),
  "flush",
  (store) => store.trim("b", { length: 1 }, { transcript: "other" }),
  "checkpoint",
  (store) => store.delete("a"),
  append("a", 30, 2),
  append("b", 30, 2),
  "checkpoint",
];

interface Moment {
  readonly disk: SimulatedDisk;
  readonly call: string;
  /** Index of the state that is acknowledged. */
  readonly acknowledged: number;
}

/** Before a call that only looks, the disk is as it was before the next one. */
const CHANGING: ReadonlySet<string> = new Set([
  "write",
  "mkdir",
  "rmdir",
  "unlink",
  "rename",
  "link",
  "fdatasync",
  "fsync",
]);

async function record(): Promise<{ moments: Moment[]; states: State[] }> {
  const disk = new SimulatedDisk();
  const twin = new Twin(KEYS);
  const process: Process = await startSmall(disk, "worker");
  const states: State[] = [await twin.state()];
  const moments: Moment[] = [];
  process.fs.onCall = ({ name, args, index }) => {
    if (!CHANGING.has(name) && !(name === "open" && args[1] === "create")) return;
    const path = args.find((arg) => typeof arg === "string") ?? "";
    const call = `call ${index}, ${name} ${path}`;
    moments.push({ disk: disk.clone(), call, acknowledged: states.length - 1 });
  };
  for (const step of STEPS) {
    if (typeof step === "string") await settled(process.store[step](), process);
    else {
      await settled(step(process.store), process);
      await twin.apply(step);
      states.push(await twin.state());
    }
  }
  process.fs.kill();
  return { moments, states };
}

async function recovered(disk: SimulatedDisk, states: readonly State[], acknowledged: number): Promise<void> {
  const first = await startSmall(disk, "first");
  const found = await stateOf(first.store, KEYS);
  const possible = states.slice(acknowledged, acknowledged + 2).map((state) => JSON.stringify(state));
  expect(possible).toContain(JSON.stringify(found));
  await expectState(first, found, KEYS);
  const { last } = await settled(first.store.append("a", ["behind"]), first);
  expect(last).toBe((found["a/main"]?.last ?? 0) + 1);
  await settled(first.store.checkpoint(), first);
  const second = await startSmall(disk, "second");
  const state = await stateOf(second.store, KEYS);
  expectFiles(disk, state, KEYS);
  expect(state["a/main"]?.items.slice(0, -1)).toEqual(found["a/main"]?.items ?? []);
  expect(state["b/main"]).toEqual(found["b/main"]);
  expect(state["b/other"]).toEqual(found["b/other"]);
  expect(staged(disk)).toEqual([]);
  // What a power cut left of the log is told; of the files nothing is.
  for (const { code } of [...first.warnings, ...second.warnings]) expect(code).toBe("log_gap");
}

const recorded = record();

describe("before each call of a process that writes transcripts", () => {
  it.each([
    ["it is killed", undefined],
    ["the power goes, and nothing that was not synced is left", "durable-only"],
    ["the power goes, and some of what was not synced is left", "random"],
  ] as const)(
    "%s",
    async (_name, mode) => {
      const { moments, states } = await recorded;
      expect(moments.length).toBeGreaterThan(100);
      for (const [seed, { disk, call, acknowledged }] of moments.entries()) {
        const copy = disk.clone(seededRandom(seed));
        if (mode !== undefined) copy.powerCut(mode, seededRandom(seed));
        try {
          await recovered(copy, states, acknowledged);
        } catch (error) {
          throw new Error(`before ${call}, random numbers from ${seed}`, { cause: error });
        }
      }
    },
    TIMEOUT_MS,
  );
});
