/**
 * A complete store that is to take the place of a folder with an older layout.
 *
 * One rename cannot put a folder in the place of another that is not empty: the old one has to go first. For the instant
 * in between neither is there, so the new one carries a note of what it replaces: `.store/legacy/replaces.json`, made
 * durable before anything is moved. Whoever finds a building folder with such a note, and the old folder moved to where
 * the note says, puts the new one into place. The note is removed with the last step.
 */
import { createFile, readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import { isAbsent, isMissing } from "../../fs/missing.js";
import { STORE_FOLDER } from "../../format/layout.js";
import type { LegacyHost } from "../base/host.js";

export interface Replacement {
  /** Where the older folder goes. */
  readonly backup: string;
}

const NOTE_BYTES_MAX = 64 * 1024;

export async function writeReplacement(host: LegacyHost, building: string, note: Replacement): Promise<void> {
  const folder = `${building}/${STORE_FOLDER}/legacy`;
  await createFile(host.fs, notePath(building), Buffer.from(`${JSON.stringify(note)}\n`), { sync: true });
  await syncDirectory(host.fs, folder);
}

/** The note, if the folder is complete and what it replaces was moved away. */
export async function readReplacement(host: LegacyHost, building: string): Promise<Replacement | undefined> {
  let note: Replacement;
  try {
    const text = readRegularFile(host.fs, notePath(building), { bytesMax: NOTE_BYTES_MAX }).toString();
    note = JSON.parse(text) as Replacement;
  } catch (error) {
    if (isAbsent(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
  return typeof note.backup === "string" && (await statusOf(host.fs, note.backup)) !== undefined
    ? note
    : undefined;
}

export async function removeReplacement(host: LegacyHost, directory: string): Promise<void> {
  await host.fs.later.unlink(notePath(directory)).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

function notePath(directory: string): string {
  return `${directory}/${STORE_FOLDER}/legacy/replaces.json`;
}
