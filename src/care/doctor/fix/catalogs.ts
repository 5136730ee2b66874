/**
 * Catalogs that cannot be used are put aside, and one is made of the files, as a checkpoint would: of a log that has nothing in it, and only
 * where the store is alone. A crash leaves a part that no catalog names, or no catalog: listings read the files then.
 */
import { createFile, syncDirectory } from "../../../fs/regular-file.js";
import { existsNow, namesInNow } from "../../../fs/status.js";
import { catalogNumber, partName, partOfFileName } from "../../../format/layout.js";
import type { StoredObject } from "../../../format/stored-value.js";
import { composePart } from "../../../engine/directory/catalog/compose-part.js";
import { composeManifest } from "../../../engine/directory/catalog/manifest.js";
import { PartFiles } from "../../../engine/directory/catalog/part-file.js";
import { catalogFromFiles } from "../../../engine/directory/catalog-loader.js";
import { runInSlices } from "../../../engine/directory/time-slices.js";
import { writeLines } from "../../../engine/directory/write-lines.js";
import type { Patient } from "../patient.js";
import type { About, Surgery } from "./surgery.js";

export async function renewCatalogs(surgery: Surgery, patient: Patient, about: About): Promise<void> {
  const { fs, layout, log, storeId } = patient;
  for (const name of namesInNow(fs, layout.store)) {
    if (catalogNumber(name) === undefined && partOfFileName(name) === undefined) continue;
    const path = `${layout.store}/${name}`;
    const kept = await surgery.putAside(patient, path, about);
    await surgery.did(patient, about, path, "it was put aside, to be made anew from the files", { kept });
  }
  const [lowest] = log?.segments ?? [];
  const ledger = lowest?.ledger;
  if (ledger?.firstRevision === undefined || lowest === undefined || storeId === undefined) return;
  // What the log has changed since is in its next checkpoint, which reads the files for the rest.
  if (log?.segments.length !== 1 || lowest.damaged || ledger.lastRevision !== ledger.after) return;
  await writeCatalog(patient, storeId, lowest.number - 1, ledger.after, ledger.firstRevision);
}

async function writeCatalog(
  { fs, layout, runtime }: Patient,
  storeId: string,
  segment: number,
  revision: number,
  next: number,
): Promise<void> {
  const path = layout.catalog(segment);
  if (existsNow(fs, path)) return;
  const parts = new PartFiles(fs, layout);
  const source = { fs, layout, storeId, parts, onWarning: () => {}, updatedAtOf: updatedAt };
  const { layers, incomplete } = await runInSlices(catalogFromFiles(source, segment), runtime);
  const name = partName(segment, runtime.randomName(8));
  const lines = composePart({ name, storeId, layers: [...layers], oldest: true });
  const part = await writeLines(fs, runtime, layout.part(name), lines, { sync: true });
  const manifest = { segment, revision, next, incomplete, parts: [part] };
  await createFile(fs, path, composeManifest(manifest, storeId), { sync: true });
  await syncDirectory(fs, layout.store);
}

/** As a store takes it that was opened without a function for it. */
function updatedAt(stored: StoredObject): number {
  const { updatedAt: time } = stored;
  return typeof time === "number" && Number.isFinite(time) ? time : 0;
}
