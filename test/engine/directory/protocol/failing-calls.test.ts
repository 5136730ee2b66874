/**
 * Goal: whichever system call fails, and however: the caller gets a typed error and never a wrong answer, the old state
 * is intact for everybody, and the store works again as soon as the trouble is over. The error says what was being
 * done, with which session or path, and what to do next.
 * Method: every operation is run with its 1st, 2nd, 3rd … call failing, until it is through. A second process has
 * committed just before, so that an answer which ignores a failed read would be an old one.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type {
  CallInstruction,
  SimulatedCall,
  SystemCallName,
} from "../../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import { LogWitness } from "../../../support/log-witness.js";
import {
  bigText,
  boot,
  openOn,
  settled,
  start,
  type Entry,
  type Machine,
  type Process,
} from "../../../support/processes.js";
import { expectAnswers, expectTidy, quiesce } from "../../../support/store-checks.js";
import { each, stride } from "../../../support/thoroughness.js";

interface Failure {
  readonly name: string;
  /** Calls that can fail like this. */
  readonly calls: readonly SystemCallName[];
  /** Whether all such calls fail from that one on. */
  readonly lasts: boolean;
  readonly fail: (call: SimulatedCall, first: boolean) => CallInstruction | undefined;
}

const ROOM: readonly SystemCallName[] = ["write", "open", "mkdir", "rename", "link", "fsync", "fdatasync"];
const PATHS: readonly SystemCallName[] = [
  "open",
  "mkdir",
  "rename",
  "link",
  "unlink",
  "rmdir",
  "readdir",
  "lstat",
];
const ALL: readonly SystemCallName[] = [...PATHS, "read", "write", "close", "fstat", "fdatasync", "fsync"];

function refuse(code: string): Failure["fail"] {
  return (call) => {
    const error = systemError(code, call);
    if (call.name === "close") return { failAfter: error }; // the descriptor is gone even so
    throw error;
  };
}

const FAILURES: readonly Failure[] = [
  { name: "ENOSPC for good", calls: ROOM, lasts: true, fail: refuse("ENOSPC") },
  {
    name: "a short write, then ENOSPC",
    calls: ["write"],
    lasts: true,
    fail: (call, first) =>
      first ? { shortWrite: Math.floor((call.args[3] as number) / 2) } : refuse("ENOSPC")(call, first),
  },
  {
    name: "a write that lacks one byte, then ENOSPC",
    calls: ["write"],
    lasts: true,
    fail: (call, first) =>
      first ? { shortWrite: (call.args[3] as number) - 1 } : refuse("ENOSPC")(call, first),
  },
  {
    name: "a short write, once",
    calls: ["write"],
    lasts: false,
    fail: (call) => ({ shortWrite: Math.floor((call.args[3] as number) / 2) }),
  },
  { name: "EIO once", calls: ALL, lasts: false, fail: refuse("EIO") },
  { name: "EIO for good", calls: ALL, lasts: true, fail: refuse("EIO") },
  {
    name: "an answer that is lost",
    calls: ALL.filter((name) => name !== "open"), // nobody can close what it does not know
    lasts: false,
    fail: (call) => ({ failAfter: systemError("EIO", call) }),
  },
  {
    name: "a sync that drops what was dirty",
    calls: ["fdatasync", "fsync"],
    lasts: false,
    fail: () => ({ failSync: true }),
  },
  { name: "EMFILE for good", calls: ["open", "readdir"], lasts: true, fail: refuse("EMFILE") },
  { name: "EACCES once", calls: PATHS, lasts: false, fail: refuse("EACCES") },
  { name: "EACCES for good", calls: PATHS, lasts: true, fail: refuse("EACCES") },
];

interface Operation {
  readonly name: string;
  /** What the message of a failed system call says was being done, and with which session. */
  readonly doing: RegExp;
  /** Read only: its answer must be right, or there must be none. */
  readonly answer?: (process: Process) => Promise<unknown>;
  readonly write?: (process: Process) => Promise<unknown>;
  readonly segmentBytes?: number;
}

const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);
const plusOne = (entry: Entry | undefined): Entry => ({
  ...entry,
  n: ((entry?.["n"] as number | undefined) ?? 0) + 1,
});

