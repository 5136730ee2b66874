/**
 * Where things lie in a store's folder. `root` is the folder itself, or a pinned descriptor that stands for it.
 */
import { folderNameForKey } from "./session-key.js";
import type { ChunkId } from "./transcript-head.js";

/** Name of the store's internal folder; everything else in a store's folder is a session. */
export const STORE_FOLDER = ".store";
export const ENTRY_FILE = "meta.json";
export const RESERVE_FILE = "reserve";

export class Layout {
  readonly store: string;
  readonly format: string;
  readonly log: string;
  readonly stage: string;
  readonly blobs: string;
  readonly trash: string;
  readonly quarantine: string;
  /** Room that is kept for getting out of a full disk. */
  readonly reserve: string;
  /** How far the log is durable. */
  readonly durable: string;

  /** @param storeFolder Another name than `.store` for a store that is still being built. */
  constructor(
    readonly root: string,
    storeFolder = STORE_FOLDER,
  ) {
    this.store = `${root}/${storeFolder}`;
    this.format = `${this.store}/format.json`;
    this.log = `${this.store}/log`;
    this.stage = `${this.store}/stage`;
    this.blobs = `${this.store}/blobs`;
    this.trash = `${this.store}/trash`;
    this.quarantine = `${this.store}/quarantine`;
    this.reserve = `${this.store}/${RESERVE_FILE}`;
    this.durable = `${this.store}/durable`;
  }

  segment(number: number): string {
    return `${this.log}/${segmentName(number)}`;
  }

  stageFolder(name: string): string {
    return `${this.stage}/${name}`;
  }

  catalog(segment: number): string {
    return `${this.store}/${catalogName(segment)}`;
  }

  /** A part of catalogs. */
  part(name: string): string {
    return `${this.store}/${CATALOG}${name}`;
  }

  /** The only way in for the catalog of a segment: a staging folder that goes once the segment after it may be checkpointed. */
  catalogGate(segment: number): string {
    return this.stageFolder(`${segment + 1}${GATE}`);
  }

  operations(segment: number): string {
    return `${this.store}/${OPERATIONS}${segment}`;
  }

  hint(segment: number): string {
    return `${this.store}/${HINT}${segment}`;
  }

  sessionFolder(key: string): string {
    return `${this.root}/${folderNameForKey(key)}`;
  }

  entryFile(key: string): string {
    return `${this.sessionFolder(key)}/${ENTRY_FILE}`;
  }

  chunk(key: string, transcript: string, id: ChunkId): string {
    return this.chunkOf(key, folderNameForKey(transcript), id);
  }

  /** @param encoded The transcript's name as file names have it. */
  chunkOf(key: string, encoded: string, id: ChunkId): string {
    return `${this.sessionFolder(key)}/${chunkName(encoded, id)}`;
  }

  /** Folder that holds the blob: the first two digits of its hash. */
  blobFolder(hash: string): string {
    return `${this.blobs}/${hash.slice(0, 2)}`;
  }

  blob(hash: string): string {
    return `${this.blobFolder(hash)}/${hash}.json`;
  }
}

export function segmentName(number: number): string {
  return `${String(number).padStart(8, "0")}.jsonl`;
}

/** Names sort as their items do. @param encoded The transcript's name as file names have it. */
function chunkName(encoded: string, { first, born }: ChunkId): string {
  return `${encoded}.${String(first).padStart(12, "0")}-${born}.jsonl`;
}

/** What a name in a session's folder says, if it is that of a chunk: the encoded name of the transcript, and which chunk. */
export function partsOfChunkName(name: string): ({ readonly transcript: string } & ChunkId) | undefined {
  const [, transcript, digits, revision] = /^(.+)\.(\d{12,15})-([1-9]\d{0,15})\.jsonl$/.exec(name) ?? [];
  if (transcript === undefined || digits === undefined) return undefined;
  const first = Number(digits);
  if (first === 0 || String(first).padStart(12, "0") !== digits) return undefined;
  return { transcript, first, born: Number(revision) };
}

