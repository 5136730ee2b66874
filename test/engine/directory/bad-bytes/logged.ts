/** A small store of which only the log counts, and what tests need to damage its segments. */
import { readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import type { Sandbox } from "../sandbox.js";

export interface Header {
  segment: number;
  firstRevision: number;
  after: number;
  stage: string;
  store: string;
}

/** Three commits in the live log, in no file: of `a`, of `b`, and of `a` again. */
export async function logged(box: Sandbox): Promise<Sandbox> {
  const store = await box.open();
  await store.put("a", { version: 1 });
  await store.put("b", { version: 1 });
  await store.put("a", { version: 2 });
  await store.close();
  // The closing store wrote the files; here only the log is to count.
  for (const key of ["a", "b"]) rmSync(box.folderOf(key), { recursive: true, force: true });
  rmSync(`${box.path}/.store/durable`); // and its tests cut it as they like
  return box;
}

export function lines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").slice(0, -1);
}

/** Revision of the record in a line of the first segment: one more than its offset. */
export function revisionAt(path: string, index: number): number {
  return 1 + Buffer.byteLength(lines(path).slice(0, index).join("\n")) + 1;
}

/** Puts something else in place of a line. Gives the segment's bytes then. */
export function damageLine(path: string, index: number, change: (line: string) => string): Buffer {
  const all = lines(path);
  const bad = change(all[index]!);
  expect(bad).not.toBe(all[index]);
  writeFileSync(
    path,
    [...all.slice(0, index), bad, ...all.slice(index + 1)].map((line) => `${line}\n`).join(""),
  );
  return readFileSync(path);
}

/** As if the file had been written before the system started. */
export function writtenBeforeBoot(path: string): void {
  utimesSync(path, 1, 1);
}

export function headerOf(path: string): Header {
  return JSON.parse(lines(path)[0]!.slice(9)) as Header;
}

export function record(segment: number, ops: unknown, n = 1): unknown {
  return { w: "f0f0f0f0f0f0", n, g: segment, t: 1, ops };
}
