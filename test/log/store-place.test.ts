/**
 * Goal: nothing is acknowledged, read or watched in a store that no longer stands where it was opened, and a store that
 * others checkpoint, or that comes back, is never taken for one that is gone.
 * Method: the store is taken away, wholly or in part, or another one is put in its place, while a process has it open;
 * before every single call of a durable update as well. On a simulated disk, where inode numbers are never used twice.
 */
import { describe, expect, it } from "vitest";
import { PLACE_CHECK_MS } from "../../src/log/store-place.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";
import { settled, start, STORE, turn } from "../support/processes.js";

const LOG = `${STORE}/.store/log`;
const SEGMENT = `${LOG}/00000001.jsonl`;

/** What people and tools do to a store that is open. */
const TAKEN: Record<string, { readonly take: (disk: SimulatedDisk) => unknown; readonly replaced: boolean }> =
  {
    "rm -rf": { take: (disk) => disk.removeRaw(STORE), replaced: false },
    "moved away": { take: (disk) => disk.mount("tool").rename(STORE, "/old.d"), replaced: false },
    "its .store is removed": { take: (disk) => disk.removeRaw(`${STORE}/.store`), replaced: false },
    "its log is removed": { take: (disk) => disk.removeRaw(LOG), replaced: false },
    "its segment is removed": { take: (disk) => disk.removeRaw(SEGMENT), replaced: false },
    "removed, and a new one is made": {
      take: async (disk) => {
        disk.removeRaw(STORE);
        await (await start(disk, "maker")).store.put("new", {});
      },
      replaced: true,
    },
    "its .store is removed, and a new one is made": {
      take: async (disk) => {
        disk.removeRaw(`${STORE}/.store`);
        await (await start(disk, "maker")).store.put("new", {});
      },
      replaced: true,
    },
    "a backup is moved to its place": {
      take: (disk) => {
        const tool = disk.mount("tool");
        tool.rename(STORE, "/old.d");
        copy(disk, "/old.d", STORE);
      },
      replaced: true,
    },
    "a backup is copied over it": {
      take: (disk) => {
        const bytes = disk.readRaw(SEGMENT)!;
        disk.removeRaw(SEGMENT);
        disk.writeRaw(SEGMENT, bytes);
      },
      replaced: true,
    },
    "a link leads to another one": {
      take: (disk) => {
        disk.mount("tool").rename(STORE, "/old.d");
        copy(disk, "/old.d", "/other.d");
        disk.symlink(STORE, "/other.d");
      },
      replaced: true,
    },
  };

describe.each(Object.entries(TAKEN))("%s", (_name, { take, replaced }) => {
  it("no durable commit is acknowledged from then on; the next one is refused before it is written", async () => {
    const disk = new SimulatedDisk();
    const { store } = await start(disk, "A");
    await store.put("k", { n: 1 });
    await take(disk);
    const late = store.put("k", { n: 2 });
    await expect(late).rejects.toMatchObject({
      code: "store_gone",
      data: { path: STORE, replaced, written: true },
    });
    const later = store.put("k", { n: 3 });
    await expect(later).rejects.toMatchObject({ code: "store_gone", data: { replaced, written: false } });
    expect(disk.readRaw(SEGMENT)?.toString() ?? "").not.toContain('"n":3');
    await store.close();
  });

  it("reads, listings and commits that are not synced end within a second", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    await take(disk);
    a.runtime.advance(PLACE_CHECK_MS + 1);
    const gone = { code: "store_gone", data: { path: STORE, replaced, written: false } };
    await expect(a.store.put("k", { n: 2 })).rejects.toMatchObject(gone);
    expect(() => a.store.getSync("k")).toThrow(expect.objectContaining(gone));
    expect(() => a.store.listSync()).toThrow(expect.objectContaining(gone));
    await expect(a.store.list()).rejects.toMatchObject(gone);
    await expect(a.store.count()).rejects.toMatchObject(gone);
    await expect(settled(a.store.checkpoint(), a)).rejects.toMatchObject(gone);
    await expect(settled(a.store.flush(), a)).rejects.toMatchObject(gone);
    await a.store.close();
    expect(a.fs.openPaths).toEqual([]);
  });

  it("a watcher ends with it", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    const changes = a.store.watch()[Symbol.asyncIterator]();
    await a.store.put("k", { n: 1 });
    expect(await changes.next()).toMatchObject({ value: { key: "k" } });
    const next = changes.next();
    next.catch(() => {});
    await take(disk);
    await expect(settled(next, a)).rejects.toMatchObject({ code: "store_gone", data: { replaced } });
    await a.store.close();
  });

  it("work in the background stops, says so once, and touches nothing", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    await a.store.put("k", { n: 1 });
    await take(disk);
    const before = disk.tree();
    for (let timers = 0; timers < 50; timers++) {
      a.runtime.advance(PLACE_CHECK_MS * 6);
      await turn();
    }
    expect(a.warnings.map(({ code }) => code)).toEqual(["flush_failed"]);
    expect(disk.tree()).toEqual(before);
    await a.store.close();
  });
});

