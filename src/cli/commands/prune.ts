/** `sessiondir prune`: archives and removes the sessions that a policy says; nothing that was not asked for. */
import type { Command } from "commander";
import type { RetentionReport } from "../../care/retention/apply.js";
import type { PruneArchiveReport } from "../../care/retention/archive-retention.js";
import type { RetentionPlan } from "../../care/retention/plan.js";
import type { Decision } from "../../care/retention/planner.js";
import type { Policy } from "../../care/retention/policy.js";
import type { RetentionRule } from "../../care/retention/policy-types.js";
import { asUsage, CliError, usageError } from "../failure.js";
import { plural } from "../../plural.js";
import { formatBytes, formatCount, formatTime } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  wholeNumber,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Store } from "../open-store.js";
import type { Progress } from "../progress.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly policy?: string;
  readonly keys?: readonly string[];
  readonly olderThan?: string;
  readonly maxCount?: number;
  readonly keepNewest?: number;
  readonly keep?: readonly string[];
  readonly archive?: string;
  readonly yesRemove?: number;
  readonly explain?: string;
  readonly list?: true;
  readonly history?: true;
  readonly dryRun?: boolean;
}

/** The documented shape of `prune --json`. */
interface PruneResult extends Omit<RetentionReport, "damaged" | "archive"> {
  readonly store: string;
  /** Null: the rule is on the command line. */
  readonly policy: string | null;
  readonly mode: RetentionPlan["mode"];
  readonly dryRun: boolean;
  readonly sessions: number;
  readonly reasons: RetentionPlan["reasons"];
  readonly rules: RetentionPlan["rules"];
  readonly exceeded: RetentionPlan["exceeded"];
  readonly alarm: boolean;
  readonly bytes?: RetentionPlan["bytes"];
  readonly stop?: RetentionPlan["stop"];
  readonly unreadable: number;
  readonly archive: string | null;
  readonly archives?: ArchiveSums;
}

type ArchiveSums = Omit<PruneArchiveReport, "files" | "dryRun">;

const QUIET_MS = 1000;

export function addPrune(program: Command, invocation: Invocation): void {
  const several = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
  const command = addStoreArgument(
    program
      .command("prune")
      .description("archive and remove the sessions that a policy says; restore brings one back"),
  )
    .option("--policy <file>", "the rules: docs/retention.md")
    .option(
      "--keys <pattern>",
      "in place of a policy: one rule for keys, * for any text; may be given again",
      several,
    )
    .option("--older-than <time>", "of that rule: sessions whose updatedAt is older, as in 30d")
    .option("--max-count <n>", "of that rule: all but the latest n", wholeNumber("--max-count", 1))
    .option(
      "--keep-newest <n>",
      "of that rule: the latest n stay in any case",
      wholeNumber("--keep-newest", 1),
    )
    .option("--keep <key>", "never this session, * for any text; may be given again", several)
    .option(
      "--archive <folder>",
      "where removed sessions go (default: the policy's, or NAME.archive beside NAME.d)",
    )
    .option(
      "--yes-remove <n>",
      "up to n sessions may go, also if that is more than the share that a policy allows at once",
      wholeNumber("--yes-remove", 0),
    )
    .option("--explain <key>", "say what would become of this session and why, and do nothing")
    .option("--list", "with --dry-run: every session, kept or removed, and why")
    .option("--history", "what earlier runs did, and do nothing");
  addStoreOptions(command)
    .option("--dry-run", "say what would be removed and do nothing")
    .action((store: string | undefined, options: Options) =>
      prune(invocation, withStoreArgument(options, store)),
    );
  addExamples(
    command,
    "prune --policy retention.json --store sessions.d --dry-run",
    "prune --policy retention.json --store sessions.d --explain agent:main:main",
    "prune --keys 'agent:*:cron:*' --older-than 7d --keep-newest 10 --store sessions.d",
  );
}

