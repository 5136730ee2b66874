/** Which system calls change what is on the disk, as far as the oracle and a process that only reads are concerned. */

const READS: ReadonlySet<string> = new Set([
  "read",
  "fstat",
  "lstat",
  "readdir",
  "open",
  "realpath",
  "readlink",
  "room",
]);
const HARMLESS: ReadonlySet<string> = new Set(["close", "fileSystemType", "room"]);

/** Whether the oracle has to look again after such a call. */
export function mayBeNews(name: string): boolean {
  return !READS.has(name);
}

/** Whether no process that only reads may make such a call. */
export function isWrite(name: string): boolean {
  return !READS.has(name) && !HARMLESS.has(name);
}
