/**
 * Goal: a checkpoint makes chunks durable before what explains them goes, and removes dead ones only when what replaces them lasts
 * (T3, T5, T6).
 * Method: the system calls of one process, in order.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { CallLog } from "../../../support/call-log.js";
import { settled, STORE, type Process } from "../../../support/processes.js";
import { append, chunkNames, startSmall } from "./scene.js";

let disk: SimulatedDisk;
let log: CallLog;
let a: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  log = new CallLog();
  a = await startSmall(disk, "A", { durability: "os", through: log.through });
});

const checkpoint = (): Promise<void> => settled(a.store.checkpoint(), a);

it("a new chunk: staged and synced, linked, its folder synced, then the segment goes", async () => {
  await append("k", 1, 2)(a.store);
  log.clear();
  await checkpoint();
  const [chunk] = chunkNames(disk, "k");
  const link = log.calls.find((call) => call.startsWith("link ") && call.endsWith(`k/${chunk}`)) ?? "no link";
  const staged = link.split(" ")[1];
  log.expectInOrder(`create ${staged}`, `fdatasync ${staged}`, link, `fsync k/`, `unlink log/1`);
});

it("one that another process has written is looked at, and synced", async () => {
  await append("k", 1, 2)(a.store);
  await settled(a.store.flush(), a);
  const [chunk] = chunkNames(disk, "k");
  log.clear();
  await checkpoint();
  log.expectInOrder(`open k/${chunk}`, `read k/${chunk}`, `fdatasync k/${chunk}`, `fsync k/`, `unlink log/1`);
  expect(log.calls).not.toContain(`write k/${chunk}`);
});

it("what is dead goes when what replaces it lasts, and its going lasts before the segment goes", async () => {
  await append("k", 1, 4)(a.store);
  await checkpoint();
  const [old] = chunkNames(disk, "k");
  await a.store.truncate("k", { afterSeq: 2 });
  const segment = disk.names(`${STORE}/.store/log`)[0] ?? "";
  log.clear();
  await checkpoint();
  const link = log.calls.find((call) => call.startsWith("link ") && call.includes(" k/")) ?? "no link";
  const staged = link.split(" ")[1];
  const number = Number(segment.slice(0, 8));
  log.expectInOrder(
    `fdatasync ${staged}`,
    link,
    "fsync k/",
    `unlink k/${old}`,
    "fsync k/",
    `unlink log/${number}`,
  );
});

describe("dead is", () => {
  it("every chunk of a deleted session, and its folder goes", async () => {
    await append("k", 1, 20)(a.store);
    await append("k", 1, 3, "other")(a.store);
    await checkpoint();
    await a.store.delete("k");
    await checkpoint();
    expect(disk.names(STORE)).not.toContain("k");
  });

  it("a chunk of which all items are trimmed away, and none of which one is left", async () => {
    await append("k", 1, 20)(a.store);
    await checkpoint();
    const before = chunkNames(disk, "k");
    await a.store.append("k", ["x"], { maxLength: 9 });
    await checkpoint();
    const after = chunkNames(disk, "k");
    expect(before.length).toBeGreaterThan(3);
    expect(after.length).toBeLessThan(before.length);
    const firsts = after.map((name) => Number(name.split(".")[1]?.split("-")[0]));
    expect(firsts[0]).toBeLessThanOrEqual(13);
    expect(firsts[1] ?? 99).toBeGreaterThan(13);
  });

  it("nothing of another transcript or of a file that is a person's", async () => {
    await append("k", 1, 3)(a.store);
    await append("k", 1, 3, "other")(a.store);
    await checkpoint();
    disk.writeRaw(`${STORE}/k/notes.txt`, "mine");
    await a.store.removeTranscript("k");
    await checkpoint();
    expect(disk.names(`${STORE}/k`).sort()).toEqual([
      expect.stringMatching(/^notes/),
      expect.stringMatching(/^other\./),
    ]);
  });

  it("no chunk of a transcript that this segment did not change", async () => {
    await append("k", 1, 5)(a.store);
    await checkpoint();
    // Cut in the segment behind the one that is checkpointed: the old chunk is what the new one begins with.
    await append("k", 1, 1, "other")(a.store);
    const b = await startSmall(disk, "B", { durability: "os" });
    let cut: Promise<unknown> | undefined;
    a.fs.onCall = ({ name }) => {
      if (name === "fsync") cut ??= b.store.truncate("k", { afterSeq: 3 });
    };
    await checkpoint();
    await settled(cut ?? Promise.resolve(), b);
    const c = await startSmall(disk, "C", { durability: "os" });
    for (const { store } of [a, b, c])
      expect((await store.readItems("k")).items.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });
});
