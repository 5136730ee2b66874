/**
 * Removes shared values that no session refers to any more. Both phases after a checkpoint, when every session's
 * references are at hand: the catalog has those of the sessions that were checkpointed, the log those of the
 * others. See `entries/blob-trash.ts` for why two phases, and for what must be read before what.
 */
import type { BlobTrash } from "../../entries/blob-trash.js";
import type { BlobStore } from "../../entries/blob-store.js";
import { SessionStoreError } from "../../errors.js";
import type { BlobReference } from "../../format/stored-value.js";
import { referencesIn } from "../../format/stored-references.js";
import { useCatalog, type Catalog, type CatalogSource } from "./catalog-loader.js";
import { liveRows } from "./catalog/layer.js";
import { blobName } from "./catalog/row.js";
import type { SessionLog } from "./session-log.js";
import { runInSlices } from "./time-slices.js";

export interface Removal {
  /** About the size of the values that stay. */
  readonly liveBytes: number;
  /** Values are in the trash that go behind a later seal. */
  readonly waiting: boolean;
}

/** Their names in the trash become durable with one sync. */
const DISCARDED_AT_ONCE = 64;
/** Values whose size stands for that of all. */
const SAMPLED = 64;

/**
 * Removes unreferenced blobs, and empties the trash of those that were discarded long enough ago.
 * @returns Undefined if it is not known which blobs are referenced: then nothing was removed.
 */
export async function removeUnreferencedBlobs(
  log: SessionLog,
  source: CatalogSource,
  trash: BlobTrash,
): Promise<Removal | undefined> {
  const present = await trash.blobs.names();
  if (present.length === 0 && (await trash.isEmpty())) return { liveBytes: 0, waiting: false };
  log.catchUp();
  const lowest = log.segments[0]?.number ?? 0;
  const collect = (catalog: Catalog): Generator<void, Collected> => collected(catalog, trash.blobs);
  const inCatalog = await runInSlices(
    useCatalog(source, lowest - 1, log.active.number - 1, collect),
    log.options.runtime,
  );
  // A session that cannot be read may refer to anything: then nothing goes until it is mended.
  if (inCatalog?.referenced === undefined || log.doubts.damagedSegment > 0) return undefined;
  const { epoch } = log;
  const { segment, referenced } = inCatalog;
  log.catchUp();
  const stillCovered = (): boolean => log.epoch === epoch && (log.segments[0]?.number ?? 0) <= segment + 1;
  if (!stillCovered()) return undefined;
  referenced.addHot(log);
  if (referenced.unknown !== undefined) return warn(log, referenced.unknown);
  const released = new Set<string>();
  const live = present.filter((hash) => referenced.has(hash));
  const dead = present.filter((hash) => !referenced.has(hash));
  for (let next = 0; next < dead.length; next += DISCARDED_AT_ONCE) {
    const some = dead.slice(next, next + DISCARDED_AT_ONCE);
    for (const name of await trash.discard(some, log.active.ledger.stage)) released.add(name);
  }
  const waiting = await trash.empty(() => {
    log.catchUp();
    referenced.addHot(log);
    if (!stillCovered() || referenced.unknown !== undefined) return undefined;
    const { number, ledger } = log.active;
    return { activeSegment: number, stage: ledger.stage, isReferenced: (hash) => referenced.has(hash) };
  }, released);
  return { liveBytes: await sizeOf(live, trash.blobs), waiting };
}

async function sizeOf(hashes: readonly string[], blobs: BlobStore): Promise<number> {
  const step = Math.ceil(hashes.length / SAMPLED) || 1;
  const sample = hashes.filter((_, index) => index % step === 0);
  let bytes = 0;
  for (const hash of sample) bytes += await blobs.sizeOf(hash);
  return sample.length === 0 ? 0 : (bytes / sample.length) * hashes.length;
}

function warn(log: SessionLog, { message, data }: SessionStoreError): undefined {
  log.options.onWarning({
    code: "blob_missing",
    message: `${message} Until then no shared values are removed from the store.`,
    data,
  });
}

interface Collected {
  readonly segment: number;
  /** Undefined if the catalog lacks sessions. */
  readonly referenced: References | undefined;
}

/** What the sessions of a catalog refer to; deleted and outdated rows do not count. */
function* collected({ segment, incomplete, layers }: Catalog, blobs: BlobStore): Generator<void, Collected> {
  if (incomplete) return { segment, referenced: undefined };
  const referenced = new References(blobs);
  for (const rows of liveRows(layers)) {
    yield;
    for (const row of rows) for (const name of row.blobs) referenced.add(name);
  }
  return { segment, referenced };
}

/** Hashes that sessions refer to, directly or through other blobs. */
class References {
  /** Why some references are not known: a shared value that refers to others is gone or damaged. */
  unknown: SessionStoreError | undefined;
  readonly #hashes = new Set<string>();

  constructor(private readonly blobs: BlobStore) {}

  has(hash: string): boolean {
    return this.#hashes.has(hash);
  }

  /** @param name A hash, with "+" if the blob refers to others. */
  add(name: string): void {
    const nested = name.endsWith("+");
    const hash = nested ? name.slice(0, -1) : name;
    if (this.#hashes.has(hash)) return;
    this.#hashes.add(hash);
    if (!nested) return;
    for (const reference of this.#within(hash)) this.add(blobName(reference));
  }

  addHot(log: SessionLog): void {
    for (const state of log.hot.values()) {
      if (state.stored === undefined) continue;
      for (const reference of referencesIn(state.stored)) this.add(blobName(reference));
    }
  }

  #within(hash: string): readonly BlobReference[] {
    try {
      return this.blobs.referencesWithin(hash);
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
      // It may come back from a backup, and then its parts must still be there: nothing goes until it is mended.
      this.unknown ??= error;
      return [];
    }
  }
}
