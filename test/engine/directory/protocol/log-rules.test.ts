/**
 * Goal: the rules of a durable log (O6, O7) are kept; each test fails when the line of code that obeys its rule is taken away.
 * `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { CallLog } from "../../../support/call-log.js";
import { LogWitness } from "../../../support/log-witness.js";
import {
  boot,
  HeldAnswers,
  openOn,
  parkFrom,
  settled,
  start,
  STORE,
  turn,
} from "../../../support/processes.js";
import { BULK, SEGMENT_1, SEGMENT_2, afterPowerCut, alone, calls, parkAt, plusOne } from "./rule-scenes.js";

describe("O6: what is acknowledged is durable", () => {
  it("fdatasync of the segment comes before the acknowledgement", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    expect(await afterPowerCut(disk, "k")).toEqual({ n: 1 });
  });

  it("F3: log/ is synced once per segment by every process, not by the segment's maker alone", async () => {
    const { disk, a } = await alone({ segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    const parking = parkAt(a, calls("unlink", /stage/));
    const making = a.store.put("k", { by: "a" });
    await turn();
    expect(parking.reached).toBe(true); // published, and its folder not synced yet
    const log = new CallLog();
    const b = await start(disk, "B", { through: log.through });
    log.clear();
    await b.store.put("k", { by: "b" });
    await b.store.put("k", { by: "b again" });
    expect(await afterPowerCut(disk, "k")).toEqual({ by: "b again" });
    expect(log.calls.filter((call) => call === "fsync log/")).toHaveLength(1);
    parking.release();
    await making;
  });

  it("F3 for the store itself: its name is synced by every process, not by its maker alone", async () => {
    const disk = new SimulatedDisk();
    const machine = boot(disk, "maker");
    const parking = parkAt(machine, calls("readdir", /./)); // its first look round, right behind the rename
    const making = openOn(machine);
    await turn();
    expect(parking.reached).toBe(true);
    const b = await start(disk, "B");
    await b.store.put("k", { n: 1 });
    expect(await afterPowerCut(disk, "k")).toEqual({ n: 1 });
    parking.release();
    await settled(making, machine);
  });

  it("F3 for the way to the store: who makes the store syncs what another one made", async () => {
    const disk = new SimulatedDisk();
    const machine = boot(disk, "maker");
    const parking = parkAt(machine, ({ name }) => name === "fsync");
    const making = openOn(machine);
    await turn();
    expect(parking.reached).toBe(true); // the folder is there, its name not durable
    const b = await start(disk, "B");
    await b.store.put("k", { n: 1 });
    expect(await afterPowerCut(disk, "k")).toEqual({ n: 1 });
    parking.release();
    await settled(making, machine);
  });

  it("a segment that goes while its sync is under way is synced even so", async () => {
    const { disk, a } = await alone();
    const parking = parkAt(a, ({ name }) => name === "fdatasync");
    const putting = a.store.put("k", { n: 1 });
    await turn();
    expect(parking.reached).toBe(true);
    const b = await start(disk, "B");
    for (let round = 0; round < 3; round++) {
      await b.store.put("tick", { round });
      await b.store.checkpoint();
    }
    expect(a.store.getSync("tick")).toEqual({ round: 2 }); // lets go of its segments
    parking.release();
    const { revision } = await putting;
    expect((await a.store.put("k", { n: 2 })).revision).toBeGreaterThan(revision);
    expect(await b.store.get("k")).toEqual({ n: 2 });
  });

  it("after an fdatasync that failed nothing is acknowledged until the store is opened anew", async () => {
    const { disk, a } = await alone();
    a.fs.onCall = ({ name }) => (name === "fdatasync" ? { failSync: true } : undefined);
    await expect(a.store.put("k", { n: 1 })).rejects.toMatchObject({ code: "durability_unknown" });
    a.fs.onCall = undefined;
    await expect(a.store.put("k", { n: 2 })).rejects.toMatchObject({ code: "durability_unknown" });
    expect(await a.store.get("k")).toEqual({ n: 1 });
    await a.store.close();
    const again = await start(disk, "again");
    await again.store.put("k", { n: 3 });
    expect(await again.store.get("k")).toEqual({ n: 3 });
  });
});

describe("O7: the next segment", () => {
  it("its steps come in order", async () => {
    const { a, log } = await alone({ segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    log.clear();
    await a.store.put("k", {});
    const first = ["fdatasync log/1", "mkdir stage/2/"];
    const staged = [
      "create stage/2/segment",
      "write stage/2/segment",
      "fdatasync stage/2/segment",
      "fsync stage/",
    ];
    const published = [
      "lstat log/1",
      "link stage/2/segment -> log/2",
      "unlink stage/2/segment",
      "fsync log/",
    ];
    log.expectInOrder(...first, ...staged, ...published);
  });

  it("F2: the sealed segment is durable, with its name, before its successor exists", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { segmentBytes: 4096, durability: "os" });
    await a.store.put("bulk", BULK);
    let copy: SimulatedDisk | undefined;
    a.fs.onCall = ({ name }) => void (name === "link" && (copy = disk.clone()));
    await a.store.put("k", {});
    copy!.powerCut("durable-only");
    expect(String(copy!.readRaw(SEGMENT_1))).toContain('{"seal":2}');
  });

  it("F2: so is the name of a sealed segment that another process made and did not sync", async () => {
    const { disk, a } = await alone({ segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    const parking = parkAt(a, calls("unlink", /stage/));
    const making = a.store.put("k", {});
    await turn();
    const b = await start(disk, "B", { segmentBytes: 4096, durability: "os" });
    // However slow a checkpoint is, a segment is sealed in the end.
    const sealed = (): boolean => String(disk.readRaw(SEGMENT_2)).includes('{"seal":3}');
    for (let i = 0; !sealed(); i++) await b.store.put(`bulk${i}`, BULK);
    let copy: SimulatedDisk | undefined;
    b.fs.onCall = ({ name }) => void (name === "link" && (copy = disk.clone()));
    await b.store.put("k", {});
    copy!.powerCut("durable-only");
    expect(String(copy!.readRaw(SEGMENT_2))).toContain('{"seal":3}');
    parking.release();
    await making;
  });

  it("F6: a published segment has its header and its staging folder, whatever a power cut takes", async () => {
    const { disk, a } = await alone({ segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    await a.store.put("k", {});
    const copy = disk.clone();
    copy.powerCut("durable-only");
    const { stage } = JSON.parse(String(copy.readRaw(SEGMENT_2)).split("\n")[0]!.slice(9)) as {
      stage: string;
    };
    expect(Object.keys(copy.tree(`${STORE}/.store/stage`))).toContain(`${STORE}/.store/stage/${stage}/`);
  });

  it.each(["before a call", "before an answer"])(
    "F1: a segment that was made too late is not one: stopped %s, while others checkpoint exactly that far",
    async (where) => {
      for (let at = 1; at < 20; at++) {
        const disk = new SimulatedDisk();
        const answers = new HeldAnswers();
        const a = await start(disk, "A", { segmentBytes: 4096, through: answers.through });
        await a.store.put("bulk", BULK);
        const parking = where === "before a call" ? parkFrom(a.fs, at) : undefined;
        if (parking === undefined) answers.holdFrom(at);
        const late = a.store.update("k", plusOne);
        await turn();
        const b = await start(disk, "B");
        const witness = new LogWitness(disk);
        witness.follow(a.fs);
        witness.follow(b.fs);
        for (let round = 0; round < 2; round++) {
          await b.store.update("k", plusOne);
          await b.store.checkpoint();
        }
        await b.store.update("k", plusOne);
        parking?.release();
        answers.release();
        await settled(late, a, b);
        expect(await (await start(disk, "C")).store.get("k"), `stopped at ${at}`).toEqual({ n: 4 });
        expect(await b.store.get("k"), `stopped at ${at}`).toEqual({ n: 4 });
      }
    },
  );

  it("F1 for a lost log: one that is begun too late is not one", async () => {
    for (let at = 1; at < 25; at++) {
      const { disk, a } = await alone();
      await a.store.put("k", { n: 0 });
      await a.store.checkpoint();
      a.fs.kill();
      for (const path of Object.keys(disk.tree(`${STORE}/.store/log`))) disk.removeRaw(path);
      const late = boot(disk, "late");
      const parking = parkFrom(late.fs, at);
      const opening = openOn(late);
      await turn();
      const b = await start(disk, "B");
      await b.store.update("k", plusOne);
      await b.store.checkpoint();
      await b.store.update("k", plusOne);
      parking.release();
      const opened = await settled(opening, late);
      await opened.store.put("new", {});
      await opened.store.update("k", plusOne);
      const c = await start(disk, "C");
      await c.store.update("k", plusOne);
      for (const { store, name } of [opened, b, c]) {
        expect(await store.get("k"), `${name}, stopped at ${at}`).toEqual({ n: 4 });
        expect(await store.get("new"), `${name}, stopped at ${at}`).toEqual({});
      }
    }
  });

  it("losers remove their folder", async () => {
    const { disk, a } = await alone({ segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    const parking = parkAt(a, ({ name }) => name === "link");
    const making = a.store.put("a", {});
    await turn();
    const b = await start(disk, "B");
    await b.store.put("b", {});
    parking.release();
    await settled(making, a);
    const folders = Object.keys(disk.tree(`${STORE}/.store/stage`)).filter((path) =>
      /\/2-[0-9a-f]+\/$/.test(path),
    );
    expect(folders).toHaveLength(1);
  });
});
