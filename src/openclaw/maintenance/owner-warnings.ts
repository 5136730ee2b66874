/**
 * What the maintenance has to say, said to the owner: to the caller who brought a function for it, and otherwise through the
 * warnings of the process. The fast functions take no functions, and a gateway that was told nothing would believe that all
 * is well until "enforce" is switched on, or until the disk is full.
 */
import type { MaintenanceWarning } from "../base/settings.js";
import type { MaintainOptions, SessionMaintenanceReport } from "./session-maintenance.js";
import type { SessionMaintenanceWarning } from "./policy.js";

export class OwnerWarnings {
  /** Stores that were said to be too large; each is told once, until it is not any more. */
  readonly #toldOverBudget = new Set<string>();

  /**
   * The options with somebody who hears.
   * @param file Real path of the legacy file, which names the store.
   */
  added(
    file: string,
    given: Omit<MaintainOptions, "storePath">,
    onWarning: (warning: MaintenanceWarning) => void,
  ): MaintainOptions {
    return {
      ...given,
      storePath: file,
      onWarn: given.onWarn ?? ((warning) => onWarning(wouldRemove(file, warning))),
      onMaintenanceApplied: async (report) => {
        const warning = overBudget(file, report);
        if (warning === undefined) this.#toldOverBudget.delete(file);
        else if (!this.#toldOverBudget.has(file)) {
          this.#toldOverBudget.add(file);
          onWarning(warning);
        }
        await given.onMaintenanceApplied?.(report);
      },
    };
  }
}

function wouldRemove(file: string, warning: SessionMaintenanceWarning): MaintenanceWarning {
  const { activeSessionKey, wouldPrune, wouldCap, pruneAfterMs, maxEntries, totalEntries } = warning;
  const reasons = [
    ...(wouldPrune ? [`it was not used for ${pruneAfterMs} ms`] : []),
    ...(wouldCap ? [`${totalEntries} sessions are more than ${maxEntries}`] : []),
  ];
  const message =
    `${file}: session maintenance in mode "enforce" could remove ${JSON.stringify(activeSessionKey)}, which is in use: ` +
    `${reasons.join("; ")}. Raise the limit, or name the session in preserveKeys.`;
  const data = { path: file, activeSessionKey, wouldPrune, wouldCap };
  return { code: "maintenance_would_remove", message, data };
}

function overBudget(
  file: string,
  { mode, diskBudget }: SessionMaintenanceReport,
): MaintenanceWarning | undefined {
  if (diskBudget?.overBudget !== true) return undefined;
  const { totalBytesAfter, maxBytes } = diskBudget;
  const then =
    mode === "warn"
      ? 'Nothing is removed in mode "warn".'
      : "What is left is in use, or is named by a session: remove sessions, or raise the limit.";
  const message = `the folder of ${file} has ${totalBytesAfter} bytes, and maxDiskBytes is ${maxBytes}. ${then}`;
  return { code: "maintenance_over_budget", message, data: { path: file, totalBytesAfter, maxBytes } };
}
