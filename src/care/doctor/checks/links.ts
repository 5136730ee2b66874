/** Links: the store follows none, so one in the place of something of its own is that thing missing. Second names are told as well. */
import { namesInNow, statusNow } from "../../../fs/status.js";
import { ENTRY_FILE, partsOfChunkName, segmentNumber } from "../../../format/layout.js";
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

export const checkLinks: Check = {
  name: "links",
  level: "default",
  withoutStore: true,
  look(patient) {
    const findings: Finding[] = [];
    for (const [path, isOurs] of pathsOf(patient)) {
      const status = statusNow(patient.fs, path);
      if (status === undefined) continue;
      if (status.kind === "symlink") findings.push(link(patient, path, isOurs));
      else if (
        status.kind === "file" &&
        status.links > 1 &&
        segmentNumber(path.slice(path.lastIndexOf("/") + 1)) !== undefined
      )
        findings.push(
          patient.finding({
            code: "second_name",
            severity: "note",
            path,
            cause: `the segment has ${status.links} names: a copy of the store was made of hard links, and shares its log`,
            next: "nothing: a process that writes goes on in another segment. A copy of hard links is no backup",
          }),
        );
    }
    return findings;
  },
};

/** Where links are looked for, and whether something of the store's own belongs there. Never through one. */
function* pathsOf(patient: Patient): Generator<readonly [path: string, isOurs: boolean]> {
  const { fs, layout } = patient;
  for (const name of patient.names) {
    const path = `${layout.root}/${name}`;
    // A link in place of a session's folder is the session missing: the check of entries tells.
    if (name.startsWith(".")) yield [path, path === layout.store];
  }
  for (const folder of patient.folders)
    for (const name of namesInNow(fs, `${layout.root}/${folder}`))
      if (name !== ENTRY_FILE)
        yield [`${layout.root}/${folder}/${name}`, partsOfChunkName(name) !== undefined];
  if (statusNow(fs, layout.store)?.kind !== "directory") return;
  for (const name of namesInNow(fs, layout.store)) {
    const path = `${layout.store}/${name}`;
    yield [path, true];
    // What is in the quarantine is read by nobody, and a link that was put aside is one of them.
    if (path === layout.quarantine || statusNow(fs, path)?.kind !== "directory") continue;
    for (const inner of namesInNow(fs, path)) {
      yield [`${path}/${inner}`, true];
      if (path !== layout.blobs || statusNow(fs, `${path}/${inner}`)?.kind !== "directory") continue;
      for (const blob of namesInNow(fs, `${path}/${inner}`)) yield [`${path}/${inner}/${blob}`, true];
    }
  }
}

function link(patient: Patient, path: string, isOurs: boolean): Finding {
  const target = patient.fs.readlink(path);
  const isFolder = path === patient.layout.store;
  return patient.finding({
    code: "link_found",
    severity: isOurs ? (isFolder ? "needs-you" : "repairable") : "note",
    path,
    cause: `it is a link to ${target}${isOurs ? ", which the store does not follow: what belongs there is missing" : ""}`,
    next: isOurs
      ? `put the thing itself in its place, from where it was moved to${isFolder ? "" : `; or ${patient.fix("alone")} puts the link aside`}`
      : "nothing",
    ...(isOurs && !isFolder && { repair: "alone" as const }),
  });
}
