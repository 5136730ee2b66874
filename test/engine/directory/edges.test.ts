/**
 * Goal: what an adversarial review found at the edges of the protocol stays mended: callbacks that use the store,
 * disks that fail in a checkpoint or run full, blobs on their way, work that is forgotten or grows.
 * Method: each schedule as it was found, on a simulated disk.
 */
import { describe, expect, test, vi } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import type { SessionState } from "../../../src/engine/directory/session-table.js";
import { SessionIndex } from "../../../src/engine/directory/session-index.js";
import { runNow } from "../../../src/engine/directory/time-slices.js";
import { parkFrom, settled, start, STORE, turn, type Process } from "../../support/processes.js";

const logOf = (disk: SimulatedDisk): string => {
  const [path] = Object.keys(disk.tree()).filter((name) => name.includes("/.store/log/0"));
  return path ?? "no log";
};

/** More than the 4096 bytes at which the tests' segments are sealed. */
const filler = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, "z".repeat(150)]));

describe("a warning's listener that uses the store", () => {
  test("does not make lines count twice", async () => {
    const disk = new SimulatedDisk();
    const other = await start(disk, "other");
    let looked = 0;
    const holder: { process?: Process } = {};
    const process = await start(disk, "listening", {
      onWarning: () => {
        looked++;
        void holder.process?.store.revision();
      },
    });
    holder.process = process;
    await settled(other.store.put("x", { n: 1 }), other);
    disk.writeRaw(
      logOf(disk),
      Buffer.concat([disk.readRaw(logOf(disk)) ?? Buffer.alloc(0), Buffer.from("torn\n")]),
    );
    await settled(other.store.put("x", { n: 2 }), other);
    await settled(other.store.put("y", { n: 3 }), other);

    expect(await process.store.revision()).toBe(3);
    await turn();
    expect(looked).toBeGreaterThan(0);
    const put = await settled(process.store.put("z", { n: 1 }), process, other);
    expect(put.revision).toBe(4);
    expect(await other.store.revision()).toBe(4);
  });
});

test("updatedAt that uses its own store gets an error, and the log is read right", async () => {
  const disk = new SimulatedDisk();
  const holder: { process?: Process } = {};
  const errors: unknown[] = [];
  const process = await start(disk, "one", {
    updatedAt: (): number => {
      try {
        holder.process?.store.getSync("a");
      } catch (error) {
        errors.push(error);
      }
      return 0;
    },
  });
  holder.process = process;
  const other = await start(disk, "other");
  await settled(other.store.put("a", { n: 1 }), other);
  await settled(process.store.list(), process);
  await settled(other.store.put("b", { n: 1 }), other);
  expect(await process.store.revision()).toBe(2);
  expect(errors.some((error) => error instanceof TypeError)).toBe(true);
});

test("a file whose sync failed in a checkpoint is written anew, not believed to be clean", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(3) });
  const process = await start(disk, "one");
  await settled(process.store.put("k", { n: 1 }), process);
  await settled(process.store.flush(), process);
  let failed = 0;
  const entryFiles = new Set<number>();
  const open = process.fs.open.bind(process.fs);
  const watching: typeof open = (path, mode) => {
    const fd = open(path, mode);
    if (path.endsWith("/meta.json")) entryFiles.add(fd);
    return fd;
  };
  Object.defineProperty(process.fs, "open", { value: watching });
  process.fs.onCall = (call: SimulatedCall) => {
    if (failed > 0 || call.name !== "fdatasync" || !entryFiles.has(Number(call.args[0]))) return undefined;
    failed++;
    return { failSync: true };
  };
  await expect(settled(process.store.checkpoint(), process)).rejects.toMatchObject({ code: "io_error" });
  await settled(process.store.checkpoint(), process);
  expect(failed).toBe(1);
  disk.powerCut("durable-only");
  const fresh = await start(disk, "fresh");
  expect(await fresh.store.get("k")).toEqual({ n: 1 });
});

test("an index that nobody asks does not look through all its rows at every new session", () => {
  const index = runNow(SessionIndex.build([], new Map(), () => 0));
  let looks = 0;
  const session = (number: number): SessionState =>
    ({
      key: `k${number}`,
      revision: number,
      get stored() {
        looks++;
        return {};
      },
    }) as unknown as SessionState;
  const filter = vi.spyOn(Array.prototype, "filter");
  for (let number = 1; number <= 50_000; number++) index.change(session(number));
  const filtered = filter.mock.contexts.reduce((sum: number, rows) => sum + (rows as unknown[]).length, 0);
  filter.mockRestore();
  expect(looks).toBeGreaterThan(0);
  expect(filtered).toBeGreaterThan(0);
  expect(filtered).toBeLessThan(500_000); // quadratic would be a hundred times that
});

test.each(["disk", "os"] as const)(
  "%s: a commit that never was appended is not reported as written",
  async (durability) => {
    const disk = new SimulatedDisk();
    const process = await start(disk, "one", { durability, segmentBytes: 4096 });
    await settled(process.store.put("fill", filler), process);
    process.fs.onCall = (call: SimulatedCall) => (call.name === "fdatasync" ? { failSync: true } : undefined);
    const put = settled(process.store.put("k", { n: 1 }), process);
    await expect(put).rejects.toMatchObject({ code: "durability_unknown", data: { written: false } });
    const other = await start(disk, "other");
    expect(await other.store.get("k")).toBeUndefined();
  },
);

test("what changes while a flush is under way is flushed afterwards", async () => {
  const disk = new SimulatedDisk();
  const process = await start(disk, "one");
  await settled(process.store.put("k", { n: 1 }), process);
  const parking = parkFrom(process.fs, 1);
  const flushing = process.store.flush();
  for (let turns = 0; turns < 5; turns++) await turn();
  const putting = process.store.put("k", { n: 2 });
  parking.release();
  await settled(Promise.all([flushing, putting]), process);
  for (let turns = 0; turns < 20; turns++) {
    process.runtime.advance(1000);
    await turn();
  }
  expect(disk.readRaw(`${STORE}/k/meta.json`)?.toString()).toContain('"revision":2');
});

test("a full disk does not fill further with staging folders", async () => {
  const disk = new SimulatedDisk();
  const process = await start(disk, "one", { segmentBytes: 4096 });
  await settled(process.store.put("fill", filler), process);
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
