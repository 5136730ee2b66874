/**
 * Goal: the rules of checkpoints (O10, O11) are kept; each test fails when the line of code that obeys its rule is taken away.
 * `suspended.test.ts` and `power-cut.test.ts` show what the rules are for.
 * Method: the order of the system calls where order is the rule; a copy of the disk at the critical call, and a power cut
 * there, where durability is; another process at the critical call where a race is.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { LogWitness } from "../../../support/log-witness.js";
import { settled, start, STORE, type Process } from "../../../support/processes.js";
import { expectTidy } from "../../../support/store-checks.js";
import { BULK, SEGMENT_1, afterPowerCut, alone } from "./rule-scenes.js";

function chain(process: Process, hook: (call: SimulatedCall) => void): Process["fs"]["onCall"] {
  const before = process.fs.onCall;
  return (call) => {
    hook(call);
    return before?.(call);
  };
}

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
      "mkdir stage/3-catalog/",
      "fdatasync stage/3-catalog/part",
      "rename stage/3-catalog/part -> part",
      "fsync .store/",
      "fdatasync stage/3-catalog/temp",
      "lstat log/2",
      "rename stage/3-catalog/temp -> catalog",
      "fsync .store/",
    ];
    log.expectInOrder(
      ...fence,
      ...file,
      ...rest,
      "fsync log/",
      "unlink log/2",
      "fsync log/",
      "rmdir stage/3-catalog/",
      "open catalog",
      "readdir .store/",
      "unlink catalog",
      "unlink part",
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
    const put = await a.store.put("k", { n: 1 });
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
    expect(await survivor.store.get("k")).toEqual(revision > put.revision ? undefined : { n: 1 });
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
