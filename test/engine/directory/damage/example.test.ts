/**
 * Goal: one flipped bit in the log takes nothing that a file still has, and stops nobody from reading. (Revisions were counted
 * once: then a record that could not be read renumbered all behind it, and sessions went back to older states.)
 * Method: thirty sessions, each updated three times, all in their files; the log's first record is damaged; then processes come,
 * one after the other.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, start, STORE, type Process } from "../../../support/processes.js";
import { changesIn, entryFile, fileRevision, flip, quarantine, segments } from "./scenes.js";

const KEYS = Array.from({ length: 30 }, (_, index) => `session ${index}`);

let disk: SimulatedDisk;
/** Revisions of all sessions before the damage. */
let revisions: Map<string, number>;
let offset: number;

beforeEach(async () => {
  disk = new SimulatedDisk();
  const { store } = await start(disk, "before");
  for (const key of KEYS) await store.put(key, { key, n: 0 });
  for (let n = 1; n <= 3; n++) for (const key of KEYS) await store.update(key, (entry) => ({ ...entry, n }));
  await store.flush();
  await store.close();
  revisions = new Map(KEYS.map((key) => [key, fileRevision(disk, entryFile(key)) ?? 0]));
  const [first] = changesIn(disk);
  offset = first?.at ?? 0;
  flip(disk, segments(disk)[0] ?? "", offset + 40);
});

async function expectNewest({ store }: Process): Promise<void> {
  for (const key of KEYS) {
    expect(await store.read(key)).toMatchObject({ entry: { key, n: 3 }, revision: revisions.get(key) });
  }
}

describe("after one bit of the log's first record flipped", () => {
  it("every process that opens the store later reads the newest state of all sessions", async () => {
    for (const name of ["one", "two", "three"]) {
      const process = await start(disk, name);
      await expectNewest(process);
      const { sessions, damaged } = await process.store.list();
      expect(sessions).toHaveLength(KEYS.length);
      expect(damaged).toBeUndefined();
      expect(process.warnings.map(({ code }) => code)).toEqual(["log_gap"]);
      await settled(process.store.close(), process);
    }
  });

  it("updates are refused, naming segment, offset and key, and nothing is written but a seal that tells the others", async () => {
    const { store } = await start(disk, "updater");
    const before = changesIn(disk);
    for (const key of KEYS) {
      await expect(store.update(key, (entry) => ({ ...entry, n: 4 }))).rejects.toMatchObject({
        code: "log_damaged",
        data: { key, segment: 1, offset, path: `${STORE}/.store/log/00000001.jsonl` },
      });
    }
    expect(changesIn(disk)).toEqual(before);
    const [damaged = "", ...later] = segments(disk);
    expect(disk.readRaw(damaged)!.toString()).toMatch(new RegExp(`{"seal":2,"gap":${offset}}\n$`));
    expect(later).toHaveLength(1);
  });

  it("whole entries and unconditional deletes work, and what was put can be updated again", async () => {
    const process = await start(disk, "writer");
    const { store } = process;
    await settled(store.put("session 0", { n: 10 }), process);
    expect(await settled(store.delete("session 1"), process)).toBe(true);
    await store.update("session 0", (entry) => ({ ...entry, n: 11 }));
    const { store: other } = await start(disk, "other");
    expect(await other.get("session 0")).toEqual({ n: 11 });
    expect(await other.get("session 1")).toBeUndefined();
    await other.update("session 0", (entry) => ({ ...entry, n: 12 }));
    expect(await store.get("session 0")).toEqual({ n: 12 });
    expect((await store.read("session 2"))?.revision).toBe(revisions.get("session 2"));
  });

  it("the next flush and checkpoint overwrite nothing, and the damaged segment stays", async () => {
    const process = await start(disk, "checkpointer");
    await settled(process.store.put("session 0", { n: 10 }), process);
    await settled(process.store.flush(), process);
    await settled(process.store.checkpoint(), process);
    for (const key of KEYS.slice(1)) expect(fileRevision(disk, entryFile(key))).toBe(revisions.get(key));
    expect(fileRevision(disk, entryFile("session 0"))).toBeGreaterThan(revisions.get("session 0") ?? 0);
    expect(segments(disk)[0]).toMatch(/00000001/);
    await expectNewestBut(await start(disk, "later"), "session 0");
  });

  it("with `soleProcess` all sessions are right and writable, and the segment is in the quarantine", async () => {
    const damaged = disk.readRaw(segments(disk)[0] ?? "");
    const process = await start(disk, "doctor", { soleProcess: true });
    await expectNewest(process);
    for (const key of KEYS) await process.store.update(key, (entry) => ({ ...entry, n: 4 }));
    const [kept = ""] = quarantine(disk).filter((name) => name.startsWith("00000001.jsonl"));
    expect(disk.readRaw(`${STORE}/.store/quarantine/${kept}`)?.subarray(0, damaged?.length)).toEqual(damaged);
    expect(segments(disk).some((path) => path.includes("00000001"))).toBe(false);
    expect(process.warnings.map(({ code }) => code)).toEqual(["log_gap", "log_mended"]);
    const { store, warnings } = await start(disk, "later");
    for (const key of KEYS) expect(await store.get(key)).toEqual({ key, n: 4 });
    expect(warnings).toEqual([]);
  });
});

async function expectNewestBut({ store }: Process, except: string): Promise<void> {
  for (const key of KEYS) {
    if (key !== except) expect((await store.read(key))?.revision, key).toBe(revisions.get(key));
  }
}
