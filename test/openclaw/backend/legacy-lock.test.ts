/**
 * Goal: the lock file of a legacy file is one that old gateways understand, is never had by two, and never stands for ever.
 * Method: real files; what others do in between is done inside a call of the file system, at the very place where it hurts.
 */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { FileSystem } from "../../../src/fs/file-system.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { systemRuntime } from "../../../src/runtime.js";
import { LegacyLock } from "../../../src/openclaw/backend/legacy-lock.js";

function place(): { file: string; lock: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-lock-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "sessions.json");
  return { folder, file, lock: `${file}.lock` };
}

function acquire(file: string, waitMsMax = 5000, calls: Partial<FileSystem> = {}): Promise<LegacyLock> {
  const fs = { ...nodeFileSystem, ...calls };
  return LegacyLock.acquire({ fs, runtime: systemRuntime }, file, waitMsMax);
}

/** The id of a process that is gone. */
function deadProcess(): number {
  return spawnSync(process.execPath, ["--version"]).pid;
}

function lockOf(pid: number, ageMs: number, fields: Record<string, unknown> = {}): string {
  const createdAt = new Date(Date.now() - ageMs).toISOString();
  return JSON.stringify({ pid, createdAt, ...fields }, null, 2);
}

function ownStart(): number {
  const stat = readFileSync("/proc/self/stat", "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}

describe("the lock of a legacy file", () => {
  it("says what old gateways read, and is gone after the release", async () => {
    const { file, lock, folder } = place();
    const held = await acquire(file);
    const content = JSON.parse(readFileSync(lock, "utf8")) as Record<string, unknown>;
    expect(content.pid).toBe(process.pid);
    expect(Math.abs(Date.parse(String(content.createdAt)) - Date.now())).toBeLessThan(60_000);
    if (process.platform === "linux") expect(content.starttime).toBe(ownStart());
    expect(held.isHeld()).toBe(true);
    held.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("waits until the holder lets go", async () => {
    const { file, lock } = place();
    writeFileSync(lock, lockOf(process.ppid, 0));
    const waiting = acquire(file);
    let got = false;
    void waiting.then(() => (got = true));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(got).toBe(false);
    rmSync(lock);
    (await waiting).release();
  });

  it("ends the wait with an error that names lock, holder and next step", async () => {
    const { file, lock } = place();
    writeFileSync(lock, lockOf(process.ppid, 0));
    let [clock, sleeps] = [0, 0];
    const sleep = async (ms: number): Promise<void> => {
      clock += ms;
      expect(++sleeps).toBeLessThan(1000);
    };
    const runtime = { ...systemRuntime, monotonic: () => clock, sleep };
    await expect(LegacyLock.acquire({ fs: nodeFileSystem, runtime }, file, 30)).rejects.toMatchObject({
      code: "legacy_locked",
      message: expect.stringMatching(new RegExp(`${lock}.*process ${process.ppid}.*stop it`)) as unknown,
      data: { lock, pid: process.ppid, waitMsMax: 30 },
    });
    expect(readFileSync(lock, "utf8")).toContain(String(process.ppid));
  });

  it.each<[string, () => string, boolean]>([
    ["a process that is gone", () => lockOf(deadProcess(), 0), true],
    ["30 s ago", () => lockOf(process.ppid, 31_000), true],
    ["a moment ago", () => lockOf(process.ppid, 25_000), false],
    ["another process of the same id", () => lockOf(process.ppid, 0, { starttime: 1 }), true],
    ["nobody who can be told, a moment ago", () => "", false],
    ["a broken clock", () => JSON.stringify({ pid: process.ppid, createdAt: "yesterday" }), false],
  ])("judges a lock of %s as old gateways do", async (_name, content, stale) => {
    if (_name.startsWith("another") && process.platform !== "linux") return;
    const { file, lock, folder } = place();
    writeFileSync(lock, content());
    if (!stale) {
      await expect(acquire(file, 20)).rejects.toMatchObject({ code: "legacy_locked" });
      const old = new Date(Date.now() - 31_000);
      utimesSync(lock, old, old);
      if (readFileSync(lock, "utf8").includes(new Date().toISOString().slice(0, 10))) return;
    }
    (await acquire(file, 1000)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is had by one at a time, when many take over the same stale one", async () => {
    const { file, lock, folder } = place();
    for (let round = 0; round < 20; round++) {
      writeFileSync(lock, lockOf(deadProcess(), 0));
      let holders = 0;
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const held = await acquire(file);
          expect(++holders).toBe(1);
          await new Promise((resolve) => setImmediate(resolve));
          expect(held.isHeld()).toBe(true);
          holders--;
          held.release();
        }),
      );
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not taken from somebody who took it over in between, and the takeover looks twice", async () => {
    const { file, lock } = place();
    writeFileSync(lock, lockOf(deadProcess(), 0));
    let first = true;
    const late = acquire(file, 200, {
      open: (path, mode) => {
        // Judged stale, about to take over: somebody else has done it meanwhile.
        if (first && path.endsWith(".takeover")) {
          first = false;
          writeFileSync(lock, lockOf(process.ppid, 0));
        }
        return nodeFileSystem.open(path, mode);
      },
    });
    await expect(late).rejects.toMatchObject({ code: "legacy_locked", data: { pid: process.ppid } });
    expect(first).toBe(false);
  });

  it("is given back when an old gateway replaced it in the last moment", async () => {
    const { file, lock, folder } = place();
    writeFileSync(lock, lockOf(deadProcess(), 0));
    const theirs = lockOf(process.ppid, 0);
    let first = true;
    const late = acquire(file, 200, {
      rename: (from, to) => {
        if (first) {
          first = false;
          rmSync(lock);
          writeFileSync(lock, theirs);
        }
        nodeFileSystem.rename(from, to);
      },
    });
    await expect(late).rejects.toMatchObject({ code: "legacy_locked" });
    expect(readFileSync(lock, "utf8")).toBe(theirs);
    expect(readdirSync(folder)).toEqual(["sessions.json.lock"]);
  });

  it("survives a takeover that was killed in the middle", async () => {
    const { file, lock, folder } = place();
    writeFileSync(lock, lockOf(deadProcess(), 0));
    writeFileSync(`${lock}.takeover`, lockOf(deadProcess(), 0));
    writeFileSync(`${lock}.stale-0123456789abcdef`, lockOf(deadProcess(), 0));
    (await acquire(file)).release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is left to whoever is taking it over", async () => {
    const { file, lock, folder } = place();
    const [stale, theirs] = [lockOf(deadProcess(), 0), lockOf(process.ppid, 0)];
    writeFileSync(lock, stale);
    writeFileSync(`${lock}.takeover`, theirs);
    await expect(acquire(file, 20)).rejects.toMatchObject({ code: "legacy_locked" });
    expect([readFileSync(lock, "utf8"), readFileSync(`${lock}.takeover`, "utf8")]).toEqual([stale, theirs]);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it("knows when it was lost, and does not remove somebody else's", async () => {
    const { file, lock } = place();
    const held = await acquire(file);
    rmSync(lock);
    expect(held.isHeld()).toBe(false);
    const theirs = lockOf(process.ppid, 0);
    writeFileSync(lock, theirs);
    expect(held.isHeld()).toBe(false);
    held.release();
    expect(readFileSync(lock, "utf8")).toBe(theirs);
  });

  it("leaves nothing behind on a full disk", async () => {
    const { file, lock } = place();
    const full = Object.assign(new Error("full"), { code: "ENOSPC", syscall: "write" });
    const write = (): never => {
      throw full;
    };
    await expect(acquire(file, 100, { write })).rejects.toBe(full);
    expect(existsSync(lock)).toBe(false);
  });
});