const OPERATIONS: readonly Operation[] = [
  {
    name: "get of a session in the log",
    doing: /^could not read session "hot": /,
    answer: ({ store }) => store.get("hot"),
  },
  {
    name: "get of a session in its file",
    doing: /^could not read session "cold": /,
    answer: ({ store }) => store.get("cold"),
  },
  {
    name: "get of a session that is not",
    doing: /^could not read session "never": /,
    answer: ({ store }) => store.get("never"),
  },
  {
    name: "get of a shared value",
    doing: /^could not read (session "shares"|the shared value [0-9a-f]{64}): /,
    answer: async ({ store }) => (await store.get("shares"))?.["big"],
  },
  {
    name: "list",
    doing: /^could not list sessions: /,
    answer: async ({ store }) => (await store.list()).sessions.map(({ key, revision }) => [key, revision]),
  },
  { name: "count", doing: /^could not count sessions: /, answer: ({ store }) => store.count() },
  {
    name: "revision",
    doing: /^could not read the store's revision: /,
    answer: ({ store }) => store.revision(),
  },
  {
    name: "put",
    doing: /^could not commit session "hot": /,
    write: ({ store }) => store.put("hot", { put: true }),
  },
  {
    name: "update",
    doing: /^could not (read|commit) session "cold": /,
    write: ({ store }) => store.update("cold", plusOne),
  },
  {
    name: "patch",
    doing: /^could not (read|commit) session "hot": /,
    write: ({ store }) => store.patch("hot", { patched: true }),
  },
  {
    name: "delete",
    doing: /^could not (read|commit) session "cold": /,
    write: ({ store }) => store.delete("cold"),
  },
  {
    name: "transact",
    doing:
      /^could not (read session|list transcripts of session|commit [23] sessions from) "(hot|cold|shares)"|^could not read the store.s revision: /,
    write: ({ store }) =>
      store.transact(async (tx) => {
        const cold = await tx.get("cold");
        await tx.put("hot", plusOne(cold));
        await tx.delete("shares");
      }),
  },
  {
    name: "put of a shared value",
    doing: /^could not commit session "hot": /,
    write: ({ store }) => store.put("hot", { big: bigText("new"), bigOf: "new" }),
  },
  {
    name: "put of a value in the trash",
    doing: /^could not commit session "hot": /,
    write: ({ store }) => store.put("hot", { big: bigText("old"), bigOf: "old" }),
  },
  {
    name: "put into the next segment",
    doing: /^could not commit session "(bulk|hot)": /,
    segmentBytes: 4096,
    write: async ({ store }) => {
      await store.put("bulk", BULK);
      await store.put("hot", { next: true });
    },
  },
  { name: "flush", doing: /^could not flush the store: /, write: ({ store }) => store.flush() },
  {
    name: "checkpoint",
    doing: /^could not checkpoint the store: /,
    write: ({ store }) => store.checkpoint(),
  },
  { name: "close", doing: /^could not close the store: /, write: ({ store }) => store.close() },
];

/** Failures after which the store refuses durable commits until it is opened anew, and says so. */
const NEEDS_REOPENING = new Set(["durability_unknown"]);

async function prepare(): Promise<{ disk: SimulatedDisk; past: LogWitness["commits"] }> {
  const disk = new SimulatedDisk();
  const process = await start(disk, "preparation");
  const witness = new LogWitness(disk);
  witness.follow(process.fs);
  const { store } = process;
  for (const key of ["cold", "deleted", "flushed"]) await store.put(key, { from: key });
  await store.put("shares", { big: bigText("shared"), bigOf: "shared" });
  await store.put("old", { big: bigText("old"), bigOf: "old" });
  await store.checkpoint();
  await store.put("old", {});
  await store.delete("deleted");
  await store.checkpoint();
  await store.put("hot", { from: "hot" });
  await store.put("unflushed", { from: "unflushed" });
  witness.look();
  process.fs.kill();
  return { disk, past: witness.commits };
}

/** Makes the `at`th call from now on fail that can fail like this. Returns what stops it, and whether it began. */
function inject(fs: Machine["fs"], failure: Failure, at: number): { stop: () => boolean } {
  const before = fs.onCall;
  let seen = 0;
  fs.onCall = (call) => {
    const ran = before?.(call);
    if (!failure.calls.includes(call.name)) return ran;
    seen += 1;
    if (seen === at || (seen > at && failure.lasts)) return failure.fail(call, seen === at);
    return ran;
  };
  return {
    stop: () => {
      fs.onCall = before;
      return seen >= at;
    },
  };
}

