/**
 * Goal: a process that had read the bytes before they were damaged goes on as if nothing was, nobody contradicts it, and it mends
 * the log for all others without being asked; until then nobody acknowledges anything on top of a state that it cannot know.
 * Method: one process has read everything, another one comes behind the damage; then time passes.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { pass, settled, start, STORE, type Entry, type Process } from "../../../support/processes.js";
import { changesIn, entryFile, fileRevision, flip, quarantine, segments } from "./scenes.js";

const KEYS = ["a", "b", "c", "d"];
const plusOne = (entry: Entry | undefined): Entry => ({ n: Number(entry?.["n"] ?? 0) + 1 });

let disk: SimulatedDisk;
let living: Process;
let revisions: Map<string, number>;

/** Every session was updated, none is in a file; then the first record of all is damaged. */
beforeEach(async () => {
  disk = new SimulatedDisk();
  living = await start(disk, "living");
  revisions = new Map<string, number>();
  for (const key of KEYS) await living.store.put(key, { n: 1 });
  for (const key of KEYS) revisions.set(key, (await living.store.update(key, plusOne))?.revision ?? 0);
  const [first] = changesIn(disk);
  flip(disk, first?.path ?? "", (first?.at ?? 0) + 30);
});

describe("a process that had read the bytes", () => {
  it("goes on reading and writing, and what it acknowledges stays", async () => {
    await start(disk, "newcomer");
    for (const key of KEYS) {
      expect(await living.store.read(key)).toMatchObject({ entry: { n: 2 }, revision: revisions.get(key) });
      expect(await living.store.update(key, plusOne)).toMatchObject({ entry: { n: 3 } });
    }
    expect(living.warnings).toEqual([]);
    await settled(living.store.checkpoint(), living);
    const { store } = await start(disk, "later");
    for (const key of KEYS) expect(await store.get(key)).toEqual({ n: 3 });
  });

  it("checkpoints at once when another one has sealed the segment, which goes into the quarantine", async () => {
    const newcomer = await start(disk, "newcomer");
    expect(newcomer.warnings.map(({ code }) => code)).toEqual(["log_gap"]);
    await settled(newcomer.store.put("a", { n: 10 }), newcomer);
    expect(await living.store.get("a")).toEqual({ n: 10 }); // it reads the seal on its way
    await pass(100, living);
    for (const key of KEYS.slice(1)) expect(fileRevision(disk, entryFile(key))).toBe(revisions.get(key));
    expect(segments(disk).map((path) => path.slice(-14))).toEqual(["00000002.jsonl"]);
    expect(quarantine(disk)).toEqual([expect.stringMatching(/^00000001\.jsonl\./)]);
    expect(living.warnings).toMatchObject([{ code: "log_mended", data: { segment: 1 } }]);
    const { store, warnings } = await start(disk, "later");
    for (const key of KEYS) expect(await store.get(key)).toEqual({ n: key === "a" ? 10 : 2 });
    for (const key of KEYS) await store.update(key, plusOne);
    expect((await store.list()).damaged).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it("is not contradicted by what a newcomer wrote in doubt", async () => {
    const newcomer = await start(disk, "newcomer");
    await settled(newcomer.store.put("a", { n: 10 }), newcomer);
    await settled(newcomer.store.delete("b"), newcomer);
    for (const key of KEYS) await settled(living.store.update(key, plusOne), living);
    expect(await living.store.get("a")).toEqual({ n: 11 });
    expect(await living.store.get("b")).toEqual({ n: 1 });
    expect(await living.store.get("c")).toEqual({ n: 3 });
    expect(await newcomer.store.get("c")).toEqual({ n: 3 }); // it is in a later segment now
    await newcomer.store.update("c", plusOne);
    expect(await living.store.get("c")).toEqual({ n: 4 });
  });

  it("and came to damage in a record that it had not read yet, is in doubt like all others", async () => {
    const other = await start(disk, "other", { durability: "os" });
    const put = other.store.put("e", { n: 1 });
    await settled(put, other);
    const late = changesIn(disk).findLast(({ op }) => op.k === "e");
    flip(disk, late?.path ?? "", (late?.at ?? 0) + 40);
    expect(await living.store.get("a")).toEqual({ n: 2 });
    await expect(living.store.update("a", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
    expect(living.warnings.map(({ code }) => code)).toEqual(["log_gap"]);
  });
});

describe("a process that came later", () => {
  it("reads and updates everything as soon as the log is mended, without being opened again", async () => {
    const newcomer = await start(disk, "newcomer");
    await expect(newcomer.store.get("c")).rejects.toMatchObject({ code: "session_damaged" });
    await expect(newcomer.store.update("c", plusOne)).rejects.toMatchObject({ code: "session_damaged" });
    await settled(newcomer.store.put("a", { n: 10 }), newcomer);
    await living.store.get("a");
    await pass(100, living);
    for (const key of KEYS.slice(1)) expect(await newcomer.store.get(key)).toEqual({ n: 2 });
    for (const key of KEYS.slice(1))
      expect(await newcomer.store.update(key, plusOne)).toMatchObject({ entry: { n: 3 } });
    expect(await newcomer.store.count()).toBe(KEYS.length);
    expect((await newcomer.store.list()).damaged).toBeUndefined();
  });

  it("builds on nothing that it cannot know, whatever it is asked for", async () => {
    const newcomer = await start(disk, "newcomer");
    const { store } = newcomer;
    const [revision = 0] = revisions.values();
    const asked: Record<string, () => Promise<unknown>> = {
      update: () => store.update("b", plusOne),
      patch: () => store.patch("b", { n: 5 }),
      "put if new": () => store.put("b", { n: 5 }, { ifRevision: 0 }),
      "put if unchanged": () => store.put("b", { n: 5 }, { ifRevision: revision }),
      "delete if unchanged": () => store.delete("b", { ifRevision: revision }),
      "transact, read and put": () =>
        store.transact(async (tx) => {
          await tx.put("b", plusOne(await tx.get("b")));
        }),
    };
    for (const [name, ask] of Object.entries(asked))
      await expect(ask(), name).rejects.toMatchObject({
        code: expect.stringMatching(/^(session|log)_damaged$/) as string,
      });
    expect(await living.store.read("b")).toMatchObject({ entry: { n: 2 }, revision: revisions.get("b") });
    expect(disk.names(`${STORE}/.store/log`)).toHaveLength(1);
  });
});
