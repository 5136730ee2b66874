/**
 * Goal: a log of which the end was cut off is not taken for all there was: what files or a living process know of it is kept, nothing
 * newer is overwritten, and nobody acknowledges on top of a state that it cannot know.
 * Method: the log is cut at every kind of place, in front of what was made durable for the files, under processes that live and
 * before others that come.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeLogLine } from "../../../../src/format/log-line.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import {
  parkFrom,
  pass,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../../support/processes.js";
import { changesIn, entryFile, fileRevision, quarantine, segments } from "./scenes.js";

const KEYS = ["a", "b", "c"];
const plusOne = (entry: Entry | undefined): Entry => ({ n: Number(entry?.["n"] ?? 0) + 1 });

let disk: SimulatedDisk;
let living: Process;
let path: string;
/** Where the second change of the first session stands. */
let second: number;

/** Every session was changed twice, and all of it is in the files. */
beforeEach(async () => {
  disk = new SimulatedDisk();
  living = await start(disk, "living");
  for (const key of KEYS) await living.store.put(key, { n: 1 });
  for (const key of KEYS) await living.store.update(key, plusOne);
  await settled(living.store.flush(), living);
  [path = ""] = segments(disk);
  second = changesIn(disk).filter(({ op }) => op.k === "a")[1]?.at ?? 0;
});

function cut(at: number): void {
  disk.writeRaw(path, disk.readRaw(path)!.subarray(0, at));
}

const PLACES: [string, () => number][] = [
  ["between two lines", () => second],
  ["in a line", () => second + 40],
  ["in front of a newline", () => second - 1],
  ["in the header", () => 20],
  ["at the beginning", () => 0],
];

