/**
 * A simulated machine with a store whose commits are numbered: each transaction sets the same number in several sessions and
 * appends it to their transcripts, so that what a restored store shows tells which commits it has, and a mixture shows.
 */
import { expect } from "vitest";
import type { BackupHost } from "../../../src/care/backup/types.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedCall, SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";

export const STORE = "/home/gateway/sessions.d";
export const BACKUPS = "/mnt/backups";
export const RESTORED = "/home/gateway/restored.d";

export type Entry = Record<string, unknown>;
export type Store = DirectorySessionStore<Entry>;
export type Host = BackupHost & { readonly fs: SimulatedFileSystem; readonly runtime: ManualRuntime };

/** 2026-11-30 00:00 UTC: the clocks of the disk and of the processes. */
const NOW = Date.UTC(2026, 10, 30);
/** Small, so that the tests are quick. */
const RESERVE_BYTES = 4096;

export class BackupMachine {
  readonly disk: SimulatedDisk;
  #processes = 0;
  #ticks = 0;

  constructor(disk?: SimulatedDisk) {
    this.disk = disk ?? new SimulatedDisk({ random: seededRandom(1), now: () => NOW + ++this.#ticks });
    for (const folder of ["/home/gateway", "/mnt", "/tmp"]) this.disk.makeDirectory(folder);
  }

  /** @param clock `"ticking"`: every look at the clock takes so long that whoever looked lets others go on. */
  process(clock: "still" | "ticking" = "still", hoursLater = 0): Host {
    const number = ++this.#processes;
    const runtime = new ManualRuntime({
      seed: number,
      yields: "event-loop",
      now: NOW + 60_000 + number + hoursLater * 3_600_000,
    });
    let elapsed = 0;
    if (clock === "ticking") runtime.monotonic = () => (elapsed += 50);
    return { fs: this.disk.mount(`process ${number}`), runtime };
  }

  open(host: Host = this.process(), path = STORE): Promise<Store> {
    return openDirectoryStoreOn<Entry>(
      host.fs,
      host.runtime,
      path,
      { segmentBytes: 4096, blobThresholdBytes: 256, onWarning: () => {} },
      RESERVE_BYTES,
    );
  }

  /** A machine whose disk has the same past, to go another way from here. */
  copy(): BackupMachine {
    const copy = new BackupMachine(this.disk.clone(seededRandom(1)));
    copy.#processes = this.#processes;
    copy.#ticks = this.#ticks;
    return copy;
  }
}

export const KEYS = ["agent:main:a", "agent:main:b", "c"];
const TRANSCRIPT = "main";

/** The next commit: one transaction over all keys and their transcripts. */
export async function commit(store: Store): Promise<void> {
  await store.transact(async (transaction) => {
    const before = (await transaction.get(KEYS[0]!)) as { n: number } | undefined;
    const n = (before?.n ?? 0) + 1;
    for (const key of KEYS) {
      await transaction.put(key, entryOf(key, n));
      await transaction.append(key, [{ n, text: "x".repeat(40) }], { transcript: TRANSCRIPT });
    }
  });
}

function entryOf(key: string, n: number): Entry {
  return { n, text: `${key} `.repeat(20), shared: `${"s".repeat(300)}${n % 3}` };
}

/** Revision of each commit, in order, as the store tells that has them all. */
export async function revisionsOf(store: Store): Promise<number[]> {
  const revisions: number[] = [];
  for await (const { revision } of store.iterateItems(KEYS[0]!, { transcript: TRANSCRIPT }))
    revisions.push(revision);
  return revisions;
}

/**
 * Makes sure that a store has every commit up to its revision, whole, and no later one.
 * @param revisions Of all commits that there ever were.
 * @returns How many that are.
 */
export async function expectPrefix(store: Store, revisions: readonly number[]): Promise<number> {
  const { revision } = await store.stats();
  const expected = revisions.filter((one) => one <= revision).length;
  expect(expected === 0 ? 0 : revisions[expected - 1]).toBeLessThanOrEqual(revision);
  const { sessions, damaged } = await store.list();
  expect(damaged).toBeUndefined();
  expect(sessions.map(({ key }) => key)).toEqual(expected > 0 ? KEYS : []);
  for (const { key, entry } of sessions) {
    expect(JSON.parse(JSON.stringify(entry)), key).toEqual(entryOf(key, expected));
    const items: unknown[] = [];
    for await (const { item } of store.iterateItems<{ n: number }>(key, { transcript: TRANSCRIPT }))
      items.push(item.n);
    expect(items, key).toEqual(Array.from({ length: expected }, (_, index) => index + 1));
  }
  return expected;
}

const CHANGES: ReadonlySet<string> = new Set([
  "write",
  "mkdir",
  "rmdir",
  "unlink",
  "rename",
  "link",
  "fdatasync",
  "fsync",
]);

export function isChange({ name, args }: SimulatedCall): boolean {
  return CHANGES.has(name) || (name === "open" && args[1] === "create");
}
