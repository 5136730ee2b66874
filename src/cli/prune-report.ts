/** What `prune` says: of a plan, of a run, of one session, of earlier runs; of one store, or of each agent's in turn. */
import type { RetentionReport } from "../care/retention/apply.js";
import type { PruneArchiveReport } from "../care/retention/archive-retention.js";
import type { RetentionPlan } from "../care/retention/plan.js";
import type { Decision } from "../care/retention/planner.js";
import { plural } from "../plural.js";
import { CliError } from "./failure.js";
import { formatBytes, formatCount, formatTime } from "./figures.js";
import { needsPerson, type Invocation } from "./invocation.js";
import type { Store } from "./open-store.js";
import { visible } from "./visible-text.js";

/** The store that is pruned. */
export interface Pruned {
  readonly path: string;
  /** With `--all-agents`, whose it is. */
  readonly agent?: string | undefined;
}

/** The documented shape of `prune --json`. */
interface PruneResult extends Omit<RetentionReport, "damaged" | "archive"> {
  /** Only with `--all-agents`. */
  readonly agent?: string;
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

export async function tellOne(
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
  const { lineOfDecision } = await import("./prune-text.js");
  await terminal.line(lineOfDecision(decision));
}

export async function tellAll(
  { terminal, signal }: Invocation,
  { agent }: Pruned,
  plan: RetentionPlan,
): Promise<void> {
  if (plan.mode === "off") return sayOff(terminal);
  const { lineOfDecision } = await import("./prune-text.js");
  const show = (decision: Decision): Promise<void> =>
    terminal.json
      ? terminal.result({ ...(agent !== undefined && { agent }), ...decision })
      : terminal.line(lineOfDecision(decision));
  for (const decision of plan.decisions()) {
    signal.throwIfAborted();
    await show(decision);
  }
}

function sayOff(terminal: Invocation["terminal"]): void {
  terminal.say("the policy's mode is off: nothing is looked at, and nothing goes");
}

export async function tellHistory(
  { terminal }: Invocation,
  { path, agent }: Pruned,
  store: Store,
): Promise<object | undefined> {
  const { retentionAttempts } = await import("../retention/index.js");
  const attempts = await retentionAttempts(store);
  if (terminal.json) return { ...(agent !== undefined && { agent, store: path }), attempts };
  for (const { at, what, outcome, figures = {}, error } of attempts) {
    const parts = Object.entries(figures).map(([name, value]) => `${name} ${visible(String(value))}`);
    const why = error === undefined ? "" : `; ${error.code}`;
    await terminal.line(`${formatTime(at) ?? at}  ${what}  ${outcome}${why}  ${parts.join(", ")}`);
  }
  if (attempts.length === 0) terminal.say("nothing was pruned here yet");
  return undefined;
}

/** @returns With `--json`, the result. */
export async function print(
  invocation: Invocation,
  { path: store, agent }: Pruned,
  { policy = null }: { readonly policy?: string | null },
  plan: RetentionPlan,
  report: RetentionReport | undefined,
  archives: PruneArchiveReport | undefined,
  dryRun: boolean,
): Promise<object | undefined> {
  const { terminal } = invocation;
  const { mode, sessions, reasons, rules, exceeded, alarm, bytes, stop, removed: planned } = plan;
  await warn(invocation, { path: store, agent }, plan, report);
  const done = report ?? { planned, removed: 0, changed: 0, gone: 0, archivedBytes: 0 };
  const { planned: _planned, removed, changed, gone, archivedBytes } = done;
  const archive = report?.archive ?? null;
  if (terminal.json) {
    return {
      ...(agent !== undefined && { agent }),
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
    } satisfies PruneResult;
  }
  if (mode === "off") {
    await terminal.done("the policy's mode is off: nothing was looked at, and nothing removed");
    return undefined;
  }
  const { countOf } = await import("./moving-text.js");
  const { lineOfRule, sentenceOfLimit } = await import("./prune-text.js");
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
  return undefined;
}

function sumsOf({ files: _files, dryRun: _dryRun, ...sums }: PruneArchiveReport): ArchiveSums {
  return sums;
}

/** What a person has to look at. */
async function warn(
  invocation: Invocation,
  { path, agent }: Pruned,
  { alarm, exceeded, stop, reasons, removed, sessions }: RetentionPlan,
  report: RetentionReport | undefined,
): Promise<void> {
  const { terminal } = invocation;
  const { sentenceOfLimit } = await import("./prune-text.js");
  const unreadable = reasons.damaged ?? 0;
  const tell = (code: string, message: string, data: Record<string, string | number>): void => {
    needsPerson(invocation);
    const whose = agent === undefined ? "" : `agent ${agent}: `;
    terminal.warn(code, `${whose}${message}`, { path, ...data, ...(agent !== undefined && { agent }) });
  };
  if (alarm)
    for (const limit of exceeded)
      tell(
        "retention_exceeded",
        `${sentenceOfLimit(limit)}, and the policy removes nothing: what is there is kept or cannot be judged. See --dry-run --list.`,
        { limit: limit.limit, allowed: limit.allowed, actual: limit.actual },
      );
  if (stop !== undefined && report === undefined) {
    const { stopped } = await import("../care/retention/plan.js");
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
