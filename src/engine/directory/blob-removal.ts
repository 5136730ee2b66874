/**
 * Removes shared values that no session refers to any more. Both phases after a checkpoint, when every session's
 * references are at hand: the catalog has those of the sessions that were checkpointed, the log those of the
 * others. See `entries/blob-trash.ts` for why two phases, and for what must be read before what.
 */
import type { BlobTrash } from "../../entries/blob-trash.js";
import type { BlobStore } from "../../entries/blobs.js";
import { SessionStoreError } from "../../errors.js";
import type { BlobReference } from "../../format/stored-value.js";
import { referencesIn } from "../../format/stored-references.js";
import { blobName, type Catalog } from "./catalog.js";
import { loadCatalog, type CatalogSource } from "./catalog-loader.js";
import type { SessionLog } from "./session-log.js";
import { runInSlices } from "./time-slices.js";

/** Removes unreferenced blobs, and empties the trash of those that were discarded long enough ago. */
export async function removeUnreferencedBlobs(
  log: SessionLog,
  source: CatalogSource,
  trash: BlobTrash,
  latest: Catalog | undefined,
): Promise<void> {
  const present = await trash.blobs.names();
  if (present.length === 0 && (await trash.isEmpty())) return;
  const catalog = await currentCatalog(log, source, latest);
  // A session that cannot be read may refer to anything: then nothing goes until it is mended.
  if (catalog === undefined || catalog.incomplete) return;
  const { epoch } = log.tail;
  const referenced = new References(trash.blobs);
  for (const row of catalog.rows) for (const name of row.blobs) referenced.add(name);
  log.tail.catchUp();
  const stillCovered = (): boolean =>
    log.tail.epoch === epoch && (log.tail.segments[0]?.number ?? 0) <= catalog.segment + 1;
  if (!stillCovered()) return;
  referenced.addHot(log);
  if (referenced.unknown !== undefined) return warn(log, referenced.unknown);
  const released = new Set<string>();
  for (const hash of present) {
    if (referenced.has(hash)) continue;
    const name = await trash.discard(hash, log.tail.active.ledger.stage);
    if (name !== undefined) released.add(name);
  }
  await trash.empty(() => {
    log.tail.catchUp();
    referenced.addHot(log);
    if (!stillCovered() || referenced.unknown !== undefined) return undefined;
    const { number, ledger } = log.tail.active;
    return { activeSegment: number, stage: ledger.stage, isReferenced: (hash) => referenced.has(hash) };
  }, released);
}

function warn(log: SessionLog, { message, data }: SessionStoreError): void {
  log.options.onWarning({
    code: "blob_missing",
    message: `${message} Until then no shared values are removed from the store.`,
    data,
  });
}

/** The catalog that, together with the live segments that this process has read, has every session. */
async function currentCatalog(
  log: SessionLog,
  source: CatalogSource,
  latest: Catalog | undefined,
): Promise<Catalog | undefined> {
  log.tail.catchUp();
  const lowest = log.tail.segments[0]?.number ?? 0;
  if (latest !== undefined && latest.segment >= lowest - 1) return latest;
  return runInSlices(loadCatalog(source, lowest - 1, log.tail.active.number - 1), log.options.runtime);
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
    for (const state of log.table.hot.values()) {
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
