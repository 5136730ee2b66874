/**
 * Goal: a process whose store was removed, or replaced by another one, acknowledges nothing more, stops answering from
 * memory, and its watchers end; all that it acknowledged before is where the path leads.
 * Method: a real process has the store open; the folder is taken away with the tools that people use.
 */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const TIMES = 20;

async function update(child: Child, times: number): Promise<string[]> {
  child.say({ event: "update", times });
  return (await child.next("updated"))["endings"] as string[];
}

/** Asks until reads end, however many that takes; the documented bound is a second. */
async function readUntilRefused(child: Child): Promise<string> {
  const until = performance.now() + 10_000;
  for (;;) {
    child.say({ event: "read" });
    const ending = (await child.next("read"))["ending"] as string;
    if (ending !== "done" || performance.now() > until) return ending;
  }
}

const WAYS: Record<string, (path: string) => unknown> = {
  removed: (path) => rmSync(path, { recursive: true }),
  "removed, and made anew by another process": async (path) => {
    rmSync(path, { recursive: true });
    const made = await openDirectoryStore<object>(path);
    await made.put("k", { made: true });
    await made.close();
  },
  "moved away": (path) => renameSync(path, `${path}.old`),
  "replaced by a backup that is moved to its place": (path) => {
    cpSync(path, `${path}.backup`, { recursive: true });
    renameSync(path, `${path}.old`);
    renameSync(`${path}.backup`, path);
  },
  "its .store removed": (path) => rmSync(join(path, ".store"), { recursive: true }),
  "its log removed": (path) => rmSync(join(path, ".store", "log"), { recursive: true }),
};

it.each(Object.entries(WAYS))("%s: no update is acknowledged from then on", async (_name, take) => {
  const path = join(temporaryFolder(), "sessions.d");
  const child = start("staying", { path, options: { durability: "disk" } });
  await child.next("open");
  expect(await update(child, 3)).toEqual(["done", "done", "done"]);
  await take(path);
  expect(new Set(await update(child, TIMES))).toEqual(new Set(["store_gone"]));
  expect(await readUntilRefused(child)).toBe("store_gone");
  expect((await child.next("watched"))["ending"]).toBe("store_gone");
  child.say({ event: "close" });
  await child.next("closed");
  expect((await child.ended).code).toBe(0);
});

it('with durability "os" it ends within a second or so', async () => {
  const path = join(temporaryFolder(), "sessions.d");
  const child = start("staying", { path, options: { durability: "os" } });
  await child.next("open");
  await update(child, 1);
  rmSync(path, { recursive: true });
  expect(await readUntilRefused(child)).toBe("store_gone");
  expect(new Set(await update(child, TIMES))).toEqual(new Set(["store_gone"]));
  child.say({ event: "close" });
  await child.ended;
});
