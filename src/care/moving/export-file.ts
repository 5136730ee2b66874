/**
 * Exports as files: made beside their place, synced, and moved there when they are complete.
 *
 * A crash leaves the file that was there, or none, and maybe `NAME.<random>.part` beside it, which nobody reads. Files are made
 * for their owner alone (0600), as the store's own are. A link is not followed: a new file stands in its place, or it is refused.
 */
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { basename, dirname, join, resolve } from "node:path";
import { asStoreError, errnoOf, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import { createFileBy, openRegularFile, syncDirectoryOnTheWay } from "../../fs/regular-file.js";
import { existsNow, statusNow } from "../../fs/status.js";
import { unlessMissing } from "../../fs/missing.js";
import { writeAll } from "../../fs/write-all.js";
import { systemRuntime, type Runtime } from "../../runtime.js";
import { throwIfAborted } from "../../store/retry.js";
import { exportSessions, type ExportOptions, type ExportReport } from "./export.js";
import { importEvents, type ImportOptions, type ImportReport } from "./import.js";
import type { AnyStore } from "./options.js";
import { readExport } from "./read-export.js";

export interface ExportFileOptions extends ExportOptions {
  /** Replaces a file that is there. Default false: that is `file_exists`. */
  readonly overwrite?: boolean | undefined;
}

export interface ImportFileOptions extends ImportOptions {
  /** Hears while the file is read how many bytes of how many; twice, because it is read twice. */
  readonly onRead?: ((done: number, total: number) => void) | undefined;
}

export interface ExportFileReport extends ExportReport {
  readonly path: string;
  /** Of the file. */
  readonly fileBytes: number;
}

/** What files are made on. */
export interface FileHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
}

const SYSTEM: FileHost = { fs: nodeFileSystem, runtime: systemRuntime };
const READ_BYTES = 256 * 1024;

/**
 * {@link exportSessions} into a file, packed with gzip if its name ends in `.gz`. The file is complete and durable, or not there.
 * @throws `file_exists`; `disk_full`, `io_error`; what {@link exportSessions} throws.
 * @example
 * const { sessions, fileBytes } = await exportToFile(store, "sessions.jsonl.gz");
 */
export function exportToFile(
  store: AnyStore,
  path: string,
  options?: ExportFileOptions,
): Promise<ExportFileReport> {
  return exportToFileOn(SYSTEM, store, path, options);
}

/** The same on a file system of the caller's, for tests. */
export async function exportToFileOn(
  { fs, runtime }: FileHost,
  store: AnyStore,
  path: string,
  { overwrite = false, ...options }: ExportFileOptions = {},
): Promise<ExportFileReport> {
  const target = resolve(path);
  const part = `${partsOf(target)}.${runtime.randomName(8)}.part`;
  try {
    const { kind } = statusNow(fs, target) ?? {};
    if (!overwrite && kind !== undefined) throw fileExists(target);
    if (kind === "directory" || kind === "other") throw notReplaced(target);
    const exported = new ReturningIterable(exportSessions(store, options));
    const pieces = target.endsWith(".gz") ? gzipped(exported) : exported;
    const write = async (fd: number): Promise<number> => {
      let bytes = 0;
      for await (const piece of pieces) {
        throwIfAborted(options.signal);
        const given = typeof piece === "string" ? Buffer.from(piece) : piece;
        await writeAll(fs, fd, given);
        bytes += given.length;
      }
      return bytes;
    };
    const fileBytes = await createFileBy(fs, part, write, { sync: true });
    await moveIn(fs, part, target, overwrite);
    return { ...exported.returned(), path: target, fileBytes };
  } catch (error) {
    throw asStoreError(error, `write ${target}`);
  }
}

async function moveIn(fs: FileSystem, part: string, target: string, overwrite: boolean): Promise<void> {
  try {
    // A rename would replace what has come there meanwhile.
    if (overwrite || !(await linked(fs, part, target))) await fs.later.rename(part, target);
    else await fs.later.unlink(part);
  } catch (error) {
    await fs.later.unlink(part).catch(() => {});
    throw errnoOf(error) === "EEXIST" ? fileExists(target) : error;
  }
  await syncDirectoryOnTheWay(fs, dirname(target));
}

/** What file systems say that know no hard links: a stick, a mounted bucket. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** @returns False where there are no hard links: what is there is looked at once more, and a rename has to do. */
async function linked(fs: FileSystem, part: string, target: string): Promise<boolean> {
  try {
    await fs.later.link(part, target);
    return true;
  } catch (error) {
    if (!NO_LINKS.has(errnoOf(error) ?? "")) throw error;
    if (existsNow(fs, target)) throw fileExists(target);
    return false;
  }
}

/** Of a name; what stands behind it has to fit into one as well. */
const NAME_BYTES_MAX = 220;

/** How the name of a file that is not complete begins. */
function partsOf(target: string): string {
  return Buffer.byteLength(basename(target)) <= NAME_BYTES_MAX ? target : join(dirname(target), "sessions");
}

