/**
 * `.store/doctor.jsonl`: what doctors did to this store, one JSON object a line, each written before the next thing is done.
 * A line that was cut short, by a kill or a full disk, is left out when it is read, and ended by the next one.
 */
import type { FileSystem } from "../../fs/file-system.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { writeAll } from "../../fs/write-all.js";
import type { Layout } from "../../format/layout.js";
import { isCount } from "../../format/stored-value.js";
import { openRecord } from "../backup/open-record.js";
import type { Action } from "./types.js";

export const HISTORY_FILE = "doctor.jsonl";
const HISTORY_BYTES_MAX = 64 * 1024 * 1024;
/** The latest instant that a Date can be. */
const TIME_MAX = 8.64e15;
/** More would be no answer for a person. */
const ACTIONS_TOLD = 100;

export async function record(fs: FileSystem, layout: Layout, action: Action): Promise<void> {
  const path = `${layout.store}/${HISTORY_FILE}`;
  const { fd } = await openRecord(fs, path);
  try {
    await writeAll(fs, fd, Buffer.from(`\n${JSON.stringify(action)}\n`));
    await fs.later.fdatasync(fd);
  } finally {
    fs.close(fd);
  }
}

/** The last actions, oldest first. What cannot be read is no reason to say nothing of the store. */
export function readHistory(fs: FileSystem, layout: Layout): Action[] {
  let text: string;
  try {
    const bytes = readRegularFile(fs, `${layout.store}/${HISTORY_FILE}`, { bytesMax: HISTORY_BYTES_MAX });
    text = bytes.toString("utf8");
  } catch {
    return [];
  }
  const actions: Action[] = [];
  for (const line of text.split("\n")) {
    try {
      const value = line === "" ? undefined : (JSON.parse(line) as unknown);
      if (isAction(value)) actions.push(value);
    } catch {
      continue;
    }
  }
  return actions.slice(-ACTIONS_TOLD);
}

function isAction(value: unknown): value is Action {
  if (typeof value !== "object" || value === null) return false;
  const { at, code, done, path, lost } = value as Record<string, unknown>;
  return (
    isCount(at) &&
    at <= TIME_MAX &&
    typeof code === "string" &&
    typeof done === "string" &&
    typeof path === "string" &&
    typeof lost === "boolean"
  );
}
