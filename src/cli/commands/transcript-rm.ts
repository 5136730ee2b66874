/** `sessiondir transcript rm`: removes one transcript of a session. */
import type { Command } from "commander";
import { SessionStoreError } from "../../errors.js";
import { plural } from "../../plural.js";
import { formatCount } from "../figures.js";
import { addExamples, wholeNumber, type Invocation } from "../invocation.js";
import type { Store } from "../open-store.js";
import {
  addKeyOfTranscripts,
  missingTranscript,
  transcriptTarget,
  type TranscriptOptions,
  type TranscriptTarget,
} from "../transcript-target.js";
import { visible } from "../visible-text.js";

interface Options extends TranscriptOptions {
  readonly ifLast?: number;
  readonly dryRun?: boolean;
}

/** The documented shape of `transcript rm --json`. */
interface RemoveResult {
  readonly store: string;
  readonly key: string;
  readonly transcript: string;
  readonly dryRun: boolean;
  readonly action: "remove";
  /** Items that it had, and the highest number ever used in it; absent of one that is damaged. */
  readonly length?: number;
  readonly last?: number;
  /** It could not be read. */
  readonly damaged?: true;
}

export function addTranscriptRm(group: Command, invocation: Invocation): void {
  const command = group
    .command("rm")
    .description("remove a transcript with all its items; there is no way back but a backup");
  addKeyOfTranscripts(command)
    .requiredOption("--name <name>", "which transcript")
    .option(
      "--if-last <seq>",
      "only if this is the highest number ever used in it",
      wholeNumber("--if-last", 1),
    )
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => transcriptRm(invocation, key, options));
  addExamples(
    command,
    "transcript rm agent:main:main --name tools --store sessions.d --dry-run",
    "transcript rm agent:main:main --name tools --store sessions.d --if-last 120",
  );
}

async function transcriptRm(invocation: Invocation, key: string, options: Options): Promise<void> {
  const target = await transcriptTarget(invocation, key, options);
  const { path, transcript } = target;
  const { ifLast, dryRun = false } = options;
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const found = await stateOf(store, target, ifLast);
    if (!dryRun && !(await store.removeTranscript(key, { transcript, ifLast })))
      throw await missingTranscript(store, target); // another process was faster
    const result: RemoveResult = { store: path, key, transcript, dryRun, action: "remove", ...found };
    await print(invocation, result);
  });
}

/** @throws `not_found`; `conflict` where it is not what `--if-last` says. */
async function stateOf(
  store: Store,
  target: TranscriptTarget,
  ifLast: number | undefined,
): Promise<Pick<RemoveResult, "length" | "last" | "damaged">> {
  const { key, transcript } = target;
  try {
    const info = await store.transcript(key, transcript);
    if (info === undefined) throw await missingTranscript(store, target);
    if (ifLast !== undefined && ifLast !== info.last) throw otherLast(target, ifLast, info.last);
    return { length: info.length, last: info.last };
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "transcript_damaged" || ifLast !== undefined)
      throw error;
    return { damaged: true };
  }
}

function otherLast(
  { key, transcript }: TranscriptTarget,
  expected: number,
  actual: number,
): SessionStoreError {
  return new SessionStoreError(
    "conflict",
    `the last number of transcript ${JSON.stringify(transcript)} of session ${JSON.stringify(key)} is ${actual}, not ${expected}. ` +
      "Nothing was removed: read it, and decide anew.",
    { data: { key, transcript, expected, actual } },
  );
}

async function print({ terminal }: Invocation, result: RemoveResult): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { key, transcript, dryRun, length, damaged } = result;
  const what = `transcript ${visible(transcript)} of ${visible(key)}`;
  const had =
    damaged === true ? "which was damaged" : plural(length ?? 0, "item", "items", formatCount(length ?? 0));
  if (dryRun) return terminal.line(`would remove ${what}, ${had}`);
  return terminal.done(`removed ${what}, ${had}`);
}
