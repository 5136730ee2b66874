/**
 * Goal: what a process answers about a session when it cannot read all of the log: the newest state that anything proves, and
 * never an older one in its place.
 * Method: one log a case, of which one record is damaged; every branch of the rule in docs/protocol.md.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { encodeLogLine } from "../../../../src/format/log-line.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { FULL_SEGMENT, pass, settled, start, STORE, turn, type Process } from "../../../support/processes.js";
import { changesIn, flip, segments } from "./scenes.js";

let disk: SimulatedDisk;
let before: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  before = await start(disk, "before");
});

/** Ends the process that wrote the log, and damages the latest record of a session. */
function damageRecordOf(key: string): {
  readonly offset: number;
  readonly revisionOf: (key: string) => number;
} {
  before.fs.kill();
  const changes = changesIn(disk);
  const latest = (of: string): (typeof changes)[number] => {
    const change = changes.findLast(({ op }) => op.k === of);
    if (change === undefined) throw new Error(`no record of ${of}`);
    return change;
  };
  const { path, at } = latest(key);
  flip(disk, path, at + 30);
  return { offset: at, revisionOf: (of) => latest(of).revision };
}

const plusOne = (entry: Readonly<Record<string, unknown>> | undefined): { n: number } => ({
  n: Number(entry?.["n"] ?? 0) + 1,
});

describe("a session", () => {
  it("that was changed in a later segment than all damage is what the log says", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    damageRecordOf("b");
    const first = await start(disk, "first");
    await settled(first.store.put("a", { n: 10 }), first);
    const { store } = await start(disk, "second");
    expect(await store.get("a")).toEqual({ n: 10 });
    await store.update("a", plusOne);
    expect(await first.store.get("a")).toEqual({ n: 11 });
  });

  it("that is mentioned behind the damage is what its file says, if that is new enough", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.update("a", plusOne);
    await before.store.flush();
    const { revisionOf } = damageRecordOf("b");
    const { store } = await start(disk, "reader");
    expect(await store.read("a")).toMatchObject({ entry: { n: 2 }, revision: revisionOf("a") });
    await expect(store.update("a", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("that is mentioned behind the damage cannot be read, if its file is too old", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.put("b", { n: 1 });
    await before.store.update("a", plusOne);
    const { offset, revisionOf } = damageRecordOf("b");
    const { store, warnings } = await start(disk, "reader");
    const data = { key: "a", segment: 1, offset, revision: revisionOf("a") };
    await expect(store.get("a")).rejects.toMatchObject({ code: "session_damaged", data });
    await expect(store.read("a")).rejects.toMatchObject({ code: "session_damaged", data });
    expect(warnings.map(({ code }) => code)).toEqual(["log_gap"]);
  });

  it("that is mentioned behind the damage and has no file cannot be read: it may have been deleted, or not", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.delete("a");
    await before.store.flush();
    damageRecordOf("b");
    const reader = await start(disk, "reader");
    await expect(reader.store.get("a")).rejects.toMatchObject({ code: "session_damaged" });
    await settled(reader.store.delete("a"), reader);
    expect(await reader.store.get("a")).toBeUndefined();
  });

  it("that is not mentioned behind the damage is what its file says, if that is newer than the log", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    await before.store.update("a", plusOne);
    await before.store.flush();
    await before.store.put("b", { n: 2 });
    const { revisionOf } = damageRecordOf("a");
    const { store } = await start(disk, "reader");
    expect(await store.read("a")).toMatchObject({ entry: { n: 2 }, revision: revisionOf("a") });
  });

  it("that is not mentioned behind the damage is what the log says, if that is newer than its file", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.update("a", plusOne);
    await before.store.put("b", { n: 1 });
    const { revisionOf } = damageRecordOf("b");
    const { store } = await start(disk, "reader");
    expect(await store.read("a")).toMatchObject({ entry: { n: 2 }, revision: revisionOf("a") });
  });

  it("that was deleted in front of the damage stays deleted", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.delete("a");
    await before.store.put("b", { n: 1 });
    damageRecordOf("b");
    const { store } = await start(disk, "reader");
    expect(await store.get("a")).toBeUndefined();
    await expect(store.update("a", plusOne)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("that the log never had, is what its file says, and in doubt like the others", async () => {
    await before.store.put("a", { n: 1 });
    await settled(before.store.checkpoint(), before);
    await before.store.put("b", { n: 1 });
    damageRecordOf("b");
    const { store } = await start(disk, "reader");
    expect(await store.get("a")).toEqual({ n: 1 });
    expect(await store.get("nobody")).toBeUndefined();
    await expect(store.update("a", plusOne)).rejects.toMatchObject({
      code: "log_damaged",
      data: { key: "a" },
    });
  });
});

