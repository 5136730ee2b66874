/**
 * Builds something aside without waiting for the disk at every step, and makes all of it durable at the end.
 *
 * A store syncs each blob and each folder before it acknowledges what refers to them. Of a folder that nobody uses yet
 * nothing is acknowledged: what matters is that all of it is durable before the one rename that makes it count. So the
 * store works on a port whose syncs do nothing, and {@link syncTree} follows. A power cut before that leaves a building
 * folder with anything in it, which is removed and never read.
 */
import type { FileSystem } from "../fs/file-system.js";
import { syncDirectory } from "../fs/regular-file.js";

/** The same file system, with syncs that return at once, and that says so: folders are then not even opened for it. */
export function withoutSync(fs: FileSystem): FileSystem {
  const nothing = (): void => {};
  const nothingLater = (): Promise<void> => Promise.resolve();
  // The prototype keeps getters and methods of whatever implements the port, with their own `this`.
  const later = { ...fs.later, fdatasync: nothingLater, fsync: nothingLater };
  return new Proxy(fs, {
    get(target, name) {
      if (name === "fdatasync" || name === "fsync") return nothing;
      if (name === "later") return later;
      if (name === "guarantees") return { ...target.guarantees, directorySync: false };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** As many as the thread pool has threads. */
const AT_ONCE = 4;

/**
 * Makes every file and folder below a path durable, the folder itself included; its name in its parent is not.
 * @param onProgress Called now and then with the number of files done and found.
 */
export async function syncTree(
  fs: FileSystem,
  path: string,
  onProgress: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const files: string[] = [];
  const folders = [path];
  for (const folder of folders) {
    for (const name of await fs.later.readdir(folder)) {
      const child = `${folder}/${name}`;
      if ((await fs.later.lstat(child)).kind === "directory") folders.push(child);
      else files.push(child);
    }
  }
  let done = 0;
  const total = files.length + folders.length;
  const each = async (paths: string[], work: (path: string) => Promise<void>): Promise<void> => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < paths.length) {
        signal?.throwIfAborted();
        await work(paths[next++]!);
        if (++done % 256 === 0 || done === total) onProgress(done, total);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
    for (const result of workers) if (result.status === "rejected") throw result.reason;
  };
  await each(files, (file) => syncFile(fs, file));
  // A folder's names must not outlive the folders in it: from the leaves to the root.
  await each(folders.reverse(), (folder) => syncDirectory(fs, folder));
}

async function syncFile(fs: FileSystem, path: string): Promise<void> {
  const fd = await fs.later.open(path, "read");
  try {
    await fs.later.fdatasync(fd);
  } finally {
    await fs.later.close(fd);
  }
}

/** Removes a folder with everything in it. What somebody else removes meanwhile is fine. */
export async function removeTree(fs: FileSystem, folder: string): Promise<void> {
  for (const name of await fs.later.readdir(folder)) {
    const path = `${folder}/${name}`;
    if ((await fs.later.lstat(path)).kind === "directory") await removeTree(fs, path);
    else await fs.later.unlink(path);
  }
  await fs.later.rmdir(folder);
}
