/**
 * Goal: no acknowledged change is replaced by what another process had read before, nobody is told that a session is not there
 * that may be hidden, a process that knows better mends however idle it is, and no damaged file goes without a copy because its
 * name in the quarantine is taken.
 * Method: the smallest scene of each, on the simulated disk.
 */
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../../../src/format/crc32.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { pass, settled, start, STORE } from "../../../support/processes.js";
import { changesIn, entryFile, flip, quarantine, segments } from "./scenes.js";

describe("a log that was cut off under two processes that had read it", () => {
  it("loses nothing that a newcomer acknowledged there: who cannot know of it stops", async () => {
    const disk = new SimulatedDisk();
    const first = await start(disk, "first", { flushDelayMs: 3_600_000 });
    for (let n = 0; n < 20; n++) await first.store.put(`k${n % 5}`, { n, pad: "p".repeat(100) });
    const second = await start(disk, "second", { flushDelayMs: 3_600_000 });
    await second.store.list();
    const [path = ""] = segments(disk);
    const bytes = disk.readRaw(path)!;
    disk.writeRaw(path, bytes.subarray(0, Math.floor(bytes.length / 3)));
    const newcomer = await start(disk, "newcomer");
    await settled(newcomer.store.put("k3", { n: 10_100 }), newcomer);
    await settled(first.store.put("k4", { n: 7 }), first).catch(() => undefined);
    await settled(newcomer.store.put("k4", { n: 8 }), newcomer).catch(() => undefined);
    await pass(3000, newcomer, second);
    const answer = await second.store.get("k3").catch((error: unknown) => error);
    if (answer instanceof Error) expect(answer).toMatchObject({ code: "log_damaged" });
    else expect(answer).toEqual({ n: 10_100 });
  });
});

describe("a log that was cut off, and is longer again", () => {
  it("is not gone on with by a process that had read it before", async () => {
    const disk = new SimulatedDisk();
    const before = await start(disk, "before", { flushDelayMs: 3_600_000 });
    for (let n = 0; n < 20; n++) await before.store.put(`k${n % 5}`, { n, pad: "p".repeat(100) });
    const [path = ""] = segments(disk);
    const bytes = disk.readRaw(path)!;
    disk.writeRaw(path, bytes.subarray(0, Math.floor(bytes.length / 3)));
    const newcomer = await start(disk, "newcomer", { flushDelayMs: 3_600_000 });
    await settled(newcomer.store.put("k3", { n: 10_100 }), newcomer);
    for (let n = 0; n < 40; n++) await newcomer.store.put("other", { n, pad: "q".repeat(100) });
    await pass(3000, newcomer, before);
    const answer = await before.store.get("k3").catch((error: unknown) => error);
    if (answer instanceof Error) expect(answer).toMatchObject({ code: "log_damaged" });
    else expect(answer).toEqual({ n: 10_100 });
  });
});

describe("a damaged log of which a living process knows all", () => {
  it("is mended by it within seconds, though it is idle and its files are written", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await living.store.put("b", { n: 1 });
    await settled(living.store.flush(), living);
    await pass(10_000, living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    await settled(newcomer.store.put("other", { n: 1 }), newcomer);
    await pass(10_000, living, newcomer);
    const updated = newcomer.store.update("a", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
    await expect(settled(updated, newcomer)).resolves.toMatchObject({ entry: { n: 2 } });
  });

  it("is mended, too, when a newcomer only reads", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await settled(living.store.flush(), living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    expect(await newcomer.store.get("a")).toEqual({ n: 1 });
    await pass(10_000, living, newcomer);
    expect(quarantine(disk)).toHaveLength(1);
  });

  it("is mended, too, when a newcomer only reads and updates", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("a", { n: 1 });
    await living.store.put("b", { n: 1 });
    await settled(living.store.flush(), living);
    flip(disk, segments(disk)[0] ?? "", (changesIn(disk)[0]?.at ?? 0) + 30);
    const newcomer = await start(disk, "newcomer");
    const update = () => newcomer.store.update("a", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
    await expect(update()).rejects.toMatchObject({ code: "log_damaged" });
    await living.store.put("b", { n: 2 });
    await pass(10_000, living, newcomer);
    await expect(settled(update(), newcomer)).resolves.toMatchObject({ entry: { n: 2 } });
  });
});

describe("a session whose only record cannot be read", () => {
  it("is deleted by a record, or the delete is refused: it may be there", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    await living.store.put("hidden", { n: 1 });
    const [change] = changesIn(disk);
    flip(disk, segments(disk)[0] ?? "", (change?.at ?? 0) + 30);
    const { store } = await start(disk, "newcomer");
    const answer = await store.delete("hidden").catch((error: unknown) => error);
    if (answer instanceof Error) expect(answer).toMatchObject({ code: "log_damaged" });
    else expect(await living.store.get("hidden")).toBeUndefined();
  });

  it("is no conflict with a revision that nobody can know", async () => {
    const disk = new SimulatedDisk();
    const living = await start(disk, "living");
    const { revision } = await living.store.put("hidden", { n: 1 });
    const [change] = changesIn(disk);
    flip(disk, segments(disk)[0] ?? "", (change?.at ?? 0) + 30);
    const { store } = await start(disk, "newcomer");
    const put = store.put("hidden", { n: 2 }, { ifRevision: revision });
    await expect(put).rejects.toMatchObject({ code: "log_damaged" });
  });
});

describe("a damaged file whose name in the quarantine is taken by other bytes", () => {
  it("is kept under another name", async () => {
    const disk = new SimulatedDisk();
    const before = await start(disk, "before");
    await before.store.put("a", { n: 1 });
    await settled(before.store.checkpoint(), before);
    await settled(before.store.close(), before);
    flip(disk, entryFile("a"), 20);
    const damaged = disk.readRaw(entryFile("a"))!;

    disk.writeRaw(`${STORE}/.store/quarantine/a.${crc32Hex(damaged)}.json`, Buffer.from("other bytes"));
    const after = await start(disk, "after");
    await settled(after.store.put("a", { n: 2 }), after);
    await settled(after.store.flush(), after);
    const kept = quarantine(disk).map((name) => disk.readRaw(`${STORE}/.store/quarantine/${name}`));
    expect(kept.some((bytes) => bytes?.equals(damaged))).toBe(true);
  });
});
