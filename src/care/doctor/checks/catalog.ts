/** The catalogs: whether every line of those that count is right. One that is not costs time and nothing else. */
import type { Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

export const checkCatalog: Check = {
  name: "catalog",
  level: "default",
  needsLog: true,
  look(patient) {
    const { damaged, ahead, missing, segment } = patient.catalog;
    const findings: Finding[] = damaged.map(({ path, reason }) =>
      harmless(patient, "catalog_damaged", path, reason),
    );
    for (const path of ahead)
      findings.push(
        harmless(patient, "catalog_ahead", path, "it is ahead of the log, as in a copy of a store in use"),
      );
    if (missing)
      findings.push(
        harmless(
          patient,
          "catalog_missing",
          patient.layout.catalog(segment),
          "no catalog is there that the log can go on from",
        ),
      );
    return findings;
  },
};

function harmless(
  patient: Patient,
  code: "catalog_damaged" | "catalog_ahead" | "catalog_missing",
  path: string,
  reason: string,
): Finding {
  return patient.finding({
    code,
    severity: "repairable",
    path,
    cause: `${reason}; listings read all files instead until it is made anew`,
    next: `nothing: the store makes one with its next checkpoint; or ${patient.fix("alone")}`,
    repair: "alone",
  });
}
