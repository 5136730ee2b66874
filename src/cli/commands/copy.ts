/** `sessiondir copy`: all sessions of a store into another one, each in a directory or a database. */
import type { Command } from "commander";
import type { CopyProgress, CopyReport } from "../../care/moving/copy.js";
import { EXIT, usageError } from "../failure.js";
import { formatCount } from "../figures.js";
import { addCommonOptions, addExamples, needsPerson, wholeNumber, type Invocation } from "../invocation.js";
import type { Store } from "../open-store.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options {
  readonly from: string;
  readonly to: string;
  readonly intoExisting?: true;
  readonly verify: boolean;
  readonly verifyOnly?: true;
  readonly follow?: true;
  readonly untilRevision?: number;
  readonly dryRun?: true;
}

/** Shorter work needs no bar. */
const QUIET_MS = 1000;
/** To copy what is there when somebody ends it. */
const FINISH_MS = 10_000;

export function addCopy(program: Command, invocation: Invocation): void {
  const command = program
    .command("copy")
    .description(
      "copy all sessions of a store into another one, each a folder or a postgres:// URL, and compare them",
    )
    .requiredOption("--from <store>", "the store that is read: a folder, or a postgres:// URL")
    .requiredOption("--to <store>", "the store that they come into; it is made if it is not there")
    .option(
      "--into-existing",
      "the target may have other sessions: they stay, and those of both become the source's",
    )
    .option("--verify-only", "copy nothing, compare the two stores")
    .option("--no-verify", "do not compare them at the end")
    .option("--follow", "keep the copy in step with the source until Ctrl-C")
    .option(
      "--until-revision <revision>",
      "with --follow: end when this revision of the source is copied",
      wholeNumber("--until-revision", 1),
    );
  addCommonOptions(command)
    .option("--dry-run", "say how many sessions there are on both sides, and write nothing")
    .action((options: Options) => copy(invocation, options));
  addExamples(
    command,
    "copy --from sessions.d --to postgres://gateway@db/agents",
    "copy --from sessions.d --to postgres://gateway@db/agents --follow",
    "copy --from postgres://gateway@db/agents --to back.d",
  );
}

async function copy(invocation: Invocation, options: Options): Promise<void> {
  const { follow, untilRevision, verify, verifyOnly, dryRun } = options;
  if (untilRevision !== undefined && follow !== true)
    throw usageError("--until-revision belongs to --follow");
  if (verifyOnly === true && (follow === true || !verify || options.intoExisting === true))
    throw usageError("--verify-only copies nothing: give no other option of copying with it");
  const from = await resolveStore(invocation, { store: options.from });
  const to = await resolveStore(invocation, { store: options.to });
  if (from === to) throw usageError(`--from and --to are the same store: ${from}`);
  const { makesStore, withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES: cacheBytes } = await import("../modest-memory.js");
  collectEarly();
  const looks = verifyOnly === true || dryRun === true;
  await withStore(invocation, from, { cacheBytes }, async (source) => {
    const makes = !looks || dryRun === true ? await makesStore(invocation, to, true) : false;
    if (dryRun === true) {
      const count = makes ? 0 : await withStore(invocation, to, { cacheBytes }, (target) => target.count());
      return plan(invocation, { from, to, dryRun, sessions: await source.count(), targetSessions: count });
    }
    await withStore(invocation, to, { write: !looks, create: !looks, cacheBytes }, (target) =>
      looks
        ? compare(invocation, from, to, source, target)
        : carryOut(invocation, from, to, source, target, options),
    );
  });
}

async function plan(
  { terminal }: Invocation,
  result: { from: string; to: string; dryRun: true; sessions: number; targetSessions: number },
): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { sessions, targetSessions, from, to } = result;
  await terminal.line(
    `would copy ${formatCount(sessions)} sessions of ${visible(from)} to ${visible(to)}, which has ${formatCount(targetSessions)}`,
  );
}

async function compare(
  invocation: Invocation,
  from: string,
  to: string,
  source: Store,
  target: Store,
): Promise<void> {
  const { compareStores } = await import("../../care/moving/compare.js");
  const { terminal, signal } = invocation;
  invocation.doing = `comparing ${from} with ${to}`;
  const report = await compareStores(source, target, { signal });
  if (!report.equal) needsPerson(invocation);
  if (terminal.json) return terminal.result({ from, to, ...report });
  for (const { key, what, transcript } of report.differences)
    await terminal.line(
      `${what.padEnd(10)}  ${visible(key)}${transcript === undefined ? "" : `  ${visible(transcript)}`}`,
    );
  const figures = `${formatCount(report.sessions)} sessions, ${formatCount(report.items)} items`;
  await terminal.done(
    report.equal ? `the same: ${figures}` : `${formatCount(report.differenceCount)} of ${figures} differ`,
  );
}

async function carryOut(
  invocation: Invocation,
  from: string,
  to: string,
  source: Store,
  target: Store,
  { intoExisting, verify, follow, untilRevision }: Options,
): Promise<void> {
  const { copySessions } = await import("../../care/moving/copy.js");
  const { Progress } = await import("../progress.js");
  const { terminal } = invocation;
  const progress = new Progress(invocation, QUIET_MS);
  const stop = new AbortController();
  const abort = new AbortController();
  let following = false;
  // Ctrl-C ends what follows, and interrupts what is not complete.
  invocation.signal.addEventListener("abort", () =>
    following ? stop.abort() : abort.abort(invocation.signal.reason),
  );
  const onProgress = ({ phase, done, total, behind }: CopyProgress): void => {
    if (phase === "following" && !following) {
      following = true;
      invocation.finishMs = FINISH_MS;
      terminal.say(`in step with ${from}; Ctrl-C ends it`);
    }
    const note = behind === 0 ? undefined : `${formatCount(behind)} revisions behind`;
    progress.show({ doing: `${phase} ${from}`, done, total, unit: "sessions", note });
  };
  const report = await copySessions(source, target, {
    name: from,
    intoExisting,
    verify,
    signal: abort.signal,
    onProgress,
    ...(follow === true && { follow: { untilRevision, stop: stop.signal } }),
  });
  progress.end();
  for (const { key, code, message } of report.damaged) terminal.warn(code, `left out: ${message}`, { key });
  for (const { key, message } of report.refused) terminal.warn("left_out", `left out: ${message}`, { key });
  if (report.damaged.length + report.refused.length > 0) needsPerson(invocation);
  if (stop.signal.aborted && invocation.exitCode === EXIT.ok) invocation.exitCode = EXIT.interrupted;
  await print(invocation, from, to, report);
}

async function print({ terminal }: Invocation, from: string, to: string, report: CopyReport): Promise<void> {
  if (terminal.json) return terminal.result({ from, to, ...report });
  const { created, replaced, unchanged, removed, items, compared, revision } = report;
  const counts = [
    `${formatCount(created)} created`,
    `${formatCount(replaced)} replaced`,
    `${formatCount(unchanged)} unchanged`,
    `${formatCount(removed)} removed`,
  ].join(", ");
  const same = compared === undefined ? "" : ", compared and the same";
  await terminal.done(
    `copied ${visible(from)} to ${visible(to)}: ${counts}, ${formatCount(items)} items, up to revision ${formatCount(revision)}${same}`,
  );
}
