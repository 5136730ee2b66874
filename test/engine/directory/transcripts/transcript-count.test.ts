/**
 * Goal: `stats({ transcripts: true })` counts what is there, whether it is in the log, in files or in both, and one damaged transcript
 * costs its own items only. Method: stores in real folders, whose files are measured and damaged by hand.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { useSandbox } from "../sandbox.js";

const holder = useSandbox();

/** Bytes of the chunk files of all sessions, and their paths. */
function chunks(path: string): { readonly bytes: number; readonly paths: string[] } {
  const paths = readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith(".store") && name.endsWith(".jsonl"))
    .map((name) => join(path, name));
  return { bytes: paths.reduce((sum, file) => sum + statSync(file).size, 0), paths };
}

it("counts items of the log and of files, and the bytes of files", async () => {
  const store = await holder.box.open();
  const long = "k".repeat(300); // its folder's name is a hash
  await store.append("a", [1, 2, 3]);
  await store.append(long, ["x"], { transcript: "tools" });
  await store.put("without", {});
  expect((await store.stats()).transcripts).toBeUndefined();
  const all = { transcripts: true };
  expect((await store.stats(all)).transcripts).toEqual({ count: 2, items: 4, bytes: 0, damaged: 0 });
  await store.checkpoint();
  await store.append("a", [4]);
  const { bytes } = chunks(holder.box.path);
  expect(bytes).toBeGreaterThan(0);
  expect((await store.stats(all)).transcripts).toEqual({ count: 2, items: 5, bytes, damaged: 0 });
  const reader = await holder.box.open({ readOnly: true });
  expect((await reader.stats(all)).transcripts).toEqual({ count: 2, items: 5, bytes, damaged: 0 });
  await store.delete(long);
  expect((await store.stats(all)).transcripts).toMatchObject({ count: 1, items: 4 });
});

it("counts a damaged transcript as that, and no file that is not the store's", async () => {
  const store = await holder.box.open();
  await store.append("a", [1, 2, 3]);
  await store.append("b", [1, 2]);
  await store.checkpoint();
  writeFileSync(join(holder.box.path, "notes.txt"), "x");
  const [file = ""] = chunks(holder.box.path).paths.filter((path) => path.includes("/b/"));
  const bytes = readFileSync(file);
  bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
  writeFileSync(file, bytes);
  const reader = await holder.box.open({ readOnly: true });
  expect((await reader.stats({ transcripts: true })).transcripts).toMatchObject({
    count: 1,
    items: 3,
    damaged: 1,
  });
});
