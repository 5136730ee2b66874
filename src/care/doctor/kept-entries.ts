/** Entry files in the quarantine that are whole: of sessions that are missing they may be what was lost. */
import type { FileSystem } from "../../fs/file-system.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesInNow } from "../../fs/status.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { ENTRY_BYTES_MAX } from "./entries-look.js";

/** End of the names of notes in the quarantine. */
export const NOTE = ".note.json";

/** An entry file in the quarantine, whole: it stood in a wrong place, or a repair was cut short between two steps. */
export interface KeptEntry {
  readonly key: string;
  readonly revision: number;
  readonly path: string;
}

/** Whatever name it has: a file that stood in another session's folder is called after that. */
export function keptEntries(fs: FileSystem, quarantine: string): KeptEntry[] {
  const found: KeptEntry[] = [];
  for (const name of namesInNow(fs, quarantine)) {
    if (name.endsWith(NOTE) || !name.includes(".json")) continue;
    const path = `${quarantine}/${name}`;
    const copy = readCopy(fs, path);
    if (copy !== undefined) found.push({ key: copy.key, revision: copy.revision, path });
  }
  return found;
}

/** @returns Undefined for what is no whole entry file, whatever it is: this is a search. */
export function readCopy(
  fs: FileSystem,
  path: string,
): { readonly key: string; readonly revision: number; readonly bytes: Buffer } | undefined {
  try {
    const bytes = readRegularFile(fs, path, { bytesMax: ENTRY_BYTES_MAX });
    const parsed = parseEntryDocument(bytes);
    return parsed.ok ? { key: parsed.key, revision: parsed.revision, bytes } : undefined;
  } catch {
    return undefined;
  }
}
