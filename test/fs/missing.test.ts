/**
 * Goal: what is not there is an answer, and nothing else is: a disk that fails, a right that is missing and a program's own
 * mistake are thrown as they came.
 * Method: errors of every kind through every function; the real file system for what it says of which path.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  ignoreExisting,
  ignoreMissing,
  isAbsent,
  isMissing,
  unlessAbsent,
  unlessMissing,
  wasThere,
} from "../../src/fs/missing.js";
import { nodeFileSystem as fs } from "../../src/fs/node-file-system.js";

const failure = (code: string): Error => Object.assign(new Error(code), { code });
const MISSING = failure("ENOENT");
const NOT_A_FOLDER = failure("ENOTDIR");
const OTHERS = [failure("EIO"), failure("EACCES"), failure("ELOOP"), new TypeError("ENOENT"), "ENOENT"];

function thrower(error: unknown): () => never {
  return () => {
    throw error;
  };
}

it("takes the system's word for what is missing, and for what cannot be there", () => {
  expect([isMissing(MISSING), isMissing(NOT_A_FOLDER)]).toEqual([true, false]);
  expect([isAbsent(MISSING), isAbsent(NOT_A_FOLDER)]).toEqual([true, true]);
  for (const other of OTHERS) expect([isMissing(other), isAbsent(other)]).toEqual([false, false]);
});

it("is what the real file system says", () => {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-missing-"));
  try {
    writeFileSync(join(folder, "file"), "");
    expect(unlessMissing(() => fs.lstat(join(folder, "nothing", "deeper")))).toBeUndefined();
    expect(unlessAbsent(() => fs.lstat(join(folder, "file", "deeper")))).toBeUndefined();
    expect(unlessMissing(() => fs.lstat(join(folder, "file")))?.kind).toBe("file");
    expect(() => unlessMissing(() => fs.lstat(join(folder, "x".repeat(300))))).toThrow("ENAMETOOLONG");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("a call that gives something", () => {
  it("gives it, undefined for nothing, and passes every other failure on", () => {
    expect(unlessMissing(() => 0)).toBe(0);
    expect(unlessMissing(thrower(MISSING))).toBeUndefined();
    expect(unlessAbsent(thrower(NOT_A_FOLDER))).toBeUndefined();
    expect(() => unlessMissing(thrower(NOT_A_FOLDER))).toThrow(NOT_A_FOLDER);
    for (const other of OTHERS) {
      let thrown: unknown;
      for (const unless of [unlessMissing, unlessAbsent]) {
        try {
          unless(thrower(other));
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBe(other);
      }
    }
  });
});

describe("a call that removes or makes something", () => {
  it("tells whether it was there, and passes every other failure on", async () => {
    expect(await wasThere(Promise.resolve())).toBe(true);
    expect(await wasThere(Promise.reject(MISSING))).toBe(false);
    await ignoreMissing(Promise.reject(MISSING));
    for (const other of [NOT_A_FOLDER, failure("EEXIST"), failure("EIO")]) {
      await expect(wasThere(Promise.reject(other))).rejects.toBe(other);
      await expect(ignoreMissing(Promise.reject(other))).rejects.toBe(other);
    }
  });

  it("takes one that exists for its own, and nothing else", async () => {
    await ignoreExisting(Promise.reject(failure("EEXIST")));
    await expect(ignoreExisting(Promise.reject(MISSING))).rejects.toBe(MISSING);
  });
});
