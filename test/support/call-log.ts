/**
 * The system calls of a process in words, so that a test can say in which order they must come.
 *
 * A call reads like `rename stage/2/temp -> a/meta.json` or `fdatasync log/1`: what is random is left out, folders end
 * with a slash, and `/` alone is the store's folder.
 */
import { expect } from "vitest";
import type { FileSystem } from "../../src/fs/file-system.js";
import { catalogNumber, isPartName, partOfFileName, segmentNumber } from "../../src/format/layout.js";
import type { SimulatedCall, SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";
import { interceptCalls } from "./intercept-calls.js";
import { STORE } from "./processes.js";

export class CallLog {
  calls: string[] = [];
  readonly #paths = new Map<number, string>();

  /** To be given to `ProcessOptions.through`: learns which descriptor is which file, and collects every call. */
  readonly through = (fs: SimulatedFileSystem): FileSystem => {
    const before = fs.onCall;
    fs.onCall = (call) => {
      this.calls.push(this.#words(call));
      return before?.(call);
    };
    const opened = (path: string, fd: number): number => {
      this.#paths.set(fd, path);
      return fd;
    };
    return interceptCalls(fs, {
      open: (path, mode) => opened(path, fs.open(path, mode)),
      later: { open: async (path, mode) => opened(path, await fs.later.open(path, mode)) },
    });
  };

  clear(): void {
    this.calls = [];
  }

  /** Asserts that these calls were made, in this order, whatever was between them. */
  expectInOrder(...wanted: readonly string[]): void {
    let next = 0;
    for (const call of this.calls) if (call === wanted[next]) next++;
    if (next === wanted.length) return;
    expect.fail(
      `missing, or too early: "${wanted[next]}" behind "${wanted[next - 1]}" in\n${this.calls.join("\n")}`,
    );
  }

  #words({ name, args }: SimulatedCall): string {
    const [first, second] = args as [string | number, string];
    const path = typeof first === "number" ? (this.#paths.get(first) ?? `descriptor ${first}`) : first;
    if (name === "rename" || name === "link") return `${name} ${place(path)} -> ${place(second)}`;
    if (name === "open")
      return `${second === "create" ? "create" : "open"} ${place(path, second === "directory")}`;
    return `${name} ${place(path, name === "fsync" || name === "mkdir" || name === "rmdir" || name === "readdir")}`;
  }
}

function place(path: string, folder = false): string {
  const parts = path
    .replace(/^\/proc\/self\/fd\/\d+/, "")
    .replace(STORE, "")
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .map((part, index, all) => plain(part, all[index - 1] ?? ""));
  if (parts[0] === ".store" && parts.length > 1) parts.shift();
  return parts.join("/") + (folder || parts.length === 0 ? "/" : "");
}

function plain(name: string, parent: string): string {
  if (parent === "log") return String(segmentNumber(name) ?? name);
  if (parent === "stage") return /^\d+(?:-catalog$)?/.exec(name)?.[0] ?? name;
  if (/^\d+-catalog$/.test(parent)) return isPartName(name) ? "part" : "temp";
  if (/^\d+-[0-9a-f]+$/.test(parent)) return name === "segment" ? name : "temp";
  if (parent === "blobs") return "xx";
  if (parent === "trash") return "blob";
  if (/^[0-9a-f]{64}\.json$/.test(name)) return "blob";
  if (partOfFileName(name) !== undefined) return "part";
  return catalogNumber(name) === undefined ? name.replace(/-[0-9a-f]{16}$/, "-…") : "catalog";
}
