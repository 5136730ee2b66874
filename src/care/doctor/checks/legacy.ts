/** What lies beside a store that came from a `sessions.json`: one that came back, what a run left unfinished, and whether a mirror keeps up. */
import { createHash } from "node:crypto";
import { basename, extname } from "node:path";
import { readAt } from "../../../fs/read-at.js";
import { openRegularFile } from "../../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../../fs/status.js";
import { LegacyPaths, shellQuoted } from "../../../legacy/base/paths.js";
import { KnownFiles } from "../../../legacy/merging/known-files.js";
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

/** The store's neighbours; undefined for a store that stands for no file. */
function pathsOf({ path }: Patient): LegacyPaths | undefined {
  return extname(path) === ".d" && basename(path) !== ".d" ? new LegacyPaths(path) : undefined;
}

export const checkLegacyFiles: Check = {
  name: "legacy files",
  level: "quick",
  look(patient) {
    const paths = pathsOf(patient);
    if (paths === undefined) return [];
    const findings: Finding[] = [];
    for (const name of namesInNow(patient.fs, paths.folder)) {
      const path = `${paths.folder}/${name}`;
      const unfinished =
        paths.isUnfinishedDirectory(name) || paths.isUnfinishedFile(name) || paths.isMerging(name);
      if (!unfinished) continue;
      findings.push(
        patient.finding({
          code: "legacy_unfinished",
          severity: "note",
          path,
          cause: "a migration, rollback or mirror was at work on it, and has not finished; it may still be",
          next: `if none is running any more: sessiondir migrate --store ${shellQuoted(paths.file)}`,
        }),
      );
    }
    return findings;
  },
};

const READ_BYTES = 1024 * 1024;

export const checkMirror: Check = {
  name: "mirror",
  level: "default",
  async look(patient) {
    const paths = pathsOf(patient);
    if (paths === undefined) return [];
    const { fs } = patient;
    if (statusNow(fs, paths.file)?.kind !== "file") return [];
    const { records } = await KnownFiles.load(patient.host, paths.directory);
    const sha256 = digestOf(patient, paths.file);
    const known = records.find((record) => record.sha256 === sha256);
    if (known === undefined)
      return [
        patient.finding({
          code: "legacy_came_back",
          severity: "needs-you",
          path: paths.file,
          cause:
            "there is a legacy file beside the store which the store has not written: an older gateway, or a restored backup",
          next: `sessiondir migrate --store ${shellQuoted(paths.file)} brings in what it has; stop the older gateway first`,
        }),
      ];
    patient.log?.catchUp();
    const revision = patient.log?.revision ?? 0;
    if (known.revision >= revision) return [];
    return [
      patient.finding({
        code: "mirror_behind",
        severity: "note",
        path: paths.file,
        cause: `it has the sessions as of revision ${known.revision}, and the store is at ${revision}`,
        next: `nothing if a mirror is running; otherwise sessiondir mirror --once --store ${shellQuoted(paths.file)}, or move the file away`,
      }),
    ];
  },
};

function digestOf({ fs }: Patient, path: string): string {
  const { fd, status } = openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER });
  try {
    const hash = createHash("sha256");
    for (let at = 0; at < status.size;) {
      const bytes = readAt(fs, fd, Math.min(READ_BYTES, status.size - at), at);
      if (bytes.length === 0) break;
      hash.update(bytes);
      at += bytes.length;
    }
    return hash.digest("hex");
  } finally {
    fs.close(fd);
  }
}
