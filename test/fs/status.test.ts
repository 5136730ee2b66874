/**
 * Goal: looks take what is absent for an answer, do not follow links, and tell two files apart whatever their names.
 * Method: each kind of thing on the real file system, blocking and not; a simulated disk that fails.
 */
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { nodeFileSystem as fs } from "../../src/fs/node-file-system.js";
import {
  exists,
  existsNow,
  isSameFile,
  namesIn,
  namesInNow,
  statusNow,
  statusOf,
} from "../../src/fs/status.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

let folder = "";
const at = (name: string): string => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-status-"));
  writeFileSync(at("file"), "12");
  mkdirSync(at("folder"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("sees what is there, and of a link the link", async () => {
  symlinkSync(at("nowhere"), at("link"));
  for (const [name, kind] of [
    ["file", "file"],
    ["folder", "directory"],
    ["link", "symlink"],
  ] as const) {
    expect(statusNow(fs, at(name))?.kind).toBe(kind);
    expect((await statusOf(fs, at(name)))?.kind).toBe(kind);
    expect(existsNow(fs, at(name))).toBe(true);
    expect(await exists(fs, at(name))).toBe(true);
  }
});

it("sees nothing where nothing is, and where nothing can be", async () => {
  for (const name of ["nothing", "nothing/deeper", "file/deeper"]) {
    expect(statusNow(fs, at(name))).toBeUndefined();
    expect(await statusOf(fs, at(name))).toBeUndefined();
    expect(existsNow(fs, at(name))).toBe(false);
    expect(await exists(fs, at(name))).toBe(false);
    expect(namesInNow(fs, at(name))).toEqual([]);
    expect(await namesIn(fs, at(name))).toEqual([]);
  }
  expect(namesInNow(fs, at("file"))).toEqual([]);
});

it("lists names in order", async () => {
  for (const name of ["b", "a", "B", "10", "9"]) writeFileSync(at(`folder/${name}`), "");
  expect(namesInNow(fs, at("folder"))).toEqual(["10", "9", "B", "a", "b"]);
  expect(await namesIn(fs, at("folder"))).toEqual(["10", "9", "B", "a", "b"]);
});

it("does not take a disk that fails for an empty one", async () => {
  const broken = new SimulatedDisk().mount("one");
  broken.onCall = ({ name, args }) => {
    throw systemError("EIO", { name, args });
  };
  expect(() => statusNow(broken, "/x")).toThrow("EIO");
  expect(() => namesInNow(broken, "/")).toThrow("EIO");
  await expect(statusOf(broken, "/x")).rejects.toThrow("EIO");
  await expect(namesIn(broken, "/")).rejects.toThrow("EIO");
});

it("knows a file under another name, and no other file by its number alone", () => {
  linkSync(at("file"), at("second"));
  writeFileSync(at("other"), "12");
  const file = fs.lstat(at("file"));
  expect(isSameFile(file, fs.lstat(at("second")))).toBe(true);
  expect(isSameFile(file, fs.lstat(at("other")))).toBe(false);
  expect(isSameFile(file, { inode: file.inode, device: file.device + 1n })).toBe(false);
});
