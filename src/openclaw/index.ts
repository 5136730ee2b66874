/** `sessiondir/openclaw`: the function names of OpenClaw's session store, over a directory store or a `sessions.json`. */
export { configureSessionStores } from "./base/settings.js";
export type { MaintenanceWarning, SessionStoreSettings } from "./base/settings.js";
export { closeSessionStores } from "./access/open-stores.js";
export {
  clearSessionStoreCacheForTest,
  drainSessionStoreLockQueuesForTest,
  getSessionStoreLockQueueSizeForTest,
  invalidateSessionStoreCache,
  withSessionStoreLockForTest,
} from "./access/for-tests.js";
export {
  loadSessionStore,
  loadSessionStoreSummary,
  readSessionStoreReadOnly,
  readSessionUpdatedAt,
  resolveSessionStoreEntry,
} from "./one-store/load-session-store.js";
export type { LoadSessionStoreOptions, SessionStoreSummaryEntry } from "./one-store/load-session-store.js";
export { saveSessionStore, updateSessionStore } from "./one-store/update-session-store.js";
export type { SaveSessionStoreOptions, UpdateSessionStoreOptions } from "./one-store/update-session-store.js";
export { resolveAndPersistSessionFile } from "./one-store/resolve-session-file.js";
export {
  recordSessionMetaFromInbound,
  updateLastRoute,
  updateSessionStoreEntry,
} from "./one-store/update-session-entry.js";
export {
  buildGroupDisplayName,
  deriveSessionMetaPatch,
  resolveGroupSessionKey,
  snapshotSessionOrigin,
} from "./entry/inbound-metadata.js";
export type { GroupKeyResolution, MessageContext } from "./entry/inbound-metadata.js";
export {
  mergeSessionEntry,
  mergeSessionEntryPreserveActivity,
  mergeSessionEntryWithPolicy,
} from "./entry/merge.js";
export type { MergeSessionEntryOptions } from "./entry/merge.js";
export { normalizeSessionStore } from "./entry/normalization.js";
export {
  deliveryContextFromSession,
  mergeDeliveryContext,
  normalizeDeliveryContext,
  normalizeSessionDeliveryFields,
} from "./entry/delivery-context.js";
export { normalizeStoreSessionKey } from "./base/session-key.js";
// With a star: an interface that is named here could not be augmented.
export type * from "./entry/registration.js";
export type {
  DeliveryContext,
  KnownSessionEntry,
  SessionAcpMeta,
  SessionChatType,
  SessionEntry,
  SessionOrigin,
  SessionQuotaSuspension,
  SessionSkillSnapshot,
  SessionStoreRecord,
} from "./entry/session-entry.js";
export {
  isDirectorySessionStoreActive,
  readDirectorySessionStoreVersion,
  resolveSessionStoreDir,
} from "./directory/active-store.js";
export {
  decodeDirectorySessionStoreEntryFileName,
  desanitizeSessionKey,
  encodeDirectorySessionStoreKey,
  isHashedSessionFolderName,
  sanitizeSessionKey,
} from "./directory/folder-names.js";
export {
  inspectSessionStoreMigration,
  migrateSessionStoreToDirectory,
  migrateSessionStoreToLegacy,
} from "./directory/migration.js";
export type {
  SessionStoreMigrationInspection,
  SessionStoreMigrationOptions,
  SessionStoreMigrationResult,
} from "./directory/migration.js";
export { runStartupSessionStoreMigration } from "./directory/startup-migration.js";
export type {
  SessionStoreMigrationLogger,
  StartupSessionStoreMigrationParams,
} from "./directory/startup-migration.js";
export { normalizeAgentId } from "./agents/agent-config.js";
export type { AgentStoreConfig, AgentStoreParams } from "./agents/agent-config.js";
export {
  resolveAllAgentSessionStoreTargets,
  resolveAllAgentSessionStoreTargetsSync,
  resolveSessionStoreTargets,
} from "./agents/agent-stores.js";
export type { SessionStoreSelection, SessionStoreTarget } from "./agents/agent-stores.js";
export { loadCombinedSessionStoreForGateway } from "./agents/combined-store.js";
export type { CombinedSessionStore } from "./agents/combined-store.js";
export { extractDeliveryInfo } from "./agents/delivery-info.js";
export type { DeliveryInfo } from "./agents/delivery-info.js";
export { purgeAgentSessionStoreEntries } from "./agents/purge.js";
export {
  configureSessionMaintenance,
  resolveMaintenanceConfig,
  resolveMaintenanceConfigFromInput,
} from "./maintenance/config.js";
export type {
  ResolvedSessionMaintenanceConfig,
  SessionMaintenanceLimits,
  SessionMaintenanceConfig,
} from "./maintenance/config.js";
export { isProtectedSessionMaintenanceEntry } from "./maintenance/protection.js";
export { runQuotaSuspensionMaintenance } from "./one-store/quota-suspension.js";
export type { QuotaSuspensionReport } from "./one-store/quota-suspension.js";
export { archiveRemovedSessionTranscripts } from "./maintenance/removed-transcripts.js";
export { enforceSessionDiskBudget } from "./maintenance/disk-budget.js";
export type { DiskBudgetLogger } from "./maintenance/disk-budget.js";
export {
  capEntryCount,
  getActiveSessionMaintenanceWarning,
  pruneStaleEntries,
} from "./maintenance/whole-store.js";
export type { CapOptions, PruneOptions, RemovedEntry } from "./maintenance/whole-store.js";
export type { SessionMaintenanceWarning } from "./maintenance/policy.js";
export { rotateSessionFile } from "./maintenance/rotate-session-file.js";
export type { SessionMaintenanceReport } from "./maintenance/session-maintenance.js";
export type { DiskBudgetReport } from "./maintenance/archives.js";
export type { RemovedSession } from "./maintenance/removal.js";
export type { ArchivedTranscript, ArchiveReason } from "./maintenance/transcripts.js";
export type { Trust } from "../fs/trusted-path.js";
