/**
 * Goal: no call decides anything on what it only seems to know of a session in doubt, neither that it is not there, nor that
 * it has another revision, nor that its file is up to date; and every such refusal says which session and where.
 * Method: a log of which one record is damaged, and a process that comes then; sessions of which nothing, or too little, is left.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, start, STORE, type Process } from "../../../support/processes.js";
import { changesIn, flip, segments } from "./scenes.js";

let disk: SimulatedDisk;
/** It has read the log before it was damaged. */
let before: Process;
let reader: Process;
/** Of `hidden`. */
let revision: number;

const IN_DOUBT = { code: "log_damaged", data: { key: "hidden" } };

/** Only the damaged record has `hidden`; `front` is in front of it, and changed behind its file. */
beforeEach(async () => {
  disk = new SimulatedDisk();
  before = await start(disk, "before", { flushDelayMs: 3_600_000 });
  await before.store.put("front", { n: 1 });
  await settled(before.store.flush(), before);
  await before.store.put("front", { n: 2 });
  await before.store.put("gone", { n: 1 });
  await before.store.delete("gone");
  ({ revision } = await before.store.put("hidden", { n: 1 }));
  const hit = changesIn(disk).find(({ op }) => op.k === "hidden");
  flip(disk, hit?.path ?? "", (hit?.at ?? 0) + 30);
  reader = await start(disk, "reader", { flushDelayMs: 3_600_000 });
});

describe("a session of which nothing can be read", () => {
  it("is deleted without a condition, and others hear of that", async () => {
    await expect(settled(reader.store.delete("hidden"), reader)).resolves.toBe(true);
    expect(await before.store.get("hidden")).toBeUndefined();
    await expect(reader.store.delete("hidden")).resolves.toBe(false); // now it is known
  });

  it("is deleted by a transaction that has not read it", async () => {
    const deleted = reader.store.transact(async (tx) => {
      await tx.put("other", { n: 1 });
      return tx.delete("hidden");
    });
    await expect(settled(deleted, reader)).resolves.toBe(true);
    expect(await before.store.get("hidden")).toBeUndefined();
    expect(await before.store.get("other")).toEqual({ n: 1 });
  });

  it.each([
    ["put with its revision", (at: number) => reader.store.put("hidden", { n: 2 }, { ifRevision: at })],
    ["put with another", (at: number) => reader.store.put("hidden", { n: 2 }, { ifRevision: at + 1 })],
    ["put of a new one", () => reader.store.put("hidden", { n: 2 }, { ifRevision: 0 })],
    ["patch", () => reader.store.patch("hidden", { n: 2 })],
    ["patch with its revision", (at: number) => reader.store.patch("hidden", {}, { ifRevision: at })],
    ["update", () => reader.store.update("hidden", () => ({ n: 2 }))],
    ["update that would leave it", () => reader.store.update("hidden", () => undefined)],
    ["delete with its revision", (at: number) => reader.store.delete("hidden", { ifRevision: at })],
    ["delete with another", (at: number) => reader.store.delete("hidden", { ifRevision: at + 1 })],
    ["patch in a transaction", () => reader.store.transact((tx) => tx.patch("hidden", { n: 2 }))],
  ])("is refused a %s", async (_what, write) => {
    await expect(write(revision)).rejects.toMatchObject(IN_DOUBT);
    expect(await before.store.get("hidden")).toEqual({ n: 1 });
  });
});

describe("a session in doubt that can be read", () => {
  it("has no revision to compare with, and is deleted by a transaction", async () => {
    const { revision: seen = 0 } = (await reader.store.read("front")) ?? {};
    for (const ifRevision of [seen, seen + 1]) {
      const put = reader.store.put("front", { n: 9 }, { ifRevision });
      await expect(put).rejects.toMatchObject({ code: "log_damaged", data: { key: "front" } });
    }
    await settled(
      reader.store.transact((tx) => tx.delete("front")),
      reader,
    );
    expect(await before.store.get("front")).toBeUndefined();
  });
});

describe("bringing the files up to date", () => {
  it.each(["flush", "checkpoint"] as const)(
    "%s fails while changes in doubt are in no file",
    async (name) => {
      const [segment] = segments(disk);
      const failure = await settled(reader.store[name](), reader).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: "log_damaged",
        data: { key: "front", path: segment, segment: 1 },
      });
      expect(String(failure)).toMatch(/"front".* in no file.*at byte \d+.*sessiondir mend/);
      await settled(reader.store.close(), reader); // the log keeps it, and closing does not fail for that
    },
  );

  it("succeeds once every change in doubt is in a file, and what was deleted has none", async () => {
    await settled(before.store.flush(), before);
    await settled(reader.store.flush(), reader);
    await settled(reader.store.checkpoint(), reader);
  });
});

describe("what is said of damage", () => {
  it("has the path that people know, from a watch too", async () => {
    const iterator = reader.store.watch()[Symbol.asyncIterator]();
    const failure = await iterator.next().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "log_damaged",
      data: { path: `${STORE}/.store/log/00000001.jsonl` },
    });
    expect(String(failure)).not.toContain("/proc/self/fd");
    expect(String(failure)).toContain(STORE);
  });

  it("names the session", async () => {
    await before.store.put("hidden", { n: 2 });
    const late = await start(disk, "late");
    const failure = await late.store.get("hidden").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "session_damaged", data: { key: "hidden" } });
    expect(String(failure)).toContain('"hidden"');
  });
});
