/** `sessiondir/openclaw`: the function names of OpenClaw's session store, over a directory store or a `sessions.json`. */
export { configureSessionStores } from "./settings.js";
export type { MaintenanceWarning, SessionStoreSettings } from "./settings.js";
export { closeSessionStores } from "./access/open-stores.js";
export {
  loadSessionStore,
  loadSessionStoreSummary,
  readSessionUpdatedAt,
  resolveSessionStoreEntry,
} from "./load-session-store.js";
export type { LoadSessionStoreOptions, SessionStoreSummaryEntry } from "./load-session-store.js";
export { saveSessionStore, updateSessionStore } from "./update-session-store.js";
export type { SaveSessionStoreOptions } from "./update-session-store.js";
export {
  recordSessionMetaFromInbound,
  updateLastRoute,
  updateSessionStoreEntry,
} from "./update-session-entry.js";
export {
  buildGroupDisplayName,
  deriveSessionMetaPatch,
  resolveGroupSessionKey,
} from "./entry/inbound-metadata.js";
export type { GroupKeyResolution, MessageContext } from "./entry/inbound-metadata.js";
export { mergeSessionEntry, mergeSessionEntryPreserveActivity } from "./entry/merge.js";
export {
  deliveryContextFromSession,
  mergeDeliveryContext,
  normalizeDeliveryContext,
  normalizeSessionDeliveryFields,
} from "./entry/delivery-context.js";
export { normalizeStoreSessionKey } from "./session-key.js";
export type {
  DeliveryContext,
  SessionAcpMeta,
  SessionChatType,
  SessionEntry,
  SessionOrigin,
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
export { normalizeAgentId, resolveAllAgentSessionStoreTargets } from "./agents/agent-stores.js";
export type { AgentStoreConfig, AgentStoreParams, SessionStoreTarget } from "./agents/agent-stores.js";
export { loadCombinedSessionStoreForGateway } from "./agents/combined-store.js";
export type { CombinedSessionStore } from "./agents/combined-store.js";
export { configureSessionMaintenance, resolveMaintenanceConfig } from "./maintenance/config.js";
export type { ResolvedSessionMaintenanceConfig, SessionMaintenanceConfig } from "./maintenance/config.js";
export {
  capEntryCount,
  getActiveSessionMaintenanceWarning,
  pruneStaleEntries,
} from "./maintenance/whole-store.js";
export type {
  CapOptions,
  PruneOptions,
  RemovedEntry,
  SessionMaintenanceWarning,
} from "./maintenance/whole-store.js";
export { rotateSessionFile } from "./maintenance/rotate-session-file.js";
export type { SessionMaintenanceReport } from "./maintenance/apply.js";
export type { DiskBudgetReport } from "./maintenance/archives.js";
export type { RemovedSession } from "./maintenance/removal.js";
export type { ArchivedTranscript } from "./maintenance/transcripts.js";
