/**
 * Goal (H1): a process that begins with a hint knows what one knows that reads the log line by line; a hint that is not right of
 * the log's bytes changes nothing.
 * Method: random work by several processes in small segments, which writes hints; then the log is read twice, with a hint and without
 * one, and all that is known is compared, again and again. Hints and logs are damaged byte by byte.
 */
import { describe, expect, it } from "vitest";
import { DeadValues } from "../../../../src/engine/directory/dead-values.js";
import { SessionState } from "../../../../src/engine/directory/session-table.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import {
  boot,
  openOn,
  parkFrom,
  pass,
  start,
  STORE,
  turn,
  type Process,
} from "../../../support/processes.js";
import { each, many, stride } from "../../../support/thoroughness.js";
import { hintPath, hintsIn, readLog, work } from "./scene.js";

const INTERNAL = `${STORE}/.store`;

describe("H1: beginning with a hint", () => {
  let used = 0;
  let several = 0;
  let saved = 0;

  const histories = Array.from({ length: many(30, 8) }, (_, index) => index + 1);
  it.each(histories)("shows what reading the log line by line shows: random history %i", async (seed) => {
    await work(seed, 60, (disk) => {
      const [newest = 0] = hintsIn(disk).toReversed();
      if (newest === 0) return;
      const whole = readLog(disk, 0);
      const hinted = readLog(disk, newest);
      expect(hinted.known).toBe(whole.known);
      expect(hinted.revision).toBe(whole.revision);
      // Who began earlier knows it more exactly.
      expect(hinted.recordsRevision).toBeLessThanOrEqual(whole.recordsRevision);
      expect(hinted.recordsRevision).toBeGreaterThanOrEqual(whole.latestChange);
      if (!hinted.resumed) return;
      used++;
      saved += whole.committed - hinted.committed;
      if (disk.names(`${INTERNAL}/log`).length > 1) several++;
    });
  });

  it("was done often enough in these histories, and in front of several segments too", () => {
    expect(used).toBeGreaterThan(100);
    expect(several).toBeGreaterThan(2);
    expect(saved).toBeGreaterThan(1000);
  });
});

/** Some thousand bytes of log. */
async function fill({ store }: Process, text = "filled"): Promise<void> {
  for (let n = 0; n < 30; n++) await store.put(`k${n % 3}`, { n, text: text.repeat(20) });
}

