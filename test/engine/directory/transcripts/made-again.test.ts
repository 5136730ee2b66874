/**
 * Goal: a transcript that was trimmed, emptied, removed and made again in one segment has nothing of the old one, and nothing of the
 * new one is looked for in the old one's files. Method: a real folder, checkpoints between the lives, and a truncation in the second.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openDirectoryStore, type StoreWarning } from "../../../../src/index.js";

const folder = mkdtempSync(join(tmpdir(), "sessiondir-again-"));
afterEach(() => rmSync(folder, { recursive: true }));

test("what a second life is cut to is written from the log, and the first one's files have no part in it", async () => {
  const warnings: StoreWarning[] = [];
  const options = { onWarning: (warning: StoreWarning) => void warnings.push(warning) };
  const store = await openDirectoryStore(join(folder, "sessions.d"), options);
  await store.append("a", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await store.checkpoint();
  await store.append("a", [11], { maxLength: 1 });
  await store.truncate("a", { length: 0 });
  await store.removeTranscript("a");
  await store.append("a", ["x", "y", "z"]);
  await store.truncate("a", { length: 2 });
  await store.checkpoint();
  expect((await store.readItems("a")).items.map(({ item }) => item)).toEqual(["x", "y"]);
  await store.close();
  expect(warnings).toEqual([]);
});
