/**
 * Modes and owners: the store's folders are 0700 and its files 0600, and all of them are this user's. What others may read is a leak;
 * what they may write is theirs.
 */
import type { FileStatus } from "../../../fs/file-system.js";
import { namesInNow, statusNow } from "../../../fs/status.js";
import { shellQuoted } from "../../../legacy/base/paths.js";
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import { straysIn } from "./leftovers.js";
import type { Check } from "./check.js";

const ACCESS_OF_OTHERS = 0o077;
const GROUP = 0o070;

export const checkPermissions: Check = {
  name: "permissions",
  level: "quick",
  withoutStore: true,
  look(patient) {
    if (patient.fs.userId() === undefined) return []; // modes mean something else there
    const findings: Finding[] = [];
    const foreign = new Set([...straysIn(patient)].map(([path]) => path));
    for (const path of pathsOf(patient)) {
      if (foreign.has(path)) continue; // what people put there has the mode that they gave it
      const status = statusNow(patient.fs, path);
      if (status === undefined || status.kind === "symlink") continue; // the check of links tells
      findings.push(...ofPath(patient, path, status));
    }
    return findings;
  },
};

function* pathsOf(patient: Patient): Generator<string> {
  const { fs, layout } = patient;
  yield layout.root;
  yield* below(patient, layout.store, 1);
  // What is in the quarantine has the mode that it had; nobody else comes so far.
  for (const folder of [layout.log, layout.blobs, layout.trash, layout.stage])
    yield* below(patient, folder, folder === layout.blobs ? 2 : 1);
  for (const name of patient.folders) {
    yield `${layout.root}/${name}`;
    if (!patient.includes("default")) continue; // a hundred thousand folders are listed otherwise
    for (const file of namesInNow(fs, `${layout.root}/${name}`))
      if (file === "meta.json" || file.endsWith(".jsonl")) yield `${layout.root}/${name}/${file}`;
  }
}

/** What is in a folder, and in the folders in it; never through a link. */
function* below({ fs }: Patient, folder: string, depth: number): Generator<string> {
  if (statusNow(fs, folder)?.kind !== "directory") return;
  yield folder;
  for (const name of namesInNow(fs, folder)) {
    const path = `${folder}/${name}`;
    yield path;
    if (depth > 1 && statusNow(fs, path)?.kind === "directory")
      for (const inner of namesInNow(fs, path)) yield `${path}/${inner}`;
  }
}

function* ofPath(patient: Patient, path: string, { mode, owner, kind }: FileStatus): Generator<Finding> {
  const user = patient.fs.userId();
  const quoted = shellQuoted(patient.real(path));
  if (owner !== user && owner !== 0)
    yield patient.finding({
      code: "owner_wrong",
      severity: "needs-you",
      path,
      cause: `it belongs to user ${owner}, and this is user ${user}`,
      next: `chown -h ${user} ${quoted} (as root), or run as its owner`,
    });
  const allowed = patient.options.trust === "group" ? GROUP : 0;
  if ((mode & ACCESS_OF_OTHERS & ~allowed) === 0) return;
  yield patient.finding({
    code: "mode_wrong",
    severity: "needs-you",
    path,
    cause: `its mode is ${(mode & 0o777).toString(8).padStart(4, "0")}, so other users may read or write it`,
    next: `chmod ${kind === "directory" ? "0700" : "0600"} ${quoted}`,
  });
}
