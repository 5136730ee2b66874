/**
 * Goal: the ordering rules that the protocol rests on are kept; each has a test with its number, which fails when the line
 * of code that obeys it is taken away. `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import { CallLog } from "../../../support/call-log.js";
import { LogWitness } from "../../../support/log-witness.js";
import {
  bigText,
  boot,
  HeldAnswers,
  openOn,
  parkFrom,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../../support/processes.js";
import { expectAnswers, expectTidy, quiesce } from "../../../support/store-checks.js";

const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);
const SEGMENT_1 = `${STORE}/.store/log/00000001.jsonl`;
const SEGMENT_2 = `${STORE}/.store/log/00000002.jsonl`;
const BIG = { big: bigText("value"), bigOf: "value" };

const plusOne = (entry: Entry | undefined): Entry => ({
  ...entry,
  n: ((entry?.["n"] as number | undefined) ?? 0) + 1,
});

async function alone(
  options: Parameters<typeof start>[2] = {},
): Promise<{ disk: SimulatedDisk; a: Process; log: CallLog }> {
  const disk = new SimulatedDisk();
  const log = new CallLog();
  const a = await start(disk, "A", { through: log.through, ...options });
  log.clear();
  return { disk, a, log };
}

/** What a process that starts after a power cut of the worst kind reads. */
async function afterPowerCut(disk: SimulatedDisk, key: string): Promise<Readonly<Entry> | undefined> {
  const copy = disk.clone();
  copy.powerCut("durable-only");
  const survivor = await start(copy, "survivor");
  return survivor.store.get(key);
}

/** Stops a process at the first deferred call that passes a test; gives the way to let it go on. */
function parkAt(
  process: Pick<Process, "fs">,
  test: (call: SimulatedCall) => boolean,
): { reached: boolean; release: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const parking = {
    reached: false,
    release: () => {
      process.fs.gate = undefined;
      open();
    },
  };
  process.fs.gate = (call) => {
    parking.reached ||= test(call);
    return parking.reached ? opened : undefined;
  };
  return parking;
}

const calls = (name: string, path: RegExp) => (call: SimulatedCall) =>
  call.name === name && call.args.some((arg) => typeof arg === "string" && path.test(arg));