/**
 * {@link importSessions} from a file. Its end and its checksum are looked at first, so that nothing is written from one that is cut or
 * damaged, unless `salvage` says so.
 * @throws `file_not_found`, `file_unsafe` for what is no regular file; `export_invalid`; what {@link importSessions} throws.
 * @example
 * const { conflicts } = await importFromFile(store, "sessions.jsonl.gz", { dryRun: true });
 */
export function importFromFile(
  store: AnyStore,
  path: string,
  options?: ImportFileOptions,
): Promise<ImportReport> {
  return importFromFileOn(SYSTEM, store, path, options);
}

/** The same on a file system of the caller's, for tests. */
export async function importFromFileOn(
  { fs }: Pick<FileHost, "fs">,
  store: AnyStore,
  path: string,
  { onRead, ...options }: ImportFileOptions = {},
): Promise<ImportReport> {
  const target = resolve(path);
  try {
    const opened = openNamed(fs, target);
    const { fd, status } = opened;
    const pieces = (): AsyncGenerator<Uint8Array, void> =>
      piecesOf(fs, fd, options.signal, (done) => onRead?.(done, status.size));
    try {
      const calledOff = await readAhead(pieces(), options.salvage ?? false);
      const events = readExport(pieces(), { salvage: options.salvage ?? false });
      return await importEvents(store, events, options, calledOff);
    } finally {
      fs.close(fd);
    }
  } catch (error) {
    throw withPath(asStoreError(error, `read ${target}`), target);
  }
}

/**
 * When the records of a file were changed last, by key, as far as their lines say it; of one that comes again the later one.
 * @throws As {@link importFromFile} with `salvage`.
 */
export async function timesInFile(
  fs: FileSystem,
  path: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  const { fd } = openNamed(fs, path);
  try {
    for await (const event of readExport(
      piecesOf(fs, fd, signal, () => {}),
      { salvage: true },
    ))
      if (event.kind === "session" && event.session.modifiedAt !== undefined)
        times.set(event.session.key, event.session.modifiedAt);
    return times;
  } finally {
    fs.close(fd);
  }
}

function openNamed(fs: FileSystem, path: string): ReturnType<typeof openRegularFile> {
  try {
    const opened = unlessMissing(() =>
      openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER }),
    );
    if (opened === undefined) throw fileNotFound(path);
    return opened;
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "file_unsafe") throw error;
    const what =
      "is no regular file but a link, a folder or a device. Nothing was changed: give the path of the file itself.";
    throw new SessionStoreError("file_unsafe", `${path} ${what}`, { data: error.data, cause: error });
  }
}

/**
 * Reads all of it, and keeps nothing but where a session begins that does not count: a large one comes in step by step, and would have
 * taken the place of another one by the time that this shows.
 * @throws `export_invalid`, unless salvaging.
 */
async function readAhead(pieces: AsyncIterable<Uint8Array>, salvage: boolean): Promise<ReadonlySet<number>> {
  const calledOff = new Set<number>();
  let line = 0;
  for await (const event of readExport(pieces, { salvage })) {
    if (event.kind === "session") ({ line } = event.session);
    if (event.kind === "abandon") calledOff.add(line);
  }
  return calledOff;
}

async function* piecesOf(
  fs: FileSystem,
  fd: number,
  signal: AbortSignal | undefined,
  onRead: (done: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for (let position = 0; ;) {
    throwIfAborted(signal);
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const count = await fs.later.read(fd, buffer, 0, READ_BYTES, position);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    position += count;
    onRead(position);
  }
}

/** An iteration whose result can be asked for at its end. */
class ReturningIterable<T, R> implements AsyncIterable<T> {
  #result: { readonly value: R } | undefined;

  constructor(private readonly generator: AsyncGenerator<T, R, void>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    this.#result = { value: yield* this.generator };
  }

  returned(): R {
    if (this.#result === undefined) throw new TypeError("the iteration has not come to its end");
    return this.#result.value;
  }
}

/** Packed, as one gzip member. */
export async function* gzipped(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array, void> {
  const source = Readable.from(texts, { objectMode: false });
  const gzip = createGzip();
  source.on("error", (error) => gzip.destroy(error));
  try {
    yield* source.pipe(gzip) as AsyncIterable<Buffer>;
  } finally {
    source.destroy();
    gzip.destroy();
  }
}

function fileExists(path: string): SessionStoreError {
  return new SessionStoreError(
    "file_exists",
    `${path} is there already. Nothing was written: give another name, or say that it may be replaced (--overwrite).`,
    { data: { path } },
  );
}

function notReplaced(path: string): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} is no regular file but a folder or a device. Nothing was written: give the path of a file, or write to standard output.`,
    { data: { path } },
  );
}

function fileNotFound(path: string): SessionStoreError {
  return new SessionStoreError(
    "file_not_found",
    `there is no file ${path}. Nothing was changed: check its path.`,
    {
      data: { path },
    },
  );
}

function withPath(error: unknown, path: string): unknown {
  if (!(error instanceof SessionStoreError) || error.code !== "export_invalid") return error;
  const { code, message, data, cause } = error;
  return new SessionStoreError(code, `${path}: ${message}`, { data: { path, ...data }, cause });
}
