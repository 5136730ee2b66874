/**
 * Goal: no link leads the store out of its folder: nothing outside is read as data, written, moved or removed,
 * whatever of the store is a link, from the start or from one call to the next (fault 28).
 * Method: each part of a store becomes a link. Then every operation is tried; the outside is compared with what it was, down
 * to the times of change.
 */
import { appendFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { fence } from "../../../../src/entries/fence.js";
import { SessionStoreError } from "../../../../src/errors.js";
import { Layout } from "../../../../src/format/layout.js";
import { nodeFileSystem } from "../../../../src/fs/node-file-system.js";
import { BIG, codeOf, failureOf, logLine, snapshot, type Sandbox, type Store } from "../sandbox.js";
import {
  FILES,
  FOLDERS,
  PLANTS,
  POSIX,
  fullStore,
  lureOutside,
  moveOutside,
  openOrRefuse,
  usePlantedLinks,
} from "./planted-links.js";

usePlantedLinks();

/** Everything a store can do; each call may fail, but only with a typed error. Returns the codes. */
async function everything(store: Store): Promise<string[]> {
  const calls: readonly (() => unknown)[] = [
    async () => JSON.stringify(await store.get("a")),
    async () => JSON.stringify((await store.list()).sessions),
    () => store.count(),
    () => store.stats(),
    () => store.put("new", { big: `${BIG} new` }),
    () => store.update("a", (entry) => ({ ...entry, more: `${BIG} more` })),
    () => store.put("again", { big: BIG }),
    () => store.delete("b"),
    () => store.delete("gone"),
    () => store.flush(),
    () => store.checkpoint(),
    () => store.put("last", { updatedAt: 1 }),
    () => store.checkpoint(),
    () => store.close(),
  ];
  const codes: string[] = [];
  for (const call of calls) {
    try {
      await call();
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
      expect(error.message).not.toContain("/proc/self/fd");
      codes.push(error.code);
    }
  }
  return codes;
}

/** A segment that was moved away while the store has it open is still the store's log: that is no link followed. */
function snapshotBesidesOpenLog(box: Sandbox): Record<string, string> {
  const all = Object.entries(snapshot(box.outside()));
  return Object.fromEntries(all.filter(([path]) => !/moved\/.*\d{8}\.jsonl$/.test(path)));
}

const REFUSED_AT_OPEN = new Set([
  ".store",
  "log",
  "stage",
  "blobs",
  "trash",
  "quarantine",
  "format.json",
  "a segment",
]);

describe.runIf(POSIX).each(Object.entries({ ...FOLDERS, ...FILES }))("%s is a link", (name, find) => {
  describe.each(Object.entries(PLANTS))("to a place that is %s", (_kind, plant) => {
    it("from the start: refused or isolated, and the outside is as it was", async () => {
      const box = await fullStore();
      const path = find(box);
      plant(box, path);
      const before = snapshot(box.outside());
      for (let round = 0; round < 2; round++) {
        const store = await openOrRefuse(box);
        expect(typeof store === "string").toBe(REFUSED_AT_OPEN.has(name));
        if (typeof store === "string") expect(store).toBe("file_unsafe");
        else await everything(store);
        expect(snapshot(box.outside())).toEqual(before);
      }
    });

    it("since the store was opened: refused or isolated, and the outside is as it was", async () => {
      const box = await fullStore();
      const path = find(box);
      const store = await box.open({ cacheBytes: 0 });
      plant(box, path);
      const before = snapshotBesidesOpenLog(box);
      await everything(store);
      expect(snapshotBesidesOpenLog(box)).toEqual(before);
    });

    it("since a listing and a flush: the same", async () => {
      const box = await fullStore();
      const path = find(box);
      const store = await box.open({ cacheBytes: 0 });
      await store.list();
      await store.put("hot", { updatedAt: 5 });
      await store.put("b", { updatedAt: 5 });
      await store.flush();
      plant(box, path);
      const before = snapshotBesidesOpenLog(box);
      await everything(store);
      expect(snapshotBesidesOpenLog(box)).toEqual(before);
    });

    it("for a reader: nothing is read through it", async () => {
      const box = await fullStore();
      const path = find(box);
      plant(box, path);
      const store = await openOrRefuseReader(box);
      if (store === undefined) return;
      const { sessions } = await store.list();
      for (const { key, entry } of sessions) {
        expect(["a", "b", "hot"]).toContain(key);
        expect([1, 2, 4]).toContain((entry as { updatedAt?: number }).updatedAt);
      }
      if (name === "a session's folder" || name === "meta.json") {
        expect(await codeOf(() => store.get("a"))).toBe("entry_corrupt");
        expect(sessions.map(({ key }) => key)).toEqual(["b", "hot"]);
      }
    });
  });
});

async function openOrRefuseReader(box: Sandbox): Promise<Store | undefined> {
  try {
    return await box.open({ readOnly: true, cacheBytes: 0 });
  } catch (error) {
    if (error instanceof SessionStoreError) return undefined;
    throw error;
  }
}

describe.runIf(POSIX)("what is read", () => {
  it.each(["blobs", "a blob folder", ".store"])(
    "is no shared value behind a link in place of %s",
    async (name) => {
      const box = await fullStore();
      for (const readOnly of [true, false]) {
        const store = await box.open({ readOnly, cacheBytes: 0 });
        const path = FOLDERS[name]!(box);
        const moved = moveOutside(box, path);
        const error = await failureOf(async () => (await store.get("a"))?.["big"]);
        expect(error.code).toBe("file_unsafe");
        expect(error.message).toContain(path);
        if (!readOnly) expect(await codeOf(() => store.put("c", { big: BIG }))).toBe("file_unsafe");
        rmSync(path);
        renameSync(moved, path);
        expect((await store.get("a"))?.["big"]).toBe(BIG);
      }
    },
  );

  it("is no shared value in a trash that is a link", async () => {
    const box = await fullStore();
    const [blob] = box.blobs();
    const store = await box.open({ cacheBytes: 0 });
    renameSync(blob!, box.at(".store", "trash", `${basename(blob!, ".json")}.00ff`));
    moveOutside(box, box.at(".store", "trash"));
    const before = snapshot(box.outside());
    expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("file_unsafe");
    expect(snapshot(box.outside())).toEqual(before);
  });

  it.each(["log", ".store"])("is no further segment behind a link in place of %s", async (name) => {
    const box = await fullStore();
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    const number = Number(basename(box.segment()).slice(0, 8));
    const { storeId } = (await store.stats()).directory!;
    appendFileSync(box.segment(), logLine({ seal: number + 1 }));
    const header = { segment: number + 1, firstRevision: 99, stage: `${number + 1}-00`, store: storeId };
    const record = { w: "f0", n: 1, g: number + 1, t: 1, ops: [{ k: "planted", s: { theirs: true } }] };
    const next = box.segment().replace(/\d{8}\.jsonl$/, `${String(number + 1).padStart(8, "0")}.jsonl`);
    writeFileSync(next, Buffer.concat([logLine(header), logLine(record)]), { mode: 0o600 });
    moveOutside(box, FOLDERS[name]!(box));
    expect(await codeOf(() => store.get("planted"))).toBe("file_unsafe");
  });
});

describe.runIf(POSIX)("the fence by itself", () => {
  it.each(["stage", ".store"])("refuses to empty a folder behind a link in place of %s", async (name) => {
    const box = await fullStore();
    lureOutside(box, FOLDERS[name]!(box));
    const before = snapshot(box.outside());
    await expect(fence(nodeFileSystem, new Layout(box.path), 1_000_000)).rejects.toMatchObject({
      code: "file_unsafe",
    });
    expect(snapshot(box.outside())).toEqual(before);
  });
});
