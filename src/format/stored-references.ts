/** Finds the references to blobs in a stored form. */
import { isPlain } from "./plain-parts.js";
import { isStoredArray, referenceOf, type BlobReference, type StoredValue } from "./stored-value.js";

const NO_REFERENCES: readonly BlobReference[] = Object.freeze([]);

/**
 * Every blob that a stored entry, or the content of a blob, refers to: each once, in order of appearance. What
 * a blob refers to in turn is not followed; `nested` says that there is something to follow.
 */
export function referencesIn(stored: StoredValue): readonly BlobReference[] {
  const found: BlobReference[] = [];
  collect(stored, found, false);
  return found.length === 0 ? NO_REFERENCES : uniqueReferences(found);
}

/** The same with repetitions: each time that the stored form refers to a blob. */
export function everyReferenceIn(stored: StoredValue): readonly BlobReference[] {
  const found: BlobReference[] = [];
  collect(stored, found, false);
  return found;
}

/** Every reference in one field of an entry, in order of appearance. */
export function referencesInField(field: StoredValue): readonly BlobReference[] {
  if (typeof field !== "object" || field === null || isPlain(field)) return NO_REFERENCES;
  const found: BlobReference[] = [];
  collect(field, found, true);
  return found;
}

/** Each blob once. */
export function uniqueReferences(references: readonly BlobReference[]): readonly BlobReference[] {
  if (references.length === 0) return NO_REFERENCES;
  if (references.length === 1) return references;
  if (references.length === 2 && references[0]?.hash !== references[1]?.hash) return references;
  const byHash = new Map<string, BlobReference>();
  for (const reference of references) if (!byHash.has(reference.hash)) byHash.set(reference.hash, reference);
  return [...byHash.values()];
}

function collect(value: StoredValue, found: BlobReference[], isPart: boolean): void {
  if (typeof value !== "object" || value === null || isPlain(value)) return;
  if (isStoredArray(value)) {
    for (const item of value) collect(item, found, true);
    return;
  }
  // The whole of an entry or a blob is never a reference, whatever its fields are called.
  const reference = isPart ? referenceOf(value) : undefined;
  if (reference !== undefined) {
    found.push(reference);
    return;
  }
  for (const name of Object.keys(value)) {
    const field = value[name];
    if (typeof field === "object" && field !== null) collect(field, found, true);
  }
}
