/**
 * Goal: a store that is alone on a small disk goes on for ever as long as little of it is alive; and when the disk is full
 * of what is alive, deletes free it again, also for a process that comes later.
 * Method: a real ext4 of a few megabytes on a loop device, with a program's own defaults, and the traffic that filled such
 * disks once: a big value that changes with every turn, and small ones without any. `SESSIONDIR_SMALL_DISK_TURNS` says
 * how many turns.
 */
import { join } from "node:path";
import { statfsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openDirectoryStore, type DirectorySessionStore } from "../../src/index.js";
import { DISK_NEEDS, diskImage, diskKinds, type FileSystemKind } from "./support/disk-image.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const MiB = 2 ** 20;
const MS_MAX = 400_000;
/** The disk was full after 204 once. */
const TURNS = Number(process.env["SESSIONDIR_SMALL_DISK_TURNS"] ?? 500);
/** The log is what matters here, and not how long a flush of the host's disk takes. */
const EXT4: FileSystemKind = { name: "ext4", type: "ext4", mountOptions: "loop,barrier=0" };
const canMount = diskKinds.some(({ type }) => type === "ext4");

interface Session {
  readonly n?: number;
  readonly [field: string]: unknown;
}

async function storeOn(
  megabytes: number,
  flushDelayMs?: number,
): Promise<{ path: string; folder: string; store: DirectorySessionStore<Session> }> {
  const image = diskImage(temporaryFolder(), EXT4, megabytes * MiB);
  const path = join(image.path, "sessions.d");
  return { path, folder: image.path, store: await open(path, flushDelayMs) };
}

function open(path: string, flushDelayMs?: number): Promise<DirectorySessionStore<Session>> {
  return openDirectoryStore<Session>(path, { onWarning: () => {}, flushDelayMs });
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function snapshot(n: number): string {
  return `${n}:`.padEnd(30_000, "a prompt of thirty kilobytes ");
}

describe.runIf(canMount)(`small disks${canMount ? "" : ` (skipped: they need ${DISK_NEEDS})`}`, () => {
  it(
    `12 MB take ${TURNS} turns with a value of 30 KB each`,
    async () => {
      const { folder, store } = await storeOn(12);
      let least = Number.POSITIVE_INFINITY;
      for (let n = 0; n < TURNS; n++) {
        await store.update("agent:main:main", (entry) => ({ ...entry, n, snapshot: snapshot(n) }));
        least = Math.min(least, freeBytes(folder));
      }
      expect(least).toBeGreaterThan(2 * MiB);
      expect(await store.get("agent:main:main")).toMatchObject({
        n: TURNS - 1,
        snapshot: snapshot(TURNS - 1),
      });
      await store.close();
    },
    MS_MAX,
  );

  it(
    "24 MB take 60 MB of log",
    async () => {
      const { folder, store } = await storeOn(24);
      const text = "t".repeat(150);
      const fields = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, text]));
      let least = Number.POSITIVE_INFINITY;
      for (let n = 0; n < 1800; n++) {
        // Ten at a time, as a busy gateway has it; each record is one of 3 KB.
        const turns = Array.from({ length: 10 }, (_, k) => store.put(`k${k}`, { n, ...fields }));
        await Promise.all(turns);
        least = Math.min(least, freeBytes(folder));
      }
      expect(least).toBeGreaterThan(4 * MiB);
      await store.close();
    },
    MS_MAX,
  );

  it.each(["the process that filled it", "a process that comes later"])(
    "a full one is freed by deletes of %s",
    async (who) => {
      // Hardly an entry file is written before the disk is full, unless the store sees to it.
      const { path, folder, store } = await storeOn(12, 60_000);
      let filled = 0;
      let failure: unknown;
      while (failure === undefined) {
        await store.put(`s${filled}`, { n: filled, snapshot: snapshot(filled) }).then(
          () => filled++,
          (error: unknown) => (failure = error),
        );
      }
      expect(failure).toMatchObject({ code: "disk_full" });
      expect(filled).toBeGreaterThan(200);
      const later = who.startsWith("a process");
      if (later) await store.close();
      const own = later ? await open(path) : store;
      await expect(own.put("more", { snapshot: snapshot(-1) })).rejects.toMatchObject({
        code: "disk_full",
      });
      for (let n = 0; n < 100; n++) expect(await own.delete(`s${n}`)).toBe(true);
      await own.checkpoint();
      for (let n = 0; n < 50; n++) await own.put(`again ${n}`, { snapshot: snapshot(-n - 1) });
      expect(await own.count()).toBe(filled - 100 + 50);
      expect(await own.get(`s${filled - 1}`)).toMatchObject({ snapshot: snapshot(filled - 1) });
      await own.checkpoint(); // what the deletes left may still be in the trash
      await own.checkpoint();
      expect(freeBytes(folder)).toBeGreaterThan(MiB / 2);
      await own.close();
    },
    MS_MAX,
  );
});
