/** The size of a sessions folder, looked after by itself: what `openclaw sessions cleanup` asks for. */
import { systemHost } from "../../legacy/base/host.js";
import type { SessionStoreRecord } from "../entry/session-entry.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { Broom, keepBelow, type DiskBudgetReport } from "./archives.js";
import { RecordSessions } from "./record-sessions.js";
import { referencesOf } from "./removal.js";

/** How a gateway logs; nothing is logged without one. */
export interface DiskBudgetLogger {
  warn(message: string, context?: Record<string, unknown>): void;
  info(message: string, context?: Record<string, unknown>): void;
}

/**
 * Removes archives, the oldest first, while the folder is larger than it may be. Never a session, never a transcript that
 * has its name, and never an archive whose transcript a session of `store` names, so `store`, `activeSessionKey` and `preserveKeys` are as they were afterwards; OpenClaw's own function goes on
 * with those. Sizes are of the regular files in the folder; a directory store is not among them.
 * @param params.warnOnly Only look, and say so in the log.
 * @param params.dryRun Report what would be removed. Default false.
 * @param params.onRemoveFile Hears the path of each file that is, or would be, removed.
 * @returns Null where no size is set.
 * @throws The system's own error where the folder cannot be read or written.
 */
export async function enforceSessionDiskBudget(params: {
  readonly store: Readonly<SessionStoreRecord>;
  readonly storePath: string;
  readonly maintenance: { readonly maxDiskBytes: number | null; readonly highWaterBytes: number | null };
  readonly warnOnly: boolean;
  readonly dryRun?: boolean | undefined;
  readonly activeSessionKey?: string | undefined;
  readonly preserveKeys?: ReadonlySet<string> | undefined;
  readonly log?: DiskBudgetLogger | undefined;
  readonly onRemoveFile?: ((path: string) => void) | undefined;
}): Promise<DiskBudgetReport | null> {
  const { maintenance, warnOnly, dryRun = false, log, onRemoveFile } = params;
  const { maxDiskBytes, highWaterBytes } = maintenance;
  if (maxDiskBytes === null || highWaterBytes === null) return null;
  const { folder } = resolveStoreTarget(systemHost.fs, params.storePath);
  const action = warnOnly ? "look" : dryRun ? "pretend" : "remove";
  const report = await keepBelow(
    systemHost,
    folder,
    { maxBytes: maxDiskBytes, highWaterBytes },
    action,
    new Broom(systemHost, () => referencesOf(new RecordSessions(params.store))),
    onRemoveFile,
  );
  if (dryRun) return report;
  const context = { sessionsDir: folder, ...report };
  if (report.overBudget)
    log?.warn(`${folder} has more bytes than it may have, and no archives to remove`, context);
  else if (report.removedFiles > 0) log?.info(`${folder} is within its size again`, context);
  return report;
}
