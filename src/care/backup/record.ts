/**
 * `record.jsonl`: every attempt to make, verify, restore or prune, one line when it begins and one when it ends; of one that
 * was killed there is only the first. A line that was cut short is left out, and the next one begins on a line of its own.
 * At 4 MiB the file becomes `record.1.jsonl`, in place of the one that had that name.
 */
import { SessionStoreError, asStoreError } from "../../errors.js";
import { ignoreMissing, unlessMissing } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { readAt } from "../../fs/read-at.js";
import { statusNow } from "../../fs/status.js";
import { writeAll } from "../../fs/write-all.js";
import { isCount } from "../../format/stored-value.js";
import { isBackupName, TIME_MAX, type BackupFolder } from "./folder.js";
import { openRecord } from "./open-record.js";
import type { Attempt, BackupHost, BackupWarning } from "./types.js";

const RECORD_BYTES_MAX = 4 * 1024 * 1024;
/** Longer than that no record is, whatever else lies there. */
const READ_BYTES_MAX = 4 * RECORD_BYTES_MAX;
/** An attempt without an end that began so long ago is no longer under way. */
const RUNNING_MS_MAX = 60 * 60 * 1000;
/** Two things in messages: what went wrong, and what to do. */
const MESSAGE_LENGTH_MAX = 2000;

interface Line extends Partial<Attempt> {
  readonly id: string;
}

export type Outcome = Pick<Attempt, "name" | "revision" | "writtenBytes">;

/** Does something, and records it whatever comes of it. */
export async function recorded<T>(
  host: BackupHost,
  folder: BackupFolder,
  what: Attempt["what"],
  warn: (warning: BackupWarning) => void,
  work: () => Promise<{ readonly result: T; readonly outcome: Outcome; readonly failure?: Attempt["error"] }>,
): Promise<T> {
  const { runtime } = host;
  const id = runtime.randomName(6);
  const started = runtime.monotonic();
  const write = async (line: Omit<Line, "id">): Promise<void> => {
    try {
      await append(host, folder, `${JSON.stringify({ id, ...line })}\n`);
    } catch (failure) {
      const error = asStoreError(failure, `record the attempt in ${folder.record}`);
      if (!(error instanceof SessionStoreError)) throw error;
      warn({ code: "backup_unrecorded", message: error.message, data: error.data });
    }
  };
  const durationMs = (): number => Math.round(runtime.monotonic() - started);
  await write({ at: Math.trunc(runtime.now()), what });
  try {
    const { result, outcome, failure } = await work();
    const ended = failure === undefined ? ("done" as const) : ("failed" as const);
    await write({ outcome: ended, durationMs: durationMs(), ...outcome, ...(failure && { error: failure }) });
    return result;
  } catch (thrown) {
    await write({ outcome: "failed", durationMs: durationMs(), error: failureOf(thrown) });
    throw thrown;
  }
}

function failureOf(thrown: unknown): NonNullable<Attempt["error"]> {
  const error = asStoreError(thrown, "go on");
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_LENGTH_MAX);
  if (error instanceof SessionStoreError) return { code: error.code, message };
  return { code: error instanceof Error ? error.name : "unexpected", message };
}

/** All attempts that the record has, oldest first. */
export function readAttempts({ fs, runtime }: BackupHost, folder: BackupFolder): Attempt[] {
  const lines = [folder.olderRecord, folder.record].flatMap((path) => {
    const bytes = unlessMissing(() => readRegularFile(fs, path, { bytesMax: READ_BYTES_MAX }));
    return bytes === undefined ? [] : bytes.toString("utf8").split("\n");
  });
  const attempts = new Map<string, Attempt>();
  for (const text of lines) {
    const line = parseLine(text);
    if (line === undefined) continue;
    const { id, ...rest } = line;
    const before = attempts.get(id);
    if (before !== undefined) attempts.set(id, { ...before, ...rest });
    else if (rest.at !== undefined && rest.what !== undefined) {
      const young = runtime.now() - rest.at < RUNNING_MS_MAX;
      attempts.set(id, { at: rest.at, what: rest.what, outcome: young ? "running" : "killed" });
    }
  }
  return [...attempts.values()];
}

const WHATS: ReadonlySet<unknown> = new Set<Attempt["what"]>(["create", "verify", "restore", "prune"]);
const OUTCOMES: ReadonlySet<unknown> = new Set<Attempt["outcome"]>(["done", "failed"]);

/** What it says, member by member: the file may have been changed by anybody, and what is no attempt hides no other one. */
function parseLine(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // cut short
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { id, at, what, outcome, durationMs, name, revision, writtenBytes, error } = value as Partial<Line>;
  if (typeof id !== "string") return undefined;
  return {
    id,
    ...(isCount(at) && at <= TIME_MAX && { at }),
    ...(WHATS.has(what) && { what }),
    ...(OUTCOMES.has(outcome) && { outcome }),
    ...(isCount(durationMs) && { durationMs }),
    ...(typeof name === "string" && isBackupName(name) && { name }),
    ...(isCount(revision) && { revision }),
    ...(isCount(writtenBytes) && { writtenBytes }),
    ...(typeof error?.code === "string" &&
      typeof error.message === "string" && { error: { code: error.code, message: error.message } }),
  };
}

async function append({ fs }: BackupHost, folder: BackupFolder, text: string): Promise<void> {
  const { record } = folder;
  if ((statusNow(fs, record)?.size ?? 0) > RECORD_BYTES_MAX)
    await ignoreMissing(fs.later.rename(record, folder.olderRecord));
  const { fd, size } = await openRecord(fs, record);
  try {
    const isWhole = size === 0 || readAt(fs, fd, 1, size - 1).toString() === "\n";
    await writeAll(fs, fd, Buffer.from(isWhole ? text : `\n${text}`));
    await fs.later.fdatasync(fd);
  } finally {
    fs.close(fd);
  }
}
