/**
 * Goal: a flusher writes, makes and removes what it should as of what it has read, whatever has happened since (T1, T4, T6): each rule by
 * itself, where suspended.test.ts has them all at once.
 * Method: A stops before one call of a flush or a checkpoint; a task of its own, or B, changes the transcript; A goes on. Then its files
 * are looked at before any other flush could put them right.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall, SimulatedFileSystem } from "../../../../src/testing/simulated/file-system.js";
import { settled, turn, type Process } from "../../../support/processes.js";
import { append, chunkNames, expectFiles, startSmall, stateOf } from "./scene.js";

const OS = { durability: "os" } as const;
const KEYS = ["k", "life"];

let disk: SimulatedDisk;
let a: Process;
let b: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  [a, b] = [await startSmall(disk, "A", OS), await startSmall(disk, "B", OS)];
});

/** Has `work` stop before the first call that `isIt`, does `meanwhile`, and lets it go on to its end. */
async function stopped(
  fs: SimulatedFileSystem,
  isIt: (call: SimulatedCall) => boolean,
  work: () => Promise<unknown>,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  let open: (() => void) | undefined;
  fs.gate = (call) => {
    if (open !== undefined || !isIt(call)) return undefined;
    return new Promise((resolve) => (open = resolve));
  };
  const working = work();
  for (let turns = 0; turns < 100 && open === undefined; turns++) await turn();
  if (open === undefined) throw new Error("it never came so far");
  await meanwhile();
  fs.gate = undefined;
  open();
  await settled(working, a, b);
}

const syncsFolder = (key: string): ((call: SimulatedCall) => boolean) => {
  let folder: unknown;
  a.fs.onCall = ({ name, args }) => {
    if (name === "open" && String(args[0]).endsWith(`/${key}`)) folder = args[0];
    return undefined;
  };
  return ({ name }) => name === "fsync" && folder !== undefined;
};

describe("a flush", () => {
  it("in which a task of the same process cuts off what it was about to make: makes what is there now", async () => {
    await append("k", 1, 3)(a.store);
    await stopped(
      a.fs,
      ({ name }) => name === "fdatasync",
      () => a.store.flush(),
      () => a.store.truncate("k", { afterSeq: 2 }),
    );
    expectFiles(disk, await stateOf(a.store, KEYS), KEYS);
    expect(chunkNames(disk, "k")).toHaveLength(1);
  });

  it("of what another process has cut off and removed: leaves it away", async () => {
    await append("k", 1, 3)(a.store);
    await settled(a.store.flush(), a);
    await append("k", 4, 1)(a.store);
    await stopped(
      a.fs,
      ({ name }) => name === "fdatasync",
      () => a.store.flush(),
      async () => {
        await b.store.removeTranscript("k");
        await settled(b.store.checkpoint(), b);
      },
    );
    expect(chunkNames(disk, "k")).toEqual([]);
    expect(a.warnings).toEqual([]);
  });
});

describe("a checkpoint", () => {
  it("removes no file of a commit that it has not read", async () => {
    await append("k", 1, 3)(a.store);
    await settled(a.store.checkpoint(), a);
    await append("k", 4, 1)(a.store);
    await stopped(
      a.fs,
      syncsFolder("k"),
      () => a.store.checkpoint(),
      async () => {
        await b.store.removeTranscript("k");
        await append("k", 10, 2)(b.store);
        await settled(b.store.flush(), b);
      },
    );
    const born = Math.max(...chunkNames(disk, "k").map((name) => Number(/-(\d+)\./.exec(name)?.[1])));
    expect(born).toBe((await b.store.transcript("k"))?.revision);
  });

  it("of a delete removes nothing of the session that was made again since", async () => {
    await append("life", 1, 3)(a.store);
    await append("life", 1, 3, "other")(a.store);
    await settled(a.store.checkpoint(), a);
    await a.store.delete("life");
    const old = chunkNames(disk, "life");
    await stopped(
      a.fs,
      syncsFolder("life"),
      () => a.store.checkpoint(),
      async () => {
        await append("life", 10, 2)(b.store);
        await settled(b.store.flush(), b);
      },
    );
    const left = chunkNames(disk, "life");
    expect(left).toHaveLength(1);
    expect(old).not.toContain(left[0]);
  });
});
