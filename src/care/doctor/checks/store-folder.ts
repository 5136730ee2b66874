/** `.store` and the folders in it: whether they are there. A copy that left out what begins with a dot, or what is empty, lacks them. */
import { internalFolders } from "../../../entries/internal-folder.js";
import { statusNow } from "../../../fs/status.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

export const checkStoreFolder: Check = {
  name: "store folder",
  level: "quick",
  withoutStore: true,
  look(patient) {
    const { fs, layout } = patient;
    if (!patient.hasStore) {
      return [
        patient.finding({
          code: "store_incomplete",
          severity: "repairable",
          path: layout.store,
          cause:
            "it is missing beside folders of sessions: a copy left out what begins with a dot, or somebody removed it. " +
            "Shared values, and what only its log had, are gone with it",
          next: `restore it from the same copy; or, if it is gone for good, ${patient.command("doctor", "--fix", "--alone")}`,
          repair: "alone",
        }),
      ];
    }
    const findings: Finding[] = [];
    for (const path of internalFolders(layout)) {
      const status = statusNow(fs, path);
      if (status?.kind === "directory") continue;
      if (status !== undefined) continue; // the check of links tells
      const isLog = path === layout.log;
      findings.push(
        patient.finding({
          code: "internal_folder_missing",
          severity: "repairable",
          path,
          cause: isLog
            ? "it is missing: changes that were only in the log are gone with it"
            : "it is missing, as in a copy that leaves out empty folders, or it was removed",
          next: `put it back; if it is gone for good, ${patient.fix("live")}`,
          repair: "live",
        }),
      );
    }
    return findings;
  },
};
