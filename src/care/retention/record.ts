/**
 * `.store/retention.jsonl`: every attempt to remove or bring back sessions, one line when it begins and one when it ends; of one that was
 * killed there is only the first. A line that was cut short is left out, and the next one begins on a line of its own. At 4 MiB the file
 * becomes `retention.1.jsonl`, in place of the one that had that name.
 */
import { asStoreError, errnoOf, SessionStoreError, type ErrorData } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { readAt } from "../../fs/read-at.js";
import { ignoreMissing, unlessMissing } from "../../fs/missing.js";
import { openRegularFile, readRegularFile } from "../../fs/regular-file.js";
import { statusNow } from "../../fs/status.js";
import { writeAll } from "../../fs/write-all.js";
import { Layout } from "../../format/layout.js";
import type { AnyStore } from "../moving/options.js";
import { SYSTEM, type RetentionHost } from "./host.js";

export const RECORD_FILE = "retention.jsonl";
export const OLDER_RECORD_FILE = "retention.1.jsonl";
const BYTES_MAX = 4 * 1024 * 1024;
const READ_BYTES_MAX = 4 * BYTES_MAX;
const MESSAGE_LENGTH_MAX = 2000;
/** How often another run may come between. */
const ATTEMPTS_MAX = 10;

/** What was tried, and what came of it. */
export interface RetentionAttempt {
  readonly what: "prune" | "restore" | "archives";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** `unfinished`: killed, or still under way. `stopped`: interrupted, or refused for what it would have removed. */
  readonly outcome: "done" | "failed" | "stopped" | "unfinished";
  readonly error?: { readonly code: string; readonly message: string };
  /** Figures of the attempt, as its report has them. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface RetentionWarning {
  readonly code: "retention_unrecorded" | "archive_damaged";
  /** One sentence that names the file and the next step. */
  readonly message: string;
  readonly data: ErrorData;
}

type Figures = NonNullable<RetentionAttempt["figures"]>;

/** Does something, and records it whatever comes of it. A store that is no directory has no record. */
export async function recorded<T>(
  host: RetentionHost,
  store: AnyStore,
  what: RetentionAttempt["what"],
  warn: (warning: RetentionWarning) => void,
  begin: Figures,
  work: (tell: (figures: Figures) => void) => Promise<T>,
): Promise<T> {
  const folder = await recordFolder(store);
  const id = host.runtime.randomName(6);
  let figures = begin;
  const write = async (line: object, mayFail: (error: SessionStoreError) => boolean): Promise<void> => {
    if (folder === undefined) return;
    try {
      await append(host, folder, `${JSON.stringify({ id, ...line })}\n`);
    } catch (failure) {
      const error = asStoreError(failure, `record the attempt in ${folder}/${RECORD_FILE}`);
      if (!(error instanceof SessionStoreError) || !mayFail(error)) throw error;
      warn({ code: "retention_unrecorded", message: error.message, data: error.data });
    }
  };
  // On a full disk removing is what is wanted; where nothing may be written, nothing can be removed.
  const isFull = ({ code }: SessionStoreError): boolean => code === "disk_full";
  const always = (): boolean => true;
  await write({ what, at: Math.trunc(host.runtime.now()), figures }, isFull);
  try {
    const result = await work((told) => (figures = { ...figures, ...told }));
    await write({ outcome: "done", figures }, always);
    return result;
  } catch (thrown) {
    const error = asStoreError(thrown, "go on");
    const message = (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_LENGTH_MAX);
    const code =
      error instanceof SessionStoreError ? error.code : error instanceof Error ? error.name : "aborted";
    // A signal's reason is whatever its owner wants, and no failure of a call.
    const isFailure =
      error instanceof SessionStoreError ? code !== "retention_stopped" : error instanceof TypeError;
    await write({ outcome: isFailure ? "failed" : "stopped", figures, error: { code, message } }, always);
    throw thrown;
  }
}

/**
 * What was removed from a store and brought back, or was to be: the attempts that `.store/retention.jsonl` has, oldest first.
 * @throws `io_error`, `file_unsafe`.
 * @example
 * const [last] = (await retentionAttempts(store)).slice(-1);
 */
export function retentionAttempts(store: AnyStore): Promise<RetentionAttempt[]> {
  return retentionAttemptsOn(SYSTEM, store);
}

/** The same on a machine of the caller's, for tests. */
export async function retentionAttemptsOn(
  { fs }: RetentionHost,
  store: AnyStore,
): Promise<RetentionAttempt[]> {
  const folder = await recordFolder(store);
  if (folder === undefined) return [];
  const lines = [OLDER_RECORD_FILE, RECORD_FILE].flatMap((name) => {
    const bytes = unlessMissing(() => readRegularFile(fs, `${folder}/${name}`, { bytesMax: READ_BYTES_MAX }));
    return bytes === undefined ? [] : bytes.toString("utf8").split("\n");
  });
  const attempts = new Map<string, RetentionAttempt>();
  for (const text of lines) {
    const line = parseLine(text);
    if (line === undefined) continue;
    const { id, ...rest } = line;
    const before = attempts.get(id);
    if (before !== undefined) attempts.set(id, { ...before, ...rest });
    else if (rest.at !== undefined && rest.what !== undefined)
      attempts.set(id, { what: rest.what, at: rest.at, outcome: "unfinished", ...rest });
  }
  return [...attempts.values()];
}

function parseLine(text: string): (Partial<RetentionAttempt> & { readonly id: string }) | undefined {
  try {
    const value = JSON.parse(text) as (Partial<RetentionAttempt> & { readonly id: string }) | null;
    return typeof value?.id === "string" ? value : undefined;
  } catch {
    return undefined; // cut short
  }
}

async function recordFolder(store: AnyStore): Promise<string | undefined> {
  const { directory } = await store.stats();
  return directory === undefined ? undefined : new Layout(directory.path).store;
}

async function append({ fs }: RetentionHost, folder: string, text: string): Promise<void> {
  const record = `${folder}/${RECORD_FILE}`;
  if ((statusNow(fs, record)?.size ?? 0) > BYTES_MAX)
    await ignoreMissing(fs.later.rename(record, `${folder}/${OLDER_RECORD_FILE}`));
  const { fd, size } = await openEither(fs, record);
  try {
    const isWhole = size === 0 || readAt(fs, fd, 1, size - 1).toString() === "\n";
    await writeAll(fs, fd, Buffer.from(isWhole ? text : `\n${text}`));
    await fs.later.fdatasync(fd);
  } finally {
    fs.close(fd);
  }
}

/** The record, made if there is none. Another run may make it, or move it away, at any instant. */
async function openEither(
  fs: FileSystem,
  record: string,
): Promise<{ readonly fd: number; readonly size: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const opened = unlessMissing(() =>
        openRegularFile(fs, record, "append", { bytesMax: Number.MAX_SAFE_INTEGER }),
      );
      if (opened !== undefined) return { fd: opened.fd, size: opened.status.size };
      // Made empty and opened again, so that every line is appended.
      fs.close(await fs.later.open(record, "create"));
    } catch (error) {
      if (errnoOf(error) !== "EEXIST" || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
