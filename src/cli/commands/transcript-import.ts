/**
 * `sessiondir transcript import`: a gateway's own `.jsonl` file into a transcript, however long it is: a piece of it is in memory.
 *
 * Importing again appends what came since and nothing twice, because each line has an id (item-id.ts); so it can be stopped
 * anywhere. Lines that are no items are named by their numbers, left out, and the code is 3.
 */
import type { Command } from "commander";
import { plural } from "../../plural.js";
import { CliError } from "../failure.js";
import { formatCount, formatRange } from "../figures.js";
import { addExamples, needsPerson, type Invocation } from "../invocation.js";
import type { InputLine } from "../json-lines.js";
import type { BatchTotals, LineBatches } from "../line-batches.js";
import { Progress } from "../progress.js";
import {
  addTranscriptOptions,
  transcriptTarget,
  type TranscriptOptions,
  type TranscriptTarget,
} from "../transcript-target.js";
import { visible } from "../visible-text.js";

interface Options extends TranscriptOptions {
  readonly dryRun?: boolean;
}

/** The documented shape of `transcript import --json`. */
interface ImportResult {
  readonly store: string;
  readonly key: string;
  readonly transcript: string;
  readonly file: string;
  readonly dryRun: boolean;
  readonly appended: number;
  /** Items that the transcript had. */
  readonly skipped: number;
  /** `seq` of the first and the last item that was appended; absent in a dry run, and if there is none. */
  readonly first?: number;
  readonly last?: number;
  /** How many lines are no items, and the first of them. */
  readonly badLines: number;
  readonly bad: readonly BadLine[];
}

interface BadLine {
  readonly line: number;
  readonly reason: string;
}

/** Of a file that is no transcript at all, some lines are enough. */
const BAD_TOLD_MAX = 20;
const PIECE_BYTES = 512 * 1024;
/** Shorter work needs no bar. */
const QUIET_MS = 1000;

export function addTranscriptImport(group: Command, invocation: Invocation): void {
  const command = group
    .command("import")
    .description("append a gateway's own .jsonl file; lines that the transcript has are left out");
  addTranscriptOptions(command)
    .argument("<file>", "the file, one JSON a line")
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, file: string, options: Options) =>
      transcriptImport(invocation, key, file, options),
    );
  addExamples(
    command,
    "transcript import agent:main:main ~/.openclaw/agents/main/sessions/8f2c.jsonl --store sessions.d --dry-run",
    "transcript import agent:main:main 8f2c.jsonl --name main --store sessions.d",
  );
}

async function transcriptImport(
  invocation: Invocation,
  key: string,
  file: string,
  options: Options,
): Promise<void> {
  const { dryRun = false } = options;
  const target = await transcriptTarget(invocation, key, options);
  const { path, transcript } = target;
  const { withStore } = await import("../open-store.js");
  const { BatchTotals, LineBatches } = await import("../line-batches.js");
  const source = await openFile(file);
  try {
    await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
      const totals = new BatchTotals();
      const add = async (batch: Parameters<BatchTotals["add"]>[0]): Promise<void> => totals.add(batch);
      const batches = new LineBatches(store, { key, transcript, dryRun }, invocation.signal, add);
      const bad = await importLines(invocation, target, source, batches, totals);
      const { appended, skipped, first, last } = totals;
      const result: ImportResult = {
        store: path,
        key,
        transcript,
        file,
        dryRun,
        appended,
        skipped,
        ...(first !== undefined && last !== undefined && { first, last }),
        badLines: bad.count,
        bad: bad.first,
      };
      await print(invocation, target, result);
    });
  } finally {
    source.close();
  }
}

interface Source {
  readonly path: string;
  readonly bytes: number;
  /** The file's bytes, as far as it goes when it is read. */
  readonly pieces: () => AsyncGenerator<Buffer, void>;
  readonly close: () => void;
}

