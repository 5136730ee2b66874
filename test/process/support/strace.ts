/**
 * The system calls of a helper program, as `strace` saw them. A program marks regions with a call that does nothing
 * else (`access` of `/sessiondir-mark/…`), so that what it does in them can be told from what Node does.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { start, type Child, type ChildOptions } from "./child.js";

export interface SystemCall {
  readonly thread: number;
  /** `openat`; the calls that look at a file's status all count as `stat`. */
  readonly name: string;
  /** Arguments and result, as strace prints them. */
  readonly text: string;
}

/** Whether this machine has strace and lets it trace. */
export const canTrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;

/** Name of tests that need strace: says so where they are skipped. */
export function traced(name: string): string {
  return canTrace
    ? name
    : `${name} (skipped: strace is missing or may not trace: apt-get install strace; in a container, --cap-add=SYS_PTRACE)`;
}

/** Calls by which Node and the C library manage memory and threads, at any time: none of them touches a file. */
const BACKGROUND = new Set(
  "mmap munmap mprotect madvise mremap brk futex sched_yield getpid gettid clock_gettime getrusage".split(
    " ",
  ),
);
const STATUS = new Set(["stat", "lstat", "fstat", "newfstatat", "statx"]);

export class Trace {
  readonly calls: readonly SystemCall[];
  readonly mainThread: number;

  constructor(text: string) {
    this.calls = withoutAllocator(parseCalls(text));
    this.mainThread = this.calls[0]?.thread ?? 0;
  }

  /** What happened in each of the regions of a name, in all threads, the marks themselves left out. */
  regions(name: string): SystemCall[][] {
    const regions: SystemCall[][] = [];
    let current: SystemCall[] | undefined;
    for (const call of this.calls) {
      const mark = /\/sessiondir-mark\/(begin|end)-([^"]*)"/.exec(call.text);
      if (mark === null) current?.push(call);
      else if (mark[2] !== name) continue;
      else if (mark[1] === "begin") current = [];
      else if (current !== undefined) {
        regions.push(current);
        current = undefined;
      }
    }
    return regions;
  }

  /** Names of the main thread's calls in each of the regions of a name. */
  mainCalls(name: string): string[][] {
    return this.regions(name).map((calls) => {
      return calls.filter(({ thread }) => thread === this.mainThread).map((call) => call.name);
    });
  }
}

/** Runs a program under strace to its end. */
export async function trace(
  folder: string,
  program: string,
  argument: object,
  options: ChildOptions & { readonly during?: (child: Child) => Promise<void> } = {},
): Promise<Trace> {
  const output = join(folder, "trace");
  const prefix = ["strace", "-f", "-qq", "-s", "256", "-e", "signal=none", "-o", output];
  const child = start(program, argument, { ...options, prefix });
  await options.during?.(child);
  await child.finished();
  return new Trace(readFileSync(output, "utf8"));
}

/** Node wakes a thread of its own, the garbage collector's for example, by the number 1 in eight bytes. */
const WAKE_UP = /^\d+, "\\1(?:\\0){7}", 8\b/;

/** A call that other threads' calls interrupted is one call, where it began, with the text of both parts. */
function parseCalls(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<number, { index: number; call: SystemCall }>();
  for (const line of text.split("\n")) {
    const resumed = /^(\d+) +<\.\.\. [a-z0-9_]+ resumed>(.*)$/.exec(line);
    if (resumed !== null) {
      const begun = unfinished.get(Number(resumed[1]));
      if (begun === undefined) continue;
      unfinished.delete(begun.call.thread);
      calls[begun.index] = { ...begun.call, text: begun.call.text + (resumed[2] ?? "") };
      continue;
    }
    const call = parseCall(line);
    if (call === undefined) continue;
    if (call.text.endsWith(" <unfinished ...>")) unfinished.set(call.thread, { index: calls.length, call });
    calls.push(call);
  }
  return calls;
}

/** The C library's allocator asks once in its life, when it first gives memory back, whether the system overcommits. */
const OVERCOMMIT = /"\/proc\/sys\/vm\/overcommit_memory".*= (\d+)$/;

/** Leaves out what the allocator opens, reads and closes. */
function withoutAllocator(calls: readonly SystemCall[]): SystemCall[] {
  /** Its descriptor, by thread. */
  const open = new Map<number, string>();
  return calls.filter(({ thread, name, text }) => {
    const [, descriptor] = OVERCOMMIT.exec(text) ?? [];
    if (descriptor !== undefined) {
      open.set(thread, descriptor);
      return false;
    }
    const isIts = open.has(thread) && /^\d+/.exec(text)?.[0] === open.get(thread);
    if (isIts && name === "close") open.delete(thread);
    return !isIts;
  });
}

function parseCall(line: string): SystemCall | undefined {
  const match = /^(\d+) +([a-z0-9_]+)\((.*)$/.exec(line);
  if (match === null) return undefined; // the end of a thread
  const [, thread = "", name = "", text = ""] = match;
  if (BACKGROUND.has(name) || (name === "write" && WAKE_UP.test(text))) return undefined;
  return { thread: Number(thread), name: STATUS.has(name) ? "stat" : name, text };
}
