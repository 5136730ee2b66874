/**
 * Goal: a process that is stopped between any two file-system calls, while others go on through several checkpoints,
 * changes nothing that it should not when it continues (invariant I5).
 * Method: for N = 1, 2, 3 …, process A is stopped before its Nth deferred call, or after that call took effect and
 * before A hears of it. Process B then updates, deletes and recreates the same sessions and checkpoints once to four
 * times (what a segment made too late would stand beside differs). A goes on. In the end A, B and a fresh C must answer
 * what the log says, and after a few more checkpoints the disk must hold exactly that.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { LogWitness } from "../../../support/log-witness.js";
import {
  bigText,
  boot,
  HeldAnswers,
  openOn,
  parkFrom,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Machine,
  type Process,
} from "../../../support/processes.js";
import { expectAnswers, expectTidy, quiesce } from "../../../support/store-checks.js";
import { each, stride } from "../../../support/thoroughness.js";

const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

function counted(by: string): (entry: Entry | undefined) => Entry {
  return (entry) => ({ ...entry, [by]: ((entry?.[by] as number | undefined) ?? 0) + 1 });
}

interface Prepared {
  readonly disk: SimulatedDisk;
  readonly past?: LogWitness["commits"];
}

/** Sessions of every kind: only in files, only in the log, deleted in either, with shared values used and unused. */
async function prepare(): Promise<Prepared> {
  const disk = new SimulatedDisk();
  const process = await start(disk, "preparation");
  const { store } = process;
  const witness = new LogWitness(disk);
  witness.follow(process.fs);
  for (const key of ["a", "b", "cold", "gone", "back", "both"]) await store.put(key, { from: key });
  await store.put("shares", { big: bigText("one"), bigOf: "one" });
  await store.put("shares too", { big: bigText("one"), bigOf: "one" });
  await store.put("unused", { big: bigText("two"), bigOf: "two" });
  await store.delete("gone");
  await store.checkpoint();
  await store.put("unused", { big: bigText("three"), bigOf: "three" });
  await store.checkpoint(); // moves "two" to the trash
  await store.update("a", counted("p"));
  await store.delete("back");
  await store.put("hot", { from: "hot" });
  await store.put("unused", { plain: true }); // nobody refers to "three" any more
  witness.look();
  process.fs.kill();
  return { disk, past: witness.commits };
}

/** What B does while A is stopped. */
async function interfere({ store }: Process, checkpoints: number): Promise<void> {
  for (let round = 0; round < checkpoints; round++) {
    await store.update("a", counted("b"));
    await store.update("cold", counted("b"));
    if (round % 2 === 0) await store.delete("both");
    else await store.put("both", { recreated: round });
    if (round % 2 === 1) await store.delete("back");
    else await store.put("back", { recreated: round });
    await store.put("shares", { big: bigText(`b${round}`), bigOf: `b${round}` });
    if (round === 1) await store.flush();
    await store.put("new", round === 2 ? { big: bigText("one"), bigOf: "one" } : { round });
    if (round === 2) await store.delete("new");
    await store.checkpoint();
  }
}

interface Scenario {
  readonly name: string;
  readonly prepared?: () => Promise<Prepared>;
  readonly segmentBytes?: number;
  /** Few calls or delicate ones: every number of checkpoints is tried at each, instead of one after the other. */
  readonly thorough?: true;
  /** Before the process is stopped. Undefined: the process has not even opened the store. */
  readonly before?: (process: Process) => Promise<void>;
  readonly work: (process: Process) => Promise<unknown>;
}

const touch = async ({ store }: Process): Promise<void> => {
  await store.update("a", counted("a"));
  await store.update("both", counted("a"));
  await store.delete("b");
  await store.put("back", { from: "a" });
  await store.put("mine", { from: "a" });
};

const SCENARIOS: readonly Scenario[] = [
  { name: "flush", before: touch, work: ({ store }) => store.flush() },
  { name: "checkpoint", before: touch, work: ({ store }) => store.checkpoint() },
  {
    name: "delete, then flush",
    before: async () => {},
    work: async ({ store }) => {
      await Promise.all([store.delete("both"), store.delete("cold"), store.delete("hot")]);
      await store.flush();
    },
  },
  {
    name: "making the next segment",
    thorough: true,
    segmentBytes: 4096,
    before: async ({ store }) => void (await store.put("bulk", BULK)),
    work: ({ store }) => store.update("a", counted("a")),
  },
  {
    name: "writing a shared value",
    before: async () => {},
    work: ({ store }) =>
      Promise.all([
        store.update("mine", (entry) => ({ ...counted("a")(entry), big: bigText("new"), bigOf: "new" })),
        // That one is in the trash, and B's checkpoints are about to remove it.
        store.update("a", (entry) => ({ ...counted("a")(entry), big: bigText("two"), bigOf: "two" })),
      ]),
  },
  {
    name: "removing shared values",
    before: async ({ store }) => {
      await store.checkpoint();
      await store.update("a", counted("a"));
    },
    work: ({ store }) => store.checkpoint(),
  },
  {
    name: "lazy flush and checkpoint in the background",
    segmentBytes: 4096,
    before: async (process) => {
      await touch(process);
      await process.store.put("bulk", BULK);
      await settled(process.store.update("a", counted("a")));
    },
    work: async ({ runtime }) => {
      runtime.advance(10_000);
      await turn();
    },
  },
  { name: "close", before: touch, work: ({ store }) => store.close() },
  { name: "opening", work: ({ store }) => store.flush() },
  {
    name: "creating the store",
    prepared: () => Promise.resolve({ disk: new SimulatedDisk() }),
    work: ({ store }) => store.flush(),
  },
  {
    name: "opening a store that lost its log",
    thorough: true,
    prepared: async () => {
      const { disk, past } = await prepare();
      const process = await start(disk, "last");
      await process.store.checkpoint();
      process.fs.kill();
      for (const path of Object.keys(disk.tree(`${STORE}/.store/log`))) disk.removeRaw(path);
      return { disk, ...(past && { past }) };
    },
    work: ({ store }) => store.update("a", counted("a")),
  },
];

