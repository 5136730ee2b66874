/**
 * A store's folder with one shared value, and processes that use it: the log's part (which segment is active, what is
 * referenced) is played by the test.
 */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { BlobTrash, type ReferenceScan } from "../../src/entries/blob-trash.js";
import { BlobStore } from "../../src/entries/blob-store.js";
import { internalFolders } from "../../src/entries/internal-folder.js";
import { Layout } from "../../src/format/layout.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";

export const layout = new Layout("/s");
export const PAST_STAGE = "5-facade";
/** The staging folder of segment 6. */
export const STAGE = "6-c0ffee";
export const NEXT_STAGE = "7-decade";
export const CONTENT = Buffer.from('["a value that several sessions share"]');
export const HASH = createHash("sha256").update(CONTENT).digest("hex");
export const REFERENCE = { hash: HASH, bytes: CONTENT.length, nested: false };

export interface Process {
  readonly fs: SimulatedFileSystem;
  readonly blobs: BlobStore;
  readonly trash: BlobTrash;
}

export interface Fixture extends Process {
  readonly disk: SimulatedDisk;
}

export function processOn(disk: SimulatedDisk, seed: number, bytesMax = 1024 * 1024): Process {
  const fs = disk.mount(`process ${seed}`);
  const runtime = new ManualRuntime({ seed });
  const blobs = new BlobStore(fs, layout, runtime, { bytesMax });
  return { fs, blobs, trash: new BlobTrash(blobs, fs, layout, runtime) };
}

export async function fixture(): Promise<Fixture> {
  const disk = new SimulatedDisk();
  for (const folder of [...internalFolders(layout), layout.stageFolder(STAGE)]) disk.makeDirectory(folder);
  expect(await processOn(disk, 1).blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
  return { disk, ...processOn(disk, 2) };
}

/** The name in the trash; undefined if others have discarded the value, or it was damaged. */
export async function discardOne(trash: BlobTrash): Promise<string | undefined> {
  const [name] = await trash.discard([HASH], STAGE);
  return name;
}

export function discarded(disk: SimulatedDisk): string[] {
  return Object.keys(disk.tree(layout.trash)).map((path) => path.slice(layout.trash.length + 1));
}

/** @param released What {@link BlobTrash.discard} gave. */
export function empty(
  { trash }: Process,
  activeSegment: number,
  {
    referenced = false,
    released,
    scanned,
  }: { referenced?: boolean; released?: string | undefined; scanned?: () => void } = {},
): Promise<boolean> {
  const scan = (): ReferenceScan => {
    scanned?.();
    return { activeSegment, stage: activeSegment < 7 ? STAGE : NEXT_STAGE, isReferenced: () => referenced };
  };
  return trash.empty(scan, new Set(released === undefined ? [] : [released]));
}
