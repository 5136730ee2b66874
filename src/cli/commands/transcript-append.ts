/**
 * `sessiondir transcript append`: items from standard input, one JSON a line, to the end of a transcript.
 *
 * What comes in one piece is one batch, and a batch is one commit. With `--json` each is acknowledged by a line as soon as it is
 * committed: whatever becomes of this process then, it is there. A line that is no item ends the command, and nothing of its batch is
 * written.
 */
import type { Command } from "commander";
import { plural } from "../../plural.js";
import { CliError } from "../failure.js";
import { formatFieldPath, hasStep, parseFieldPath, type FieldPath } from "../field-path.js";
import { formatCount, formatRange } from "../figures.js";
import { addExamples, type Invocation } from "../invocation.js";
import type { Batch, BatchTotals, LineBatches } from "../line-batches.js";
import {
  addTranscriptOptions,
  transcriptTarget,
  type TranscriptOptions,
  type TranscriptTarget,
} from "../transcript-target.js";
import { visible } from "../visible-text.js";

interface Options extends TranscriptOptions {
  readonly idField?: string;
  readonly dryRun?: boolean;
}

/** The documented shape of `transcript append --json`: one object for each batch. */
interface AppendResult extends Batch {
  readonly store: string;
  readonly key: string;
  readonly transcript: string;
  readonly dryRun: boolean;
}

export function addTranscriptAppend(group: Command, invocation: Invocation): void {
  const command = group
    .command("append")
    .description("append items from standard input, one JSON a line; makes the transcript if there is none");
  addTranscriptOptions(command)
    .option(
      "--id-field <path>",
      "this field of an item is its id, as in get --field; an item whose id is there already is left out",
    )
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => transcriptAppend(invocation, key, options));
  addExamples(
    command,
    `transcript append agent:main:main --store sessions.d <<< '{"role":"user","text":"hi"}'`,
    "transcript append agent:main:main --name tools --id-field id --store sessions.d < calls.jsonl",
  );
}

async function transcriptAppend(invocation: Invocation, key: string, options: Options): Promise<void> {
  const { idField, dryRun = false } = options;
  const idPath = idField === undefined ? undefined : parseFieldPath(idField, "--id-field");
  const target = await transcriptTarget(invocation, key, options);
  const { path, transcript } = target;
  const { withStore } = await import("../open-store.js");
  const { BatchTotals, LineBatches } = await import("../line-batches.js");
  await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const { terminal, signal } = invocation;
    const totals = new BatchTotals();
    const batches = new LineBatches(store, { key, transcript, dryRun }, signal, async (batch) => {
      totals.add(batch);
      const result: AppendResult = { store: path, key, transcript, dryRun, ...batch };
      if (terminal.json) await terminal.result(result);
    });
    // With ids the same input may be given again; without them, what is appended would be there twice.
    const rest = (): string | undefined =>
      idPath === undefined && !dryRun ? restOf(batches, totals) : undefined;
    const { afterwards } = invocation;
    invocation.afterwards = () => rest() ?? afterwards();
    try {
      await appendInput(invocation, key, idPath, batches, totals);
    } catch (error) {
      const left = rest();
      if (left !== undefined && !signal.aborted && !(error instanceof CliError)) terminal.say(left);
      throw error;
    }
    if (!terminal.json) await print(invocation, target, dryRun, totals);
  });
}

/** What of the input is still to be appended when the command ends too early; undefined: all. */
function restOf({ lastLine }: LineBatches, totals: BatchTotals): string | undefined {
  if (lastLine === 0) return undefined;
  const known = totals.lastLine;
  const there = known === 0 ? "" : `Lines 1 to ${known} of the input are appended. `;
  if (lastLine === known) return `${there}Append the lines behind them.`;
  return `${there}Lines ${known + 1} to ${lastLine} are appended all or not at all: look, and append what is missing.`;
}

async function appendInput(
  invocation: Invocation,
  key: string,
  idPath: FieldPath | undefined,
  batches: LineBatches,
  totals: BatchTotals,
): Promise<void> {
  const { standardInput } = await import("../read-input.js");
  const { linesIn, readLine } = await import("../json-lines.js");
  for await (const lines of linesIn(standardInput(invocation))) {
    for (const line of lines) {
      const read = readLine(line, key);
      if (read.kind === "blank") continue;
      const { number, length } = line;
      if (read.kind === "bad") throw badLine(number, read.fault, batches, totals);
      const id = idPath && (await idAt(read.item, idPath));
      if (typeof id === "object") throw badLine(number, id.fault, batches, totals);
      await batches.add({ line: number, item: read.item, id, bytes: length });
    }
    await batches.flush();
  }
}

/** The id that an item has in a field, or what is wrong with that. */
async function idAt(item: unknown, path: FieldPath): Promise<string | { readonly fault: string }> {
  const { idOf } = await import("../item-id.js");
  let value: unknown = item;
  for (const step of path) value = hasStep(value, step) ? value[step.name] : undefined;
  const id = idOf(value);
  if (id !== undefined) return id;
  return {
    fault: `has no id in ${formatFieldPath(path)}: a text of 1 to 200 bytes, or a number, is needed`,
  };
}

function badLine(line: number, fault: string, batches: LineBatches, totals: BatchTotals): CliError {
  const from = batches.firstLine ?? line;
  const unwritten = from === line ? "It was not written" : `Nothing of lines ${from} to ${line} was written`;
  const { appended, skipped } = totals;
  const before =
    from === 1
      ? "Mend the line, and append all of it again."
      : `What is in front of line ${from} is there (${counts(totals)}): mend the line, and append from line ${from} on.`;
  return new CliError("line_invalid", `line ${line} of standard input ${fault}. ${unwritten}. ${before}`, {
    data: { line, from, appended, skipped },
  });
}

function counts({ appended, skipped }: BatchTotals): string {
  const left = skipped === 0 ? "" : `, ${formatCount(skipped)} left out`;
  return `${formatCount(appended)} appended${left}`;
}

async function print(
  { terminal }: Invocation,
  { key, transcript }: TranscriptTarget,
  dryRun: boolean,
  totals: BatchTotals,
): Promise<void> {
  const { appended, skipped, first, last } = totals;
  const numbers = first === undefined || last === undefined ? "" : ` (${formatRange(first, last)})`;
  const left = skipped === 0 ? "" : `; ${formatCount(skipped)} left out, which it has`;
  const items = plural(appended, "item", "items", formatCount(appended));
  const text = `${items} to transcript ${visible(transcript)} of ${visible(key)}${numbers}${left}`;
  return dryRun ? terminal.line(`would append ${text}`) : terminal.done(`appended ${text}`);
}
