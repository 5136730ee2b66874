/**
 * `sessiondir/testing`: the conformance suite for engines, and a file system, a clock and a random source that
 * tests control. Not for production code.
 */
export { sessionStoreConformance } from "./conformance/suite.js";
export type {
  ConformanceCapabilities,
  ConformanceEntry,
  ConformanceFixture,
  ConformanceLimit,
  ConformanceOpenOptions,
  ConformanceOptions,
  ConformanceStore,
} from "./conformance/suite.js";
export { openDirectoryStoreOn } from "../store/open.js";
export { createDirectorySessionStore, createSessionStore } from "../store/session-store.js";
export type { SessionStoreOptions } from "../store/store-base.js";
export { createMemoryEngine } from "../engine/memory/memory-engine.js";
export type { MemoryEngine, MemoryEngineOptions } from "../engine/memory/memory-engine.js";
export type {
  CommitOptions,
  CommitOutcome,
  Engine,
  EngineChange,
  EngineItemQuery,
  EngineOp,
  EnginePage,
  EngineQuery,
  EngineRecord,
  EngineScan,
  EngineStats,
  EngineTranscript,
  MaybePromise,
  Operation,
  SynchronousEngine,
} from "../engine/contract.js";
export type { Deferred, FileCalls, FileStatus, FileSystem, OpenMode, Room } from "../fs/file-system.js";
export { nodeFileSystem } from "../fs/node-file-system.js";
export { systemRuntime } from "../runtime.js";
export type { Runtime, Timer } from "../runtime.js";
export { ManualRuntime } from "./manual-runtime.js";
export type { ManualRuntimeOptions } from "./manual-runtime.js";
export { seededRandom } from "./seeded-random.js";
export { SimulatedDisk } from "./simulated/disk.js";
export type { PowerCutMode, SimulatedDiskOptions } from "./simulated/disk.js";
export { failNth, ProcessKilled, SimulatedFileSystem } from "./simulated/file-system.js";
export type {
  CallInstruction,
  DeferredCall,
  MountOptions,
  SimulatedCall,
  SystemCallName,
} from "./simulated/file-system.js";