it("removed before any call of an update: it is not acknowledged, or it was in the store when it was synced", async () => {
  let calls = 0;
  for (let at = 1; at <= calls + 1; at++) {
    const disk = new SimulatedDisk();
    const { store, fs } = await start(disk, "A");
    await store.put("k", { n: 1 });
    let made = 0;
    let synced = false;
    let removedFirst = false;
    fs.onCall = ({ name }) => {
      made++;
      if (made === at) {
        removedFirst = !synced;
        disk.removeRaw(STORE);
      }
      synced ||= name === "fdatasync";
    };
    const ending = await store.put("k", { n: 2 }).then(
      () => "acknowledged",
      (error: unknown) => (error as { code?: string }).code,
    );
    if (removedFirst) expect(ending, `removed before call ${at}`).toBe("store_gone");
    calls = Math.max(calls, made);
    fs.onCall = undefined;
    await store.close();
  }
  expect(calls).toBeGreaterThan(3);
});

it("a store that was moved away and put back goes on", async () => {
  const disk = new SimulatedDisk();
  const { store } = await start(disk, "A");
  const tool = disk.mount("tool");
  await store.put("k", { n: 1 });
  tool.rename(STORE, "/elsewhere.d");
  await expect(store.put("k", { n: 2 })).rejects.toMatchObject({
    code: "store_gone",
    data: { written: true },
  });
  tool.rename("/elsewhere.d", STORE);
  await store.put("l", { n: 3 });
  expect(await store.get("l")).toEqual({ n: 3 });
  expect(await (await start(disk, "B")).store.get("k")).toEqual({ n: 2 }); // as the error said: it was written
});

it("a segment that others have checkpointed is no store that is gone", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  const b = await start(disk, "B");
  await a.store.put("k", { n: 1 });
  for (let round = 0; round < 3; round++) {
    await b.store.put("l", { round });
    await settled(b.store.checkpoint(), b);
    a.runtime.advance(PLACE_CHECK_MS + 1);
    expect(a.store.getSync("l")).toEqual({ round });
    await a.store.put("k", { n: round });
  }
});

it("a commit whose segment is checkpointed while it is synced is acknowledged", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  let go = (): void => {};
  const going = new Promise<void>((resolve) => (go = resolve));
  a.fs.gate = ({ name }) => (name === "fdatasync" ? going : undefined);
  const commit = a.store.put("k", { n: 2 });
  await turn();
  const b = await start(disk, "B");
  await settled(b.store.checkpoint(), b);
  expect(disk.readRaw(SEGMENT)).toBeUndefined();
  go();
  await commit;
});

it("where the way to the store is closed, its descriptor tells that it is there", async () => {
  const disk = new SimulatedDisk();
  const { store, fs } = await start(disk, "A");
  fs.onCall = (call) => {
    if (call.name === "lstat" && String(call.args[0]).startsWith(STORE)) throw systemError("EACCES", call);
  };
  await store.put("k", { n: 1 });
  disk.removeRaw(STORE);
  await expect(store.put("k", { n: 2 })).rejects.toMatchObject({
    code: expect.stringMatching(/store_gone|durability/),
  });
});

function copy(disk: SimulatedDisk, from: string, to: string): void {
  disk.makeDirectory(to);
  for (const [path, content] of Object.entries(disk.tree(from))) {
    const copied = `${to}${path.slice(from.length)}`;
    if (copied.endsWith("/")) disk.makeDirectory(copied.slice(0, -1));
    else disk.writeRaw(copied, content);
  }
}
