/** `sessiondir prune`: archives and removes the sessions that a policy says; nothing that was not asked for. */
import type { Command } from "commander";
import type { RetentionReport } from "../../care/retention/apply.js";
import type { PruneArchiveReport } from "../../care/retention/archive-retention.js";
import type { RetentionPlan } from "../../care/retention/plan.js";
import type { Policy } from "../../care/retention/policy.js";
import type { RetentionRule } from "../../care/retention/policy-types.js";
import { agentsWithSessions } from "../agent-stores.js";
import { asUsage, CliError, EXIT, reportOf, usageError } from "../failure.js";
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
import type { Pruned } from "../prune-report.js";
import { environmentNamesStore, resolveStateDirectory, resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly allAgents?: true;
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
    .option("--all-agents", "each store of the state directory, one after the other, by the same policy")
    .option("--dry-run", "say what would be removed and do nothing")
    .action((store: string | undefined, options: Options) =>
      prune(invocation, withStoreArgument(options, store)),
    );
  addExamples(
    command,
    "prune --policy retention.json --store sessions.d --dry-run",
    "prune --policy retention.json --store sessions.d --explain agent:main:main",
    "prune --keys 'agent:*:cron:*' --older-than 7d --keep-newest 10 --store sessions.d",
    "prune --policy retention.json --state-dir ~/.openclaw --all-agents --dry-run",
  );
}

async function prune(invocation: Invocation, options: Options): Promise<void> {
  const { list = false, history = false, explain } = options;
  if (list && options.dryRun !== true) throw usageError("--list belongs to --dry-run");
  if (explain !== undefined) {
    const { acceptKey } = await import("../accept-key.js");
    await acceptKey(explain);
  }
  if (options.allAgents === true) assertForAll(options);
  const policy = history ? undefined : await policyOf(options);
  const { collectEarly } = await import("../modest-memory.js");
  collectEarly();
  if (options.allAgents === true) return pruneAll(invocation, options, policy);
  const path = await resolveStore(invocation, options, {
    ...(explain !== undefined && { key: explain }),
    allAgents: true,
  });
  const result = await pruneOne(invocation, { path }, options, policy);
  if (result !== undefined) await invocation.terminal.result(result);
}

/** @returns With `--json`, what there is to say that was not printed. */
async function pruneOne(
  invocation: Invocation,
  pruned: Pruned,
  options: Options,
  policy: Policy | undefined,
): Promise<object | undefined> {
  const { path } = pruned;
  const { explain, keep, yesRemove } = options;
  const { withStore } = await import("../open-store.js");
  const { MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  const { print, tellAll, tellHistory, tellOne } = await import("../prune-report.js");
  const looks = options.dryRun === true || explain !== undefined || policy?.mode !== "enforce";
  return withStore(invocation, path, { write: !looks, cacheBytes: MODEST_CACHE_BYTES }, async (store) => {
    if (policy === undefined) return tellHistory(invocation, pruned, store);
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
    if (explain !== undefined || options.list === true) {
      progress.end();
      if (explain === undefined) await tellAll(invocation, pruned, plan);
      else await tellOne(invocation, path, explain, plan);
      return undefined;
    }
    const done = looks ? undefined : await carryOut(invocation, store, path, policy, plan, options, progress);
    const archives = await pruneArchives(invocation, store, policy, options, looks, done?.archive);
    progress.end();
    return print(invocation, pruned, options, plan, done, archives, looks);
  });
}

/** What means one store, and would mean something else for each of several. */
function assertForAll(options: Options): void {
  const { store, agent, archive, explain, yesRemove } = options;
  if (store !== undefined || environmentNamesStore(options))
    throw usageError("--all-agents is of a state directory; leave out --store, and $SESSIONDIR_STORE");
  if (agent !== undefined) throw usageError("--all-agents and --agent contradict each other; give one");
  if (archive !== undefined)
    throw usageError(
      "--archive is of one store: each agent has its own beside its store; give --agent, or no --archive",
    );
  if (explain !== undefined)
    throw usageError("--explain is of one session: give --agent in place of --all-agents, or neither");
  if (yesRemove !== undefined)
    throw usageError("--yes-remove is of one store: look at what was stopped, and give it with --agent");
}

/** One after the other. What is wrong with one agent's store is said, and the others have their turn. */
async function pruneAll(invocation: Invocation, options: Options, policy: Policy | undefined): Promise<void> {
  if (policy?.archive.folder !== undefined)
    throw usageError(
      `${options.policy} has an archive.folder, and an archive is of one store: take it out, so that each agent has its ` +
        "own beside its store, or give --agent",
    );
  const { terminal, signal } = invocation;
  const stateDirectory = resolveStateDirectory(options.stateDir);
  const { readable, unreadable } = agentsWithSessions(stateDirectory);
  if (readable.length + unreadable.length === 0)
    throw new CliError(
      "store_not_found",
      `no agent has sessions below ${stateDirectory}. Say where they are: --state-dir PATH.`,
      { data: { path: stateDirectory } },
    );
  const stores: object[] = [];
  const failed = ({ agent = "", path }: Pruned, thrown: unknown): void => {
    const { code, message, data, exitCode } = reportOf(thrown);
    stores.push({ agent, store: path, error: { code, message } });
    if (exitCode === EXIT.needsPerson) needsPerson(invocation);
    else invocation.exitCode = EXIT.failure;
    terminal.warn(code, `agent ${agent}: ${message}`, { path, ...data, agent });
  };
  for (const one of unreadable) failed(one, one.error);
  for (const one of readable) {
    signal.throwIfAborted();
    const heading = `agent ${visible(one.agent)}`;
    if (!terminal.json) await (options.dryRun === true ? terminal.line(heading) : terminal.done(heading));
    try {
      const result = await pruneOne(invocation, one, options, policy);
      if (result !== undefined) stores.push(result);
    } catch (error) {
      signal.throwIfAborted();
      failed(one, error);
    }
  }
  if (terminal.json && options.list !== true) await terminal.result({ stateDirectory, stores });
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
