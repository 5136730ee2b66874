/**
 * Goal: the rules of entry files (O5, O8, O9, O13) are kept; each test fails when the line of code that obeys its rule is taken away.
 * `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { CallLog } from "../../../support/call-log.js";
import { parkFrom, settled, start, STORE, turn } from "../../../support/processes.js";
import { quiesce } from "../../../support/store-checks.js";
import { BIG, BULK, afterPowerCut, alone, calls, parkAt, plusOne } from "./rule-scenes.js";

describe("O5: a file that is ahead of the log", () => {
  it("the next revision is above it, and its content is not mistaken for ours", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    await a.store.checkpoint();
    // A copy whose files are of a later moment than its log.
    const future = disk.clone();
    const ahead = await start(future, "future");
    for (let n = 2; n < 20; n++) await ahead.store.put("k", { n });
    await ahead.store.flush();
    const { revision } = (await ahead.store.read("k"))!;
    const b = await start(disk, "B");
    disk.writeRaw(`${STORE}/k/meta.json`, future.readRaw(`${STORE}/k/meta.json`)!);
    expect(await b.store.read("k")).toMatchObject({ revision, entry: { n: 19 } });
    const record = await settled(b.store.update("k", plusOne), b);
    expect(record).toMatchObject({ entry: { n: 20 } });
    expect(record?.revision).toBeGreaterThan(revision);
    await quiesce(b);
    expect(await (await start(disk, "C")).store.get("k")).toEqual({ n: 20 });
  });

  it("F7: a checkpoint writes again what is not what the log gives, even if it looks newer", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { ours: true });
    const future = disk.clone();
    const ahead = await start(future, "future");
    for (let n = 2; n < 20; n++) await ahead.store.put("k", { n });
    await ahead.store.flush();
    await a.store.flush();
    disk.writeRaw(`${STORE}/k/meta.json`, future.readRaw(`${STORE}/k/meta.json`)!);
    await a.store.checkpoint();
    expect(await (await start(disk, "C")).store.get("k")).toEqual({ ours: true });
  });

  it("F7: the same revision with another content is written again, too", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { ours: true });
    const other = new SimulatedDisk();
    const foreign = await start(other, "foreign");
    await foreign.store.put("k", { theirs: true });
    await foreign.store.flush();
    await a.store.flush();
    disk.writeRaw(`${STORE}/k/meta.json`, other.readRaw(`${STORE}/k/meta.json`)!);
    await a.store.checkpoint();
    expect(await (await start(disk, "C")).store.get("k")).toEqual({ ours: true });
  });
});

describe("O8: entry files", () => {
  it("log before data: what a file says is durable in the log before the file is there", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    let copy: SimulatedDisk | undefined;
    a.fs.onCall = ({ name }) => void (name === "rename" && (copy ??= disk.clone()));
    await a.store.flush();
    expect(await afterPowerCut(copy!, "k")).toEqual({ n: 1 });
  });

  it("F5: a file older than the segment of its staging folder is synced before its rename; a newer one is not", async () => {
    const disk = new SimulatedDisk();
    const log = new CallLog();
    const b = await start(disk, "B");
    await b.store.put("older", {});
    b.fs.kill();
    const a = await start(disk, "A", { through: log.through });
    const parking = parkAt(a, calls("rename", /older/));
    await a.store.put("newer", {});
    log.clear();
    const flush = a.store.flush();
    await turn();
    parking.release();
    await flush;
    expect(log.calls).not.toContain("fdatasync stage/1/temp");
    // Sealed, and the next segment made, without anything having been written.
    const c = await start(disk, "C", { segmentBytes: 4096, durability: "os" });
    await c.store.put("also older", BULK);
    c.fs.kill();
    await a.store.put("makes the next", {});
    log.clear();
    await a.store.flush();
    log.expectInOrder(
      "create stage/2/temp",
      "fdatasync stage/2/temp",
      "rename stage/2/temp -> also%20older/meta.json",
    );
  });

  it("a session folder that a sweeper took is made again", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    const parking = parkAt(a, ({ name }) => name === "rename");
    const flush = a.store.flush();
    await turn();
    disk.removeRaw(`${STORE}/k`);
    parking.release();
    await flush;
    expect(disk.readRaw(`${STORE}/k/meta.json`)).toBeDefined();
  });

  it("the folder of a deleted session goes with its file, unless it holds something of a user's own", async () => {
    const { disk, a } = await alone();
    for (const key of ["empty", "used"]) await a.store.put(key, {});
    await a.store.checkpoint();
    disk.writeRaw(`${STORE}/used/notes.txt`, "a user's own");
    for (const key of ["empty", "used"]) await a.store.delete(key);
    await a.store.flush();
    expect(disk.tree(STORE)).not.toHaveProperty([`${STORE}/empty/`]);
    expect(Object.keys(disk.tree(`${STORE}/used`))).toEqual([`${STORE}/used/notes.txt`]);
    await a.store.checkpoint();
    disk.powerCut("durable-only");
    expect(Object.keys(disk.tree(`${STORE}/used`)), "deleted stays deleted").toEqual([
      `${STORE}/used/notes.txt`,
    ]);
  });

  it("F14: a fenced writer leaves no empty session folder", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    const parking = parkAt(a, calls("mkdir", /k$/));
    const flush = a.store.flush();
    await turn();
    const b = await start(disk, "B");
    await b.store.delete("k");
    await b.store.checkpoint();
    parking.release();
    await settled(flush, a);
    expect(disk.tree(STORE)).not.toHaveProperty([`${STORE}/k/`]);
  });
});

describe("O9: through a staging folder goes the newest state, taken at the same instant", () => {
  it("a state from before a long sleep does not get into a file", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { old: true });
    for (let at = 1; at < 12; at++) {
      const copy = disk.clone();
      const sleeper = await start(copy, "sleeper");
      const parking = parkFrom(sleeper.fs, at);
      const flush = sleeper.store.flush();
      await turn();
      const b = await start(copy, "B");
      await b.store.checkpoint();
      await b.store.put("k", { new: true });
      await b.store.checkpoint();
      parking.release();
      await settled(flush, sleeper);
      expect(String(copy.readRaw(`${STORE}/k/meta.json`)), `stopped at ${at}`).toContain('"new":true');
    }
  });
});

describe("O13: no name is made twice", () => {
  it("not of a staging folder, not of a temporary file", async () => {
    const disk = new SimulatedDisk();
    const made: string[] = [];
    const a = await start(disk, "A", { segmentBytes: 4096 });
    a.fs.onCall = ({ name, args }) => {
      if (name === "mkdir" || (name === "open" && args[1] === "create")) made.push(args[0] as string);
    };
    for (let round = 0; round < 5; round++) {
      await a.store.put("bulk", BULK);
      await a.store.put("k", { round, ...(round % 2 === 0 ? BIG : {}) });
      await a.store.flush();
      if (round % 2 === 1) await a.store.checkpoint();
    }
    const staged = made.filter((path) => path.includes("/stage/"));
    expect(new Set(staged).size).toBe(staged.length);
    expect(staged.length).toBeGreaterThan(15);
  });
});