describe("writing hints", () => {
  it("a process that rests after its commits has written one; the next one reads only what came since", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    await pass(5000, a);
    expect(hintsIn(disk)).toEqual([1]);
    await a.store.put("k9", {});
    a.fs.kill();
    expect(readLog(disk, 1)).toMatchObject({ committed: 1, resumed: true });
  });

  it("a process that closes writes one", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    await a.store.close();
    expect(readLog(disk, 1)).toMatchObject({ committed: 0, resumed: true });
  });

  it("a short log has none, and a process that only reads writes none", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a");
    await fill(a);
    await a.store.close();
    expect(hintsIn(disk)).toEqual([]);
    const b = await start(disk, "b", { readOnly: true, segmentBytes: 16_384 });
    expect(await b.store.count()).toBe(3);
    await pass(2000, b);
    await b.store.close();
    expect(hintsIn(disk)).toEqual([]);
  });

  it("under load they take a part of what the log takes, of all processes together", async () => {
    const disk = new SimulatedDisk();
    const processes = [];
    for (const name of ["a", "b", "c"]) processes.push(await start(disk, name, { segmentBytes: 65_536 }));
    let hints = 0;
    for (const { fs } of processes)
      fs.onCall = ({ name, args }) => {
        if (name === "rename" && String(args[1]).includes("/hint-"))
          hints += disk.readRaw(String(args[0]).replace(/^.*\/\.store/, INTERNAL))!.length;
      };
    for (let round = 0; round < 60; round++) {
      for (const process of processes)
        await process.store.put(`k${round % 20}`, { round, text: "x".repeat(300) });
      if (round % 3 === 0) for (const process of processes) await pass(600, process); // they rarely look in the same moment
    }
    const log = disk.readRaw(`${INTERNAL}/log/00000001.jsonl`)!.length;
    expect(hints).toBeGreaterThan(0);
    expect(hints).toBeLessThan(log);
  });

  it("it goes with its segment, and with it what was deleted", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a, "secret");
    await pass(5000, a);
    for (let n = 0; n < 3; n++) await a.store.delete(`k${n}`);
    expect(disk.readRaw(hintPath(1))!.toString()).toContain("secret");
    await a.store.checkpoint();
    await a.store.close();
    expect(JSON.stringify(disk.tree(STORE))).not.toContain("secret");
    expect(hintsIn(disk)).toEqual([]);
  });

  it("one that comes too late does not come: its segment was checkpointed meanwhile", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    a.fs.gate = ({ name, args }) =>
      name === "rename" && String(args[1]).includes("/hint-") ? new Promise(() => {}) : undefined;
    await pass(5000, a);
    const b = await start(disk, "b", { segmentBytes: 16_384 });
    await b.store.checkpoint();
    await b.store.put("k", {});
    a.fs.gate = undefined;
    await pass(2000, a, b);
    expect(hintsIn(disk)).toEqual([]);
  });

  it.each([
    ["is there", 1],
    ["is gone, so that the disk may be full", 0],
  ])("where the reserve %s, so many are written: %i", async (_name, count) => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    a.fs.kill();
    if (count === 0) disk.removeRaw(`${INTERNAL}/reserve`);
    const b = await start(disk, "b", { segmentBytes: 16_384 });
    await b.store.close();
    expect(hintsIn(disk)).toHaveLength(count);
  });

  it("no room for one is no failure, and it leaves nothing behind", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    await a.store.flush();
    disk.freeBytes = 0;
    await a.store.close();
    expect(a.warnings).toEqual([]);
    expect(hintsIn(disk)).toEqual([]);
    expect(
      disk.names(`${INTERNAL}/stage`).flatMap((name) => disk.names(`${INTERNAL}/stage/${name}`)),
    ).toEqual([]);
  });

  it(`killed at ${each("call", 3)} of closing, which writes one, everything is as it was`, async () => {
    for (let at = 1; at < 200; at += stride(3)) {
      const disk = new SimulatedDisk();
      const a = await start(disk, "a", { segmentBytes: 16_384 });
      await fill(a);
      const { known } = readLog(disk, 0);
      const parking = parkFrom(a.fs, at);
      let closed = false;
      void a.store.close().then(() => (closed = true));
      for (let turns = 0; turns < 60; turns++) await turn();
      if (parking.at === undefined) {
        expect(closed).toBe(true);
        expect(at).toBeGreaterThan(10);
        expect(hintsIn(disk)).toEqual([1]);
        return;
      }
      a.fs.kill(); // its calls never end
      const [hint = 0] = hintsIn(disk);
      expect(readLog(disk, hint)).toMatchObject({ known, resumed: hint > 0 });
      const b = await openOn(boot(disk, "b"), { segmentBytes: 16_384 });
      await b.store.checkpoint();
      await b.store.close();
      expect(hintsIn(disk)).toEqual([]);
      expect(disk.names(`${INTERNAL}/stage`)).toHaveLength(1);
    }
  });

  it.each(["the header", "a line", "the end of a line", "the last line"])(
    "%s that was damaged after it was read is in none",
    async (what) => {
      const disk = new SimulatedDisk();
      const a = await start(disk, "a", { segmentBytes: 16_384 });
      await fill(a);
      const path = `${INTERNAL}/log/00000001.jsonl`;
      const bytes = disk.readRaw(path)!;
      const second = bytes.indexOf("\n") + 1;
      const places = {
        "the header": 40,
        "a line": second + 60,
        "the end of a line": bytes.indexOf("\n", second),
        "the last line": bytes.length - 20,
      };
      bytes[places[what as keyof typeof places]]! ^= 1;
      disk.writeRaw(path, bytes);
      await a.store.close().catch(() => {});
      expect(hintsIn(disk)).toEqual([]);
    },
  );

  it("torn writes to which lines are glued stop none, nor do long lines", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 2 ** 22 });
    await fill(a);
    a.fs.kill();
    const path = `${INTERNAL}/log/00000001.jsonl`;
    disk.writeRaw(path, Buffer.concat([disk.readRaw(path)!, Buffer.from('0badcafe {"w":"gone","n":3')]));
    const b = await start(disk, "b", { segmentBytes: 2 ** 22, blobThresholdBytes: 2 ** 24 });
    await b.store.put("k9", { text: "x".repeat(700_000) });
    await b.store.put("k9", { text: "y".repeat(70_000) });
    await b.store.close();
    expect(readLog(disk, hintsIn(disk)[0] ?? 0)).toMatchObject({ committed: 0, resumed: true });
  });

  it("a log with bytes that cannot be read has none", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "a", { segmentBytes: 16_384 });
    await fill(a);
    a.fs.kill();
    const path = `${INTERNAL}/log/00000001.jsonl`;
    const bytes = disk.readRaw(path)!;
    bytes[200] = bytes[200]! ^ 1;
    disk.writeRaw(path, bytes);
    const b = await start(disk, "b", { segmentBytes: 16_384 });
    await pass(2000, b);
    await b.store.close().catch(() => {});
    expect(hintsIn(disk)).toEqual([]);
  });
});

it("what was counted as dead is counted on by the process that begins with a hint", () => {
  const reference = (digit: string): object => ({
    $blob: `sha256:${digit.repeat(64)}`,
    bytes: 700,
    nested: 1,
  });
  const state = (stored: object | undefined): SessionState =>
    new SessionState("k", 1, 1, stored as never, (value) => value);
  const before = new DeadValues();
  const put = (dead: DeadValues, now: object, old: object): void =>
    dead.changed(state(now), state(old), { k: "k", s: now as never });
  put(before, { big: reference("1") }, { big: reference("2") });
  const after = new DeadValues();
  after.resume(before.state);
  expect(after).toMatchObject({ bytes: before.bytes, inSegment: before.inSegment });
  expect(after.bytes).toBe(700);
  put(after, { big: reference("2") }, { big: reference("1") }); // referred to again
  expect(after.bytes).toBe(700);
  expect(after.state.given).toEqual([["1".repeat(64), 700]]);
});
