/**
 * Goal: what is dead in a store is bounded by what is alive, however few commits there are; and a disk that is full does not
 * stay full: deletes and checkpoints succeed and free room, and then everything works again, in other processes too.
 * Method: a simulated disk that fills up, sessions whose big value changes all the time, clocks that the test moves.
 */
import { describe, expect, it } from "vitest";
import { RESERVE_BYTES } from "../../../src/entries/reserve.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import {
  FULL_SEGMENT,
  settled,
  start as startWith,
  STORE,
  turn,
  type Process,
  type ProcessOptions,
  pass,
} from "../../support/processes.js";

const RESERVE = `${STORE}/.store/reserve`;
const VALUE_BYTES = 20_000;
const MiB = 1024 * 1024;

/** With the reserve that stores have. */
function start(disk: SimulatedDisk, name: string, options?: ProcessOptions): Promise<Process> {
  return startWith(disk, name, { reserveBytes: RESERVE_BYTES, ...options });
}

function big(seed: number): string {
  return `${seed}:`.padEnd(VALUE_BYTES, "changes every turn ");
}

/** Bytes of shared values, used or not. */
function valueBytes(disk: SimulatedDisk): number {
  const paths = Object.keys(disk.tree(`${STORE}/.store`)).filter((path) => /[0-9a-f]{64}/.test(path));
  return paths.reduce((total, path) => total + (disk.readRaw(path)?.length ?? 0), 0);
}

/** Fills the disk until a put is refused. @returns The sessions that there are then. */
async function fill(process: Process): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    const key = `filler ${keys.length}`;
    try {
      await settled(process.store.put(key, { big: big(keys.length) }), process);
      keys.push(key);
    } catch (error) {
      expect(error).toMatchObject({ code: "disk_full" });
      return keys;
    }
  }
}

describe("a session whose big value changes every turn", () => {
  it.each(["disk", "os"] as const)("leaves bounded garbage behind, durability %s", async (durability) => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability });
    let peak = 0;
    for (let n = 0; n < 400; n++) {
      await settled(a.store.put("k", { n, big: big(n) }), a);
      if (n % 10 === 0) {
        await pass(100, a);
        peak = Math.max(peak, valueBytes(disk));
      }
    }
    expect(peak).toBeLessThan(2 * MiB); // of 8 MB that were written; the segment size of the tests is 1 MiB
    expect((await a.store.get("k"))?.["big"]).toBe(big(399));
  });

  it("leaves next to nothing once it has stopped, without a further commit", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    for (let n = 0; n < 60; n++) await settled(a.store.put("k", { n, big: big(n) }), a);
    await pass(60_000, a);
    expect(disk.names(`${STORE}/.store/trash`)).toEqual([]);
    expect(valueBytes(disk)).toBeLessThan(0.6 * MiB);
  });

  it("is counted in values within values, too", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    const nested = (n: number): object => ({ list: [{ text: big(n) }, { text: big(-n) }] });
    for (let n = 1; n < 200; n++) {
      await settled(a.store.put("k", { n, snapshot: nested(n) }), a);
      if (n % 10 === 0) await pass(600, a);
    }
    expect(valueBytes(disk)).toBeLessThan(2 * MiB);
  });

  it("is collected once when several processes write, and by those who live when the writer was killed", async () => {
    const disk = new SimulatedDisk();
    const all = [await start(disk, "A"), await start(disk, "B"), await start(disk, "C")];
    for (let n = 0; n < 300; n++) {
      const process = all[n % 3]!;
      await settled(process.store.put(`k${n % 2}`, { n, big: big(n) }), ...all);
      if (n % 10 === 0) await pass(100, ...all);
    }
    expect(valueBytes(disk)).toBeLessThan(2.5 * MiB);
    const segments = Number(/\d+/.exec(disk.names(`${STORE}/.store/log`).at(-1)!)![0]);
    expect(segments).toBeLessThan(40); // 6 MB in parts of half a MiB, and the trash behind each
    for (const { fs } of all) fs.kill();
    const d = await start(disk, "D");
    for (let n = 0; n < 60; n++) await settled(d.store.put("k0", { n, big: big(1000 + n) }), d);
    await pass(60_000, d);
    expect(valueBytes(disk)).toBeLessThan(0.7 * MiB);
  });

  it("goes on for ever on a small disk", async () => {
    const disk = new SimulatedDisk({ capacityBytes: 3 * MiB });
    const a = await start(disk, "A", { segmentBytes: 4 * MiB });
    for (let n = 0; n < 500; n++) await settled(a.store.put("k", { n, big: big(n) }), a);
    expect((await a.store.get("k"))?.["n"]).toBe(499);
  });
});