describe("a seal in a place that is not its own", () => {
  /** Two segments; the first is not checkpointed, and ends with what was put last into it. */
  async function sealedWith(seal: number): Promise<string> {
    await before.store.put("b", { text: "b".repeat(200) });
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.update("a", plusOne);
    const [path = ""] = segments(disk);
    const [b] = changesIn(disk);
    before.fs.kill();
    const line = encodeLogLine(JSON.stringify({ seal }));
    const bytes = disk.readRaw(path)!;
    bytes[b!.at] = 0x7a; // no beginning of a line, so no torn write
    line.copy(bytes, b!.end - line.length); // over the end of the record of b
    disk.writeRaw(path, Buffer.concat([bytes, encodeLogLine(JSON.stringify({ seal: 2 }))]));
    return path;
  }

  it.each([
    ["the segment's own, copied", 2],
    ["another segment's", 3],
  ])("(%s) hides no change behind it", async (_, seal) => {
    await sealedWith(seal);
    const { store } = await start(disk, "reader");
    await expect(store.get("a")).rejects.toMatchObject({ code: "session_damaged", data: { key: "a" } });
    const doctor = await start(disk, "doctor", { soleProcess: true });
    expect(await doctor.store.get("a")).toEqual({ n: 2 });
  });

  it("does not say where the next segment begins: no revision is given twice", async () => {
    const path = await sealedWith(2);
    const [, last] = changesIn(disk).filter(({ op }) => op.k === "a");
    const writer = await start(disk, "writer");
    await settled(writer.store.put("c", { n: 1 }), writer);
    const [, next = ""] = segments(disk);
    const header = JSON.parse(disk.readRaw(next)!.toString().split("\n")[0]!.slice(9)) as object;
    expect(header).toMatchObject({ firstRevision: 1 + disk.readRaw(path)!.length });
    expect(changesIn(disk).find(({ op }) => op.k === "c")!.revision).toBeGreaterThan(last!.revision);
  });

  it("where a line began hides no change behind it, if the next segment follows a later one", async () => {
    before.fs.kill();
    const small = await start(disk, "small", { segmentBytes: 4096 });
    await small.store.put("a", { n: 1 });
    await small.store.flush();
    await small.store.put("b", { text: "b".repeat(200) });
    await small.store.update("a", plusOne);
    await small.store.put("filler", FULL_SEGMENT);
    await small.store.put("later", { n: 1 });
    small.fs.kill();
    const [path = "", next] = segments(disk);
    expect(next).toBeDefined();
    const bytes = disk.readRaw(path)!;
    const seal = bytes.subarray(bytes.lastIndexOf("\n", bytes.length - 2) + 1);
    const b = changesIn(disk).find(({ op }) => op.k === "b")!;
    seal.copy(bytes, b.at);
    disk.writeRaw(path, bytes);
    const { store } = await start(disk, "reader");
    await expect(store.get("a")).rejects.toMatchObject({ code: "session_damaged", data: { key: "a" } });
    expect(await store.get("later")).toEqual({ n: 1 });
  });

  it("where a line began hides no change behind it, if that was durable before a file was written", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.put("b", { text: "b".repeat(200) });
    await before.store.update("a", plusOne);
    await before.store.put("c", { n: 1 });
    before.fs.onCall = ({ name, args }) => {
      if (name === "rename" && String(args[1]).endsWith("/a/meta.json")) before.fs.kill();
    };
    before.store.flush().catch(() => {});
    await turn();
    const [path = ""] = segments(disk);
    const bytes = disk.readRaw(path)!;
    encodeLogLine(JSON.stringify({ seal: 2 })).copy(
      bytes,
      changesIn(disk).find(({ op }) => op.k === "b")!.at,
    );
    disk.writeRaw(path, bytes);
    const reader = await start(disk, "reader");
    await expect(reader.store.get("a")).rejects.toMatchObject({
      code: "session_damaged",
      data: { key: "a" },
    });
    expect(reader.warnings).toMatchObject([{ code: "log_gap" }]);
  });

  it("and nothing else damaged: another segment's seal is damage by itself", async () => {
    await before.store.put("a", { n: 1 });
    before.fs.kill();
    const [path = ""] = segments(disk);
    disk.writeRaw(path, Buffer.concat([disk.readRaw(path)!, encodeLogLine(JSON.stringify({ seal: 7 }))]));
    const { store, warnings } = await start(disk, "reader");
    expect(await store.get("a")).toEqual({ n: 1 });
    expect(warnings).toMatchObject([{ code: "log_gap" }]);
  });
});

