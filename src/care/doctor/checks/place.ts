/** Where the store lies: on which file system, with how much room, in a folder that some program synchronises. */
import { SessionStoreError } from "../../../errors.js";
import { namesInNow } from "../../../fs/status.js";
import { assertLocalFileSystem } from "../../../fs/trusted-path.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

export const checkFileSystem: Check = {
  name: "file system",
  level: "quick",
  withoutStore: true,
  look(patient) {
    const { fs, layout, path } = patient;
    try {
      if (assertLocalFileSystem(fs, layout.root, "write") === "local") return [];
      return [
        patient.finding({
          code: "file_system_unknown",
          severity: "note",
          path,
          cause:
            "it is not known whether this file system appends atomically (FUSE, virtiofs, or a platform that does not tell)",
          next: "make sure that it is a local disk to which only this machine writes",
        }),
      ];
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
      return [
        patient.finding({
          code: "file_system_unsupported",
          severity: "needs-you",
          path,
          cause: error.message,
          next: "stop all processes and move the store to a local disk",
        }),
      ];
    }
  },
};

/** Below this a checkpoint of a log of usual size may not find room. */
const FREE_BYTES_MIN = 64 * 1024 * 1024;
const FREE_FILES_MIN = 10_000;
const FREE_SHARE_MIN = 0.02;

export const checkSpace: Check = {
  name: "space",
  level: "quick",
  withoutStore: true,
  look(patient) {
    const { fs, layout, path } = patient;
    const { freeBytes, totalBytes, freeFiles, totalFiles = 0 } = fs.room(layout.root);
    const next = `free space on that disk, or delete sessions: ${patient.command("ls", "--order updatedAt")}`;
    const findings: Finding[] = [];
    if (freeBytes < Math.min(FREE_BYTES_MIN, totalBytes * FREE_SHARE_MIN))
      findings.push(
        patient.finding({
          code: "disk_nearly_full",
          severity: "needs-you",
          path,
          bytes: freeBytes,
          cause: `its disk has ${freeBytes} of ${totalBytes} bytes free`,
          next,
        }),
      );
    if (freeFiles !== undefined && freeFiles < Math.min(FREE_FILES_MIN, totalFiles * FREE_SHARE_MIN))
      findings.push(
        patient.finding({
          code: "inodes_nearly_out",
          severity: "needs-you",
          path,
          cause: `its disk has room for ${freeFiles} more files, of ${totalFiles} inodes; a session takes two`,
          next: `${next}; small files are what takes inodes (df -i)`,
        }),
      );
    return findings;
  },
};

/** Parts of paths, and names that such programs leave in the folders that they keep. */
const CLOUD_FOLDERS: readonly (readonly [program: string, part: RegExp])[] = [
  ["iCloud Drive", /\/(?:Mobile Documents|com~apple~CloudDocs|iCloudDrive)(?:\/|$)/],
  ["a cloud provider of macOS", /\/Library\/CloudStorage\//],
  ["Dropbox", /\/Dropbox(?: \([^/]*\))?(?:\/|$)/],
  ["OneDrive", /\/OneDrive(?: - [^/]*)?(?:\/|$)/],
  ["Google Drive", /\/(?:Google Drive|GoogleDrive|My Drive)(?:\/|$)/],
  ["Nextcloud", /\/(?:Nextcloud|ownCloud)(?:\/|$)/],
  ["Box", /\/Box(?: Sync)?(?:\/|$)/],
  ["Syncthing", /\/Sync(?:thing)?(?:\/|$)/],
];
const CLOUD_MARKERS: ReadonlyMap<string, string> = new Map([
  [".stfolder", "Syncthing"],
  [".dropbox", "Dropbox"],
  [".dropbox.cache", "Dropbox"],
  [".sync", "Resilio Sync"],
  [".nextcloudsync.log", "Nextcloud"],
  [".tmp.drivedownload", "Google Drive"],
]);
/** What such programs make of two versions of a file. */
const CONFLICT = /conflicted copy|\.sync-conflict-|\(conflict|_conflict-|-[A-Z0-9]+ \(\d+\)\.json/i;

export const checkCloudFolder: Check = {
  name: "cloud folder",
  level: "quick",
  withoutStore: true,
  look(patient) {
    const { path, fs } = patient;
    const byPath = CLOUD_FOLDERS.find(([, part]) => part.test(path))?.[0];
    const program = byPath ?? markerAbove(fs, path);
    const findings: Finding[] = [];
    if (program !== undefined)
      findings.push(
        patient.finding({
          code: "cloud_folder",
          severity: "needs-you",
          path,
          cause: `it lies in a folder of ${program}, which may put back older files, or bring together what two machines wrote`,
          next: "stop all processes and move the store out of it",
        }),
      );
    const { layout } = patient;
    for (const folder of ["", ...patient.folders.map((name) => `/${name}`), "/.store", "/.store/log"]) {
      for (const name of namesInNow(fs, `${layout.root}${folder}`).filter((one) => CONFLICT.test(one)))
        findings.push(
          patient.finding({
            code: "cloud_conflict",
            severity: "needs-you",
            path: `${layout.root}${folder}/${name}`,
            cause: "a program that synchronises folders made it of two versions of a file",
            next: "see which program that is, and take the store out of its reach; then move this file away",
          }),
        );
    }
    return findings;
  },
};

function markerAbove(fs: { readdir(path: string): string[] }, path: string): string | undefined {
  const parts = path.split("/");
  for (let depth = parts.length; depth > 1; depth--) {
    const folder = parts.slice(0, depth).join("/");
    try {
      for (const name of fs.readdir(folder)) {
        const program = CLOUD_MARKERS.get(name);
        if (program !== undefined) return program;
      }
    } catch {
      continue; // a folder that may be passed through and not read is none of this user's
    }
  }
  return undefined;
}
