/**
 * `sessiondir doctor`: what is wrong with a store, or with every store of a state directory, and the way out. Reads only, unless
 * `--fix` says so.
 */
import type { Command } from "commander";
import type { AgentReport, DoctorLevel, DoctorOptions, DoctorReport, Finding } from "../../doctor/index.js";
import { plural } from "../../plural.js";
import { EXIT, reportOf, usageError } from "../failure.js";
import { formatCount } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { requireDirectory } from "../server-target.js";
import { environmentNamesStore, resolveStateDirectory, resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly quick?: true;
  readonly deep?: true;
  readonly sample?: number;
  readonly fix?: true;
  readonly alone?: true;
  readonly backup?: readonly string[];
  readonly dryRun?: true;
  readonly allAgents?: true;
}

export function addDoctor(program: Command, invocation: Invocation): void {
  const command = program
    .command("doctor")
    .description("say what is wrong with a store; with --fix, repair it");
  addStoreOptions(addStoreArgument(command))
    .option("--quick", "read no content: names, sizes, modes, the format")
    .option("--deep", "read every byte: shared values and all lines of transcripts too")
    .option(
      "--sample <share>",
      "read the content of a part of the sessions and values only: 5% or 0.05",
      shareOf,
    )
    .option("--fix", "repair what can be repaired beside other processes")
    .option("--alone", "with --fix: no other process has the store open, so everything is repaired")
    .option(
      "--backup <path>",
      "with --fix: a folder of backups, an export or a copy to take lost content from; may be given again",
      collect,
    )
    .option("--dry-run", "with --fix: only look, as without it")
    .option("--all-agents", "every store of the state directory")
    .action((store: string | undefined, options: Options) =>
      doctor(invocation, withStoreArgument(options, store)),
    );
  addExamples(
    command,
    "doctor --store sessions.d",
    "doctor --store sessions.d --deep --fix",
    "doctor --state-dir ~/.openclaw --all-agents --quick",
  );
}

function shareOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text);
  const share = match === null ? 0 : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  if (share > 0 && share <= 1) return share;
  throw usageError(
    `--sample must be a share above 0 and up to 100%, as in 5% or 0.05, not ${JSON.stringify(text)}`,
  );
}

function collect(path: string, paths: readonly string[] | undefined): readonly string[] {
  return [...(paths ?? []), path];
}

async function doctor(invocation: Invocation, options: Options): Promise<void> {
  const doctorOptions = optionsOf(invocation, options);
  const { terminal } = invocation;
  const { examineStateDirectory, examineStore } = await import("../../doctor/index.js");
  if (options.allAgents === true) {
    if (options.store !== undefined || environmentNamesStore(options))
      throw usageError("--all-agents is of a state directory; leave out --store, and $SESSIONDIR_STORE");
    const stateDirectory = resolveStateDirectory(options.stateDir);
    const reports = await examineStateDirectory(stateDirectory, doctorOptions);
    for (const one of reports) judge(invocation, one);
    if (terminal.json)
      return terminal.result({
        stateDirectory,
        stores: reports.map((one) => ({ agent: one.agent, ...jsonOf(one) })),
      });
    for (const one of reports) await tellAgent(invocation, one);
    return;
  }
  const path = requireDirectory(
    await resolveStore(invocation, options, { allAgents: true }),
    "doctor",
    "see the server's own log and statistics",
  );
  invocation.doing = `examining ${path}`;
  const { asMissingStore } = await import("../open-store.js");
  const report = await examineStore(path, doctorOptions).catch((error: unknown) => {
    throw asMissingStore(error, path);
  });
  judge(invocation, { report });
  terminal.erase();
  if (terminal.json) return terminal.result(reportJson(report));
  for (const line of linesOf(report)) await terminal.line(line);
}