/**
 * What systems put beside people's files: the folder of a file system's check, folder settings, thumbnails. Names with a
 * dot in front are not among them, for those are never sessions.
 */
const SYSTEM_NAMES: ReadonlySet<string> = new Set([
  "lost+found",
  "desktop.ini",
  "thumbs.db",
  "ehthumbs.db",
  "@eadir",
  "@tmp",
  "#recycle",
  "#snapshot",
  "$recycle.bin",
  "system volume information",
  "icon\r",
]);

/** Whether a name in a store's folder is of the system's making: a store can be made beside it, and it is never a session. */
export function isSystemName(name: string): boolean {
  return SYSTEM_NAMES.has(name.toLowerCase());
}

/** Number of a segment file, or undefined for a name that is not one. */
export function segmentNumber(name: string): number | undefined {
  const match = /^(\d{8,15})\.jsonl$/.exec(name);
  const number = match === null ? 0 : Number(match[1]);
  return number > 0 && segmentName(number) === name ? number : undefined;
}

/** Number of the segment with which a staging folder goes, or undefined for a foreign name. */
export function stageNumber(name: string): number | undefined {
  const match = /^([1-9]\d{0,14})-(?:[0-9a-f]+|catalog)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/**
 * What a name in `trash/` says: the hash of the blob, and the staging folder through which its discarder takes it from its
 * place, or the segment that was active after that, or neither. Nothing if it is not one of ours.
 */
export function partsOfTrashName(name: string): { hash?: string; holder?: string; segment?: number } {
  const [, hash, number, rest] = /^([0-9a-f]{64})\.[0-9a-f]+(?:\.(\d+)(-[0-9a-f]+)?)?$/.exec(name) ?? [];
  if (hash === undefined || number === undefined) return hash === undefined ? {} : { hash };
  return rest === undefined ? { hash, segment: Number(number) } : { hash, holder: number + rest };
}

const OPERATIONS = "operations-";

/** Number of the segment up to which a file has the operations, or undefined for a name that is not one. */
export function operationsNumber(name: string): number | undefined {
  const match = /^operations-([1-9]\d{0,14})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

const HINT = "hint-";

/** Number of the last segment that a hint is about, or undefined for a name that is not one. */
export function hintNumber(name: string): number | undefined {
  const match = /^hint-([1-9]\d{0,14})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

const CATALOG = "catalog-";
const GATE = "-catalog";

export function catalogName(segment: number): string {
  return CATALOG + String(segment);
}

/** Number of the segment whose end a catalog describes, or undefined for a name that is not one. */
export function catalogNumber(name: string): number | undefined {
  const match = /^catalog-(0|[1-9]\d{0,14})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Name of a part that the checkpoint of a segment makes. @param random Hex digits. */
export function partName(segment: number, random: string): string {
  return `${segment}-${random}`;
}

const PART = /^(0|[1-9]\d{0,14})-[0-9a-f]+$/;

export function isPartName(name: string): boolean {
  return PART.test(name);
}

/** What a name in `.store/` says, if it is that of a part: its name, and the segment whose checkpoint made it. */
export function partOfFileName(
  file: string,
): { readonly name: string; readonly segment: number } | undefined {
  const name = file.startsWith(CATALOG) ? file.slice(CATALOG.length) : "";
  const [, segment] = PART.exec(name) ?? [];
  return segment === undefined ? undefined : { name, segment: Number(segment) };
}

/**
 * The live segments among the numbers found in `log/`: the contiguous run that ends in the highest. What lies
 * below a missing number is garbage that a power cut brought back (an unlink that was not synced).
 */
export function liveRun(numbers: readonly number[]): number[] {
  const sorted = numbers.toSorted((a, b) => a - b);
  let low = sorted.length - 1;
  while (low > 0 && sorted[low - 1] === (sorted[low] ?? 0) - 1) low--;
  return sorted.slice(Math.max(low, 0));
}
