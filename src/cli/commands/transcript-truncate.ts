/** `sessiondir transcript truncate`: removes the newest items of a transcript; the way out where one of them is damaged. */
import type { Command } from "commander";
import { plural } from "../../plural.js";
import { formatCount } from "../figures.js";
import { addExamples, wholeNumber, type Invocation } from "../invocation.js";
import {
  addTranscriptOptions,
  missingTranscript,
  transcriptTarget,
  type TranscriptOptions,
} from "../transcript-target.js";
import { visible } from "../visible-text.js";

interface Options extends TranscriptOptions {
  readonly afterSeq: number;
  readonly dryRun?: boolean;
}

/** The documented shape of `transcript truncate --json`. */
interface TruncateResult {
  readonly store: string;
  readonly key: string;
  readonly transcript: string;
  readonly dryRun: boolean;
  readonly action: "truncate";
  readonly afterSeq: number;
  /** Items before. */
  readonly previousLength: number;
  /** Items after, and the highest number ever used, with which appends go on; absent in a dry run. */
  readonly length?: number;
  readonly last?: number;
}

export function addTranscriptTruncate(group: Command, invocation: Invocation): void {
  const command = group
    .command("truncate")
    .description("remove the newest items of a transcript; there is no way back but a backup");
  addTranscriptOptions(command)
    .requiredOption("--after-seq <seq>", "the last item that stays; 0: none", wholeNumber("--after-seq", 0))
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => transcriptTruncate(invocation, key, options));
  addExamples(
    command,
    "transcript truncate agent:main:main --after-seq 118 --store sessions.d --dry-run",
    "transcript truncate agent:main:main --name tools --after-seq 0 --store sessions.d",
  );
}

async function transcriptTruncate(invocation: Invocation, key: string, options: Options): Promise<void> {
  const target = await transcriptTarget(invocation, key, options);
  const { path, transcript } = target;
  const { afterSeq, dryRun = false } = options;
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const before = await store.transcript(key, transcript);
    if (before === undefined) throw await missingTranscript(store, target);
    const base = { store: path, key, transcript, dryRun, action: "truncate", afterSeq } as const;
    const planned: TruncateResult = { ...base, previousLength: before.length };
    if (dryRun) return print(invocation, planned);
    const after = await store.truncate(key, { afterSeq }, { transcript });
    if (after === undefined) throw await missingTranscript(store, target); // another process was faster
    return print(invocation, { ...planned, length: after.length, last: after.last });
  });
}

async function print({ terminal }: Invocation, result: TruncateResult): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { key, transcript, afterSeq, previousLength, length } = result;
  const what = `transcript ${visible(transcript)} of ${visible(key)} after item ${afterSeq}`;
  if (length === undefined) return terminal.line(`would truncate ${what}, now ${items(previousLength)}`);
  return terminal.done(`truncated ${what}, ${items(previousLength - length)} removed, ${items(length)} left`);
}

function items(count: number): string {
  return plural(count, "item", "items", formatCount(count));
}
