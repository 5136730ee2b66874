/** `sessiondir transcript cat`: the items of a transcript, or a range of them, in order; a page is in memory. */
import type { Command } from "commander";
import { usageError } from "../failure.js";
import { addExamples, wholeNumber, type Invocation } from "../invocation.js";
import { printItem } from "../item-text.js";
import {
  addTranscriptOptions,
  missingTranscript,
  nameOf,
  transcriptTarget,
  type TranscriptOptions,
} from "../transcript-target.js";

interface Options extends TranscriptOptions {
  readonly from?: number;
  readonly to?: number;
  readonly last?: number;
}

/** Pages end early where items are big. */
const PAGE_ITEMS = 500;

export function addTranscriptCat(group: Command, invocation: Invocation): void {
  const command = group
    .command("cat")
    .description("print the items of a transcript, one a line; --json prints all of them as JSON");
  addTranscriptOptions(command)
    .option("--from <seq>", "from the item with this number on", wholeNumber("--from", 1))
    .option("--to <seq>", "up to the item with this number", wholeNumber("--to", 1))
    .option("--last <count>", "only the newest so many of these", wholeNumber("--last", 1))
    .action((key: string, options: Options) => transcriptCat(invocation, key, options));
  addExamples(
    command,
    "transcript cat agent:main:main --store sessions.d --last 20",
    "transcript cat agent:main:main --name tools --store sessions.d --json | jq -c .item",
  );
}

async function transcriptCat(invocation: Invocation, key: string, options: Options): Promise<void> {
  const { from, to, last } = options;
  if (from !== undefined && to !== undefined && from > to)
    throw usageError(`--from ${from} is behind --to ${to}; give the lower number to --from`);
  const target = await transcriptTarget(invocation, key, options);
  const { transcript } = target;
  const { withStore } = await import("../open-store.js");
  const { startOfNewest } = await import("../newest-items.js");
  await withStore(invocation, target.path, { key }, async (store) => {
    const { terminal, signal } = invocation;
    invocation.doing = `reading ${nameOf(target)}`;
    if ((await store.transcript(key, transcript)) === undefined) throw await missingTranscript(store, target);
    const start = last === undefined ? from : await startOfNewest(store, target, last, { from, to }, signal);
    if (last !== undefined && start === undefined) return; // nothing is in the range
    const items = store.iterateItems(key, { transcript, from: start, to, pageItems: PAGE_ITEMS, signal });
    for await (const item of items) await printItem(terminal, item);
  });
}
