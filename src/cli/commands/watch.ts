/** `sessiondir watch`: every committed change, one line each, until Ctrl-C or `--limit`. */
import type { Command } from "commander";
import { SessionStoreError } from "../../errors.js";
import { plural } from "../../plural.js";
import type { TranscriptChange } from "../../store/transcript-types.js";
import type { SessionChange } from "../../store/types.js";
import { CliError, EXIT } from "../failure.js";
import { cutMiddle } from "../display-width.js";
import { formatRange, formatTime } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  wholeNumber,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Entry } from "../open-store.js";
import { isServer } from "../server-target.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly since?: number;
  readonly prefix?: string;
  readonly limit?: number;
  readonly entries?: true;
}

/** Below, a line has the time without the date. */
const FULL_COLUMNS_MIN = 72;
const KEY_COLUMNS_MIN = 8;
/** To print the change at hand. */
const FINISH_MS = 1000;

export function addWatch(program: Command, invocation: Invocation): void {
  const command = program
    .command("watch")
    .description("print every change of every process as it is committed, until Ctrl-C or --limit");
  addStoreOptions(addStoreArgument(command))
    .option(
      "--since <revision>",
      "begin after this revision (default: from now on)",
      wholeNumber("--since", 0),
    )
    .option("--prefix <text>", "only keys that start with this")
    .option("--limit <count>", "end after so many changes", wholeNumber("--limit", 1))
    .option("--entries", "with --json: the whole entry after each change, and the items that were appended")
    .action((store: string | undefined, options: Options) =>
      watch(invocation, withStoreArgument(options, store)),
    );
  addExamples(
    command,
    "watch --store sessions.d --prefix agent:main:telegram:",
    "watch --store sessions.d --since 18000 --json --limit 100 | jq -r .key",
  );
}

async function watch(invocation: Invocation, options: Options): Promise<void> {
  const path = await resolveStore(invocation, options);
  const { withStore } = await import("../open-store.js");
  const { terminal, signal } = invocation;
  const { since, prefix, limit = Number.POSITIVE_INFINITY } = options;
  await withStore(invocation, path, {}, async (store) => {
    let printed = 0;
    let last = since ?? (await store.revision());
    try {
      const items = terminal.json && options.entries === true;
      const changes = store.watch({ since, prefix, items, signal });
      invocation.finishMs = FINISH_MS; // the usual end of a watch, and no failure
      terminal.say(`watching ${path}; Ctrl-C ends it`);
      for await (const change of changes) {
        await (terminal.json ? printJson(invocation, change, options) : printLine(invocation, change));
        if (change.last) last = change.revision; // from the middle of a transaction one cannot go on
        if (++printed >= limit) return;
      }
      invocation.exitCode = terminal.closed ? EXIT.ok : EXIT.interrupted;
      terminal.say(`stopped after revision ${last}; go on with --since ${last}`);
    } catch (error) {
      throw error instanceof SessionStoreError && error.code === "revision_too_old"
        ? tooOld(error, path)
        : error;
    }
  });
}

/** One object a line. */
function printJson(
  { terminal }: Invocation,
  change: SessionChange<Entry>,
  { entries }: Options,
): Promise<void> {
  const { key, revision, kind, last, modifiedAt, record, transcript } = change;
  return terminal.result({
    revision,
    kind,
    key,
    last,
    modifiedAt,
    ...(transcript !== undefined && { transcript }),
    ...(record !== undefined && entries === true && { entry: record.entry }),
  });
}

function printLine({ terminal }: Invocation, change: SessionChange<Entry>): Promise<void> {
  const { key, revision, kind, modifiedAt, transcript } = change;
  const columnsMax = terminal.dataColumns;
  const time = formatTime(modifiedAt) ?? "-".padEnd("2026-01-01T00:00:00Z".length);
  // On a narrow terminal the date is left out: a person who watches knows it.
  const shown = columnsMax < FULL_COLUMNS_MIN ? time.slice(-"00:00:00Z".length) : time;
  const line = `${String(revision).padStart(8)}  ${shown}  ${kind.padEnd("transcript".length)}  `;
  const what = transcript === undefined ? "" : `  ${textOf(transcript)}`;
  const columns = Math.max(columnsMax - line.length - what.length, KEY_COLUMNS_MIN);
  return terminal.line(line + cutMiddle(visible(key), columns) + what);
}

const NAME_COLUMNS_MAX = 24;

/** As in "main 12-14 (14 items)" and "main truncated after 11 (11 items)". */
function textOf({ name, removed, truncatedAfter, first, last, length }: TranscriptChange): string {
  const appended = first === undefined || last === undefined ? undefined : formatRange(first, last);
  const parts = [
    removed === true ? "removed" : undefined,
    truncatedAfter === undefined ? undefined : `truncated after ${truncatedAfter}`,
    appended,
  ].filter((part) => part !== undefined);
  const changed = parts.length === 0 ? "trimmed" : parts.join(", ");
  return `${cutMiddle(visible(name), NAME_COLUMNS_MAX)} ${changed} (${plural(length, "item")})`;
}

function tooOld({ code, data }: SessionStoreError, path: string): CliError {
  const from = String(data["revision"]);
  const isDamaged = data["damaged"] === true;
  const why = isDamaged
    ? `cannot be read, where it is damaged, for all changes up to revision ${from}`
    : isServer(path)
      ? `begins later: changes up to revision ${from} are not kept any more`
      : `begins later: changes up to revision ${from} are in their files only`;
  const then = `List them (sessiondir ls), then watch --since ${from}.`;
  const exitCode = isDamaged ? EXIT.needsPerson : EXIT.failure;
  return new CliError(code, `the log of ${path} ${why}. ${then}`, { exitCode, data });
}
