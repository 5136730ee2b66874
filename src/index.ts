/** The public surface of `sessiondir`, and nothing else. */
export { openDirectoryStore, openDirectoryStoreSync, openSessionStore } from "./store/open.js";
export { rebuildDirectoryStore } from "./store/rebuild.js";
export type { RebuildReport, RebuildStoreOptions } from "./store/rebuild.js";
export type { OpenOptions } from "./store/options.js";
export type {
  DamagedSession,
  DirectorySessionStore,
  ListQuery,
  OperationOptions,
  OperationResult,
  SessionChange,
  SessionList,
  SessionRecord,
  SessionStore,
  ReadOptions,
  StatsOptions,
  StoreStats,
  Transaction,
  UntypedEntry,
  UpdateFunction,
  WaitOptions,
  WatchOptions,
  WriteOptions,
} from "./store/types.js";
export type {
  Appended,
  AppendOptions,
  ExpectedSuffix,
  Item,
  ItemRange,
  IterateItemsOptions,
  Page,
  ReadItemsOptions,
  TransactionTranscripts,
  TranscriptChange,
  TranscriptInfo,
  TranscriptOptions,
  Transcripts,
} from "./store/transcript-types.js";
export { SessionStoreError } from "./errors.js";
export type { ErrorData, SessionStoreErrorCode, StoreWarning } from "./errors.js";
export type { Limits } from "./format/limits.js";
export type { Trust } from "./fs/trusted-path.js";