describe("O2: a record is appended again only after it was decided void", () => {
  it("a writer ends the torn line of a dead one, so its own record counts the first time", async () => {
    const { disk, a } = await alone();
    disk.writeRaw(SEGMENT_1, `${String(disk.readRaw(SEGMENT_1))}0badc0de {"w":"dead`);
    const writes: number[] = [];
    a.fs.onCall = ({ name, args }) => void (name === "write" && writes.push(args[3] as number));
    await a.store.update("k", plusOne);
    expect(writes).toHaveLength(1);
    expect(await a.store.read("k")).toMatchObject({ revision: 1 });
  });

  it("a record that got glued to torn bytes is repeated with a newline in front", async () => {
    const { disk, a } = await alone();
    a.fs.onCall = ({ name }) => {
      if (name !== "write") return;
      a.fs.onCall = undefined;
      disk.writeRaw(SEGMENT_1, `${String(disk.readRaw(SEGMENT_1))}0badc0de {"w":"dead`);
    };
    await a.store.put("k", { n: 1 });
    const other = await start(disk, "B");
    expect(await other.store.read("k")).toMatchObject({ revision: 1, entry: { n: 1 } });
    expect(await other.store.revision()).toBe(1);
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
    expect(await a.store.update("k", plusOne)).toMatchObject({ revision: 1, entry: { n: 1 } });
    expect(await (await start(disk, "B")).store.get("k")).toEqual({ n: 1 });
  });

  it("a read-back that comes back short decides nothing", async () => {
    const disk = new SimulatedDisk();
    let shorten = false;
    const a = await start(disk, "A", {
      through: (fs) =>
        new Proxy(fs, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name, target);
            if (name !== "read")
              return typeof value === "function" ? (value as () => unknown).bind(target) : value;
            return (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
              target.read(fd, buffer, offset, shorten ? Math.min(length, 20) : length, position);
          },
        }),
    });
    shorten = true;
    expect(await a.store.update("k", plusOne)).toMatchObject({ revision: 1, entry: { n: 1 } });
    shorten = false;
    expect(await a.store.update("k", plusOne)).toMatchObject({ revision: 2, entry: { n: 2 } });
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
    const b = await start(disk, "B");
    disk.writeRaw(`${STORE}/k/meta.json`, future.readRaw(`${STORE}/k/meta.json`)!);
    expect(await b.store.read("k")).toMatchObject({ revision: 19 });
    const record = await settled(b.store.update("k", plusOne), b);
    expect(record).toMatchObject({ revision: 20, entry: { n: 20 } });
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
    expect(await putting).toMatchObject({ revision: 1 });
    await a.store.put("k", { n: 2 });
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

describe("O10: a checkpoint", () => {
  it("its steps come in order", async () => {
    const { a, log } = await alone();
    await a.store.put("k", {});
    await a.store.put("gone", {});
    await a.store.checkpoint();
    await a.store.put("k", { n: 1 });
    await a.store.delete("gone");
    log.clear();
    await a.store.checkpoint();
    const fence = ["readdir stage/2/", "rmdir stage/2/"];
    const file = [
      "rename stage/3/temp -> k/meta.json",
      "open k/meta.json",
      "fdatasync k/meta.json",
      "fsync k/",
      "fsync /",
    ];
    const rest = [
      "fdatasync log/3",
      "fdatasync stage/3/temp",
      "rename stage/3/temp -> catalog",
      "fsync .store/",
    ];
    log.expectInOrder(
      ...fence,
      ...file,
      ...rest,
      "fsync log/",
      "unlink log/2",
      "fsync log/",
      "unlink catalog",
    );
    log.expectInOrder("rename gone/meta.json -> stage/3/temp", "rmdir gone/", "fsync /", "unlink log/2");
  });

  it("F4: the very file that was compared is made durable, whoever wrote it", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    await a.store.flush(); // not durable
    const b = await start(disk, "B");
    let copy: SimulatedDisk | undefined;
    b.fs.onCall = ({ name, args }) => {
      if (name === "unlink" && /log\/0+1\.jsonl$/.test(args[0] as string)) copy = disk.clone();
    };
    await b.store.checkpoint();
    copy!.removeRaw(SEGMENT_1);
    expect(await afterPowerCut(copy!, "k")).toEqual({ n: 1 });
  });

  it("F11: what it leans on in the active segment is durable before the old one goes", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    const copies: SimulatedDisk[] = [];
    a.fs.onCall = ({ name, args }) => {
      // Between the making of the next segment and the look at the files, the session changes once more.
      if (name === "rmdir" && /stage\/1-/.test(args[0] as string)) void a.store.put("k", { n: 2 });
      if (name === "unlink" && /log\/0+1\.jsonl$/.test(args[0] as string)) copies.push(disk.clone());
    };
    await a.store.checkpoint();
    copies[0]!.removeRaw(SEGMENT_1);
    expect(await afterPowerCut(copies[0]!, "k")).toEqual({ n: 2 });
  });

  it("F11: a delete it leans on is durable, too", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    await a.store.put("k", { n: 1 });
    const b = await start(disk, "B", { durability: "os" });
    let copy: SimulatedDisk | undefined;
    a.fs.onCall = ({ name, args }) => {
      if (name === "rmdir" && /stage\/1-/.test(args[0] as string)) void b.store.delete("k");
      if (name === "unlink" && /log\/0+1\.jsonl$/.test(args[0] as string)) copy = disk.clone();
    };
    await a.store.checkpoint();
    copy!.powerCut("durable-only");
    const survivor = await start(copy!, "survivor");
    // Either the delete is durable, or the session is still in the log; never half: no delete and no session.
    const revision = await survivor.store.revision();
    expect(await survivor.store.get("k")).toEqual(revision === 2 ? undefined : { n: 1 });
  });

  it("F6: a staging folder that somebody lost or removed stops nothing", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { n: 1 });
    for (const path of Object.keys(disk.tree(`${STORE}/.store/stage`)))
      disk.removeRaw(path.replace(/\/$/, ""));
    await settled(a.store.flush(), a);
    await settled(a.store.checkpoint(), a);
    expect(disk.readRaw(`${STORE}/k/meta.json`)).toBeDefined();
  });

  it("F9: the unlink of a segment is durable before the next one is touched", async () => {
    const { disk, a, log } = await alone({ segmentBytes: 4096 });
    for (let round = 0; round < 3; round++) {
      await a.store.put(`bulk ${round}`, BULK);
      await a.store.put("k", { round });
    }
    log.clear();
    let copy: SimulatedDisk | undefined;
    a.fs.onCall = chain(a, ({ name, args }) => {
      if (name === "unlink" && /log\/0+2\.jsonl$/.test(args[0] as string)) copy ??= disk.clone();
    });
    await a.store.checkpoint();
    log.expectInOrder(
      "unlink log/1",
      "fsync log/",
      "rmdir stage/2/",
      "fsync log/",
      "unlink log/2",
      "fsync log/",
    );
    copy!.powerCut("durable-only");
    expect(copy!.readRaw(SEGMENT_1)).toBeUndefined();
  });
});

