/**
 * Goal: shared values are removed in two phases, never too early, and whatever a discarder that sleeps does when it wakes up.
 * Method: a `BlobStore` and its trash on a simulated disk, with processes that are suspended between two calls, and power cuts.
 */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import type { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";
import {
  CONTENT,
  discarded,
  discardOne,
  empty,
  fixture,
  HASH,
  layout,
  NEXT_STAGE,
  PAST_STAGE,
  processOn,
  REFERENCE,
  STAGE,
  type Fixture,
} from "./blob-fixture.js";

/** What a checkpoint does when its segment is over. */
function fence(disk: SimulatedDisk): void {
  for (const path of Object.keys(disk.tree(layout.stageFolder(STAGE)))) disk.removeRaw(path);
  disk.removeRaw(layout.stageFolder(STAGE));
  disk.makeDirectory(layout.stageFolder(NEXT_STAGE));
}

/** Does something before the next call of that name. */
function beforeCall(fs: SimulatedFileSystem, name: string, act: () => void): void {
  fs.onCall = (call) => {
    if (call.name !== name) return;
    fs.onCall = undefined;
    act();
  };
}

/** Suspends a process before its next call of that name. */
function parkAt(
  fs: SimulatedFileSystem,
  name: string,
): { reached: () => Promise<void>; release: () => void } {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  let arrived = (): void => {};
  const arrival = new Promise<void>((resolve) => (arrived = resolve));
  fs.gate = (call) => {
    if (call.name !== name) return undefined;
    fs.gate = undefined;
    arrived();
    return released;
  };
  return { reached: () => arrival, release };
}

/** Long enough for everything that can still happen without a dead process. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("O14: removal in two phases", () => {
  it("a value that was moved to the trash stays until the segment that was active then is sealed", async () => {
    const process = await fixture();
    const { disk, trash } = process;
    const released = await discardOne(trash);
    expect(discarded(disk)).toEqual([released]);
    expect(released).toMatch(new RegExp(`^${HASH}\\.[0-9a-f]{16}\\.${STAGE}$`));
    await empty(process, 6, { released });
    const marked = discarded(disk);
    expect(marked).toEqual([released?.replace(STAGE, "6")]);
    await empty(process, 6);
    expect(discarded(disk)).toEqual(marked);
    await empty(process, 7);
    expect(discarded(disk)).toEqual([]);
  });

  it("a value that is referenced after all goes back to its place, whatever segment is active", async () => {
    const process = await fixture();
    const { disk, trash } = process;
    const released = await discardOne(trash);
    await empty(process, 6, { released });
    fence(disk);
    await empty(process, 9, { referenced: true });
    expect(discarded(disk)).toEqual([]);
    expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
  });

  it("F15: every move has a name of its own, so an older removal cannot hit a later move", async () => {
    const { disk, blobs, trash } = await fixture();
    const first = await discardOne(trash);
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    const second = await discardOne(trash);
    expect(second).not.toBe(first);
    expect(discarded(disk)).toContain(second);
  });

  it("nothing is removed when the log cannot tell who is referenced", async () => {
    const { disk, trash } = await fixture();
    const released = await discardOne(trash);
    await trash.empty(() => undefined, new Set([released ?? ""]));
    expect(discarded(disk)).toEqual([released]);
  });

  it("a value that others have discarded meanwhile is left to them", async () => {
    const { disk, fs, trash } = await fixture();
    beforeCall(fs, "link", () => disk.removeRaw(layout.blob(HASH)));
    expect(await discardOne(trash)).toBeUndefined();
    expect(discarded(disk)).toEqual([]);
  });

  it("a damaged value leaves as well", async () => {
    const process = await fixture();
    const { disk, trash } = process;
    disk.writeRaw(layout.blob(HASH), "damage");
    await discardOne(trash);
    expect(disk.readRaw(layout.blob(HASH))).toBeUndefined();
    await empty(process, 6);
    await empty(process, 7);
    expect(discarded(disk)).toEqual([]);
  });

  it("a damaged value that is put again while its discarder sleeps is kept", async () => {
    const { disk, fs, trash } = await fixture();
    disk.writeRaw(layout.blob(HASH), "damage");
    const parking = parkAt(fs, "rename");
    const discarding = discardOne(trash);
    await parking.reached();
    const writer = processOn(disk, 3);
    expect(await writer.blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    parking.release();
    await discarding;
    expect(writer.blobs.load(REFERENCE)).toEqual(CONTENT);
  });
});

describe("O14: while its discarder sleeps, before it takes the value from its place,", () => {
  it.each([false, true])(
    "the name in the trash stays (referenced: %s); fenced, the discarder changes nothing",
    async (referenced) => {
      const { disk, fs, trash } = await fixture();
      const parking = parkAt(fs, "rename");
      const discarding = discardOne(trash);
      await parking.reached();
      const held = discarded(disk);
      const other = processOn(disk, 3);
      await empty(other, 6, { referenced });
      await empty(other, 9, { referenced });
      expect(discarded(disk)).toEqual(held);
      fence(disk);
      parking.release();
      await discarding;
      expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
      await empty(other, 9, { referenced });
      await empty(other, 10, { referenced });
      expect(discarded(disk)).toEqual([]);
      expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
    },
  );

  it("the name stays although a writer puts the value back: a power cut may keep half of what the discarder does then", async () => {
    for (let seed = 1; seed <= 16; seed++) {
      const { disk, fs, trash } = await fixture();
      const parking = parkAt(fs, "rename");
      void discardOne(trash);
      await parking.reached();
      const writer = processOn(disk, 3);
      expect(await writer.blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
      await empty(writer, 6, { referenced: true });
      beforeCall(fs, "unlink", () => fs.kill());
      parking.release();
      await turn();
      disk.powerCut("random", seededRandom(seed));
      expect(processOn(disk, 4).blobs.load(REFERENCE), `seed ${seed}`).toEqual(CONTENT);
    }
  });

  it("a writer that finds the value in the trash leaves the name there", async () => {
    const { disk, fs, trash } = await fixture();
    const parking = parkAt(fs, "unlink");
    void discardOne(trash);
    await parking.reached();
    const held = discarded(disk);
    expect(await processOn(disk, 3).blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(discarded(disk)).toEqual(held);
  });

  it("F15: it is asked whether the name is held before it is looked whether the value is in its place", async () => {
    const { disk, blobs, fs } = await fixture();
    const held = `${layout.trash}/${HASH}.00c0ffee.${STAGE}`;
    fs.link(layout.blob(HASH), held);
    disk.removeRaw(layout.blob(HASH));
    const steps: string[] = [];
    fs.onCall = ({ name }) => {
      if (name === "rename") steps.push("put back");
      if (name !== "close" || steps.length !== 1) return;
      steps.push("found in its place");
      disk.removeRaw(layout.blob(HASH)); // the discarder wakes up, takes it, and is fenced
      fence(disk);
    };
    await blobs.ensure(REFERENCE, undefined, STAGE);
    expect(steps).toEqual(["put back", "found in its place"]);
    expect(disk.readRaw(held)).toEqual(CONTENT);
  });

  it("F15: and before the log is read, so that the mark is not older than the move", async () => {
    const process = await fixture();
    const { disk, fs } = process;
    const name = `${HASH}.00c0ffee.${STAGE}`;
    fs.link(layout.blob(HASH), `${layout.trash}/${name}`);
    await empty(process, 6, { scanned: () => fence(disk) });
    expect(discarded(disk)).toEqual([name]);
  });
});

describe("a power cut at every call of", () => {
  const WORK: Readonly<Record<string, (process: Fixture) => Promise<unknown>>> = {
    "a removal's first phase": ({ trash }) => discardOne(trash),
    "the mark": async (process) => {
      discard(process.disk);
      await empty(process, 6);
    },
    "the way back": async (process) => {
      discard(process.disk);
      await empty(process, 6, { referenced: true });
    },
    "the way back to a writer": async ({ disk, blobs }) => {
      discard(disk);
      await blobs.ensure(REFERENCE, undefined, STAGE);
    },
  };

  /** Durably in the trash and nowhere else, as a removal leaves it whose segment is over. */
  function discard(disk: SimulatedDisk): void {
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee.${PAST_STAGE}`, CONTENT);
    disk.removeRaw(layout.blob(HASH));
  }

  it.each(Object.keys(WORK))("%s: the value is still somewhere", async (name) => {
    for (let at = 1, finished = false; !finished; at++) {
      for (let seed = 1; seed <= 8; seed++) {
        const process = await fixture();
        const { disk, fs } = process;
        const before = fs.calls;
        fs.onCall = ({ index }) => {
          if (index - before === at) fs.kill();
        };
        await Promise.race([WORK[name]!(process).catch(() => {}), turn()]);
        finished = !fs.killed;
        disk.powerCut("random", seededRandom(seed));
        expect(processOn(disk, 3, 1024).blobs.load(REFERENCE), `call ${at}, seed ${seed}`).toEqual(CONTENT);
      }
    }
  });
});
