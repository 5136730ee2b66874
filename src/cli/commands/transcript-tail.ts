/**
 * `sessiondir transcript tail`: the newest items, and with `-f` those that are appended from then on, by any process.
 *
 * The watch begins before the newest items are read, so that nothing is missed in between; what both have is told by its commit. Items
 * that are removed, and a session that is deleted, are told too, and it goes on. Where the log no longer has what came next, because this
 * process slept or its reader did, the transcript itself is read on.
 */
import type { Command } from "commander";
import { SessionStoreError } from "../../errors.js";
import type { SessionChange } from "../../store/types.js";
import { EXIT } from "../failure.js";
import { addExamples, wholeNumber, type Invocation } from "../invocation.js";
import { printItem } from "../item-text.js";
import type { Entry, Store } from "../open-store.js";
import {
  addTranscriptOptions,
  isSession,
  missingTranscript,
  nameOf,
  transcriptTarget,
  type TranscriptOptions,
  type TranscriptTarget,
} from "../transcript-target.js";

interface Options extends TranscriptOptions {
  readonly lines: number;
  readonly follow?: true;
}

const LINES = 10;
const PAGE_ITEMS = 500;
/** To print the change at hand. */
const FINISH_MS = 1000;

export function addTranscriptTail(group: Command, invocation: Invocation): void {
  const command = group
    .command("tail")
    .description("print the newest items of a transcript; with -f also those that are appended from then on");
  addTranscriptOptions(command)
    .option("-n, --lines <count>", "so many", wholeNumber("--lines", 0), LINES)
    .option("-f, --follow", "go on with what is appended, until Ctrl-C")
    .action((key: string, options: Options) => transcriptTail(invocation, key, options));
  addExamples(
    command,
    "transcript tail agent:main:main --store sessions.d -n 20",
    "transcript tail agent:main:main --store sessions.d -f --json | jq -c .item",
  );
}

async function transcriptTail(invocation: Invocation, key: string, options: Options): Promise<void> {
  const target = await transcriptTarget(invocation, key, options);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, target.path, { key }, async (store) => {
    invocation.doing = `reading ${nameOf(target)}`;
    const tail = new Tail(invocation, store, target);
    const isThere = (await store.transcript(key, target.transcript)) !== undefined;
    if (!isThere && (options.follow !== true || !(await isSession(store, key))))
      throw await missingTranscript(store, target);
    if (options.follow !== true) return tail.printNewest(options.lines);
    await tail.follow(options.lines);
  });
}

/** The commit of an item, and its number. */
interface Position {
  readonly revision: number;
  readonly seq: number;
}

class Tail {
  /** The item that was printed last. */
  #printed: Position = { revision: 0, seq: 0 };

  constructor(
    private readonly invocation: Invocation,
    private readonly store: Store,
    private readonly target: TranscriptTarget,
  ) {}

  async printNewest(count: number): Promise<void> {
    if (count === 0) return;
    const { startOfNewest } = await import("../newest-items.js");
    const from = await startOfNewest(this.store, this.target, count, {}, this.invocation.signal);
    if (from !== undefined) await this.#printFrom(from);
  }

  async follow(count: number): Promise<void> {
    const { invocation, store, target } = this;
    const { terminal, signal } = invocation;
    let isAgain = false;
    while (!signal.aborted) {
      const since = await store.revision();
      const changes = store.watch({ since, prefix: target.key, items: true, signal });
      if (isAgain) await this.#printFrom(this.#printed.seq + 1);
      else await this.printNewest(count);
      invocation.finishMs = FINISH_MS; // the usual end, and no failure
      if (!isAgain) terminal.say(`following ${nameOf(target)}; Ctrl-C ends it`);
      try {
        for await (const change of changes) await this.#tell(change);
      } catch (error) {
        if (!(error instanceof SessionStoreError) || error.code !== "revision_too_old") throw error;
        isAgain = true;
        const what = "changes came faster than they were read: what was removed meanwhile is not told";
        terminal.warn("revision_too_old", what, error.data);
      }
    }
    invocation.exitCode = terminal.closed ? EXIT.ok : EXIT.interrupted;
  }

  async #printFrom(from: number): Promise<void> {
    const { store, target, invocation } = this;
    const { key, transcript } = target;
    const { signal } = invocation;
    for await (const item of store.iterateItems(key, { transcript, from, pageItems: PAGE_ITEMS, signal }))
      await this.#print(item);
  }

  async #print(item: Parameters<typeof printItem>[1]): Promise<void> {
    await printItem(this.invocation.terminal, item);
    this.#printed = item;
  }

  async #tell(change: SessionChange<Entry>): Promise<void> {
    const { key, transcript: name } = this.target;
    const { kind, revision, modifiedAt: time, transcript } = change;
    if (change.key !== key || revision < this.#printed.revision) return;
    if (kind === "delete") return this.#note({ revision, time, deleted: true }, "the session was deleted");
    if (transcript?.name !== name) return;
    const { removed, truncatedAfter, items = [] } = transcript;
    const isNew = revision > this.#printed.revision;
    if (removed === true && isNew)
      await this.#note({ revision, time, removed }, "the transcript was removed");
    if (truncatedAfter !== undefined && isNew)
      await this.#note({ revision, time, truncatedAfter }, `items behind ${truncatedAfter} were removed`);
    for (const item of items) if (isNew || item.seq > this.#printed.seq) await this.#print(item);
  }

  /** What is no item: with `--json` a line of its own, for its reader must know. */
  async #note(change: object, text: string): Promise<void> {
    const { terminal } = this.invocation;
    if (terminal.json) await terminal.result(change);
    else terminal.say(text);
  }
}
