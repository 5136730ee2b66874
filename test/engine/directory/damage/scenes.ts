/**
 * Stores that were in use, and what a test must know of them to judge what is left after damage: every session's latest
 * state, every record of the log, and where a process would overwrite a newer entry file with an older one.
 */
import { parseEntryDocument } from "../../../../src/format/entry-document.js";
import { isChange, parseLogLines, type LogOp } from "../../../../src/format/log-line.js";
import { folderNameForKey } from "../../../../src/format/session-key.js";
import type { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { boot, openOn, STORE, type Process, type ProcessOptions } from "../../../support/processes.js";

export const LOG = `${STORE}/.store/log`;

/** Path of a session's file. */
export function entryFile(key: string): string {
  return `${STORE}/${folderNameForKey(key)}/meta.json`;
}

/** Revision in a session's file; undefined if there is none, or it is damaged. */
export function fileRevision(disk: SimulatedDisk, path: string): number | undefined {
  const bytes = disk.readRaw(path);
  if (bytes === undefined) return undefined;
  const parsed = parseEntryDocument(bytes);
  return parsed.ok ? parsed.revision : undefined;
}

/** Paths of the segments, lowest first. */
export function segments(disk: SimulatedDisk): string[] {
  return disk
    .names(LOG)
    .sort()
    .map((name) => `${LOG}/${name}`);
}

/** A change of one session, as a record has it. */
export interface Change {
  readonly path: string;
  /** Of the record's line. */
  readonly at: number;
  /** Behind its newline. */
  readonly end: number;
  readonly revision: number;
  readonly op: LogOp;
}

/** Every change in the log that can be read, oldest first. */
export function changesIn(disk: SimulatedDisk): Change[] {
  return segments(disk).flatMap((path) => changesOf(path, disk.readRaw(path) ?? Buffer.alloc(0)));
}

/** Every change in a segment's bytes that can be read. */
export function changesOf(path: string, bytes: Buffer): Change[] {
  const changes: Change[] = [];
  let firstRevision = 0;
  for (
    let start = 0, end = bytes.indexOf("\n");
    end >= 0;
    start = end + 1, end = bytes.indexOf("\n", start)
  ) {
    for (const { at, line } of parseLogLines(bytes, start, end)) {
      if (line.kind === "header") firstRevision = line.header.firstRevision;
      if (line.kind !== "record") continue;
      const revision = firstRevision + at;
      for (const op of line.record.ops.filter(isChange))
        changes.push({ path, at, end: end + 1, revision, op });
    }
  }
  return changes;
}

/** The changes that a state of a session was made of: from the last whole entry on. Undefined if the log lacks one. */
export function chainOf(changes: readonly Change[], key: string, revision: number): Change[] | undefined {
  const own = changes.filter(({ op }) => op.k === key);
  const last = own.findIndex((change) => change.revision === revision);
  if (last < 0) return undefined;
  let first = last;
  while (first >= 0 && own[first]?.op.p !== undefined) first--;
  return first < 0 ? undefined : own.slice(first, last + 1);
}

/** Flips one bit of a file, behind everybody's back. */
export function flip(disk: SimulatedDisk, path: string, at: number, bit = 0): void {
  const bytes = disk.readRaw(path);
  if (bytes === undefined) throw new Error(`no ${path}`);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  disk.writeRaw(path, bytes);
}

/** A process of which every call is looked at: `onStale` hears of a newer entry file that an older one replaces. */
export function startWatched(
  disk: SimulatedDisk,
  name: string,
  onStale: (what: string) => void,
  options: ProcessOptions = {},
): Promise<Process> {
  const machine = boot(disk, name);
  machine.fs.onCall = (call) => {
    const stale = staleRename(disk, call);
    if (stale !== undefined) onStale(`${name}: ${stale}`);
  };
  return openOn(machine, options);
}

/** What a rename replaces by something older, unless a copy of it was put into the quarantine before. */
function staleRename(disk: SimulatedDisk, { name, args }: SimulatedCall): string | undefined {
  if (name !== "rename") return undefined;
  const [from = "", to = ""] = args.map((path) => String(path).replace(/^\/proc\/self\/fd\/\d+/, STORE));
  if (!to.endsWith("/meta.json")) return undefined;
  const before = fileRevision(disk, to);
  const after = fileRevision(disk, from);
  if (before === undefined || after === undefined || before <= after) return undefined;
  if (isQuarantined(disk, disk.readRaw(to))) return undefined;
  return `${to} of revision ${before} is replaced by revision ${after}`;
}

export function isQuarantined(disk: SimulatedDisk, bytes: Buffer | undefined): boolean {
  return quarantine(disk).some((name) =>
    disk.readRaw(`${STORE}/.store/quarantine/${name}`)?.equals(bytes ?? LOG_NONE),
  );
}

const LOG_NONE = Buffer.alloc(0);

export function quarantine(disk: SimulatedDisk): string[] {
  return disk.names(`${STORE}/.store/quarantine`);
}
