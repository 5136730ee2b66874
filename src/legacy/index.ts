/** `sessiondir/legacy`: from `sessions.json` and older layouts into a store, and back. */
export { inspectLegacyStore } from "./inspect.js";
export { migrateLegacyStore, migrateStateDirectory } from "./migrate.js";
export { startMirror } from "./back/mirror.js";
export type { Mirror, MirrorOptions, MirrorState } from "./back/mirror.js";
export { rollbackToLegacy } from "./back/rollback.js";
export type { StateDirectoryOptions, StateDirectoryReport } from "./state-directory.js";
export type {
  ChangingOptions,
  EntryCounts,
  LegacyFailure,
  InspectionReport,
  LegacyLayout,
  LegacyOptions,
  LegacyProgress,
  LegacyWarning,
  MigrationOptions,
  MigrationOutcome,
  MigrationReport,
  Refusal,
  RefusalReason,
  RollbackReport,
} from "./base/types.js";
