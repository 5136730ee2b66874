/**
 * What a gateway keeps of a session: the fields that OpenClaw's code of February to April 2026 knows, by its names.
 *
 * Types only. Every object has an index for what is not listed: fields that plugins, forks and later versions add are kept
 * as they are, by every function of this layer. A gateway that has a type of its own for entries registers it
 * (registration.ts); all functions then take and give that one.
 */
import type { Register } from "./registration.js";

/** Where replies to a session go. */
export interface DeliveryContext {
  /** Channel id, such as "telegram". */
  channel?: string | undefined;
  /** Address within the channel. */
  to?: string | undefined;
  /** Which of the gateway's own accounts speaks. */
  accountId?: string | undefined;
  /** Thread or topic; a number in some channels. */
  threadId?: string | number | undefined;
}

export type SessionChatType = "direct" | "group" | "channel";

/** Who began the session, and through what. */
export interface SessionOrigin {
  label?: string;
  provider?: string;
  surface?: string;
  chatType?: SessionChatType;
  from?: string;
  to?: string;
  nativeChannelId?: string;
  nativeDirectUserId?: string;
  accountId?: string;
  threadId?: string | number;
  [field: string]: unknown;
}

/** What an external agent's runtime (ACP) needs to go on with its session. */
export interface KnownSessionAcpMeta {
  backend: string;
  agent: string;
  runtimeSessionName: string;
  mode: "persistent" | "oneshot";
  state: "idle" | "running" | "error";
  /** Milliseconds since 1970. */
  lastActivityAt: number;
  cwd?: string;
  lastError?: string;
  identity?: Record<string, unknown>;
  runtimeOptions?: Record<string, unknown>;
  [field: string]: unknown;
}

/** A session that waits because a model's quota is used up. Since May 2026. */
export interface SessionQuotaSuspension {
  state: "suspended" | "resuming" | "active";
  /** Milliseconds since 1970. */
  suspendedAt: number;
  expectedResumeBy?: number;
  laneId?: string;
  [field: string]: unknown;
}

/** The skills as they were put into the prompt: big, and nearly the same in all sessions. */
export interface SessionSkillSnapshot {
  prompt: string;
  skills: { name: string; [field: string]: unknown }[];
  skillFilter?: string[];
  version?: number;
  [field: string]: unknown;
}

/** A session's entry: the type that the gateway has registered, or else {@link KnownSessionEntry}. */
export type SessionEntry = Register extends { readonly entry: infer Entry } ? Entry : KnownSessionEntry;

/** What an entry has as `acp`. */
export type SessionAcpMeta = SessionEntry extends { acp?: infer Acp }
  ? NonNullable<Acp>
  : KnownSessionAcpMeta;

/** One session. Times are milliseconds since 1970 unless the name says something else. */
export interface KnownSessionEntry {
  /** Names the transcript `<sessionId>.jsonl`; a new one after a reset. */
  sessionId: string;
  /** When somebody last used the session. Never goes back. */
  updatedAt: number;
  /** When the session began that has this id. Since May 2026. */
  sessionStartedAt?: number;
  /** Path of the transcript, if it is not the default one. */
  sessionFile?: string;

  chatType?: SessionChatType;
  channel?: string;
  groupId?: string;
  groupChannel?: string;
  space?: string;
  subject?: string;
  label?: string;
  displayName?: string;
  origin?: SessionOrigin;

  deliveryContext?: DeliveryContext;
  /** The four parts of `deliveryContext` once more, under their older names. */
  lastChannel?: string;
  lastTo?: string;
  lastAccountId?: string;
  lastThreadId?: string | number;

  parentSessionKey?: string;
  forkedFromParent?: boolean;
  spawnedBy?: string;
  spawnedWorkspaceDir?: string;
  spawnDepth?: number;
  subagentRole?: "orchestrator" | "leaf";
  subagentControlScope?: "children" | "none";
  status?: "running" | "done" | "failed" | "killed" | "timeout";
  startedAt?: number;
  endedAt?: number;
  runtimeMs?: number;

  systemSent?: boolean;
  abortedLastRun?: boolean;
  abortCutoffMessageSid?: string;
  abortCutoffTimestamp?: number;

  thinkingLevel?: string;
  fastMode?: boolean;
  verboseLevel?: string;
  traceLevel?: string;
  reasoningLevel?: string;
  elevatedLevel?: string;
  ttsAuto?: string;
  responseUsage?: "on" | "off" | "tokens" | "full";
  execHost?: string;
  execSecurity?: string;
  execAsk?: string;
  execNode?: string;

  model?: string;
  modelProvider?: string;
  modelOverride?: string;
  modelOverrideSource?: "auto" | "user";
  providerOverride?: string;
  agentRuntimeOverride?: string;
  agentHarnessId?: string;
  authProfileOverride?: string;
  authProfileOverrideSource?: "auto" | "user";
  authProfileOverrideCompactionCount?: number;
  liveModelSwitchPending?: boolean;
  fallbackNoticeSelectedModel?: string;
  fallbackNoticeActiveModel?: string;
  fallbackNoticeReason?: string;

  groupActivation?: "mention" | "always";
  groupActivationNeedsSystemIntro?: boolean;
  sendPolicy?: "allow" | "deny";
  queueMode?: string;
  queueDebounceMs?: number;
  queueCap?: number;
  queueDrop?: "old" | "new" | "summarize";

  inputTokens?: number;
  outputTokens?: number;
  totalTokens?: number;
  totalTokensFresh?: boolean;
  contextTokens?: number;
  cacheRead?: number;
  cacheWrite?: number;
  estimatedCostUsd?: number;
  compactionCount?: number;
  compactionCheckpoints?: Record<string, unknown>[];
  memoryFlushAt?: number;
  memoryFlushCompactionCount?: number;
  memoryFlushContextHash?: string;

  lastHeartbeatText?: string;
  lastHeartbeatSentAt?: number;
  heartbeatIsolatedBaseSessionKey?: string;
  heartbeatTaskState?: Record<string, number>;

  cliSessionIds?: Record<string, string>;
  cliSessionBindings?: Record<string, Record<string, unknown>>;
  claudeCliSessionId?: string;

  skillsSnapshot?: SessionSkillSnapshot;
  systemPromptReport?: Record<string, unknown>;
  pluginDebugEntries?: { pluginId: string; lines: string[] }[];
  acp?: KnownSessionAcpMeta;
  quotaSuspension?: SessionQuotaSuspension;

  [field: string]: unknown;
}

/** Every session of a store by its key: what `sessions.json` is. */
export type SessionStoreRecord = Record<string, SessionEntry>;
