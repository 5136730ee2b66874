/**
 * Goal: which side is authoritative is what is on the disk at this moment, and the token changes with every commit of any process.
 * Method: real folders, migrated, rolled back, linked and damaged; two open stores that commit.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  isDirectorySessionStoreActive,
  readDirectorySessionStoreVersion,
  resolveSessionStoreDir,
} from "../../../src/openclaw/directory/active-store.js";
import { migrateSessionStoreToDirectory } from "../../../src/openclaw/directory/migration.js";
import { openDirectoryStore } from "../../../src/store/open.js";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-active-"));
  file = join(folder, "sessions.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

it("two files in one folder have two stores, and a store's own path leads to itself", () => {
  expect(resolveSessionStoreDir(file)).toBe(join(folder, "sessions.d"));
  expect(resolveSessionStoreDir(join(folder, "other.json"))).toBe(join(folder, "other.d"));
  expect(resolveSessionStoreDir(join(folder, "sessions.d"))).toBe(join(folder, "sessions.d"));
  expect(() => resolveSessionStoreDir(join(folder, "sessions.txt"))).toThrow(TypeError);
});

it("a folder that is no complete store does not count", () => {
  expect(isDirectorySessionStoreActive(file)).toBe(false);
  mkdirSync(join(folder, "sessions.d"));
  expect(isDirectorySessionStoreActive(file)).toBe(false);
  expect(readDirectorySessionStoreVersion(file)).toBeUndefined();
});

it("counts from the migration on, also through a symlink, and not after it was moved away", async () => {
  writeFileSync(file, '{"agent:main:main":{"sessionId":"a","updatedAt":1}}');
  const alias = `${folder}-alias`;
  symlinkSync(folder, alias);
  try {
    expect(isDirectorySessionStoreActive(join(alias, "sessions.json"))).toBe(false);
    await migrateSessionStoreToDirectory(file);
    expect(isDirectorySessionStoreActive(join(alias, "sessions.json"))).toBe(true);
    expect(resolveSessionStoreDir(join(alias, "sessions.json"))).toBe(join(folder, "sessions.d"));
    renameSync(join(folder, "sessions.d"), join(folder, "aside"));
    expect(isDirectorySessionStoreActive(file)).toBe(false);
  } finally {
    rmSync(alias);
  }
});

it("the token changes with every commit of anybody, not without one, and over checkpoints", async () => {
  const seen = new Set<string | undefined>();
  const first = await openDirectoryStore<{ n: number }>(file, { segmentBytes: 4096 });
  const second = await openDirectoryStore<{ n: number }>(file, { segmentBytes: 4096 });
  const see = (): void => {
    const token = readDirectorySessionStoreVersion(file);
    expect(token).toBeDefined();
    expect(readDirectorySessionStoreVersion(file)).toBe(token);
    expect(seen.has(token)).toBe(false);
    seen.add(token);
  };
  see();
  for (let n = 0; n < 60; n++) {
    await (n % 2 === 0 ? first : second).put(`key-${n % 7}`, { n });
    see();
  }
  await first.delete("key-1");
  see();
  await first.checkpoint();
  await second.put("key-2", { n: 1000 });
  see();
  await first.close();
  await second.close();
  // A store that takes the place of another one begins its log anew, but is not the same.
  renameSync(join(folder, "sessions.d"), join(folder, "aside"));
  await (await openDirectoryStore(file)).close();
  see();
});

it("a damaged store has no token, and does not throw", async () => {
  await (await openDirectoryStore(file)).close();
  const format = join(folder, "sessions.d/.store/format.json");
  rmSync(format);
  expect(readDirectorySessionStoreVersion(file)).toBeUndefined();
  symlinkSync("/etc/hostname", format);
  expect(readDirectorySessionStoreVersion(file)).toBeUndefined();
});
