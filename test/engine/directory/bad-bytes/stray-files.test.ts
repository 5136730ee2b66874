/**
 * Goal: what does not belong to the store neither counts nor disturbs, and users' files are not removed (fault 23).
 * Method: the litter of operating systems, editors and people is put everywhere into a store; then every operation
 * runs, and the litter is looked for again.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BIG, codeOf, useSandbox, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

const LITTER = [
  ".DS_Store",
  "._meta.json",
  "Thumbs.db",
  "desktop.ini",
  ".nfs000000000001",
  "meta.json~",
  ".meta.json.swp",
  "#meta.json#",
  "meta.json.orig",
  "meta (copy).json",
  "notes.txt",
];

function litter(folder: string): string[] {
  const files = LITTER.map((name) => join(folder, name));
  for (const file of files) writeFileSync(file, `litter in ${folder}`);
  return files;
}

async function filledWithBlobs(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ a: { updatedAt: 1, big: BIG }, b: { updatedAt: 2 }, c: { updatedAt: 3 } });
  return box;
}

it("everywhere: nothing counts, nothing is removed outside the staging folders, every operation works", async () => {
  const box = await filledWithBlobs();
  const folders = [box.path, ...["a", "b", "c"].map((key) => box.folderOf(key)), box.at(".store")];
  for (const name of ["log", "blobs", "trash", "quarantine"]) folders.push(box.at(".store", name));
  for (const name of readdirSync(box.at(".store", "blobs"))) folders.push(box.at(".store", "blobs", name));
  const files = folders.flatMap(litter);
  const staged = litter(box.at(".store", "stage"));

  const store = await box.open();
  expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  expect(await store.get("a")).toEqual({ updatedAt: 1, big: BIG });
  await store.put("d", { big: `${BIG}!` });
  await store.delete("b");
  await store.flush();
  await store.checkpoint();
  const stats = await store.stats();
  expect(stats).toMatchObject({ sessions: 3, directory: { logSegments: 1, blobs: 2 } });
  const again = await box.reopen();
  expect((await again.list()).sessions.map(({ key }) => key)).toEqual(["a", "c", "d"]);
  expect(box.warnings).toEqual([]);
  for (const file of [...files, ...staged]) expect(existsSync(file), file).toBe(true);
});

it("everywhere, with the catalog gone: the sessions are found among it", async () => {
  const box = await filledWithBlobs();
  for (const folder of [box.path, ...["a", "b", "c"].map((key) => box.folderOf(key))]) litter(folder);
  mkdirSync(box.at("a copy"));
  mkdirSync(box.at("lost+found"));
  mkdirSync(box.at("UPPER"));
  writeFileSync(box.at("a copy", "meta.json"), "not a session's");
  for (const name of readdirSync(box.at(".store"))) {
    if (name.startsWith("catalog-")) writeFileSync(box.at(".store", name), "damage");
  }
  const store = await box.open();
  expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  expect(box.warnings.map(({ code }) => code)).toEqual(["catalog_rebuilt"]);
});

it("users' files in a session's folder outlive the session", async () => {
  const box = await filledWithBlobs();
  const note = join(box.folderOf("b"), "transcript.jsonl");
  mkdirSync(join(box.folderOf("b"), "attachments"));
  writeFileSync(note, "theirs");
  const store = await box.open();
  expect(await store.delete("b")).toBe(true);
  await store.checkpoint();
  expect(existsSync(box.entryFile("b"))).toBe(false);
  expect(readdirSync(box.folderOf("b")).sort()).toEqual(["attachments", "transcript.jsonl"]);
  expect(existsSync(box.folderOf("c"))).toBe(true);
  const again = await box.reopen();
  expect(await again.get("b")).toBeUndefined();
  expect(await again.count()).toBe(2);
  await again.put("b", { version: 2 });
  await again.checkpoint();
  expect(await (await box.reopen()).get("b")).toEqual({ version: 2 });
  expect(existsSync(note)).toBe(true);
});

it("a file in place of a session's folder stops that session's file only", async () => {
  const { box } = holder;
  const store = await box.open();
  await store.put("a", { version: 1 });
  writeFileSync(box.at("notes"), "theirs");
  await store.put("notes", { version: 1 });
  for (let index = 0; index < 30; index++) await store.put(`z${index}`, { version: 1 });
  expect(await store.get("notes")).toEqual({ version: 1 });
  expect(await codeOf(() => store.flush())).toBe("file_unsafe");
  expect(existsSync(box.entryFile("a"))).toBe(true);
  for (let index = 0; index < 30; index++) expect(existsSync(box.entryFile(`z${index}`))).toBe(true);
  expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
  expect(await (await box.reopen()).get("notes")).toEqual({ version: 1 });
  expect(await codeOf(async () => (await box.open()).checkpoint())).toBe("file_unsafe");
});

it("a file in place of a folder of a session that there is not: nothing but its key is affected", async () => {
  const box = await filledWithBlobs();
  writeFileSync(box.at("notes"), "theirs");
  const store = await box.open();
  expect(await codeOf(() => store.get("notes"))).toBe("entry_corrupt");
  expect((await store.list()).sessions).toHaveLength(3);
  await store.checkpoint();
  expect(existsSync(box.at("notes"))).toBe(true);
});

it("files and links called like staging folders do not stop a checkpoint", async () => {
  const { box } = holder;
  const store = await box.open();
  await store.put("a", { version: 1 });
  writeFileSync(box.at(".store", "stage", "1-00ff"), "a file");
  writeFileSync(box.at(".store", "stage", "notes"), "theirs");
  await store.checkpoint();
  expect(readdirSync(box.at(".store", "stage")).filter((name) => name.startsWith("1-"))).toEqual([]);
  expect(existsSync(box.at(".store", "stage", "notes"))).toBe(true);
  expect(box.segments()).toHaveLength(1);
});

it("unfinished store folders of dead processes go, others' folders stay", async () => {
  const box = await filledWithBlobs();
  mkdirSync(box.at(".store.building-00ff", "log"), { recursive: true });
  writeFileSync(box.at(".store.building-00ff", "log", "00000001.jsonl"), "half");
  mkdirSync(box.at(".git"));
  const store = await box.open();
  await store.checkpoint();
  expect(readdirSync(box.path).filter((name) => name.startsWith("."))).toEqual([".git", ".store"]);
});

it.each(["log", "stage", "blobs", "trash", "quarantine"])(
  "an empty %s/ that a copy left out is made again",
  async (name) => {
    const { box } = holder;
    await box.filled({ a: { version: 1 } });
    rmSync(box.at(".store", name), { recursive: true });
    const reader = name === "log" ? undefined : await box.open({ readOnly: true });
    expect(await reader?.get("a")).toEqual(reader && { version: 1 });
    expect(existsSync(box.at(".store", name))).toBe(false);
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 1 });
    await store.put("b", { big: BIG });
    await store.delete("a");
    await store.checkpoint();
    expect((await (await box.reopen()).list()).sessions.map(({ key }) => key)).toEqual(["b"]);
  },
);