/** @throws `file_unsafe` for a link, a FIFO and whatever else is no regular file; `input_not_found`. */
async function openFile(path: string): Promise<Source> {
  const { nodeFileSystem: fs } = await import("../../fs/node-file-system.js");
  const { openRegularFile } = await import("../../fs/regular-file.js");
  const { namedFile } = await import("../read-input.js");
  const opened = namedFile(path, () =>
    openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER }),
  );
  if (opened === undefined)
    throw new CliError("input_not_found", `there is no file ${path}; check its path`, { data: { path } });
  const { fd, status } = opened;
  async function* pieces(): AsyncGenerator<Buffer, void> {
    for (let position = 0; ;) {
      const buffer = Buffer.allocUnsafe(PIECE_BYTES);
      const count = await fs.later.read(fd, buffer, 0, PIECE_BYTES, position);
      if (count === 0) return;
      yield buffer.subarray(0, count);
      position += count;
    }
  }
  return { path, bytes: status.size, pieces, close: () => fs.close(fd) };
}

async function importLines(
  invocation: Invocation,
  { key }: TranscriptTarget,
  source: Source,
  batches: LineBatches,
  totals: BatchTotals,
): Promise<{ readonly count: number; readonly first: readonly BadLine[] }> {
  const { linesIn, readLine } = await import("../json-lines.js");
  const { LineIds } = await import("../item-id.js");
  const { signal } = invocation;
  const progress = new Progress(invocation, QUIET_MS);
  const ids = new LineIds();
  const first: BadLine[] = [];
  let count = 0;
  let done = 0;
  const add = async (line: InputLine): Promise<void> => {
    const read = readLine(line, key);
    const { number, bytes, length } = line;
    if (read.kind === "item" && bytes !== undefined) {
      const id = ids.of(read.item, number, bytes);
      return batches.add({ line: number, item: read.item, id, bytes: length });
    }
    if (read.kind !== "bad") return;
    count += 1;
    if (count > BAD_TOLD_MAX) return;
    const bad = { line: number, reason: read.fault };
    first.push(bad);
    tellBad(invocation, source.path, bad);
  };
  for await (const lines of linesIn(source.pieces())) {
    for (const line of lines) {
      signal.throwIfAborted();
      await add(line);
      done += line.length + 1;
    }
    await batches.flush();
    const note = `${formatCount(totals.appended)} items`;
    progress.show({ doing: `importing ${source.path}`, done, total: source.bytes, unit: "bytes", note });
    await new Promise(setImmediate); // a signal must get through
  }
  progress.end();
  if (count > BAD_TOLD_MAX) tellMoreBad(invocation, source.path, count - BAD_TOLD_MAX);
  return { count, first };
}

function tellBad(invocation: Invocation, path: string, { line, reason }: BadLine): void {
  needsPerson(invocation);
  const message = `line ${line} of ${path} ${reason}. It is left out.`;
  invocation.terminal.warn("line_invalid", message, { path, line });
}

function tellMoreBad(invocation: Invocation, path: string, more: number): void {
  const message = `${formatCount(more)} more lines of ${path} are no items either, and left out.`;
  invocation.terminal.warn("line_invalid", message, { path, more });
}

async function print(
  invocation: Invocation,
  { key, transcript }: TranscriptTarget,
  result: ImportResult,
): Promise<void> {
  const { terminal } = invocation;
  if (terminal.json) return terminal.result(result);
  const { file, dryRun, appended, skipped, first, last, badLines } = result;
  const numbers = first === undefined || last === undefined ? "" : ` (${formatRange(first, last)})`;
  const items = plural(appended, "item", "items", formatCount(appended));
  const left = skipped === 0 ? "" : `; ${formatCount(skipped)} were there`;
  const bad = badLines === 0 ? "" : `; ${formatCount(badLines)} bad lines left out`;
  const text = `${items} of ${visible(file)} to transcript ${visible(transcript)} of ${visible(key)}${numbers}${left}${bad}`;
  return dryRun ? terminal.line(`would append ${text}`) : terminal.done(`appended ${text}`);
}