function optionsOf(invocation: Invocation, options: Options): DoctorOptions {
  const { quick, deep, sample, fix = false, alone = false, backup, dryRun = false } = options;
  if (quick === true && deep === true) throw usageError("--quick and --deep exclude each other; give one");
  if (!fix && alone) throw usageError("--alone belongs to --fix");
  if (!fix && dryRun) throw usageError("--dry-run belongs to --fix; without it nothing is changed anyway");
  const level: DoctorLevel = quick === true ? "quick" : deep === true ? "deep" : "default";
  const { terminal, signal, trust } = invocation;
  return {
    level,
    fix: fix && !dryRun,
    // A plan beside other processes looks twice, as always.
    alone: alone && !dryRun,
    signal,
    ...(sample !== undefined && { sample }),
    ...(backup !== undefined && { backups: backup }),
    ...(trust !== undefined && { trust }),
    ...(terminal.interactive && { onProgress: (check: string) => terminal.draw(`looking: ${check}`) }),
  };
}

/** Sets the exit code. */
function judge(invocation: Invocation, { report, error }: Pick<AgentReport, "report" | "error">): void {
  if (report === undefined) {
    if (invocation.exitCode === EXIT.ok) invocation.exitCode = reportOf(error).exitCode;
  } else if (report.verdict === "needs-you" || report.verdict === "lost") needsPerson(invocation);
}

/** The documented shape of `doctor --json`. */
function reportJson(report: DoctorReport): object {
  const { path: store, ...rest } = report;
  return { store, ...rest };
}

function jsonOf({ path, report, error }: AgentReport): object {
  if (report !== undefined) return reportJson(report);
  const { code, message } = reportOf(error);
  return { store: path, error: { code, message } };
}

async function tellAgent(
  { terminal }: Invocation,
  { agent, path, report, error }: AgentReport,
): Promise<void> {
  await terminal.line(`agent ${visible(agent)}`);
  if (report === undefined)
    return terminal.line(`failed: ${visible(path)}: ${visible(reportOf(error).message)}`);
  for (const line of linesOf(report)) await terminal.line(line);
}

const VERDICTS: Readonly<Record<DoctorReport["verdict"], string>> = {
  healthy: "healthy",
  repaired: "repaired",
  "needs-you": "needs you",
  lost: "lost",
};

function* linesOf(report: DoctorReport): Generator<string> {
  const { path, verdict, findings, actions, history, checks, sessions, sample } = report;
  const wrong = findings.filter(({ severity }) => severity !== "note");
  const count = plural(wrong.length, "finding", "findings", formatCount(wrong.length));
  const seen = plural(sessions, "session", "sessions", formatCount(sessions));
  const of = sample < 1 ? `, ${formatCount(sample * 100)}% of the content` : "";
  yield `${VERDICTS[verdict]}: ${visible(path)} (${seen}${of}, ${count})`;
  for (const { done, path: about, key, kept, lost } of actions) {
    const whose = key === undefined ? "" : ` session ${visible(key)},`;
    yield `${lost ? "lost    " : "repaired"}  ${visible(about)}:${whose} ${visible(done)}`;
    if (kept !== undefined) yield `          kept as ${visible(kept)}`;
  }
  for (const finding of findings) yield* linesOfFinding(finding);
  for (const { name, skipped } of checks)
    if (skipped !== undefined && !skipped.startsWith("it belongs"))
      yield `skipped   ${name}: ${visible(skipped)}`;
  const [latest] = history.slice(-1);
  if (latest !== undefined)
    yield (
      `earlier   ${plural(history.length, "repair", "repairs", formatCount(history.length))} of other runs, the last ` +
      `at ${new Date(latest.at).toISOString()}: ${visible(latest.path)}: ${visible(latest.done)}`
    );
}

const SEVERITIES: Readonly<Record<Finding["severity"], string>> = {
  note: "note      ",
  repairable: "repairable",
  "needs-you": "needs you ",
  lost: "lost      ",
};

function* linesOfFinding({ severity, code, path, offset, key, cause, next }: Finding): Generator<string> {
  const where = offset === undefined ? "" : ` at byte ${offset}`;
  const whose = key === undefined ? "" : `, session ${visible(key)}`;
  yield `${SEVERITIES[severity]}  ${code}  ${visible(path)}${where}${whose}: ${visible(cause)}`;
  if (severity !== "note") yield `            next: ${visible(next)}`;
}
