/**
 * Every session's `meta.json` as it lies there, one after the other, and nothing of it kept but what later checks compare.
 */
import { SessionStoreError, errnoOf } from "../../errors.js";
import { isAbsent } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { ENTRY_FILE, isSystemName } from "../../format/layout.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { folderNameForKey, isHashedFolderName, keyFromFolderName } from "../../format/session-key.js";
import { referencesInField } from "../../format/stored-references.js";
import type { BlobReference, StoredObject } from "../../format/stored-value.js";
import type { Seen } from "./seen.js";

export const ENTRY_BYTES_MAX = 2 * LINE_BYTES_MAX;

/** A field, and the shared values that it needs. */
export interface FieldReferences {
  /** The entry's own name of it, without the `$` that is put in front in files. */
  readonly field: string;
  readonly references: readonly BlobReference[];
}

export interface EntryLook {
  /** Name of the folder. */
  readonly folder: string;
  readonly path: string;
  /** Whose folder it is, by its name. */
  readonly ownKey: string | undefined;
  readonly state:
    /** The file of `key`, whole. */
    | {
        readonly kind: "whole";
        readonly key: string;
        readonly revision: number;
        readonly fields: readonly FieldReferences[];
      }
    | { readonly kind: "damaged"; readonly reason: string; readonly offset: number }
    /** A link, a device, a folder, or something far too large. */
    | { readonly kind: "unsafe"; readonly path: string; readonly reason: string }
    /** Not in the sample. */
    | { readonly kind: "unread" }
    | { readonly kind: "none" };
}

export interface EntriesLook {
  readonly all: readonly EntryLook[];
  /** The same by the names of the folders. */
  readonly byFolder: ReadonlyMap<string, EntryLook>;
  /** Files of sessions in the folders that belong to them. */
  readonly placed: ReadonlyMap<string, EntryLook>;
}

const SLICE = 64;

export async function lookAtEntries(seen: Seen): Promise<EntriesLook> {
  const all: EntryLook[] = [];
  const placed = new Map<string, EntryLook>();
  for (const [index, folder] of seen.candidates.entries()) {
    if (index % SLICE === 0) await seen.runtime.yieldToEventLoop();
    seen.signal?.throwIfAborted();
    const look = lookAt(seen, folder);
    if (look === undefined) continue;
    all.push(look);
    if (look.state.kind === "whole" && folderNameForKey(look.state.key) === folder)
      placed.set(look.state.key, look);
  }
  return { all, placed, byFolder: new Map(all.map((look) => [look.folder, look])) };
}

/** @returns Undefined for what is no folder of a session at all. */
function lookAt(seen: Seen, folder: string): EntryLook | undefined {
  const { fs, layout } = seen;
  const ownKey = keyFromFolderName(folder);
  const path = `${layout.root}/${folder}/${ENTRY_FILE}`;
  const isOurs = ownKey !== undefined || isHashedFolderName(folder);
  const look = (state: EntryLook["state"]): EntryLook => ({ folder, path, ownKey, state });
  try {
    const { kind } = fs.lstat(`${layout.root}/${folder}`);
    if (kind === "symlink" && isOurs)
      return look({ kind: "unsafe", path: `${layout.root}/${folder}`, reason: "it is a symlink" });
    if (kind !== "directory") return undefined;
    if (!seen.isSampled(folder)) return look({ kind: "unread" });
    const parsed = parseEntryDocument(readRegularFile(fs, path, { bytesMax: ENTRY_BYTES_MAX }));
    if (!parsed.ok)
      return isOurs
        ? look({ kind: "damaged", reason: parsed.reason, offset: parsed.offset })
        : look({ kind: "none" });
    const { key, revision, stored } = parsed;
    return look({ kind: "whole", key, revision, fields: fieldReferences(stored) });
  } catch (error) {
    if (isAbsent(error)) return look({ kind: "none" });
    if (errnoOf(error) === "EACCES" && isSystemName(folder)) return undefined;
    if (error instanceof SessionStoreError)
      return isOurs ? look({ kind: "unsafe", path, reason: error.message }) : look({ kind: "none" });
    throw error;
  }
}

/** The fields of a stored entry that have shared values in them. */
export function fieldReferences(stored: StoredObject): FieldReferences[] {
  const found: FieldReferences[] = [];
  for (const name of Object.keys(stored)) {
    const references = referencesInField(stored[name] ?? null);
    const field = name.startsWith("$$") ? name.slice(1) : name;
    if (references.length > 0) found.push({ field, references });
  }
  return found;
}