const STOPS = ["before a call", "before the answer of a call"] as const;

const CHECKPOINTS = [3, 1, 4, 2] as const;

/** @returns Where A was stopped; undefined when it was through before. */
async function run(
  { disk, past }: Prepared,
  scenario: Scenario,
  stop: (typeof STOPS)[number],
  at: number,
  checkpoints: number,
): Promise<string | undefined> {
  const answers = new HeldAnswers();
  const options = {
    through: answers.through,
    ...(scenario.segmentBytes && { segmentBytes: scenario.segmentBytes }),
  };
  const machine = boot(disk, "A");
  const opened = scenario.before === undefined ? undefined : await openOn(machine, options);
  let witness = opened === undefined ? undefined : watch(disk, past, machine);
  if (opened !== undefined) await scenario.before?.(opened);
  const parking = stop === "before a call" ? parkFrom(machine.fs, at) : undefined;
  if (parking === undefined) answers.holdFrom(at);
  const opening = opened ?? openOn(machine, options);
  const work = Promise.resolve(opening).then(async (process) => ({
    process,
    failure: await failureOf(process),
  }));
  async function failureOf(process: Process): Promise<unknown> {
    return scenario.work(process).then(
      () => undefined,
      (error: unknown) => error,
    );
  }
  await turn();
  const stoppedAt =
    parking === undefined ? answers.held : parking.at && `${parking.at.name} ${parking.at.args[0] as string}`;
  const b = await start(disk, "B");
  witness ??= watch(disk, past, machine);
  witness.follow(b.fs);
  await interfere(b, checkpoints);
  parking?.release();
  answers.release();
  const { process: a, failure } = await settled(work, machine, b);
  if (failure !== undefined) expect(failure).toBeInstanceOf(SessionStoreError);
  await expectSettled(disk, witness, scenario.name === "close" ? [b] : [a, b]);
  return stoppedAt;
}

function watch(disk: SimulatedDisk, past: Prepared["past"], machine: Machine): LogWitness {
  const witness = new LogWitness(disk, past);
  witness.follow(machine.fs);
  return witness;
}

async function expectSettled(
  disk: SimulatedDisk,
  witness: LogWitness,
  processes: readonly Process[],
): Promise<void> {
  for (const { store, name } of processes) await settled(store.update("a", counted(name)), ...processes);
  const c = await start(disk, "C");
  witness.follow(c.fs);
  witness.look();
  const keys = [...witness.state.keys()];
  for (const process of [...processes, c])
    await expectAnswers(process, witness.state, ["b", "back", "both", "gone"]);
  await quiesce(c, ...processes);
  witness.look();
  expect(keys.length).toBeGreaterThan(0);
  expectTidy(disk, witness.state);
  for (const process of [...processes, c]) await expectAnswers(process, witness.state);
}

/** Of the calls of what does not ask for more. */
const STRIDE = 2;

describe.each(SCENARIOS)("a process stopped in: $name", (scenario) => {
  const apart = scenario.thorough ? 1 : stride(STRIDE);

  it.each(STOPS)(apart === 1 ? "%s" : `%s, at ${each("call", STRIDE)}`, async (stop) => {
    const { disk, past } = await (scenario.prepared ?? prepare)();
    const step = stop === "before a call" || scenario.thorough ? 1 : 2; // the two kinds of stops are close to each other
    let stopped: string | undefined = "the beginning";
    for (let at = 1; stopped !== undefined; at += step * apart) {
      const where = `stopped ${stop}, number ${at}, behind ${stopped}`;
      for (const checkpoints of scenario.thorough
        ? CHECKPOINTS
        : [CHECKPOINTS[Math.floor(at / (step * apart)) % CHECKPOINTS.length]!]) {
        try {
          stopped = await run({ disk: disk.clone(), ...(past && { past }) }, scenario, stop, at, checkpoints);
        } catch (error) {
          throw new Error(`${where}, others checkpoint ${checkpoints} times`, { cause: error });
        }
      }
    }
  });
});