async function prune(invocation: Invocation, options: Options): Promise<void> {
  const { list = false, history = false, explain, yesRemove, keep } = options;
  if (list && options.dryRun !== true) throw usageError("--list belongs to --dry-run");
  if (explain !== undefined) {
    const { acceptKey } = await import("../accept-key.js");
    await acceptKey(explain);
  }
  const policy = history ? undefined : await policyOf(options);
  const path = await resolveStore(invocation, options);
  const { withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const looks = options.dryRun === true || explain !== undefined || policy?.mode !== "enforce";
  await withStore(invocation, path, { write: !looks, cacheBytes: MODEST_CACHE_BYTES }, async (store) => {
    if (policy === undefined) return tellHistory(invocation, store);
    const { Progress: Bar } = await import("../progress.js");
    const progress = new Bar(invocation, QUIET_MS);
    const { signal } = invocation;
    const doing = `pruning ${path}`;
    invocation.doing = doing;
    const total = await store.count();
    const { planRetention } = await import("../../retention/index.js");
    const plan = await asUsage(() =>
      planRetention(store, policy, {
        keep,
        yesRemove,
        signal,
        onProgress: (done) => progress.show({ doing: `planning for ${path}`, done, total, unit: "sessions" }),
      }),
    );
    if (explain !== undefined) {
      progress.end();
      return tellOne(invocation, path, explain, plan);
    }
    if (list) return tellAll(invocation, plan, progress);
    const done = looks ? undefined : await carryOut(invocation, store, path, policy, plan, options, progress);
    const archives = await pruneArchives(invocation, store, policy, options, looks, done?.archive);
    progress.end();
    await print(invocation, path, options, plan, done, archives, looks);
  });
}

/** @throws a usage error where nothing says what is to go: nothing is pruned unasked. */
async function policyOf(options: Options): Promise<Policy> {
  const { policy, keys, olderThan, maxCount, keepNewest } = options;
  const hasRule = [keys, olderThan, maxCount, keepNewest].some((option) => option !== undefined);
  if (policy !== undefined && hasRule)
    throw usageError("--keys and its limits are a rule in place of a policy: leave out --policy, or them");
  if (policy !== undefined) {
    const { readPolicyFile } = await import("../../retention/index.js");
    return readPolicyFile(policy);
  }
  if (olderThan === undefined && maxCount === undefined)
    throw usageError(
      hasRule
        ? "which of them? Give --older-than or --max-count"
        : "what is to go? Give --policy FILE, or --keys with --older-than or --max-count: nothing is pruned unasked",
    );
  const { parseTimeSpan } = await import("../../measures.js");
  if (olderThan !== undefined && !((parseTimeSpan(olderThan) ?? 0) > 0))
    throw usageError(`--older-than must be a time above 0, as in 30d, not ${JSON.stringify(olderThan)}`);
  const rule: RetentionRule = { name: "command line", keys, olderThan, maxCount, keepNewest };
  const { checkPolicy } = await import("../../retention/index.js");
  return asUsage(() => checkPolicy({ version: 1, mode: "enforce", rules: [rule] }));
}

async function carryOut(
  invocation: Invocation,
  store: Store,
  path: string,
  policy: Policy,
  plan: RetentionPlan,
  { archive = policy.archive.folder }: Options,
  progress: Progress,
): Promise<RetentionReport> {
  const { applyRetention } = await import("../../retention/index.js");
  const { trust, signal, terminal } = invocation;
  return applyRetention(store, plan, {
    archive,
    trust,
    signal,
    name: path,
    onWarning: ({ code, message, data }) => terminal.warn(code, message, data),
    onProgress: (done, total) => progress.show({ doing: `pruning ${path}`, done, total, unit: "sessions" }),
  });
}

/** Old files of the archive, if the policy has limits for them. What is wrong there does not undo what was done before. */
async function pruneArchives(
  invocation: Invocation,
  store: Store,
  policy: Policy,
  { archive = policy.archive.folder }: Options,
  dryRun: boolean,
  made: string | undefined,
): Promise<PruneArchiveReport | undefined> {
  const { olderThanMs, maxBytes } = policy.archive;
  if ((olderThanMs ?? maxBytes) === undefined || policy.mode === "off") return undefined;
  const { pruneArchive } = await import("../../retention/index.js");
  const { SessionStoreError } = await import("../../errors.js");
  const { terminal, trust, signal } = invocation;
  try {
    return await pruneArchive(store, policy, {
      archive,
      trust,
      signal,
      dryRun,
      made,
      onWarning: ({ code, message, data }) => terminal.warn(code, message, data),
    });
  } catch (error) {
    if (!(error instanceof SessionStoreError)) throw error;
    if (error.code === "archive_not_found") return undefined; // nothing was archived yet
    needsPerson(invocation);
    terminal.warn(error.code, error.message, error.data);
    return undefined;
  }
}

async function tellOne(
  { terminal }: Invocation,
  path: string,
  key: string,
  plan: RetentionPlan,
): Promise<void> {
  if (plan.mode === "off") return sayOff(terminal);
  const decision = plan.explain(key);
  if (decision === undefined)
    throw new CliError(
      "not_found",
      `there is no session ${JSON.stringify(key)} in ${path}. Check the key; one without a record is never pruned.`,
      { data: { key, path } },
    );
  if (terminal.json) return terminal.result(decision);
  const { lineOfDecision } = await import("../prune-text.js");
  await terminal.line(lineOfDecision(decision));
}

async function tellAll(
  { terminal, signal }: Invocation,
  plan: RetentionPlan,
  progress: { end(): void },
): Promise<void> {
  progress.end();
  if (plan.mode === "off") return sayOff(terminal);
  const { lineOfDecision } = await import("../prune-text.js");
  const show = (decision: Decision): Promise<void> =>
    terminal.json ? terminal.result(decision) : terminal.line(lineOfDecision(decision));
  for (const decision of plan.decisions()) {
    signal.throwIfAborted();
    await show(decision);
  }
}

function sayOff(terminal: Invocation["terminal"]): void {
  terminal.say("the policy's mode is off: nothing is looked at, and nothing goes");
}

async function tellHistory({ terminal }: Invocation, store: Store): Promise<void> {
  const { retentionAttempts } = await import("../../retention/index.js");
  const attempts = await retentionAttempts(store);
  if (terminal.json) return terminal.result({ attempts });
  for (const { at, what, outcome, figures = {}, error } of attempts) {
    const parts = Object.entries(figures).map(([name, value]) => `${name} ${visible(String(value))}`);
    const why = error === undefined ? "" : `; ${error.code}`;
    await terminal.line(`${formatTime(at) ?? at}  ${what}  ${outcome}${why}  ${parts.join(", ")}`);
  }
  if (attempts.length === 0) terminal.say("nothing was pruned here yet");
}

async function print(
  invocation: Invocation,
  store: string,
  { policy = null }: { readonly policy?: string | null },
  plan: RetentionPlan,
  report: RetentionReport | undefined,
  archives: PruneArchiveReport | undefined,
  dryRun: boolean,
): Promise<void> {
  const { terminal } = invocation;
  const { mode, sessions, reasons, rules, exceeded, alarm, bytes, stop, removed: planned } = plan;
  await warn(invocation, store, plan, report);
  const done = report ?? { planned, removed: 0, changed: 0, gone: 0, archivedBytes: 0 };
  const { planned: _planned, removed, changed, gone, archivedBytes } = done;
  const archive = report?.archive ?? null;
  if (terminal.json) {
    const result: PruneResult = {
      store,
      policy,
      mode,
      dryRun,
      sessions,
      planned,
      removed,
      changed,
      gone,
      unreadable: (reasons.damaged ?? 0) + (report?.damaged.length ?? 0),
      archive,
      archivedBytes,
      reasons,
      rules,
      exceeded,
      alarm,
      ...(bytes && { bytes }),
      ...(stop && { stop }),
      ...(archives && { archives: sumsOf(archives) }),
    };
    return terminal.result(result);
  }
  if (mode === "off")
    return terminal.done("the policy's mode is off: nothing was looked at, and nothing removed");
  const { countOf } = await import("../moving-text.js");
  const { lineOfRule, sentenceOfLimit } = await import("../prune-text.js");
  const of = sessionsOf(sessions);
  if (dryRun) {
    const why = mode === "warn" ? ` (mode warn: nothing is removed)` : "";
    await terminal.line(`would remove ${formatCount(planned)} of ${of}${why}`);
    for (const rule of rules) await terminal.line(lineOfRule(rule));
    const { maxBytes = 0 } = reasons;
    if (bytes !== undefined)
      await terminal.line(
        `  bytes: ${formatBytes(bytes.before)}, ${formatBytes(bytes.removed)} to remove; ${sessionsOf(maxBytes)} for that alone`,
      );
  } else {
    const left = [
      changed > 0 && `${formatCount(changed)} were changed meanwhile and stay`,
      gone > 0 && `${formatCount(gone)} were gone already`,
    ].filter((part) => part !== false);
    const where = archive === null ? "" : ` to ${visible(archive)} (${formatBytes(archivedBytes)})`;
    await terminal.done([`removed ${formatCount(removed)} of ${of}${where}`, ...left].join("; "));
  }
  for (const limit of alarm ? [] : exceeded) terminal.say(`still too much: ${sentenceOfLimit(limit)}`);
  if (archives !== undefined && archives.removed > 0) {
    const text = `${countOf(archives.removed, "file")} of ${visible(archives.archive)}, ${formatBytes(archives.freedBytes)}`;
    await (dryRun ? terminal.line(`would remove ${text}`) : terminal.done(`removed ${text}`));
  }
}

function sumsOf({ files: _files, dryRun: _dryRun, ...sums }: PruneArchiveReport): ArchiveSums {
  return sums;
}

/** What a person has to look at. */
async function warn(
  invocation: Invocation,
  path: string,
  { alarm, exceeded, stop, reasons, removed, sessions }: RetentionPlan,
  report: RetentionReport | undefined,
): Promise<void> {
  const { terminal } = invocation;
  const { sentenceOfLimit } = await import("../prune-text.js");
  const unreadable = reasons.damaged ?? 0;
  const tell = (code: string, message: string, data: Record<string, string | number>): void => {
    needsPerson(invocation);
    terminal.warn(code, message, { path, ...data });
  };
  if (alarm)
    for (const limit of exceeded)
      tell(
        "retention_exceeded",
        `${sentenceOfLimit(limit)}, and the policy removes nothing: what is there is kept or cannot be judged. See --dry-run --list.`,
        { limit: limit.limit, allowed: limit.allowed, actual: limit.actual },
      );
  if (stop !== undefined && report === undefined) {
    const { stopped } = await import("../../care/retention/plan.js");
    const { code, message } = stopped(stop, removed, sessions);
    tell(code, message.replace(" Nothing was removed:", " A run would be stopped:"), { reason: stop.reason });
  }
  if (unreadable > 0)
    tell(
      "entry_corrupt",
      `${sessionsOf(unreadable)} cannot be read, and ${unreadable === 1 ? "stays" : "stay"}: sessiondir doctor says more.`,
      { unreadable },
    );
  for (const { key, code, message } of (report?.damaged ?? []).slice(0, 20))
    tell(code, `not archived, and stays: ${message}`, { ...(key !== undefined && { key }) });
}

function sessionsOf(count: number): string {
  return plural(count, "session", "sessions", formatCount(count));
}
