/** One damage to one file of a store, by chance: what hardware, a bad copy or a lost write do to bytes. */
import { segmentNumber } from "../../../../src/format/layout.js";
import { parseMark } from "../../../../src/format/log-line.js";
import type { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { STORE } from "../../../support/processes.js";
import { segments } from "./scenes.js";

export const WHERE = [
  "log",
  "log header",
  "entry file",
  "catalog",
  "shared value",
  "durable mark",
  "format.json",
] as const;
export const HOW = [
  "bit flip",
  "zeroed block",
  "stale block",
  "doubled block",
  "swapped blocks",
  "cut tail",
  "inserted block",
] as const;

export type Where = (typeof WHERE)[number];
export type How = (typeof HOW)[number];

export interface Damage {
  readonly where: Where;
  readonly how: How;
  readonly path: string;
  readonly before: Buffer;
  readonly after: Buffer;
  /** The end of the newest segment is missing, or looks like a write cut short, in bytes that nothing says were durable. */
  readonly endIsMissing: boolean;
  /** A segment ends in front of where it ended. */
  readonly isCut: boolean;
}

const NEWLINE = 0x0a;
/** Bytes: about a record or three. */
const BLOCK_MAX = 600;

/** @returns Undefined if there is no such file, or its bytes stay what they were. */
export function damage(
  disk: SimulatedDisk,
  where: Where,
  how: How,
  pick: (count: number) => number,
): Damage | undefined {
  const files = filesOf(disk, where).filter((path) => (disk.readRaw(path)?.length ?? 0) > 1);
  const path = files[pick(files.length)];
  const before = path === undefined ? undefined : disk.readRaw(path);
  if (path === undefined || before === undefined) return undefined;
  const header = before.indexOf("\n") + 1;
  const from = where === "log" ? header : 0;
  if (from >= before.length) return undefined;
  const length = where === "log header" ? header : before.length;
  const after = damaged(before, from, from + pick(length - from), how, pick);
  if (after.equals(before)) return undefined;
  disk.writeRaw(path, after);
  const isLog = where === "log" || where === "log header";
  const isCut = isLog && after.length < before.length;
  const torn = isCut || after.at(-1) !== NEWLINE;
  const endIsMissing = isLog && torn && path === segments(disk).at(-1) && !isDurable(disk, path, after);
  return { where, how, path, before, after, endIsMissing, isCut };
}

/** Whether the mark says that more of the newest segment was durable than its last line that ends. */
function isDurable(disk: SimulatedDisk, path: string, after: Buffer): boolean {
  const mark = parseMark(disk.readRaw(`${STORE}/.store/durable`) ?? Buffer.alloc(0));
  if (mark?.segment !== segmentNumber(path.slice(path.lastIndexOf("/") + 1))) return false;
  return mark !== undefined && mark.bytes > after.lastIndexOf(NEWLINE) + 1;
}

function filesOf(disk: SimulatedDisk, where: Where): string[] {
  if (where === "log" || where === "log header") return segments(disk);
  const all = Object.keys(disk.tree(STORE));
  const pattern = {
    "entry file": /\/meta\.json$/,
    catalog: /\/catalog-\d+$/,
    "shared value": /\/blobs\/..\/.+\.json$/,
    "durable mark": /\/durable$/,
    "format.json": /\/format\.json$/,
  };
  return all.filter((path) => pattern[where].test(path));
}

function damaged(
  before: Buffer,
  from: number,
  at: number,
  how: How,
  pick: (count: number) => number,
): Buffer {
  const bytes = Buffer.from(before);
  const end = Math.min(bytes.length, at + 1 + pick(BLOCK_MAX));
  switch (how) {
    case "bit flip":
      bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
      return bytes;
    case "zeroed block":
      return bytes.fill(0, at, end);
    case "stale block": {
      const source = from + pick(bytes.length - from);
      before.copy(bytes, at, source, Math.min(before.length, source + (end - at)));
      return bytes;
    }
    case "doubled block": {
      const length = Math.min(end - at, at - from); // what was written once more, over what came next
      before.copy(bytes, at, at - length, at);
      return bytes;
    }
    case "swapped blocks": {
      const length = end - at;
      const other = from + pick(Math.max(1, bytes.length - from - length));
      if (Math.abs(other - at) < length) return bytes;
      before.copy(bytes, at, other, other + length);
      before.copy(bytes, other, at, at + length);
      return bytes;
    }
    case "inserted block": // no disk does that, but tools that copy or edit files do
      return Buffer.concat([before.subarray(0, end), before.subarray(at, end), before.subarray(end)]);
    case "cut tail":
      return bytes.subarray(0, at);
  }
}