function chain(process: Process, hook: (call: SimulatedCall) => void): Process["fs"]["onCall"] {
  const before = process.fs.onCall;
  return (call) => {
    hook(call);
    return before?.(call);
  };
}

describe("O11: what dead processes and power cuts left", () => {
  it("a segment below a gap is garbage, and goes", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", { old: true });
    const segment = disk.readRaw(SEGMENT_1)!;
    for (let round = 0; round < 2; round++) {
      await a.store.put("k", { round });
      await a.store.checkpoint();
    }
    await a.store.delete("k");
    disk.writeRaw(SEGMENT_1, segment);
    const b = await start(disk, "B");
    expect(await b.store.get("k")).toBeUndefined();
    await b.store.checkpoint();
    expect(disk.readRaw(SEGMENT_1)).toBeUndefined();
    expect(await (await start(disk, "C")).store.get("k")).toBeUndefined();
  });

  it("staging folders of segments that are gone, empty session folders and half-made stores are swept", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", {});
    await a.store.checkpoint();
    a.fs.kill();
    disk.writeRaw(`${STORE}/.store/stage/1-dead/temp`, "left");
    disk.makeDirectory(`${STORE}/empty`);
    disk.writeRaw(`${STORE}/.store.building-dead/log/00000001.jsonl`, "left");
    disk.writeRaw(`${STORE}/mine/notes.txt`, "a user's own");
    const b = await start(disk, "B");
    const witness = new LogWitness(disk);
    await b.store.put("k", { n: 1 });
    await b.store.checkpoint();
    expect(disk.readRaw(`${STORE}/mine/notes.txt`)).toBeDefined();
    disk.removeRaw(`${STORE}/mine`);
    witness.look();
    expectTidy(disk, witness.state);
  });
});

describe("O11 for a process that has swept already", () => {
  it("a checkpoint fences what late processes left behind for older segments, too", async () => {
    const { disk, a } = await alone();
    await a.store.put("k", {});
    await a.store.checkpoint();
    disk.writeRaw(`${STORE}/.store/stage/1-dead/temp`, "left");
    await a.store.put("k", {});
    await a.store.checkpoint();
    expect(disk.readRaw(`${STORE}/.store/stage/1-dead/temp`)).toBeUndefined();
  });
});

describe("O12: after a start-over nothing from before survives", () => {
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