describe("what a process writes in doubt", () => {
  it("goes into the next segment, behind a seal that names the damage", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.put("b", { n: 1 });
    const { offset } = damageRecordOf("b");
    const writer = await start(disk, "writer");
    await settled(writer.store.put("c", { n: 1 }), writer);
    const changes = changesIn(disk).filter(({ op }) => op.k === "c");
    expect(changes.map(({ path }) => path)).toEqual([expect.stringContaining("00000002")]);
    const log = Object.values(disk.tree("/sessions.d/.store/log"));
    expect(log[0]).toContain(`{"seal":2,"gap":${offset}}`);
  });

  it("is refused in a transaction that read a session in doubt, with all its other changes", async () => {
    await before.store.put("a", { n: 1 });
    await before.store.flush();
    await before.store.put("b", { n: 1 });
    damageRecordOf("b");
    const { store } = await start(disk, "writer");
    const transaction = store.transact(async (tx) => {
      const a = await tx.get("a");
      await tx.put("c", { n: 1 });
      await tx.put("a", plusOne(a));
    });
    await expect(transaction).rejects.toMatchObject({ code: "log_damaged", data: { key: "a" } });
    expect(await store.get("c")).toBeUndefined();
    const ifRevision = (await store.read("a"))!.revision;
    for (const refused of [store.put("a", { n: 5 }, { ifRevision }), store.delete("a", { ifRevision })])
      await expect(refused).rejects.toMatchObject({ code: "log_damaged", data: { key: "a" } });
  });
});

it("where a segment begins is not guessed: files would seem to be newer than what is mentioned behind its header", async () => {
  const small = await start(disk, "small", { segmentBytes: 4096 });
  before.fs.kill();
  await small.store.put("k", { n: 1 });
  await small.store.put("filler", FULL_SEGMENT);
  await small.store.flush();
  await small.store.put("k", { n: 2 });
  small.fs.kill();
  const [first = "", second = ""] = segments(disk);
  disk.writeRaw(first, disk.readRaw(first)!.fill(0)); // its seal with it
  flip(disk, second, 20); // in its header
  await expect(start(disk, "reader")).rejects.toMatchObject({ code: "log_damaged", data: { segment: 2 } });
  flip(disk, second, 20);
  const reader = await start(disk, "reader");
  expect(await reader.store.get("k")).toEqual({ n: 2 });
});

it("what is mentioned behind a damaged header is in doubt, also if only a later checkpoint says where the segment begins", async () => {
  const small = await start(disk, "small", { segmentBytes: 4096 });
  const reader = await start(disk, "reader", { readOnly: true });
  before.fs.kill();
  await small.store.put("filler", FULL_SEGMENT);
  await small.store.put("k", { n: 1 });
  const [first = "", second = ""] = segments(disk);
  disk.writeRaw(first, disk.readRaw(first)!.fill(0)); // its seal with it
  flip(disk, second, 20); // in its header
  const [key, segment] = ["k", 2];
  await expect(reader.store.get(key)).rejects.toMatchObject({ code: "log_damaged", data: { segment } });
  small.fs.onCall = ({ name, args }) => ({
    killAfter: name === "rename" && String(args[1]).endsWith("catalog-1"),
  });
  void small.store.checkpoint();
  await pass(1000, small);
  expect(disk.names(`${STORE}/.store`)).toContain("catalog-1");
  await expect(reader.store.get(key)).rejects.toMatchObject({
    code: "session_damaged",
    data: { key, segment },
  });
});
