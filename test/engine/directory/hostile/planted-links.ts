/**
 * A store in which a link stands in place of any part of it, for tests of links: the part is moved outside (so that
 * following the link would work), or the link leads to somebody else's folder or file with tempting names in it.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { beforeEach, expect } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { BIG, useSandbox, type Sandbox, type Store } from "../sandbox.js";

export const POSIX = process.platform !== "win32";

/** The sandbox of the test that runs. */
export let holder: { readonly box: Sandbox };

/** Gives each test of the file that calls this a sandbox with a folder outside the store. */
export function usePlantedLinks(): void {
  holder = useSandbox();
  beforeEach(() => mkdirSync(holder.box.outside(), { mode: 0o700 }));
}

/** Sessions in their files, one of them (`hot`) in the log only, blobs, a catalog, and one blob in the trash. */
export async function fullStore(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({
    a: { updatedAt: 1, big: BIG },
    b: { updatedAt: 2 },
    gone: { updatedAt: 3, big: `${BIG} gone` },
  });
  const store = await box.open();
  await store.delete("gone");
  await store.checkpoint();
  await store.put("hot", { updatedAt: 4 });
  await store.close();
  rmSync(box.folderOf("hot"), { recursive: true, force: true });
  const stage = readdirSync(box.at(".store", "stage")).at(-1)!;
  expect(stage).toMatch(/^\d+-/);
  return box;
}

/** Names of folders inside a store, by what they are. */
export const FOLDERS: Record<string, (box: Sandbox) => string> = {
  ".store": (box) => box.at(".store"),
  log: (box) => box.at(".store", "log"),
  stage: (box) => box.at(".store", "stage"),
  "the staging folder": (box) => box.at(".store", "stage", readdirSync(box.at(".store", "stage")).at(-1)!),
  blobs: (box) => box.at(".store", "blobs"),
  "a blob folder": (box) => dirname(box.blobs()[0]!),
  trash: (box) => box.at(".store", "trash"),
  quarantine: (box) => box.at(".store", "quarantine"),
  "a session's folder": (box) => box.folderOf("a"),
  "the folder of a session to delete": (box) => box.folderOf("b"),
  "the folder of a session in the log": (box) => box.folderOf("hot"),
};

export const FILES: Record<string, (box: Sandbox) => string> = {
  "format.json": (box) => box.at(".store", "format.json"),
  "a segment": (box) => box.segment(),
  "a blob": (box) => box.blobs()[0]!,
  "the catalog": (box) =>
    box.at(
      ".store",
      readdirSync(box.at(".store")).find((name) => name.startsWith("catalog-"))!,
    ),
  "meta.json": (box) => box.entryFile("a"),
  "meta.json of a session to delete": (box) => box.entryFile("b"),
};

/** Moves a thing outside and leaves a link: following it would find everything that it should. */
export function moveOutside(box: Sandbox, path: string): string {
  const moved = box.outside("moved", basename(path));
  mkdirSync(dirname(moved), { recursive: true, mode: 0o700 });
  if (existsSync(path)) renameSync(path, moved);
  else mkdirSync(moved);
  symlinkSync(moved, path);
  return moved;
}

/** Puts a link to a foreign folder there, which holds files with all the names that a store knows. */
export function lureOutside(box: Sandbox, path: string): void {
  const lure = box.outside("theirs");
  mkdirSync(join(lure, "1-00ff"), { recursive: true });
  mkdirSync(join(lure, "log"));
  for (const folder of [lure, join(lure, "1-00ff")]) {
    for (const name of ["meta.json", "00000001.jsonl", "segment", "00ff00ff", "format.json", "catalog-1"]) {
      writeFileSync(join(folder, name), `theirs: ${name}`);
    }
    for (const blob of box.blobs()) {
      writeFileSync(join(folder, basename(blob)), "theirs");
      writeFileSync(join(folder, `${basename(blob, ".json")}.00ff.1`), "theirs");
    }
  }
  rmSync(path, { recursive: true, force: true });
  symlinkSync(relative(dirname(path), lure), path);
}

export const PLANTS = { moved: moveOutside, "somebody else's": lureOutside };

/** Opening may be refused; then nothing can be done through the store at all. */
export async function openOrRefuse(box: Sandbox): Promise<Store | string> {
  try {
    return await box.open({ cacheBytes: 0 });
  } catch (error) {
    if (error instanceof SessionStoreError) return error.code;
    throw error;
  }
}
