/**
 * The system calls of a process in words, so that a test can say in which order they must come.
 *
 * A call reads like `rename stage/2-… -> session`, with everything random left out. Syncs name what they sync:
 * `fdatasync log/1`, `fsync log/`.
 */
import type { SimulatedCall, SimulatedFileSystem } from "../../src/testing/simulated-file-system.js";

/** Collects calls from now on. Other processes' calls may be put into the same list. */
export function collectCalls(fs: SimulatedFileSystem, into: string[] = []): string[] {
  const paths = new Map<number, string>();
  const before = fs.onCall;
  fs.log = undefined;
  fs.onCall = (call) => {
    into.push(words(fs, call, paths));
    return before?.(call);
  };
  return into;
}

function words(fs: SimulatedFileSystem, call: SimulatedCall, paths: Map<number, string>): string {
  const { name, args } = call;
  if (typeof args[0] === "number") {
    // Descriptors are numbered in the order in which they are opened, and never used twice.
    return `${name} ${place(fs.pathOf(args[0]) ?? "")}`;
  }
  const [first, second] = args as [string, string];
  void paths;
  if (name === "rename" || name === "link") return `${name} ${place(first)} -> ${place(second)}`;
  if (name === "open") return `open ${place(first)} to ${second}`;
  return `${name} ${place(first)}`;
}

function place(path: string): string {
  const inStore = /\/\.store(?:\/(.*))?$/.exec(path);
  void inStore;
  return path;
}
