/**
 * `sessiondir flush`: brings every session's meta.json up to date. Commits do not need it to be safe; people and tools
 * that read the files do. Stopped anywhere, the next flush goes on from there.
 */
import type { Command } from "commander";
import type { StoreStats } from "../../store/types.js";
import { formatBytes, formatCount } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { requireDirectory } from "../server-target.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly checkpoint?: true;
  readonly dryRun?: boolean;
}

/** The documented shape of `flush --json`. */
interface FlushResult {
  readonly store: string;
  readonly dryRun: boolean;
  readonly checkpoint: boolean;
  /** Every commit up to this one is in its meta.json, or would be. */
  readonly revision: number;
  readonly logSegments: number;
  readonly logBytes: number;
}

export function addFlush(program: Command, invocation: Invocation): void {
  const command = program
    .command("flush")
    .description("write every commit so far into its session's meta.json");
  addStoreOptions(addStoreArgument(command))
    .option("--checkpoint", "also begin a new log and remove the old one")
    .option("--dry-run", "say what would be done and do nothing")
    .action((store: string | undefined, options: Options) =>
      flush(invocation, withStoreArgument(options, store)),
    );
  addExamples(command, "flush --store sessions.d", "flush --store sessions.d --checkpoint --dry-run");
}

async function flush(invocation: Invocation, options: Options): Promise<void> {
  const path = requireDirectory(
    await resolveStore(invocation, options),
    "flush",
    "a commit is there when it is answered, and nothing waits to be written",
  );
  const { withDirectoryStore } = await import("../open-store.js");
  const { checkpoint = false, dryRun = false } = options;
  const { terminal, signal } = invocation;
  await withDirectoryStore(invocation, path, { write: !dryRun }, async (store) => {
    const before = await store.stats();
    signal.throwIfAborted();
    if (!dryRun) await (checkpoint ? store.checkpoint() : store.flush());
    const figures = dryRun ? before : { ...(await store.stats()), revision: before.revision };
    const result = resultOf(path, dryRun, checkpoint, figures);
    if (terminal.json) await terminal.result(result);
    else if (dryRun) await terminal.line(sentenceOf(result, before));
    else await terminal.done(sentenceOf(result, before));
  });
}

function resultOf(store: string, dryRun: boolean, checkpoint: boolean, stats: StoreStats): FlushResult {
  const { logSegments = 0, logBytes = 0 } = stats.directory ?? {};
  return { store, dryRun, checkpoint, revision: stats.revision, logSegments, logBytes };
}

function sentenceOf(result: FlushResult, before: StoreStats): string {
  const { dryRun, checkpoint, revision, logBytes } = result;
  const log = formatBytes(before.directory?.logBytes ?? 0);
  if (dryRun) {
    const plan = `would bring every meta.json up to revision ${formatCount(revision)}`;
    return checkpoint ? `${plan} and remove a log of ${log}` : plan;
  }
  const done = `every meta.json is up to revision ${formatCount(revision)}`;
  return checkpoint ? `${done}; the log had ${log} and has ${formatBytes(logBytes)}` : done;
}
