/**
 * Goal: the rule of shared values (O14) is kept; each test fails when the line of code that obeys its rule is taken away.
 * `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { parkFrom, settled, start, STORE, turn } from "../../../support/processes.js";
import { quiesce } from "../../../support/store-checks.js";
import { BIG, afterPowerCut, alone, parkAt } from "./rule-scenes.js";

describe("O14: shared values", () => {
  it("a value is durable, file and folders, before the record that names it", async () => {
    const { disk, a, log } = await alone();
    await a.store.put("k", BIG);
    log.expectInOrder(
      "fdatasync stage/1/temp",
      "rename stage/1/temp -> blobs/xx/blob",
      "fsync blobs/xx/",
      "fsync blobs/",
    );
    expect((await afterPowerCut(disk, "k"))?.["big"]).toBe(BIG.big);
  });

  it("a value that is there already is made durable by whoever uses it", async () => {
    const { disk, a } = await alone();
    const parking = parkAt(a, ({ name }) => name === "fsync"); // in its place, and nothing of it synced
    const putting = a.store.put("a", BIG);
    await turn();
    expect(parking.reached).toBe(true);
    const b = await start(disk, "B");
    await b.store.put("b", BIG);
    expect((await afterPowerCut(disk, "b"))?.["big"]).toBe(BIG.big);
    parking.release();
    await settled(putting, a);
  });

  it("it is looked up again in every attempt, after the segment was read", async () => {
    // A looks the value up, and sleeps while B lets go of it and removes it for good. A's record must not name it.
    for (let at = 1; at < 30; at++) {
      const { disk, a } = await alone();
      await a.store.put("holder", BIG);
      const b = await start(disk, "B");
      const parking = parkFrom(a.fs, at);
      const putting = a.store.put("k", BIG);
      await turn();
      await b.store.put("holder", {});
      for (let round = 0; round < 3; round++) {
        await b.store.put("tick", { round });
        await b.store.checkpoint();
      }
      parking.release();
      await settled(putting, a);
      const c = await start(disk, "C");
      expect((await c.store.get("k"))?.["big"], `stopped at ${at}`).toBe(BIG.big);
    }
  });

  it("a value leaves the trash only when the segment of its removal is sealed", async () => {
    // A has looked the value up; as long as the segment is open, its record may still come.
    for (let at = 1; at < 30; at++) {
      const { disk, a } = await alone();
      await a.store.put("holder", BIG);
      const b = await start(disk, "B");
      await b.store.put("holder", {});
      await b.store.checkpoint(); // discarded, and marked with the active segment
      const parking = parkFrom(a.fs, at);
      const putting = a.store.put("k", BIG);
      await turn();
      for (let round = 0; round < 3; round++) await b.store.checkpoint(); // nothing changed: nothing is sealed
      parking.release();
      await settled(putting, a);
      for (let round = 0; round < 2; round++) await b.store.checkpoint();
      const c = await start(disk, "C");
      expect((await c.store.get("k"))?.["big"], `stopped at ${at}`).toBe(BIG.big);
    }
  });

  it("F15: a value that is used again while somebody is about to discard it is not lost", async () => {
    for (let at = 1; at < 120; at++) {
      const { disk, a } = await alone();
      await a.store.put("k", BIG);
      await a.store.put("k", {});
      const parking = parkFrom(a.fs, at);
      const discarding = a.store.checkpoint();
      await turn();
      const b = await start(disk, "B");
      await b.store.put("k", BIG);
      for (let round = 0; round < 2; round++) {
        await b.store.put("tick", { round });
        await b.store.checkpoint();
      }
      const stoppedAt = parking.at;
      parking.release();
      await settled(discarding, a);
      const c = await start(disk, "C");
      const where = `stopped at ${at}, ${stoppedAt?.name} ${stoppedAt?.args.join(" ")}`;
      expect((await c.store.get("k"))?.["big"], where).toBe(BIG.big);
      if (stoppedAt === undefined) break;
    }
  });

  it("F15: a value that came back is not removed by an older removal", async () => {
    for (let at = 1; at < 60; at++) {
      const { disk, a } = await alone();
      await a.store.put("k", BIG);
      await a.store.put("k", {});
      await a.store.checkpoint(); // discards it
      await a.store.put("tick", {});
      const parking = parkFrom(a.fs, at);
      const removing = a.store.checkpoint(); // removes it, or is about to
      await turn();
      const b = await start(disk, "B");
      await b.store.put("k", BIG); // takes it back
      await b.store.put("k", {});
      await b.store.checkpoint(); // discards it again
      await b.store.put("k", BIG);
      parking.release();
      await settled(removing, a);
      await quiesce(a, b);
      const c = await start(disk, "C");
      expect((await c.store.get("k"))?.["big"], `stopped at ${at}`).toBe(BIG.big);
    }
  });

  it("a reader finds a value that is in the trash, and one that only reads leaves it there", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", BIG);
    const entry = await a.store.get("k");
    const b = await start(disk, "B");
    await b.store.put("k", {});
    await b.store.checkpoint();
    expect(Object.keys(disk.tree(`${STORE}/.store/trash`))).not.toEqual([]);
    const reader = await start(disk, "reader", { readOnly: true });
    expect(await reader.store.get("k")).toEqual({});
    expect(entry?.["big"]).toBe(BIG.big);
  });
});
