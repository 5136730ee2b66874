/** `sessiondir export`: sessions of a store as one file of JSON Lines, to standard output or into a file. */
import type { Command } from "commander";
import type { ExportFileOptions } from "../../care/moving/export-file.js";
import type { ExportOptions, ExportReport } from "../../care/moving/export.js";
import { EXIT, usageError } from "../failure.js";
import { formatBytes } from "../figures.js";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import type { Store } from "../open-store.js";
import { addRewriteOption, rulesOf, type RewriteOption } from "../rewrite-option.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions, RewriteOption {
  readonly prefix?: string;
  readonly output?: string;
  readonly overwrite?: true;
  readonly dryRun?: boolean;
}

/** The documented shape of `export --json`. */
interface ExportResult extends Omit<ExportReport, "bytes"> {
  readonly store: string;
  readonly output: string;
  readonly dryRun: boolean;
  /** Of the text. */
  readonly bytes: number;
  /** Of the file; absent in a dry run. */
  readonly fileBytes?: number;
}

/** Shorter work needs no bar. */
const QUIET_MS = 1000;

export function addExport(program: Command, invocation: Invocation): void {
  const command = program
    .command("export")
    .description("write sessions with their transcripts as JSON Lines, to standard output or a file")
    .argument("[keys...]", "these sessions (default: all)")
    .option("--prefix <text>", "sessions whose keys start with this")
    .option(
      "-o, --output <path>",
      "write this file, with gzip if its name ends in .gz (default: standard output)",
    )
    .option("--overwrite", "replace the file if it is there");
  addRewriteOption(addStoreOptions(command))
    .option("--dry-run", "read everything, say what would be written, and write nothing")
    .action((keys: readonly string[], options: Options) => exportStore(invocation, keys, options));
  addExamples(
    command,
    "export --store sessions.d -o sessions.jsonl.gz",
    "export agent:main:main --store sessions.d | jq -r 'select(.type == \"item\").item.text'",
    "export --prefix agent:main: --store sessions.d -o main.jsonl --rewrite sessionFile /home/old /home/new",
  );
}

async function exportStore(invocation: Invocation, keys: readonly string[], options: Options): Promise<void> {
  const { prefix, output, overwrite, dryRun = false } = options;
  const { terminal, signal } = invocation;
  if (output === "") throw usageError("--output must not be empty");
  const toFile = output !== undefined && output !== "-";
  if (terminal.showsData && !toFile && !dryRun)
    throw usageError("an export is for a file or a pipe, and this is a terminal: give --output FILE");
  const rewrite = await rulesOf(options);
  const { acceptKey } = await import("../accept-key.js");
  for (const key of keys) await acceptKey(key);
  const path = await resolveStore(invocation, options, { ...(keys[0] !== undefined && { key: keys[0] }) });
  const { withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const { Progress } = await import("../progress.js");
  await withStore(invocation, path, { cacheBytes: MODEST_CACHE_BYTES }, async (store) => {
    invocation.doing = `exporting ${path}`;
    const progress = new Progress(invocation, QUIET_MS);
    const total = keys.length + (keys.length > 0 && prefix === undefined ? 0 : await store.count({ prefix }));
    const given = {
      name: path,
      ...(keys.length > 0 && { keys }),
      prefix,
      rewrite,
      signal,
      onProgress: (done: number) =>
        progress.show({ doing: `exporting ${path}`, done, total, unit: "sessions" }),
    };
    const common = { store: path, output: toFile ? output : "-", dryRun };
    const result: ExportResult =
      toFile && !dryRun
        ? { ...common, ...(await toPath(store, output, { ...given, overwrite })) }
        : { ...common, ...(await toStandardOutput(invocation, store, given, dryRun)) };
    progress.end();
    const { tellLeftOut } = await import("../moving-text.js");
    tellLeftOut(invocation, path, result);
    await print(invocation, result, toFile || dryRun);
  });
}

async function toPath(
  store: Store,
  output: string,
  given: ExportFileOptions,
): Promise<ExportReport & { readonly fileBytes: number }> {
  const { exportToFile } = await import("../../care/moving/export-file.js");
  const { path: _path, ...report } = await exportToFile(store, output, given);
  return report;
}

async function toStandardOutput(
  { terminal, signal }: Invocation,
  store: Store,
  given: ExportOptions,
  dryRun: boolean,
): Promise<ExportReport> {
  const { exportSessions } = await import("../../care/moving/export.js");
  const pieces = exportSessions(store, given);
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) return next.value;
    signal.throwIfAborted();
    if (!dryRun) await terminal.write(next.value);
  }
}

/** @param hasOutput Standard output is not the file. */
async function print(invocation: Invocation, result: ExportResult, hasOutput: boolean): Promise<void> {
  const { terminal } = invocation;
  if (terminal.json && hasOutput) return terminal.result(result);
  const { countOf } = await import("../moving-text.js");
  const { sessions, transcripts, items, rewritten, output, dryRun, bytes, fileBytes, missing } = result;
  if (sessions === 0 && missing.length === 0) terminal.say("there is no such session: the file has none");
  const along =
    transcripts === 0 ? "" : ` with ${countOf(transcripts, "transcript")} (${countOf(items, "item")})`;
  const changed = rewritten === 0 ? "" : `, ${countOf(rewritten, "path")} rewritten`;
  const size = formatBytes(fileBytes ?? bytes);
  const text = `${countOf(sessions, "session")}${along} to ${visible(output)}: ${size}${changed}`;
  if (dryRun) return terminal.line(`would export ${text}`);
  if (hasOutput) return terminal.done(`exported ${text}`);
  if (invocation.exitCode === EXIT.ok) terminal.say(`exported ${text}`);
}
