/** `sessiondir restore`: a session that was pruned, back from the archive; and what the archive has. */
import type { Command } from "commander";
import type { ArchivedSession } from "../../care/retention/archived.js";
import type { RestoreReport } from "../../care/retention/restore.js";
import type { OnConflict } from "../../care/moving/settle-session.js";
import { asUsage, usageError } from "../failure.js";
import { formatCount, formatTime } from "../figures.js";
import {
  addExamples,
  addStoreOptions,
  needsPerson,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly archive?: string;
  readonly at?: number;
  readonly list?: true;
  readonly onConflict: OnConflict;
  readonly dryRun?: boolean;
}

export function addRestore(program: Command, invocation: Invocation): void {
  const command = program
    .command("restore")
    .description("bring a session back that prune has archived; the archive keeps it")
    .argument("[key]", "the session's key")
    .option("--list", "what the archive has, of this session or of all, and do nothing")
    .option(
      "--at <time>",
      "as it was archived last by then, as in 2026-11-30T12:00:00Z (default: the last one)",
      timeOf,
    )
    .option("--archive <folder>", "the archive (default: NAME.archive beside NAME.d)")
    .option(
      "--on-conflict <what>",
      "what to do if the session is there and differs: fail, skip, replace, or newer (replace it if the archived updatedAt is later)",
      onConflictOf,
      "fail" as OnConflict,
    );
  addStoreOptions(command)
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string | undefined, options: Options) => restore(invocation, key, options));
  addExamples(
    command,
    "restore agent:main:main --store sessions.d",
    "restore --list --store sessions.d",
    "restore agent:main:main --at 2026-11-30T12:00:00Z --on-conflict replace --store sessions.d --dry-run",
  );
}

function onConflictOf(text: string): OnConflict {
  if (text === "fail" || text === "skip" || text === "replace" || text === "newer") return text;
  throw usageError(`--on-conflict must be fail, skip, replace or newer, not ${JSON.stringify(text)}`);
}

function timeOf(text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw usageError(`--at must be a time as in 2026-11-30T12:00:00Z, not ${JSON.stringify(text)}`);
}

async function restore(invocation: Invocation, key: string | undefined, options: Options): Promise<void> {
  const { archive, at, list = false, onConflict, dryRun = false } = options;
  if (key === undefined && !list) throw usageError("which session? Give its key; --list tells what there is");
  if (key !== undefined) {
    const { acceptKey } = await import("../accept-key.js");
    await acceptKey(key);
  }
  const path = await resolveStore(invocation, options, { ...(key !== undefined && { key }) });
  const { withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const { listArchived, restoreSession } = await import("../../retention/index.js");
  const { terminal, trust, signal } = invocation;
  const given = {
    archive,
    trust,
    signal,
    onWarning: ({ code, message, data }: { code: string; message: string; data: object }): void => {
      if (code === "archive_damaged") needsPerson(invocation);
      terminal.warn(code, message, data as Record<string, string>);
    },
  };
  const mode = { write: !list && !dryRun, cacheBytes: MODEST_CACHE_BYTES };
  await withStore(invocation, path, mode, async (store) => {
    invocation.doing = `reading the archive of ${path}`;
    if (list) return tellAll(invocation, listArchived(store, { ...given, key }));
    const report = await asUsage(() =>
      restoreSession(store, key ?? "", { ...given, at, onConflict, dryRun }),
    );
    await print(invocation, path, report);
  });
}

async function tellAll({ terminal }: Invocation, found: AsyncIterable<ArchivedSession>): Promise<void> {
  let count = 0;
  for await (const session of found) {
    count += 1;
    if (terminal.json) {
      await terminal.result(session);
      continue;
    }
    const { key, archivedAt, updatedAt, transcripts, items, file } = session;
    const when = updatedAt === undefined ? "" : `, updated ${formatTime(updatedAt) ?? updatedAt}`;
    const along = transcripts === 0 ? "" : `, ${formatCount(items)} items`;
    await terminal.line(
      `${formatTime(archivedAt) ?? archivedAt}  ${visible(key)}${when}${along}  ${visible(file)}`,
    );
  }
  if (count === 0) terminal.say("the archive has no such session");
}

const DONE: Readonly<Record<RestoreReport["outcome"], readonly [done: string, planned: string]>> = {
  created: ["restored", "would restore"],
  replaced: ["replaced", "would replace"],
  unchanged: ["unchanged", "unchanged"],
  skipped: ["skipped", "would skip"],
};

async function print({ terminal }: Invocation, store: string, report: RestoreReport): Promise<void> {
  if (terminal.json) return terminal.result({ store, ...report });
  const { key, dryRun, from, outcome, items } = report;
  const of = `archived ${formatTime(from.archivedAt) ?? from.archivedAt} in ${visible(from.file)}`;
  const [done, planned] = DONE[outcome];
  const text = `${visible(key)} (${formatCount(items)} items appended), ${of}`;
  if (dryRun) return terminal.line(`${planned} ${text}`);
  await terminal.done(`${done} ${text}`);
  if (outcome === "created")
    terminal.say(
      "its updatedAt is what it was: a policy that removed it for its age does so again, unless --keep names it",
    );
}
