/**
 * Goal: the rules of commits (O2, O3, O4, O12) are kept; each test fails when the line of code that obeys its rule is taken away.
 * `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import { interceptCalls } from "../../../support/intercept-calls.js";
import { LogWitness } from "../../../support/log-witness.js";
import { parkFrom, settled, start, STORE, turn } from "../../../support/processes.js";
import { expectAnswers } from "../../../support/store-checks.js";
import { BIG, BULK, SEGMENT_1, SEGMENT_2, alone, plusOne } from "./rule-scenes.js";

const TORN = '0badc0de {"w":"dead';

describe("O2: a record is appended again only after it was decided void", () => {
  it("behind the torn line of a dead writer a record counts the first time, glued to it", async () => {
    const { disk, a } = await alone();
    const before = disk.readRaw(SEGMENT_1)!.length;
    disk.writeRaw(SEGMENT_1, `${String(disk.readRaw(SEGMENT_1))}${TORN}`);
    const writes: number[] = [];
    a.fs.onCall = ({ name, args }) => void (name === "write" && writes.push(args[3] as number));
    await a.store.update("k", plusOne);
    expect(writes).toHaveLength(1);
    // Glued, without a byte of its own in front: so that a torn line can be told from a damaged one.
    const torn = before + TORN.length;
    expect(await a.store.read("k")).toMatchObject({ revision: 1 + torn, entry: { n: 1 } });
    expect(String(disk.readRaw(SEGMENT_1)).slice(before)).toMatch(/^0badc0de \{"w":"dead[0-9a-f]{8} \{"w"/);
    expect((await start(disk, "B")).warnings).toEqual([]);
  });

  it("a record that got glued to torn bytes counts, at its own place", async () => {
    const { disk, a } = await alone();
    const before = disk.readRaw(SEGMENT_1)!.length;
    let writes = 0;
    a.fs.onCall = ({ name }) => {
      if (name !== "write" || writes++ > 0) return;
      disk.writeRaw(SEGMENT_1, `${String(disk.readRaw(SEGMENT_1))}${TORN}`);
    };
    const { revision } = await a.store.put("k", { n: 1 });
    expect(revision).toBe(1 + before + TORN.length);
    expect(writes).toBe(1);
    const other = await start(disk, "B");
    expect(await other.store.read("k")).toMatchObject({ revision, entry: { n: 1 } });
    expect(await other.store.revision()).toBe(revision);
  });

  it("a record whose fate is unknown is never repeated", async () => {
    const { disk, a } = await alone();
    a.fs.onCall = (call) => {
      if (call.name !== "write") return;
      a.fs.onCall = (next) => {
        if (next.name === "read") throw systemError("EIO", next);
      };
    };
    await expect(a.store.update("k", plusOne)).rejects.toMatchObject({ code: "commit_unknown" });
    a.fs.onCall = undefined;
    const other = await start(disk, "B");
    expect(await other.store.get("k")).toEqual({ n: 1 });
    expect(await a.store.get("k")).toEqual({ n: 1 });
  });

  it("the log decides and not the error code: a write that failed and is there counts, once", async () => {
    const { disk, a } = await alone();
    a.fs.onCall = (call) => {
      if (call.name !== "write") return;
      a.fs.onCall = undefined;
      return { failAfter: systemError("EIO", call) };
    };
    expect(await a.store.update("k", plusOne)).toMatchObject({ entry: { n: 1 } });
    expect(String(disk.readRaw(SEGMENT_1)).match(/"ops"/g)).toHaveLength(1);
    expect(await (await start(disk, "B")).store.get("k")).toEqual({ n: 1 });
  });

  it("a read-back that comes back short decides nothing", async () => {
    const disk = new SimulatedDisk();
    let shorten = false;
    const a = await start(disk, "A", {
      through: (fs) =>
        interceptCalls(fs, {
          read: (fd, buffer, offset, length, position) =>
            fs.read(fd, buffer, offset, shorten ? Math.min(length, 20) : length, position),
        }),
    });
    shorten = true;
    const first = await a.store.update("k", plusOne);
    expect(first).toMatchObject({ entry: { n: 1 } });
    shorten = false;
    const second = await a.store.update("k", plusOne);
    expect(second).toMatchObject({ entry: { n: 2 } });
    expect(second!.revision).toBeGreaterThan(first!.revision);
  });

  it("a complete record without its newline counts once, whoever ends it", async () => {
    const { disk, a } = await alone();
    let failing = 0;
    a.fs.onCall = (call) => {
      if (call.name !== "write") return;
      if (failing++ === 0) return { shortWrite: (call.args[3] as number) - 1 };
      throw systemError("ENOSPC", call);
    };
    await expect(a.store.update("k", plusOne)).rejects.toMatchObject({ code: "commit_unknown" });
    const other = await start(disk, "B");
    expect(await other.store.get("k")).toBeUndefined();
    await other.store.update("k", plusOne);
    expect(await other.store.get("k")).toEqual({ n: 2 });
  });
});

describe("O3: state, bases, segment and append are of one instant", () => {
  it("what had to wait for a shared value is composed again", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 0 });
    const b = await start(disk, "B");
    const parking = parkFrom(a.fs, 1);
    const update = a.store.update("k", (entry) => ({ ...plusOne(entry), ...BIG }));
    await turn();
    await b.store.update("k", plusOne);
    parking.release();
    await settled(update, a);
    expect(await b.store.get("k")).toMatchObject({ n: 2, bigOf: "value" });
  });

  it("what had to wait for the next segment is composed again", async () => {
    const { disk, a } = await alone({ segmentBytes: 4096 });
    await a.store.put("k", { n: 0 });
    await a.store.put("bulk", BULK);
    const b = await start(disk, "B");
    const parking = parkFrom(a.fs, 2);
    const update = a.store.update("k", plusOne);
    await turn();
    await settled(b.store.update("k", plusOne), b);
    await b.store.delete("bulk");
    parking.release();
    await settled(update, a);
    expect(await b.store.get("k")).toEqual({ n: 2 });
  });
});

describe("O4: several cold sessions are of one moment", () => {
  it("a listing that was overtaken while it read files shows all of a transaction or nothing", async () => {
    const disk = new SimulatedDisk();
    const b = await start(disk, "B");
    for (const key of ["from", "to"]) await b.store.put(key, { tokens: 50 });
    await b.store.put("moves 1", {});
    await b.store.checkpoint();
    // Another process commits a transaction, and writes its files at once: what it does to the disk is copied.
    const flushed = disk.clone();
    const flusher = await start(flushed, "flusher", { durability: "os" });
    await flusher.store.transact(async (tx) => {
      await tx.put("from", { tokens: 20 });
      await tx.put("to", { tokens: 80 });
      await tx.delete("moves 1");
      await tx.put("moves 2", {});
    });
    await flusher.store.flush();
    const files = [SEGMENT_2, ...["from", "to", "moves%202"].map((name) => `${STORE}/${name}/meta.json`)];
    for (let at = 1, reached = true; reached; at++) {
      const copy = disk.clone();
      const a = await start(copy, "A");
      let seen = 0;
      a.fs.onCall = () => {
        if (++seen !== at) return;
        for (const path of files) copy.writeRaw(path, flushed.readRaw(path)!);
        copy.removeRaw(`${STORE}/moves%201`);
      };
      const listing = a.store.list();
      await turn();
      const { sessions } = await settled(listing, a);
      reached = seen >= at;
      const tokens = sessions.reduce(
        (sum, { entry }) => sum + ((entry["tokens"] as number | undefined) ?? 0),
        0,
      );
      expect(tokens, `overtaken at call ${at}`).toBe(100);
      expect(
        sessions.filter(({ key }) => key.startsWith("moves")),
        `overtaken at call ${at}`,
      ).toHaveLength(1);
    }
  });
});

describe("O12: after a rewind nothing from before survives", () => {
  it("a process that slept through segments knows what happened meanwhile", async () => {
    const { disk, a } = await alone();
    for (const key of ["changed", "deleted", "kept"]) await a.store.put(key, { old: true });
    await a.store.list();
    const b = await start(disk, "B");
    const witness = new LogWitness(disk);
    witness.follow(b.fs);
    for (let round = 0; round < 3; round++) {
      await b.store.put("changed", { round });
      if (round === 1) await b.store.delete("deleted"); // in a segment that the sleeper never sees
      await b.store.checkpoint();
    }
    witness.look();
    expect(await a.store.count()).toBe(2);
    await expectAnswers(a, witness.state, ["deleted"]);
  });

  it("a transaction that slept in the middle is run again", async () => {
    const { disk, a } = await alone();
    for (const key of ["from", "to"]) await a.store.put(key, { tokens: 50 });
    const b = await start(disk, "B");
    let slept = false;
    await a.store.transact(async (tx) => {
      const from = await tx.get("from");
      if (!slept) {
        slept = true;
        for (let round = 0; round < 3; round++) {
          await b.store.put("from", { tokens: 0 });
          await b.store.put("to", { tokens: 100 });
          await b.store.checkpoint();
        }
      }
      const to = await tx.get("to");
      await tx.put("from", { tokens: (from?.["tokens"] as number) + 1 });
      await tx.put("to", { tokens: (to?.["tokens"] as number) - 1 });
    });
    expect(await b.store.get("from")).toEqual({ tokens: 1 });
    expect(await b.store.get("to")).toEqual({ tokens: 99 });
  });
});