async function attempt<T>(
  promise: Promise<T>,
  machine: Machine,
  doing?: RegExp,
): Promise<{ value?: T; error?: SessionStoreError }> {
  try {
    return { value: await settled(promise, machine) };
  } catch (error) {
    expect(error).toBeInstanceOf(SessionStoreError);
    const { code, message } = error as SessionStoreError;
    expect(message, "names a session or a path").toMatch(/"\w+"|\/sessions\.d/);
    expect(message, "says what to do next").toMatch(NEXT_STEP);
    if (doing !== undefined && (code === "io_error" || code === "disk_full")) {
      expect(message).toMatch(doing);
    }
    return { error: error as SessionStoreError };
  }
}

const NEXT_STEP =
  /\b(?:[Cc]heck|[Tt]ry|[Ff]ree|[Rr]aise|[Cc]lose|[Rr]ead|[Rr]eopen|[Oo]pen|[Rr]estore|[Pp]ut|[Mm]ove)\b/;

/** @returns Whether the failure struck. */
async function run(
  base: SimulatedDisk,
  past: LogWitness["commits"],
  operation: Operation,
  failure: Failure,
  at: number,
): Promise<boolean> {
  const disk = base.clone();
  const a = await start(disk, "A", operation.segmentBytes ? { segmentBytes: operation.segmentBytes } : {});
  const b = await start(disk, "B", { durability: "os" });
  const witness = new LogWitness(disk, past);
  witness.follow(a.fs);
  witness.follow(b.fs);
  await b.store.update("cold", plusOne);
  await b.store.update("shares", plusOne);
  witness.look();
  const old = witness.revision;
  const expected = operation.answer && (await operation.answer(b));
  const injected = inject(a.fs, failure, at);
  const { value, error } = await attempt<unknown>(
    (operation.answer ?? operation.write)!(a),
    a,
    operation.doing,
  );
  const struck = injected.stop();
  witness.look();
  if (operation.answer !== undefined && error === undefined) expect(value).toEqual(expected);
  const definite =
    error !== undefined && error.code !== "durability_unknown" && error.code !== "commit_unknown";
  if (definite && operation.name !== "put into the next segment")
    expect(witness.revision, error.code).toBe(old);
  if (error?.code === "disk_full") expect(failure.name).toMatch(/ENOSPC|short/);
  await expectAnswers(b, witness.state);
  if (operation.name !== "close") await expectUsable(a, witness, error);
  if (operation.write !== undefined || at % 5 === 0) {
    await quiesce(b);
    witness.look();
    expectTidy(disk, witness.state);
  }
  await attempt(a.store.close(), a);
  if (failure.name !== "an answer that is lost") expect(a.fs.openPaths, "descriptors left open").toEqual([]);
  return struck;
}

async function expectUsable(
  a: Process,
  witness: LogWitness,
  error: SessionStoreError | undefined,
): Promise<void> {
  const again = await attempt(a.store.put("again", { after: "the failure" }), a);
  witness.look();
  await expectAnswers(a, witness.state);
  const { error: refusal } = again;
  if (refusal === undefined) return expect(witness.state.has("again")).toBe(true);
  expect(NEEDS_REOPENING.has(refusal.code), `${refusal.code} after ${error?.code}: ${refusal.message}`).toBe(
    true,
  );
}

/** Of the calls of an operation, so that several failures together strike each. */
const STRIDE = 3;

describe.each(FAILURES)(`$name, at ${each("call", STRIDE)}`, (failure) => {
  const first = 1 + (FAILURES.indexOf(failure) % stride(STRIDE));

  it.each(OPERATIONS)("$name", async (operation) => {
    const { disk, past } = await prepared;
    for (let at = first, struck = true; struck; at += stride(STRIDE)) {
      try {
        struck = await run(disk, past, operation, failure, at);
      } catch (error) {
        throw new Error(`failure at call ${at}`, { cause: error });
      }
    }
  });

  it.each(["opening a store", "making a store"])("%s", async (what) => {
    const { disk: base, past } = await prepared;
    for (let at = first, struck = true; struck; at += stride(STRIDE)) {
      const disk = what === "opening a store" ? base.clone() : new SimulatedDisk();
      const machine = boot(disk, "A");
      const injected = inject(machine.fs, failure, at);
      const { value } = await attempt(openOn(machine), machine);
      struck = injected.stop();
      if (value === undefined && failure.name !== "an answer that is lost")
        expect(machine.fs.openPaths).toEqual([]);
      const process = value ?? (await openOn(machine));
      const witness = new LogWitness(disk, what === "opening a store" ? past : undefined);
      witness.follow(machine.fs);
      await expectUsable(process, witness, undefined);
      const other = await start(disk, "B");
      witness.follow(other.fs);
      await quiesce(other);
      witness.look();
      expectTidy(disk, witness.state);
    }
  });
});

const prepared = prepare();