it("a log that nobody needs goes on for ever on a small disk", async () => {
  const disk = new SimulatedDisk({ capacityBytes: 2 * MiB });
  const a = await start(disk, "A", { segmentBytes: 4 * MiB });
  const text = "t".repeat(200);
  const fields = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, text]));
  for (let n = 0; n < 1500; n++) await settled(a.store.put("k", { n, ...fields }), a);
  expect((await a.store.get("k"))?.["n"]).toBe(1499);
});

describe("a full disk", () => {
  async function full(): Promise<{ disk: SimulatedDisk; a: Process; keys: string[] }> {
    const disk = new SimulatedDisk({ capacityBytes: 3 * MiB });
    const a = await start(disk, "A");
    return { disk, a, keys: await fill(a) };
  }

  it("refuses what needs room, and says what to do", async () => {
    const { disk, a, keys } = await full();
    expect(keys.length).toBeGreaterThan(80);
    const refused = await settled(a.store.put("more", { big: big(-1) }), a).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "disk_full", data: { path: `${STORE}/.store`, errno: "ENOSPC" } });
    expect(String(refused)).toMatch(/delete sessions/);
    expect(await a.store.get("more")).toBeUndefined();
    expect(await a.store.count()).toBe(keys.length);
    expect(disk.freeBytes).toBeLessThan(2 * RESERVE_BYTES);
  });

  it("is left by deletes, and then everything works again", async () => {
    const { disk, a, keys } = await full();
    disk.freeBytes = 0; // others took what there was
    for (const key of keys.slice(0, 40)) expect(await settled(a.store.delete(key), a)).toBe(true);
    await settled(a.store.checkpoint(), a);
    expect(await settled(a.store.put("more", { big: big(-1) }), a)).toMatchObject({ key: "more" });
    expect(disk.readRaw(RESERVE)?.length).toBeGreaterThanOrEqual(RESERVE_BYTES / 2);
    expect(await a.store.count()).toBe(keys.length - 40 + 1);
  });

  it("is left by deletes of a process that comes later", async () => {
    const { disk, a, keys } = await full();
    a.fs.kill();
    disk.freeBytes = 0;
    const b = await start(disk, "B");
    for (const key of keys.slice(0, 40)) expect(await settled(b.store.delete(key), b)).toBe(true);
    expect(await settled(b.store.put("more", { big: big(-1) }), b)).toMatchObject({ key: "more" });
  });

  it("is left by a checkpoint alone, if what is dead takes the room", async () => {
    const { disk, a } = await full();
    for (let n = 0; n < 30; n++) await a.store.delete(`filler ${n}`);
    disk.freeBytes = 0;
    await settled(a.store.checkpoint(), a);
    await settled(a.store.checkpoint(), a);
    expect(disk.freeBytes).toBeGreaterThan(20 * VALUE_BYTES);
  });

  it("keeps the reserve from commits that need room, until there is one again", async () => {
    const { disk, a } = await full();
    disk.removeRaw(RESERVE);
    disk.freeBytes = 0;
    await settled(a.store.flush(), a).catch(() => {});
    await pass(6000, a);
    disk.freeBytes = RESERVE_BYTES / 4; // room for a put, and not for a reserve as well
    const b = await start(disk, "B");
    await expect(settled(b.store.put("x", { n: 1 }), b)).rejects.toMatchObject({ code: "disk_full" });
    expect(await settled(b.store.delete("filler 0"), b)).toBe(true);
    disk.freeBytes = 2 * RESERVE_BYTES;
    expect(await settled(b.store.put("x", { n: 1 }), b)).toMatchObject({ key: "x" });
    expect(disk.readRaw(RESERVE)).toBeDefined();
  });

  it("lets a store be made without a reserve, which is made when there is room", async () => {
    const disk = new SimulatedDisk({ capacityBytes: 10 * MiB });
    disk.writeRaw("/others", Buffer.alloc(10 * MiB - 2000));
    const a = await start(disk, "A");
    expect(disk.names(`${STORE}/.store`)).not.toContain("reserve");
    await expect(settled(a.store.put("k", { n: 1 }), a)).rejects.toMatchObject({ code: "disk_full" });
    disk.freeBytes = Number.POSITIVE_INFINITY;
    await settled(a.store.put("k", { n: 1 }), a);
    expect(disk.readRaw(RESERVE)).toHaveLength(RESERVE_BYTES);
  });
});

