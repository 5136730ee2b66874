/**
 * What processes that were killed left behind, what is kept in the quarantine, and what is not the store's: files of systems, editors
 * and people. None of it harms; what is the store's own goes with the next checkpoint.
 */
import { namesInNow, statusNow } from "../../../fs/status.js";
import {
  catalogNumber,
  ENTRY_FILE,
  hintNumber,
  isSystemName,
  liveRun,
  operationsNumber,
  partOfFileName,
  partsOfChunkName,
  partsOfTrashName,
  segmentNumber,
  stageNumber,
  STORE_FOLDER,
} from "../../../format/layout.js";
import { isHashedFolderName, keyFromFolderName } from "../../../format/session-key.js";
import { plural } from "../../../plural.js";
import { OLDER_RECORD_FILE, RECORD_FILE } from "../../retention/record.js";
import { HISTORY_FILE } from "../history.js";
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

/** Temporary names, of editors and of systems. What a person saved is none of these. */
const LITTER =
  /^(?:\.DS_Store|\._.*|\.nfs[0-9a-f]+|\.fuse_hidden.*|Thumbs\.db|desktop\.ini|#.*#|\.#.*|.*~|\..*\.sw[a-z]|.*\.(?:orig|bak|tmp|part|rej)|\.meta\.json\.\w+|4913)$/i;

export const checkLeftovers: Check = {
  name: "leftovers",
  level: "quick",
  look(patient) {
    const { fs, layout } = patient;
    const live = liveRun(namesInNow(fs, layout.log).flatMap((name) => segmentNumber(name) ?? []));
    const [lowest = 0] = live;
    const findings: Finding[] = [];
    const add = (path: string, cause: string): void =>
      void findings.push(
        patient.finding({
          code: "leftover",
          severity: "note",
          path,
          cause,
          next: `nothing; ${patient.fix("live")} removes it`,
          repair: "live",
        }),
      );
    for (const name of patient.names)
      if (name.startsWith(`${STORE_FOLDER}.building-`))
        add(`${layout.root}/${name}`, "it is a store that a process was building when it ended");
    for (const name of namesInNow(fs, layout.stage)) {
      const number = stageNumber(name);
      if (number !== undefined && number < lowest)
        add(`${layout.stage}/${name}`, "it is a staging folder of a segment that is gone");
    }
    for (const name of namesInNow(fs, layout.store)) {
      const hint = hintNumber(name);
      if (hint !== undefined && hint < lowest)
        add(`${layout.store}/${name}`, "it is a hint about a log that is gone");
    }
    return [...findings, ...keptAside(patient)];
  },
};

function keptAside(patient: Patient): Finding[] {
  const { fs, layout } = patient;
  const names = namesInNow(fs, layout.quarantine);
  const old = patient.names.filter((name) => name.startsWith(".") && name.endsWith(".renamed"));
  const found: Finding[] = old.map((name) =>
    patient.finding({
      code: "quarantine_kept",
      severity: "note",
      path: `${layout.root}/${name}`,
      cause: "it is what was left of a folder when its session got the right name",
      next: "look whether something in it is missed, then remove it",
    }),
  );
  if (names.length === 0) return found;
  const bytes = names.reduce(
    (sum, name) => sum + (statusNow(fs, `${layout.quarantine}/${name}`)?.size ?? 0),
    0,
  );
  return [
    ...found,
    patient.finding({
      code: "quarantine_kept",
      severity: "note",
      path: layout.quarantine,
      bytes,
      cause: `${plural(names.length, "file is", "files are")} kept there (${bytes} bytes): what was damaged, and notes about it`,
      next: "look whether something in it is missed, then remove what nobody needs",
    }),
  ];
}

export const checkStrays: Check = {
  name: "stray files",
  level: "default",
  withoutStore: true,
  look(patient) {
    const findings: Finding[] = [];
    const add = (path: string, litter: boolean): void =>
      void findings.push(
        patient.finding({
          code: "stray_file",
          severity: "note",
          path,
          cause: litter
            ? "a system, an editor or a tool that copies left it there; it harms nothing"
            : "it is not the store's, and is left alone",
          next: litter ? `remove it, or ${patient.fix("alone")} puts it aside` : "nothing",
          ...(litter && { repair: "alone" as const }),
        }),
      );
    for (const [path, name] of straysIn(patient)) add(path, LITTER.test(name));
    return findings;
  },
};

/** Whatever has a name that the store gives to nothing. */
export function* straysIn(patient: Patient): Generator<readonly [path: string, name: string]> {
  const { fs, layout } = patient;
  for (const name of patient.names) {
    const path = `${layout.root}/${name}`;
    if (name === STORE_FOLDER || name.startsWith(`${STORE_FOLDER}.building-`) || name.endsWith(".renamed"))
      continue;
    const kind = statusNow(fs, path)?.kind;
    if (kind === "symlink") continue;
    const isSession = keyFromFolderName(name) !== undefined || isHashedFolderName(name);
    if (kind !== "directory" || name.startsWith(".")) {
      if (!(kind === "directory" && isSystemName(name))) yield [path, name];
      continue;
    }
    if (isSystemName(name)) continue;
    if (!isSession) {
      yield [path, name];
      continue;
    }
    for (const inner of namesInNow(fs, path))
      if (inner !== ENTRY_FILE && partsOfChunkName(inner) === undefined) yield [`${path}/${inner}`, inner];
  }
  if (!patient.hasStore) return;
  for (const name of namesInNow(fs, layout.store))
    if (!isInternal(name)) yield [`${layout.store}/${name}`, name];
  for (const name of namesInNow(fs, layout.log))
    if (segmentNumber(name) === undefined) yield [`${layout.log}/${name}`, name];
  for (const name of namesInNow(fs, layout.stage))
    if (stageNumber(name) === undefined) yield [`${layout.stage}/${name}`, name];
  for (const name of namesInNow(fs, layout.trash))
    if (partsOfTrashName(name).hash === undefined) yield [`${layout.trash}/${name}`, name];
  for (const folder of namesInNow(fs, layout.blobs)) {
    if (!/^[0-9a-f]{2}$/.test(folder)) {
      yield [`${layout.blobs}/${folder}`, folder];
      continue;
    }
    for (const name of namesInNow(fs, `${layout.blobs}/${folder}`))
      if (!/^[0-9a-f]{64}\.json$/.test(name)) yield [`${layout.blobs}/${folder}/${name}`, name];
  }
}

const INTERNAL: ReadonlySet<string> = new Set([
  "format.json",
  "log",
  "stage",
  "blobs",
  "trash",
  "quarantine",
  "reserve",
  "durable",
  "legacy",
  HISTORY_FILE,
  RECORD_FILE,
  OLDER_RECORD_FILE,
]);

function isInternal(name: string): boolean {
  return (
    INTERNAL.has(name) ||
    catalogNumber(name) !== undefined ||
    partOfFileName(name) !== undefined ||
    hintNumber(name) !== undefined ||
    operationsNumber(name) !== undefined
  );
}
