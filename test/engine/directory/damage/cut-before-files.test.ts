/**
 * Goal: where the end of the log was cut off before any of it was in a file, what a newcomer acknowledges behind the cut is
 * replaced by nothing that another process had read before: who cannot know of it stops.
 * Method: a log that one or two processes have read, and no file; a third of it is left, a newcomer goes on there, then those that
 * had read it are asked.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { pass, settled, start, type Process } from "../../../support/processes.js";
import { segments } from "./scenes.js";

const NOT_FLUSHED = { flushDelayMs: 3_600_000 };

let disk: SimulatedDisk;
/** Has written, and so read, all that was in the log. */
let first: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  first = await start(disk, "first", NOT_FLUSHED);
  for (let n = 0; n < 20; n++) await first.store.put(`k${n % 5}`, { n, pad: "p".repeat(100) });
});

/** Leaves a third of the log, on which a newcomer acknowledges a change. */
async function cutAndGoneOn(options: Parameters<typeof start>[2]): Promise<Process> {
  const [path = ""] = segments(disk);
  const bytes = disk.readRaw(path)!;
  disk.writeRaw(path, bytes.subarray(0, Math.floor(bytes.length / 3)));
  const newcomer = await start(disk, "newcomer", options);
  await settled(newcomer.store.put("k3", { n: 10_100 }), newcomer);
  return newcomer;
}

/** It has what the newcomer acknowledged, or says that it cannot know. */
async function expectNotOlder(process: Process): Promise<void> {
  const answer = await process.store.get("k3").catch((error: unknown) => error);
  if (answer instanceof Error) expect(answer).toMatchObject({ code: "log_damaged" });
  else expect(answer).toEqual({ n: 10_100 });
}

describe("what a newcomer acknowledged behind the cut", () => {
  it("is not lost to a process that had read the log, after another such one has written", async () => {
    const second = await start(disk, "second", NOT_FLUSHED);
    await second.store.list();
    const newcomer = await cutAndGoneOn({}); // it writes files, as any process does
    await settled(first.store.put("k4", { n: 7 }), first).catch(() => undefined);
    await settled(newcomer.store.put("k4", { n: 8 }), newcomer).catch(() => undefined);
    await pass(3000, newcomer, second);
    await expectNotOlder(second);
  });

  it("is not lost to a process that had read the log, which is longer again than it was", async () => {
    const newcomer = await cutAndGoneOn(NOT_FLUSHED);
    for (let n = 0; n < 40; n++) await newcomer.store.put("other", { n, pad: "q".repeat(100) });
    await pass(3000, newcomer, first);
    await expectNotOlder(first);
  });
});
