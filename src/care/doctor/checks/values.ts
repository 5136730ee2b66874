/** Shared values: missing, damaged, or not needed by anybody. Their sizes are compared; their content only when every byte is read. */
import { plural } from "../../../plural.js";
import type { Patient } from "../patient.js";
import { findValue } from "../sources.js";
import type { Finding } from "../types.js";
import { lookAtValues, type ValueUser } from "../values-look.js";
import type { Check } from "./check.js";

export const checkValues: Check = {
  name: "shared values",
  level: "default",
  needsLog: true,
  async look(patient) {
    const { missing, damaged, users, unreferenced, incomplete } = await lookAtValues(patient);
    const { layout } = patient;
    const findings: Finding[] = [];
    const swapped = damaged.map(({ path }) => path);
    for (const { hash, path, reason } of damaged) {
      const of = users.get(hash) ?? [];
      const isKnown = of.length === 0 || findValue(patient, hash, swapped) !== undefined;
      findings.push(
        patient.finding({
          code: "value_damaged",
          severity: isKnown ? "repairable" : "lost",
          path,
          offset: 0,
          hash,
          cause: `${reason}; ${needs(of)}`,
          next: nextOf(patient, isKnown),
          repair: isKnown ? "alone" : "live",
        }),
      );
      if (!isKnown) findings.push(...ofSessions(patient, hash, path, "is damaged", of));
    }
    for (const hash of missing) {
      const of = users.get(hash) ?? [];
      const isKnown = findValue(patient, hash, swapped) !== undefined;
      findings.push(...ofSessions(patient, hash, layout.blob(hash), "is missing", of, isKnown));
    }
    // Of a part of the sessions nobody can say what the others need.
    if (unreferenced.count > 0 && patient.sample >= 1)
      findings.push(
        patient.finding({
          code: "values_unreferenced",
          severity: "note",
          path: layout.blobs,
          bytes: unreferenced.bytes,
          cause:
            `${plural(unreferenced.count, "value is", "values are")} needed by no session (${unreferenced.bytes} bytes)` +
            (incomplete ? "; what could not be read may need some of them" : ""),
          next: "nothing: the store removes them by itself when it moves its log into files",
        }),
      );
    return findings;
  },
};

/** One for each field of each session: these are what a person has to look after. */
function ofSessions(
  patient: Patient,
  hash: string,
  path: string,
  what: string,
  users: readonly ValueUser[],
  isKnown = false,
): Finding[] {
  return users.map(({ key, field }) =>
    patient.finding({
      code: "value_missing",
      severity: isKnown ? "repairable" : "lost",
      path,
      key,
      field,
      hash,
      cause: `a shared value of its field ${JSON.stringify(field)} ${what}${isKnown ? ", and a copy of it was found" : ""}`,
      next: nextOf(patient, isKnown),
      repair: isKnown ? "alone" : "live",
    }),
  );
}

function needs(users: readonly ValueUser[]): string {
  const [first] = users;
  if (first === undefined) return "no session needs it";
  const more = users.length === 1 ? "" : ` and ${plural(users.length - 1, "other")}`;
  return `session ${JSON.stringify(first.key)}${more} need it`;
}

function nextOf(patient: Patient, isKnown: boolean): string {
  if (isKnown) return patient.fix("alone");
  return (
    "put the field again, or restore .store/blobs from a backup, or name the backup: " +
    `${patient.command("doctor", "--fix", "--alone", "--backup", "PATH")}; without one, ${patient.fix("live")} takes the field out`
  );
}
