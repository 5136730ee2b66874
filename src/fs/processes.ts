/**
 * Which processes run on this machine, as far as the kernel tells: to know that somebody is gone without waiting for it.
 *
 * A process id alone says little: it is used again, and means another process in another container. So a process is
 * named by its id, its start in clock ticks since boot, and the boot and namespaces in which both mean something.
 */
import { readlinkSync } from "node:fs";
import { errnoOf } from "../errors.js";
import type { FileSystem } from "./file-system.js";
import { nodeFileSystem } from "./node-file-system.js";
import { readRegularFile } from "./regular-file.js";

/** Of `/proc/<pid>/stat`; a line of it is some hundred bytes. */
const PROC_BYTES_MAX = 64 * 1024;
/** Fields of `/proc/<pid>/stat` behind the command's name, which may contain anything. */
const STATE_FIELD = 0;
const START_FIELD = 19;
/** Ended, and not yet asked after by its parent. */
const ENDED_STATES: ReadonlySet<string> = new Set(["Z", "X", "x"]);

/** A process that can be told from every other one. */
export interface ProcessName {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly start: number;
  /** Boot of the machine, and namespaces, in which the two mean something. */
  readonly space: string;
}

/** The processes of a machine. */
export interface Processes {
  /** Undefined where the system does not tell. */
  readonly self: ProcessName | undefined;
  /** True only if this process has certainly ended: it was one of this machine, and runs no more. */
  readonly isGone: (name: ProcessName) => boolean;
}

export const systemProcesses: Processes = {
  get self() {
    const space = spaceOf(nodeFileSystem);
    const start = startTimeOf(nodeFileSystem, process.pid);
    return space === undefined || start === undefined ? undefined : { pid: process.pid, start, space };
  },
  isGone({ pid, start, space }) {
    if (!Number.isSafeInteger(pid) || pid <= 0 || space !== spaceOf(nodeFileSystem)) return false;
    if (!isAlive(pid)) return true;
    const stat = statOf(nodeFileSystem, pid);
    return stat !== undefined && (stat.start !== start || ENDED_STATES.has(stat.state));
  },
};

/** Whether there is a process of this id, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === "EPERM"; // somebody else's, but there
  }
}

/** Clock ticks from boot to the start of a process; undefined where the system does not tell. */
export function startTimeOf(fs: FileSystem, pid: number): number | undefined {
  return statOf(fs, pid)?.start;
}

function statOf(fs: FileSystem, pid: number): { readonly state: string; readonly start: number } | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const text = readRegularFile(fs, `/proc/${pid}/stat`, { bytesMax: PROC_BYTES_MAX }).toString();
    const fields = text
      .slice(text.lastIndexOf(")") + 1)
      .trim()
      .split(/\s+/);
    const start = Number(fields[START_FIELD]);
    return Number.isSafeInteger(start) && start >= 0
      ? { state: fields[STATE_FIELD] ?? "", start }
      : undefined;
  } catch {
    return undefined;
  }
}

let space: string | undefined;

/** A container sees other processes under the same ids, and may see another clock. */
function spaceOf(fs: FileSystem): string | undefined {
  if (space !== undefined || process.platform !== "linux") return space;
  try {
    const boot = readRegularFile(fs, "/proc/sys/kernel/random/boot_id", { bytesMax: PROC_BYTES_MAX });
    space = [boot.toString().trim(), ...["pid", "time"].map(namespaceOf)].join(" ");
  } catch {
    return undefined;
  }
  return space;
}

function namespaceOf(kind: string): string {
  try {
    return readlinkSync(`/proc/self/ns/${kind}`);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && kind === "time") return ""; // before Linux 5.6
    throw error;
  }
}
