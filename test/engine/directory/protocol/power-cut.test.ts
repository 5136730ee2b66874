/**
 * Goal: whenever the power goes, every acknowledged commit is there afterwards, what is there is a prefix of the log, and
 * nobody has to repair anything (invariants I1, I3, I4); also when it goes again while the store recovers.
 * Method: one run of a workload, and before every single system call a copy of the disk. On each copy the power is cut,
 * which keeps a random choice of what was never synced, or none of it; a new process opens what is left, and is
 * compared with what a witness read in the log. On some copies the power is cut again in the middle of recovery.
 */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../../src/testing/simulated/file-system.js";
import { LogWitness } from "../../../support/log-witness.js";
import {
  bigText,
  boot,
  openOn,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../../support/processes.js";
import { expectAnswers, expectTidy, quiesce } from "../../../support/store-checks.js";
import { many } from "../../../support/thoroughness.js";

const TOKENS = 100;
const FILLER = "x".repeat(200);

/** A disk as it was before one system call, and what must survive. */
interface Moment {
  readonly disk: SimulatedDisk;
  readonly call: string;
  readonly acknowledged: number;
}

class Recorder {
  readonly moments: Moment[] = [];
  /** Revision up to which every commit was acknowledged as durable. */
  acknowledged = 0;

  constructor(
    private readonly disk: SimulatedDisk,
    private readonly witness: LogWitness,
  ) {}

  follow(fs: SimulatedFileSystem): void {
    fs.onCall = (call) => {
      this.witness.look();
      const path = call.args.find((arg) => typeof arg === "string") ?? "";
      const what = `${call.process}'s call ${call.index}, ${call.name} ${path}`;
      this.moments.push({ disk: this.disk.clone(), call: what, acknowledged: this.acknowledged });
    };
  }

  /** Everything committed so far has been acknowledged. */
  acknowledge(): void {
    this.witness.look();
    this.acknowledged = this.witness.revision;
  }
}

function transfer({ store }: Process, amount: number): Promise<void> {
  return store.transact(async (tx) => {
    const from = await tx.get("from");
    const to = await tx.get("to");
    await tx.put("from", { tokens: (from?.["tokens"] as number) - amount, updatedAt: amount });
    await tx.patch("to", { tokens: (to?.["tokens"] as number) + amount });
  });
}

function big(name: string): Entry {
  return { big: bigText(name), bigOf: name };
}

/** Commits of every kind, flushes, checkpoints, and segments that fill up; two processes take turns. */
async function work(one: Process, other: Process, recorder: Recorder): Promise<void> {
  const acknowledged = async (...writes: Promise<unknown>[]): Promise<void> => {
    await settled(Promise.all(writes), one, other);
    recorder.acknowledge();
  };
  await acknowledged(one.store.put("from", { tokens: TOKENS }), one.store.put("to", { tokens: 0 }));
  for (let round = 0; round < 9; round++) {
    const [a, b] = round % 2 === 0 ? [one, other] : [other, one];
    await acknowledged(transfer(a, round + 1));
    await acknowledged(
      b.store.update("counter", (entry) => ({ ...entry, [`n${round}`]: round, filler: FILLER })),
      b.store.put(`new ${round}`, { round, f1: FILLER, f2: FILLER }),
      transfer(b, 1),
    );
    await acknowledged(
      round % 3 === 0 ? a.store.put("comes and goes", { round }) : a.store.delete("comes and goes"),
    );
    await acknowledged(
      b.store.put("shares", big(`v${round}`)),
      a.store.put("shares too", big(`v${round >> 1}`)),
    );
    if (round === 1) await settled(a.store.flush(), one, other);
    if (round === 3 || round === 6) await settled(b.store.checkpoint(), one, other);
    if (round > 3) await acknowledged(a.store.delete(`new ${round - 3}`));
    if (round % 2 === 1) {
      // Lazy flushes and checkpoints in the background, and a transfer while they are under way.
      for (const { runtime } of [one, other]) runtime.advance(3000);
      await acknowledged(transfer(a, 1));
      await turn();
    }
  }
}

async function record(): Promise<{ moments: readonly Moment[]; witness: LogWitness }> {
  const disk = new SimulatedDisk();
  const one = await start(disk, "one", { segmentBytes: 4096 });
  const witness = new LogWitness(disk);
  const recorder = new Recorder(disk, witness);
  recorder.follow(one.fs);
  const machine = boot(disk, "other");
  recorder.follow(machine.fs);
  const other = await openOn(machine, { segmentBytes: 4096 });
  await work(one, other, recorder);
  return { moments: recorder.moments, witness };
}

/** Opens what a power cut left, and compares it with a prefix of the log. Returns that prefix' last revision. */
async function expectRecovered(
  disk: SimulatedDisk,
  witness: LogWitness,
  least: number,
): Promise<[Process, number]> {
  const process = await start(disk, "recovered", { segmentBytes: 4096 });
  const revision = await process.store.revision();
  expect(revision, "every acknowledged commit").toBeGreaterThanOrEqual(least);
  expect(revision, "nothing that never was").toBeLessThanOrEqual(witness.revision);
  const state = witness.stateAt(revision);
  await expectAnswers(process, state, witness.state.keys());
  const tokens = ["from", "to"].map((key) => state.get(key)?.stored["tokens"] as number | undefined);
  if (tokens.every((number) => number !== undefined))
    expect(tokens.reduce((sum, more) => sum + more, 0)).toBe(TOKENS);
  return [process, revision];
}

async function expectUsable(
  disk: SimulatedDisk,
  process: Process,
  past: LogWitness["commits"],
): Promise<void> {
  const witness = new LogWitness(disk, past);
  witness.follow(process.fs);
  await settled(process.store.put("after", { the: "cut" }), process);
  await quiesce(process);
  witness.look();
  expectTidy(disk, witness.state);
  await expectAnswers(process, witness.state);
}

/** Cuts the power again before some call of a process that opens and checkpoints. */
async function expectRecoveredTwice(
  disk: SimulatedDisk,
  witness: LogWitness,
  least: number,
  random: () => number,
): Promise<void> {
  const moments: SimulatedDisk[] = [];
  const machine = boot(disk, "recovering");
  machine.fs.onCall = () => void (random() < 0.04 && moments.push(disk.clone(random)));
  const process = await openOn(machine, { segmentBytes: 4096 });
  const revision = await process.store.revision();
  expect(revision).toBeGreaterThanOrEqual(least);
  await settled(process.store.checkpoint(), process);
  for (const again of moments) {
    again.powerCut("random");
    // What survived the first cut is durable; a record that only lacked its newline may have got it.
    await expectRecovered(again, witness, revision);
  }
}

const SEEDS = Number(process.env["SESSIONDIR_SEEDS"] ?? 2);
/** Every moment with `SESSIONDIR_SEEDS`; otherwise each kind of cut takes a share of them, every one another share. */
const SHARES = process.env["SESSIONDIR_SEEDS"] === undefined ? many(3, 6) : 1;

describe("a power cut before any system call of two processes", () => {
  const recording = record();

  it.each(["durable-only", ...Array.from({ length: SEEDS }, (_, index) => index + 1)])(
    "keeps: %s",
    async (seed) => {
      const { moments, witness } = await recording;
      const random = seededRandom(typeof seed === "number" ? seed : 0);
      for (const [number, moment] of moments.entries()) {
        if (number % SHARES !== (typeof seed === "number" ? seed : 0) % SHARES) continue;
        const disk = moment.disk.clone(random);
        try {
          disk.powerCut(seed === "durable-only" ? "durable-only" : "random");
          const again = random() < 0.08 ? disk.clone(random) : undefined;
          const [process, revision] = await expectRecovered(disk, witness, moment.acknowledged);
          if (random() < 0.1) await expectUsable(disk, process, witness.until(revision));
          if (again !== undefined) await expectRecoveredTwice(again, witness, revision, random);
        } catch (error) {
          throw new Error(`power cut ${seed} at moment ${number}, before ${moment.call}`, { cause: error });
        }
      }
    },
    300_000,
  );
});

describe("a power cut while a store is made", () => {
  it("leaves a store or none, and it can be opened or made", async () => {
    const disk = new SimulatedDisk();
    const machine = boot(disk, "maker");
    const moments: Moment[] = [];
    let acknowledged = 0;
    machine.fs.onCall = ({ name }) => void moments.push({ disk: disk.clone(), call: name, acknowledged });
    const { store } = await openOn(machine);
    await store.put("a", { first: true });
    acknowledged = 1;
    await store.flush();
    for (const [number, moment] of moments.entries()) {
      for (let seed = 0; seed < 6; seed++) {
        const copy = moment.disk.clone(seededRandom(seed));
        copy.powerCut(seed === 0 ? "durable-only" : "random");
        const again = await start(copy, "again");
        const found = await again.store.get("a");
        if (moment.acknowledged > 0) expect(found, `seed ${seed}, moment ${number}`).toEqual({ first: true });
        await again.store.put("a", { second: true });
        await quiesce(again);
        expect(Object.keys(copy.tree(STORE)).filter((path) => path.includes("building"))).toEqual([]);
      }
    }
  });
});
