/**
 * Goal: what a power cut leaves in the log is not taken for damage, so that nobody has to do anything after one; the same
 * bytes without a power cut are.
 * Method: records that were never synced, and power cuts of which some leave NUL bytes among them; the survivor of each.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { bigText, pass, settled, start, STORE, type Entry } from "../../../support/processes.js";
import { flip, quarantine, segments } from "./scenes.js";

const plusOne = (entry: Entry | undefined): Entry => ({ n: Number(entry?.["n"] ?? 0) + 1 });
const CUTS = 200;

/** Disks after a power cut that left NUL bytes in the log, each with the bytes that were there before. */
const holes: { disk: SimulatedDisk; before: SimulatedDisk }[] = [];

beforeAll(async () => {
  const disk = new SimulatedDisk();
  const safe = await start(disk, "safe");
  await safe.store.put("a", { big: bigText("dead once it is replaced").repeat(8) });
  for (const key of ["a", "b"]) await safe.store.put(key, { n: 1 });
  const unsafe = await start(disk, "unsafe", { durability: "os" });
  for (let n = 0; n < 4; n++) await unsafe.store.put(`c${n}`, { text: "x".repeat(700) });
  for (let seed = 1; seed <= CUTS; seed++) {
    const before = disk.clone();
    const cut = disk.clone(seededRandom(seed));
    cut.powerCut("random");
    if (cut.readRaw(segments(cut)[0] ?? "")?.includes(0)) holes.push({ disk: cut, before });
  }
});

describe("NUL bytes in the log", () => {
  it("that a power cut left put nothing in doubt: what was durable is there, and can be updated", async () => {
    expect(holes.length).toBeGreaterThan(CUTS / 10);
    for (const { disk: left } of holes) {
      const disk = left.clone();
      const process = await start(disk, "survivor");
      const { store } = process;
      for (const key of ["a", "b"]) {
        expect(await store.get(key)).toEqual({ n: 1 });
        expect(await settled(store.update(key, plusOne), process)).toMatchObject({ entry: { n: 2 } });
      }
      expect((await store.list()).damaged).toBeUndefined();
      await settled(store.checkpoint(), process);
      expect(segments(disk)).toHaveLength(1);
      const later = await start(disk, "later");
      expect(await later.store.get("a")).toEqual({ n: 2 });
      expect(later.warnings).toEqual([]);
    }
  });

  it("end the segment there, as the next header says, so that a process that comes later decides alike", async () => {
    const disk = holes[0]!.disk.clone();
    const process = await start(disk, "survivor");
    const { revision } = (await process.store.read("b"))!;
    await settled(process.store.update("a", plusOne), process);
    const [, next = ""] = segments(disk);
    const header = JSON.parse(disk.readRaw(next)!.toString().split("\n")[0]!.slice(9)) as { after: number };
    expect(header.after).toBeGreaterThanOrEqual(revision);
    const later = await start(disk, "later");
    expect(await later.store.update("a", plusOne)).toMatchObject({ entry: { n: 3 } });
    expect(await process.store.update("b", plusOne)).toMatchObject({ entry: { n: 2 } });
    expect(later.warnings.filter(({ code }) => code !== "log_gap")).toEqual([]);
  });

  it("end it where the next header says for catalogs, too: if that is damaged later, no old file seems to be newer", async () => {
    for (const { disk: left } of holes.slice(0, 10)) {
      const disk = left.clone();
      const process = await start(disk, "survivor");
      await settled(process.store.update("a", plusOne), process);
      process.fs.kill();
      const later = await start(disk, "later");
      await pass(5000, later);
      expect(segments(disk)).toHaveLength(1); // checkpointed by a process that has read the end of it in a header
      expect((await later.store.update("a", plusOne))?.entry).toEqual({ n: 3 });
      later.fs.kill();
      flip(disk, segments(disk)[0] ?? "", 20); // in the header
      const reader = await start(disk, "reader");
      await expect(reader.store.get("a")).rejects.toMatchObject({ code: "session_damaged" });
    }
  });

  it("are not sealed by a process that did not look while another one went on behind them, and wrote files", async () => {
    for (const { disk: left } of holes.slice(0, 10)) {
      const disk = left.clone();
      const first = await start(disk, "first");
      const second = await start(disk, "second", { segmentBytes: 4096 }); // a timer of it is to seal, for what is dead
      await settled(first.store.update("a", plusOne), first);
      await settled(first.store.flush(), first);
      const [path = ""] = segments(disk);
      const bytes = disk.readRaw(path);
      second.runtime.runNextTimer(); // without reading the log first
      expect(disk.readRaw(path)).toEqual(bytes);
      expect(await second.store.get("a")).toEqual({ n: 2 });
      await settled(second.store.checkpoint(), second);
      expect(quarantine(disk)).toEqual([]);
    }
  });

  it("that came without a power cut are damage", async () => {
    for (const { disk: left, before } of holes.slice(0, 10)) {
      const disk = before.clone();
      const [path = ""] = segments(left);
      disk.writeRaw(path, left.readRaw(path)!);
      const process = await start(disk, "witness");
      expect(await process.store.get("a")).toEqual({ n: 1 });
      await expect(settled(process.store.update("a", plusOne), process)).rejects.toMatchObject({
        code: "log_damaged",
      });
    }
  });

  it("are damage, too, if a transcript's file knows of a change behind them", async () => {
    const disk = new SimulatedDisk();
    const { store } = await start(disk, "before");
    await store.append("a", [1]);
    const offset = disk.readRaw(segments(disk)[0] ?? "")!.length;
    await store.put("b", { n: 1 });
    await store.append("a", [2]);
    await store.flush();
    disk.powerCut("keep-all");
    disk.removeRaw(`${STORE}/.store/durable`);
    const bytes = disk.readRaw(segments(disk)[0] ?? "")!;
    disk.writeRaw(segments(disk)[0] ?? "", bytes.fill(0, offset + 5, offset + 20));
    const next = await start(disk, "next");
    expect((await next.store.readItems("a")).items.map(({ item }) => item)).toEqual([1, 2]);
    await expect(settled(next.store.append("a", [3]), next)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it.each(["a file", "a file, and the mark"])(
    "are damage, too, if %s knows of a change behind them: that was durable",
    async (who) => {
      const disk = new SimulatedDisk();
      const { store } = await start(disk, "before");
      await store.put("a", { n: 1 });
      const offset = disk.readRaw(segments(disk)[0] ?? "")!.length;
      await store.put("b", { n: 1 });
      await store.update("a", plusOne);
      await store.flush();
      disk.powerCut("keep-all");
      if (who === "a file") disk.removeRaw(`${STORE}/.store/durable`);
      const bytes = disk.readRaw(segments(disk)[0] ?? "")!;
      disk.writeRaw(segments(disk)[0] ?? "", bytes.fill(0, offset + 5, offset + 20));
      const next = await start(disk, "next");
      expect(await next.store.get("a")).toEqual({ n: 2 });
      await expect(settled(next.store.update("a", plusOne), next)).rejects.toMatchObject({
        code: "log_damaged",
      });
    },
  );
});
