/** `sessiondir/retention`: which sessions stay and which go, an archive of those that went, and the way back. */
export { applyRetention } from "../care/retention/apply.js";
export type { ApplyOptions, ArchiveOptions, RetentionReport } from "../care/retention/apply.js";
export { pruneArchive } from "../care/retention/archive-retention.js";
export type {
  ArchivedFile,
  PruneArchiveOptions,
  PruneArchiveReport,
} from "../care/retention/archive-retention.js";
export type { ArchivedSession } from "../care/retention/archived.js";
export { planRetention } from "../care/retention/plan.js";
export type { PlanOptions, RetentionPlan, Stop } from "../care/retention/plan.js";
export type {
  Decision,
  ExceededLimit,
  KeepReason,
  Reason,
  RemovalReason,
  RuleSummary,
  Verdict,
} from "../care/retention/planner.js";
export { checkPolicy } from "../care/retention/policy.js";
export type { Policy, Rule } from "../care/retention/policy.js";
export { readPolicyFile } from "../care/retention/policy-file.js";
export type {
  RetentionMode,
  RetentionPolicy,
  RetentionRule,
  RetentionSession,
} from "../care/retention/policy-types.js";
export { retentionAttempts } from "../care/retention/record.js";
export type { RetentionAttempt, RetentionWarning } from "../care/retention/record.js";
export { listArchived, restoreSession } from "../care/retention/restore.js";
export type { ListOptions, RestoreOptions, RestoreReport } from "../care/retention/restore.js";