describe.each(PLACES)("a log that was cut off %s", (_name, place) => {
  it("before a process came: files are right, and no update builds on less", async () => {
    living.fs.kill();
    cut(place());
    const { store, warnings } = await start(disk, "newcomer");
    for (const key of KEYS) expect(await store.get(key)).toEqual({ n: 2 });
    expect(warnings.map(({ code }) => code)).toEqual(["log_gap"]);
    expect((await store.list()).sessions.map(({ entry }) => entry["n"])).toEqual([2, 2, 2]);
    await expect(store.update("a", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("before a process came: what it writes is above all that was there, and what others come to know", async () => {
    living.fs.kill();
    cut(place());
    const newcomer = await start(disk, "newcomer");
    const before = Math.max(...KEYS.map((key) => fileRevision(disk, entryFile(key)) ?? 0));
    const { revision } = await settled(newcomer.store.put("d", { n: 1 }), newcomer);
    expect(revision).toBeGreaterThan(before);
    const later = await start(disk, "later");
    for (const key of KEYS) expect(await later.store.get(key)).toEqual({ n: 2 });
    expect(await later.store.get("d")).toEqual({ n: 1 });
    await expect(later.store.update("a", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("is mended by a process that is alone", async () => {
    living.fs.kill();
    cut(place());
    const alone = await start(disk, "alone", { soleProcess: true });
    for (const key of KEYS) expect(await alone.store.update(key, plusOne)).toMatchObject({ entry: { n: 3 } });
    expect(alone.warnings.map(({ code }) => code)).not.toContain("session_guessed");
    expect(quarantine(disk)).toHaveLength(1);
  });

  it("under a process that had read it: it goes on with all it knows, and mends the log", async () => {
    cut(place());
    await pass(1100, living);
    expect(await living.store.get("a")).toEqual({ n: 2 });
    expect(living.warnings).toMatchObject([{ code: "log_gap", data: { path, segment: 1, offset: place() } }]);
    expect(await settled(living.store.update("a", plusOne), living)).toMatchObject({ entry: { n: 3 } });
    await settled(living.store.checkpoint(), living);
    expect(quarantine(disk)).toHaveLength(1);
    const later = await start(disk, "later");
    for (const key of KEYS) expect(await later.store.get(key)).toEqual({ n: key === "a" ? 3 : 2 });
    for (const key of KEYS) await later.store.update(key, plusOne);
    expect(later.warnings).toEqual([]);
  });

  it("under a process that writes at once: nobody can say whether that counts, and the next one does", async () => {
    cut(place());
    const failure: unknown = await settled(living.store.put("a", { n: 10 }), living).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "commit_unknown", data: { reason: "log_damaged", segment: 1 } });
    expect(String(failure)).toMatch(/something cut it off/);
    expect(await settled(living.store.update("b", plusOne), living)).toMatchObject({ entry: { n: 3 } });
    const later = await start(disk, "later");
    expect(await later.store.get("b")).toEqual({ n: 3 });
    expect(await later.store.get("c")).toEqual({ n: 2 });
    await settled(living.store.checkpoint(), living);
    const last = await start(disk, "last");
    expect(await last.store.update("c", plusOne)).toMatchObject({ entry: { n: 3 } });
  });

  it("under two that had read it: what one writes behind it the other one reads at once", async () => {
    const other = await start(disk, "other");
    cut(place());
    living.runtime.advance(1100);
    await settled(living.store.put("d", { n: 1 }), living);
    expect(await other.store.get("d")).toEqual({ n: 1 });
    expect(await settled(other.store.update("a", plusOne), other)).toMatchObject({ entry: { n: 3 } });
    expect(await living.store.get("a")).toEqual({ n: 3 });
    expect(other.warnings).toEqual([]);
  });

  it("under a process that only reads: it reads what is left, and the files", async () => {
    const reader = await start(disk, "reader", { readOnly: true });
    living.fs.kill();
    cut(place());
    await pass(1100, reader);
    for (const key of KEYS) expect(await reader.store.get(key)).toEqual({ n: 2 });
    expect(reader.warnings[0]).toMatchObject({ code: "log_gap" });
  });
});

describe("a log that was cut off under a process that had read more than the mark says", () => {
  it.each<[number, string, () => unknown]>([
    [1, "looks whether it is whole", () => living.runtime.advance(1100)],
    [5, "looks whether it is whole", () => living.runtime.advance(1100)],
    [5, "looks which segments there are", () => settled(living.store.checkpoint(), living)],
  ])(
    "by %i records, and %s: it finds the seal, goes on, and mends the log",
    async (records, _name, looks) => {
      for (let more = 1; more < records; more++) await living.store.put("e", { more });
      await living.store.update("a", plusOne);
      cut(second);
      const newcomer = await start(disk, "newcomer");
      await settled(newcomer.store.put("d", { n: 1 }), newcomer);
      await looks();
      expect(await living.store.get("a")).toMatchObject({ n: 3 });
      expect(await living.store.get("d")).toEqual({ n: 1 });
      expect(await settled(living.store.update("b", plusOne), living)).toMatchObject({ entry: { n: 3 } });
      await settled(living.store.checkpoint(), living);
      expect(quarantine(disk)).toHaveLength(1);
      for (const process of [newcomer, await start(disk, "later")])
        for (const [key, n] of Object.entries({ a: 3, b: 3, c: 2, d: 1 }))
          expect(await process.store.get(key)).toMatchObject({ n });
    },
  );

  it("and the last line looks as if it were torn: all who come later know that it was durable", async () => {
    living.fs.kill();
    const bytes = disk.readRaw(path)!;
    disk.writeRaw(path, Buffer.concat([bytes.subarray(0, -4), Buffer.from("    ")]));
    const later = await start(disk, "later");
    expect(later.warnings).toMatchObject([{ code: "log_gap", data: { reason: "its end is damaged" } }]);
    await expect(later.store.update("c", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
    expect(await later.store.get("c")).toEqual({ n: 2 });
  });
});

it("a log that was cut off under a process that ends its segment anyway is ended as one that was cut off", async () => {
  cut(second);
  await settled(living.store.checkpoint(), living);
  const later = await start(disk, "later");
  for (const key of KEYS) expect(await later.store.update(key, plusOne)).toMatchObject({ entry: { n: 3 } });
  expect(quarantine(disk)).toHaveLength(1);
});

describe("a log that was cut off behind what a mark says", () => {
  it("and from which others went on stops the process that knows better, and names the sessions", async () => {
    await living.store.update("a", plusOne);
    const end = disk.readRaw(path)!.length;
    await living.store.update("b", plusOne);
    cut(end);
    const other = await start(disk, "other");
    expect(await other.store.update("c", plusOne)).toMatchObject({ entry: { n: 3 } }); // a record of the same size
    living.runtime.advance(1100);
    const failure: unknown = await settled(living.store.put("d", {}), living).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "log_damaged", data: { segment: 1, keys: "b" } });
    await expect(settled(living.store.get("a"), living)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("and from which others went on just past it stops it, too: what comes next is not the next of its writer", async () => {
    const end = disk.readRaw(path)!.length;
    for (const key of KEYS) await living.store.update(key, plusOne);
    cut(end);
    const other = await start(disk, "other");
    for (let more = 0; more <= KEYS.length; more++) await other.store.update("c", plusOne); // each as long as one that is lost
    await expect(settled(living.store.get("a"), living)).rejects.toMatchObject({
      code: "log_damaged",
      data: { keys: "a, b, c" },
    });
  });

  it("and from which others went on before one that had read it ended it stops those that had read it", async () => {
    const end = disk.readRaw(path)!.length;
    await living.store.update("a", plusOne);
    await living.store.update("b", plusOne);
    const known = disk.readRaw(path)!.length;
    cut(end);
    const other = await start(disk, "other");
    expect(await other.store.put("c", {})).toBeDefined(); // in front of where living reads
    const left = disk.readRaw(path)!;
    const seal = encodeLogLine(JSON.stringify({ seal: 2, firstRevision: known + 1, gap: end, bytes: known }));
    disk.writeRaw(path, Buffer.concat([left, Buffer.alloc(known - left.length, "\n"), seal]));
    await expect(living.store.get("c")).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("and from which others went on is read anew by a process that only reads", async () => {
    await living.store.update("a", plusOne);
    disk.removeRaw(`${STORE}/.store/durable`);
    const reader = await start(disk, "reader", { readOnly: true });
    expect(await reader.store.get("a")).toEqual({ n: 3 });
    living.fs.kill();
    cut(second);
    const other = await start(disk, "other");
    await other.store.put("c", { n: 9 });
    reader.runtime.advance(1100);
    expect(await reader.store.get("c")).toEqual({ n: 9 });
  });

  it("and from which others went on: no file is written of what they do not know", async () => {
    await living.store.update("a", plusOne);
    const end = disk.readRaw(path)!.length;
    await living.store.update("b", plusOne);
    cut(end);
    const other = await start(disk, "other");
    await other.store.update("c", plusOne);
    const before = fileRevision(disk, entryFile("b"));
    await expect(settled(living.store.flush(), living)).rejects.toMatchObject({ code: "log_damaged" });
    expect(fileRevision(disk, entryFile("b"))).toBe(before);
    living.runtime.advance(10_000);
    for (let turns = 0; turns < 50; turns++) await turn();
    const told = living.warnings.filter(({ message }) => message.includes("Compare these sessions"));
    expect(told).not.toEqual([]);
    for (const { message } of told) expect(message).not.toContain("Nothing is lost");
  });

  it("is known to be damaged to all who come later, although a record stands in place of the one that is lost", async () => {
    await living.store.update("a", plusOne);
    const end = disk.readRaw(path)!.length;
    await living.store.update("b", plusOne);
    cut(end);
    await expect(living.store.put("d", {})).rejects.toMatchObject({ code: "commit_unknown" });
    await settled(living.store.put("d", {}), living);
    living.fs.kill(); // before it could write what it knows
    const later = await start(disk, "later");
    expect(later.warnings.map(({ code }) => code)).toContain("log_gap");
    await expect(later.store.update("c", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
  });
});

describe("the mark of what is durable", () => {
  const mark = (): unknown => JSON.parse(disk.readRaw(`${STORE}/.store/durable`)!.toString().slice(9));

  it("is at least where the files are, and says so in the log's own form", async () => {
    expect(mark()).toMatchObject({ segment: 1, bytes: disk.readRaw(path)!.length });
    await living.store.update("a", plusOne);
    expect(mark()).not.toMatchObject({ bytes: disk.readRaw(path)!.length });
    await settled(living.store.flush(), living);
    expect(mark()).toMatchObject({ bytes: disk.readRaw(path)!.length });
  });

  it("is never lowered by a process that comes late", async () => {
    const late = await start(disk, "late");
    await late.store.put("z", {});
    await living.store.update("a", plusOne);
    await settled(living.store.flush(), living);
    const before = mark();
    await settled(late.store.flush(), late);
    expect(mark()).toEqual(before);
  });

  it("is never lowered by a process that was suspended behind its sync", async () => {
    const late = await start(disk, "late");
    await late.store.put("z", {});
    const parking = parkFrom(late.fs, 2); // its sync has been made
    const flushing = late.store.flush();
    await settled(Promise.resolve(), living);
    expect(parking.at).toBeDefined();
    await living.store.update("a", plusOne);
    await settled(living.store.flush(), living);
    const before = mark();
    parking.release();
    await settled(flushing, late);
    expect(mark()).toEqual(before);
  });

  it("that came with a copy says nothing: the log may have been copied before it", async () => {
    living.fs.kill();
    const copy = new SimulatedDisk({ device: 2n });
    const copyOf = (name: string): void => {
      const bytes = disk.readRaw(name);
      if (bytes !== undefined) return copy.writeRaw(name, bytes);
      copy.makeDirectory(name);
      for (const child of disk.names(name)) copyOf(`${name}/${child}`);
    };
    copyOf(STORE);
    copy.writeRaw(path, disk.readRaw(path)!.subarray(0, second));
    const { store, warnings } = await start(copy, "newcomer");
    expect(await store.update("b", plusOne)).toBeDefined();
    expect(warnings.map(({ code }) => code)).not.toContain("log_gap");
  });

  it.each([
    ["is gone", undefined],
    ["is damaged", Buffer.from('00000000 {"segment":1,"bytes":999999}\n')],
    ["is of a segment that went", Buffer.from("")],
  ])("that %s says nothing", async (_name, bytes) => {
    if (bytes === undefined) disk.removeRaw(`${STORE}/.store/durable`);
    else disk.writeRaw(`${STORE}/.store/durable`, bytes);
    const { store, warnings } = await start(disk, "newcomer");
    expect(await store.update("a", plusOne)).toMatchObject({ entry: { n: 3 } });
    expect(warnings).toEqual([]);
  });
});
