/**
 * Whole folders: built aside without waiting for the disk at every step, made durable at the end, listed, removed.
 *
 * A store syncs each blob and each folder before it acknowledges what refers to them. Of a folder that nobody uses yet
 * nothing is acknowledged: what matters is that all of it is durable before the one rename that makes it count. So the
 * store works on a port whose syncs do nothing, and {@link syncTree} follows. A power cut before that leaves a building
 * folder with anything in it, which is removed and never read.
 */
import type { Deferred, FileCalls, FileSystem } from "../../fs/file-system.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { namesIn, statusNow } from "../../fs/status.js";
import { ignoreMissing } from "../../fs/missing.js";
import { Layout, segmentNumber } from "../../format/layout.js";
import type { LegacyHost } from "./host.js";

/** Between two turns of the event loop. */
const SLICE_MS = 8;

/**
 * The same file system, with syncs that return at once, and that says so: folders are then not even opened for it. Its
 * deferred calls are the blocking ones in time slices: into the page cache they take microseconds, while a trip to the
 * thread pool takes a tenth of a millisecond, and a store makes a dozen for each session.
 */
export function withoutSync({ fs, runtime }: LegacyHost): FileSystem {
  let sliceStart = runtime.monotonic();
  const sliced =
    <Args extends unknown[], Result>(call: (...args: Args) => Result) =>
    async (...args: Args): Promise<Result> => {
      if (runtime.monotonic() - sliceStart >= SLICE_MS) {
        await runtime.yieldToEventLoop();
        sliceStart = runtime.monotonic();
      }
      return call(...args);
    };
  const calls: FileCalls = {
    open: (path, mode) => fs.open(path, mode),
    close: (fd) => fs.close(fd),
    read: (fd, buffer, offset, length, position) => fs.read(fd, buffer, offset, length, position),
    write: (fd, buffer, offset, length, position) => fs.write(fd, buffer, offset, length, position),
    fstat: (fd) => fs.fstat(fd),
    lstat: (path) => fs.lstat(path),
    readdir: (path) => fs.readdir(path),
    mkdir: (path) => fs.mkdir(path),
    rmdir: (path) => fs.rmdir(path),
    unlink: (path) => fs.unlink(path),
    rename: (from, to) => fs.rename(from, to),
    link: (existing, created) => fs.link(existing, created),
    fdatasync: () => {},
    fsync: () => {},
  };
  const later = Object.fromEntries(
    Object.entries(calls).map(([name, call]) => [name, sliced(call as (...args: unknown[]) => unknown)]),
  );
  return {
    ...calls,
    // Object.entries forgets which name has which type; it is the same names with the same calls.
    later: later as unknown as Deferred<FileCalls>,
    guarantees: { directorySync: false, pinnedRoot: fs.guarantees.pinnedRoot },
    realpath: (path) => fs.realpath(path),
    readlink: (path) => fs.readlink(path),
    fileSystemType: (path) => fs.fileSystemType(path),
    room: (path) => fs.room(path),
    bootedAt: () => fs.bootedAt(),
    userId: () => fs.userId(),
    mayWrite: (path) => fs.mayWrite(path),
    watch: (path, onChange) => fs.watch(path, onChange),
  };
}

/** As many as the thread pool has threads. */
const AT_ONCE = 4;
/** Blocking calls of 2 µs each, between two turns of the event loop. */
const LOOKS_AT_ONCE = 500;

export interface Tree {
  readonly files: readonly string[];
  /** The topmost one first, each before those in it. */
  readonly folders: readonly string[];
  /** Of all files. */
  readonly bytes: number;
}

/** Everything below a folder; what vanishes meanwhile is left out. */
export async function listTree({ fs, runtime }: LegacyHost, path: string): Promise<Tree> {
  const files: string[] = [];
  const folders = [path];
  let bytes = 0;
  let looks = 0;
  for (const folder of folders) {
    for (const name of await namesIn(fs, folder)) {
      const child = `${folder}/${name}`;
      if (++looks % LOOKS_AT_ONCE === 0) await runtime.yieldToEventLoop();
      const status = statusNow(fs, child);
      if (status === undefined) continue;
      if (status.kind === "directory") folders.push(child);
      else {
        files.push(child);
        bytes += status.size;
      }
    }
  }
  return { files, folders, bytes };
}

/**
 * Makes every file and folder below a path durable, the folder itself included; its name in its parent is not.
 * @param onProgress Called now and then with the number of files and folders done and found.
 */
export async function syncTree(
  host: LegacyHost,
  path: string,
  onProgress: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { fs } = host;
  const { files, folders } = await listTree(host, path);
  let done = 0;
  const total = files.length + folders.length;
  const each = async (paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < paths.length) {
        signal?.throwIfAborted();
        await work(paths[next++]!);
        if (++done % 64 === 0 || done === total) onProgress(done, total);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
    for (const result of workers) if (result.status === "rejected") throw result.reason;
  };
  await each(files, (file) => syncFile(fs, file));
  // A folder's names must not outlive the folders in it: from the leaves to the root.
  await each(folders.toReversed(), (folder) => syncDirectory(fs, folder));
}

/** Makes every commit durable that is in a store's log by now; what is no longer there went into files that are. */
export async function syncLog({ fs }: LegacyHost, directory: string): Promise<void> {
  const { log } = new Layout(directory);
  for (const name of await namesIn(fs, log))
    if (segmentNumber(name) !== undefined) await ignoreMissing(syncFile(fs, `${log}/${name}`));
  await syncDirectory(fs, log);
}

async function syncFile(fs: FileSystem, path: string): Promise<void> {
  const fd = await fs.later.open(path, "read");
  try {
    await fs.later.fdatasync(fd);
  } finally {
    await fs.later.close(fd);
  }
}

/** Removes a folder with everything in it. Somebody else may be removing it as well. */
export async function removeTree(host: LegacyHost, path: string): Promise<void> {
  const { files, folders } = await listTree(host, path);
  const { later } = host.fs;
  for (const file of files) await ignoreMissing(later.unlink(file));
  for (const folder of folders.toReversed()) await ignoreMissing(later.rmdir(folder));
}
