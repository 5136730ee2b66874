/**
 * One system call of a running process that never comes back, or fails: `strace` attaches to one thread of a program
 * that is ready, counts its calls from there, and meddles with the Nth. With one thread in libuv's pool, which of the two
 * threads makes the Nth call of a kind does not depend on chance, or nearly so.
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { start, type Child, type Message } from "./child.js";

/** Calls that change a disk or make it durable, or may be refused because it is full. */
const CALLS = [
  "write",
  "pwrite64",
  "fdatasync",
  "fsync",
  "rename",
  "renameat",
  "renameat2",
  "link",
  "linkat",
  "unlink",
  "unlinkat",
  "mkdir",
  "mkdirat",
  "rmdir",
  "openat",
  "ftruncate",
  "fchmod",
  "close",
] as const;
export type Call = (typeof CALLS)[number];

export type Thread = "main" | "pool";

/** Killed in front of the call, or the call fails. */
export type Fault = "KILL" | "ENOSPC" | "EIO";

export interface Case {
  readonly thread: Thread;
  readonly call: Call;
  readonly nth: number;
  readonly fault: Fault;
}

export interface Place {
  /** Everything that is being tested lies in here. */
  readonly folder: string;
  /** Folder of the programs; elsewhere. */
  readonly programs: string;
  /** Where strace writes; default: the folder. */
  readonly output?: string;
}

export interface Run {
  readonly messages: readonly Message[];
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  /** Whether it happened: the process may make fewer calls than it was counted to. */
  readonly injected: boolean;
  /** It was a call of Node's own that failed: what becomes of the process then says nothing about the store. */
  readonly astray: boolean;
}

/** Whether this machine has strace and lets it attach to a process that it did not start. */
export const canInject = await (async (): Promise<boolean> => {
  const sleeper = spawn("sleep", ["60"], { stdio: "ignore" });
  try {
    await attachStrace(["-o", "/dev/null", "-p", String(sleeper.pid)]);
    return true;
  } catch {
    return false;
  } finally {
    sleeper.kill("SIGKILL"); // and strace ends with it
  }
})();

/** Name of tests that need it: says so where they are skipped. */
export function injected(name: string): string {
  return canInject
    ? name
    : `${name} (skipped: strace is missing or may not attach: apt-get install strace; in a container, --cap-add=SYS_PTRACE)`;
}

/**
 * The calls of each thread from "ready" to the end, of each kind: for every one whether it concerned the folder. Others
 * are Node's own; it wakes its main thread by writing to an eventfd, and aborts if that fails.
 */
export async function count(
  place: Place,
  program: string,
  argumentFor: (thread: Thread) => Promise<object>,
): Promise<Map<Thread, Map<Call, readonly boolean[]>>> {
  const counts = new Map<Thread, Map<Call, readonly boolean[]>>();
  for (const thread of ["main", "pool"] as const) {
    const { log } = await attached(place, program, await argumentFor(thread), thread, [
      `trace=${known().join(",")}`,
    ]);
    const own = new Map<Call, readonly boolean[]>();
    for (const call of known()) {
      const lines = log.split("\n").filter((line) => line.startsWith(`${call}(`));
      if (lines.length > 0)
        own.set(
          call,
          lines.map((line) => concerns(place.folder, line)),
        );
    }
    counts.set(thread, own);
  }
  return counts;
}

/** Runs a program with one fault. */
export async function run(
  place: Place,
  program: string,
  argument: object,
  { thread, call, nth, fault }: Case,
): Promise<Run> {
  const action = fault === "KILL" ? "signal=KILL" : `error=${fault}`;
  // Without tracing the call nothing would be injected, and nobody would say so.
  const expressions = [`trace=${call}`, `inject=${call}:${action}:when=${nth}`];
  const { child, log } = await attached(place, program, argument, thread, expressions);
  const { code, signal, stderr } = await child.ended;
  const line = log.split("\n").find((text) => text.includes("(INJECTED)"));
  const injected = fault === "KILL" ? signal === "SIGKILL" : line !== undefined;
  const astray = line !== undefined && !concerns(place.folder, line);
  return { messages: child.messages, code, signal, stderr, injected, astray };
}

/** Stores reach their files through the pinned descriptor of their root. */
function concerns(folder: string, line: string): boolean {
  return line.includes(folder) || line.includes('"/proc/self/fd/');
}

async function attached(
  place: Place,
  program: string,
  argument: object,
  thread: Thread,
  expressions: readonly string[],
): Promise<{ child: Child; log: string }> {
  const child = start(program, argument, {
    prefix: ["env", "UV_THREADPOOL_SIZE=1"],
    programs: place.programs,
  });
  await child.next("ready");
  const id = thread === "main" ? child.id : poolThread(child.id);
  const output = join(place.output ?? place.folder, "injection");
  const options = expressions.flatMap((expression) => ["-e", expression]);
  const args = ["-y", "-o", output, ...options, "-e", "signal=none", "-p", String(id)];
  const { ended } = await attachStrace(args);
  child.say({ event: "begin" });
  await child.ended;
  await ended;
  return { child, log: readFileSync(output, "utf8") };
}

/** Resolves once it sees every call; then `ended` says when the process has ended. */
async function attachStrace(args: readonly string[]): Promise<{ ended: Promise<void> }> {
  const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<void>((resolve) => strace.on("close", () => resolve()));
  let said = "";
  await new Promise<void>((resolve, reject) => {
    strace.stderr.on("data", (text: Buffer) => {
      said += text.toString();
      if (said.includes("attached")) resolve();
    });
    strace.on("error", reject);
    strace.on("close", () => reject(new Error(`strace could not attach: ${said}`)));
  });
  return { ended };
}

/** The one thread of libuv's pool: the last that was started, when the program first asked something of it. */
function poolThread(id: number): number {
  const threads = readdirSync(`/proc/${id}/task`).map(Number);
  return Math.max(...threads);
}

let names: readonly Call[] | undefined;

/** The calls that this machine has: some architectures lack the older ones. */
function known(): readonly Call[] {
  names ??= CALLS.filter((call) => {
    return spawnSync("strace", ["-o", "/dev/null", "-e", `trace=${call}`, "true"]).status === 0;
  });
  return names;
}
