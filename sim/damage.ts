/**
 * A file of the store is damaged behind everybody's back: a session's `meta.json` or a file of a transcript, a catalog, a hint, or a segment of the
 * log, of which each process may have read as much as it has.
 */
import { segmentName } from "../src/format/layout.js";
import { parseMark } from "../src/format/log-line.js";
import { keyFromFolderName } from "../src/format/session-key.js";
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import { FROM, STORE, TO, type Oracle } from "./oracle.js";
import type { DamageKind } from "./schedule.js";

/** Not damaged: what they add up to is looked at in every state. */
const SPARED: ReadonlySet<string> = new Set([FROM, TO]);
const LOG = ".store/log";

export interface Damage {
  /** Sessions of which records, or the file, were in the damaged bytes; "" for a catalog or a hint. */
  readonly keys: readonly string[];
  readonly inLog: boolean;
}

export interface Aim {
  /** Which file, as a fraction of 1000 of all. */
  readonly file: number;
  /** Which byte of it, likewise. */
  readonly at: number;
  readonly kind: DamageKind;
}

/** @returns Undefined if there was nothing to damage. */
export function damage(disk: SimulatedDisk, oracle: Oracle, { file, at, kind }: Aim): Damage | undefined {
  const folders = disk.names(STORE).filter((name) => !SPARED.has(name) && !name.startsWith("."));
  const derived = disk.names(`${STORE}/.store`).filter((name) => /^(catalog|hint)-/.test(name));
  const segments = disk.names(`${STORE}/${LOG}`).map((name) => `${LOG}/${name}`);
  const files = folders.flatMap((folder) =>
    disk.names(`${STORE}/${folder}`).map((name) => `${folder}/${name}`),
  );
  const others = [...files, ...derived.map((name) => `.store/${name}`)];
  const all = kind === "flip a file" ? others : segments;
  const chosen = all[Math.floor((file * all.length) / 1000)];
  const content = chosen === undefined ? undefined : disk.readRaw(`${STORE}/${chosen}`);
  if (chosen === undefined || content === undefined || content.length === 0) return undefined;
  const inLog = chosen.startsWith(LOG);
  const place = Math.floor((at * content.length) / 1000);
  const size = 1 + ((at * 7) % BLOCK_BYTES);
  const { bytes, end } = damaged(content, place, size, kind);
  if (kind === "cut" && !isMarked(disk, chosen, place)) return undefined;
  if (bytes.equals(content) || (inLog && kind !== "cut" && looksTorn(bytes))) return undefined;
  disk.writeRaw(`${STORE}/${chosen}`, bytes);
  if (!inLog) return { keys: [keyFromFolderName(chosen.split("/")[0] ?? "") ?? ""], inLog };
  return { keys: oracle.changedWithin(Number.parseInt(chosen.slice(LOG.length + 1), 10), place, end), inLog };
}

/** A last line that is damaged so that it looks like a write cut short cannot be told from one (docs/durability.md). */
function looksTorn(bytes: Buffer): boolean {
  return bytes.at(-1) !== 0x0a && bytes.at(-1) !== 0;
}

/** Behind what the mark says a cut is seen only by who had read more, and by nobody if that dies (docs/durability.md). */
function isMarked(disk: SimulatedDisk, segment: string, place: number): boolean {
  const mark = parseMark(disk.readRaw(`${STORE}/.store/durable`) ?? Buffer.alloc(0));
  return mark !== undefined && `${LOG}/${segmentName(mark.segment)}` === segment && place < mark.bytes;
}

/** About a record or two. */
const BLOCK_BYTES = 400;

/** @returns The damaged bytes, and where in the old ones the damage ends. */
function damaged(
  content: Buffer,
  place: number,
  size: number,
  kind: DamageKind,
): { bytes: Buffer; end: number } {
  const bytes = Buffer.from(content);
  const end = Math.min(content.length, place + size);
  switch (kind) {
    case "flip a file":
    case "flip":
      bytes[place] = bytes[place]! ^ (1 << (size % 8));
      return { bytes, end: place + 1 };
    case "cut":
      return { bytes: content.subarray(0, place), end: content.length };
    case "zeros":
      return { bytes: bytes.fill(0, place, end), end };
    case "stale":
      bytes.copy(bytes, place, Math.max(0, place - size), Math.max(0, place - size) + (end - place));
      return { bytes, end };
    case "newline": {
      const newline = content.indexOf("\n", place);
      if (newline >= 0) bytes[newline] = 0x20 + (size % 90);
      return { bytes, end: newline + 1 };
    }
  }
}