describe("the reserve", () => {
  it("is not touched by a process that only reads", async () => {
    const disk = new SimulatedDisk();
    await (await start(disk, "A")).store.close();
    disk.removeRaw(RESERVE);
    const reader = await start(disk, "reader", { readOnly: true });
    await pass(20_000, reader);
    await reader.store.close();
    expect(disk.names(`${STORE}/.store`)).not.toContain("reserve");
  });

  it("grows with what checkpoints add to the catalog: the next one needs as much", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    const name = "n".repeat(900);
    for (let n = 0; n < 400; n++) await a.store.put(`${n}${name}`, { n });
    await settled(a.store.checkpoint(), a);
    const part = disk.names(`${STORE}/.store`).find((file) => /^catalog-\d+-/.test(file));
    const catalogBytes = disk.readRaw(`${STORE}/.store/${part}`)!.length;
    expect(catalogBytes).toBeGreaterThan(300_000);
    expect(disk.readRaw(RESERVE)!.length).toBeGreaterThanOrEqual(RESERVE_BYTES + catalogBytes);
  });

  it("that two make at once is one, and what a killed process leaves of it is swept", async () => {
    const disk = new SimulatedDisk();
    await (await start(disk, "A")).store.close();
    disk.removeRaw(RESERVE);
    const [b, c] = [await start(disk, "B"), await start(disk, "C")];
    b.fs.onCall = ({ name, args }) => {
      if (name === "rename" && String(args[1]).endsWith("/reserve")) b.fs.kill();
    };
    void b.store.put("b", { n: 1 });
    for (let turns = 0; turns < 50 && !b.fs.killed; turns++) await turn();
    expect(b.fs.killed).toBe(true);
    await settled(c.store.put("c", { n: 1 }), c);
    expect(disk.readRaw(RESERVE)).toHaveLength(RESERVE_BYTES);
    await settled(c.store.checkpoint(), c);
    const staged = Object.keys(disk.tree(`${STORE}/.store/stage`)).filter((path) => !path.endsWith("/"));
    expect(staged).toEqual([]);
  });
});

it("a full disk does not fill further with staging folders", async () => {
  const disk = new SimulatedDisk();
  const process = await startWith(disk, "one", { segmentBytes: 4096 });
  await settled(process.store.put("fill", FULL_SEGMENT), process);
  disk.removeRaw(`${STORE}/.store/reserve`); // somebody took that room as well
  disk.freeBytes = 20; // the next segment's header does not fit
  for (let attempt = 0; attempt < 10; attempt++) {
    await expect(settled(process.store.put("k", { n: attempt }), process)).rejects.toMatchObject({
      code: "disk_full",
    });
  }
  const stages = Object.keys(disk.tree()).filter((name) => /\/stage\/\d+-[0-9a-f]+\/$/.test(name));
  expect(stages.length).toBeLessThanOrEqual(1);
});
