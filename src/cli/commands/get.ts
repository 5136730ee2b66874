/** `sessiondir get`: the entries of sessions, or one field of each, as JSON. */
import type { Command } from "commander";
import { CliError, usageError } from "../failure.js";
import { formatFieldPath, hasStep, parseFieldPath, topLevel, type FieldPath } from "../field-path.js";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import { forEachKey, readKeys, requireOneKey, storeOfKeys } from "../key-arguments.js";
import { isSessionDamaged } from "../../errors.js";
import type { SessionRecord } from "../../store/types.js";
import type { Entry, Store } from "../open-store.js";
import { transcriptsBeside } from "../transcripts-beside.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly field?: string;
  readonly raw?: true;
}

export function addGet(program: Command, invocation: Invocation): void {
  const command = program
    .command("get")
    .description("print a session's entry as JSON; with --json also its revision and time of change")
    .argument("<key...>", "the session's key, or several; - reads keys from standard input, one a line");
  addStoreOptions(command)
    .option(
      "--field <path>",
      `only this field (usage.total, messages[0].text, '"a.b"' for a name with a dot)`,
    )
    .option(
      "--raw",
      "for scripts: a string without quotes, its bytes and nothing else; other values on one line",
    )
    .action((keys: readonly string[], options: Options) => get(invocation, keys, options));
  addExamples(
    command,
    "get agent:main:main --store sessions.d",
    "get agent:main:main --store sessions.d --field skillsSnapshot.prompt --raw > prompt.txt",
    "get agent:main:main --store sessions.d --json | jq .revision",
    "ls --store sessions.d --json | jq -r '.sessions[].key' | sessiondir get - --store sessions.d --json",
  );
}

async function get(invocation: Invocation, given: readonly string[], options: Options): Promise<void> {
  const { field, raw = false } = options;
  if (raw && invocation.terminal.json) throw usageError("--raw and --json are two ways to print; give one");
  const fieldPath = field === undefined ? undefined : parseFieldPath(field, "--field");
  const keys = await readKeys(invocation, given);
  if (raw) requireOneKey(keys, "--raw", "prints one value and nothing around it");
  const [key] = keys;
  if (key === undefined) return;
  const path = await storeOfKeys(invocation, options, keys);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, { key }, (store) =>
    forEachKey(invocation, keys, (key) => print(invocation, store, { path, key, fieldPath, ...options })),
  );
}

interface Wanted extends Options {
  readonly path: string;
  readonly key: string;
  readonly fieldPath: FieldPath | undefined;
}

async function print(
  invocation: Invocation,
  store: Store,
  { path, key, field, fieldPath, raw }: Wanted,
): Promise<void> {
  const record = await readOrTell(store, { path, key });
  const value = fieldPath === undefined ? record.entry : fieldOf(record.entry, fieldPath, key);
  const { terminal } = invocation;
  if (raw) return printRaw(invocation, value);
  const transcripts = field === undefined ? await transcriptsBeside(store, key) : [];
  if (!terminal.json) {
    await terminal.document(value, 2);
    if (transcripts.length > 0) terminal.say(`transcripts: ${transcripts.join(", ")}`);
    return;
  }
  const { revision, modifiedAt } = record;
  const named = transcripts.length > 0 && { transcripts };
  const head = { store: path, key, revision, modifiedAt, ...named };
  return terminal.result(field === undefined ? { ...head, entry: value } : { ...head, field, value });
}

/** @throws `not_found` with the nearest keys; what cannot be read with the ways out. */
async function readOrTell(
  store: Store,
  { path, key }: { readonly path: string; readonly key: string },
): Promise<SessionRecord<Entry>> {
  const found = await store.read(key).catch((error: unknown) => error);
  if (found !== undefined && !(found instanceof Error)) return found as SessionRecord<Entry>;
  const { missingRecord, withWaysOut } = await import("../plan-write.js");
  if (found === undefined) throw await missingRecord(store, path, key);
  throw isSessionDamaged(found) ? withWaysOut(found, { path, key }) : found;
}

/** The text's bytes and nothing else; on a terminal, which obeys what it is sent, escaped and with a line break. */
async function printRaw({ terminal }: Invocation, value: unknown): Promise<void> {
  if (typeof value !== "string") return terminal.document(value);
  if (terminal.showsData) return terminal.line(value.split("\n").map(visible).join("\n"));
  if (!/\p{Surrogate}/u.test(value)) return terminal.write(value);
  throw new CliError(
    "not_text",
    "the text has half of a character (a surrogate without its other half), which no bytes stand for: get it without --raw",
  );
}

/** @throws `field_not_found` with the fields that are there in place of the one that is not. */
function fieldOf(entry: object, path: FieldPath, key: string): unknown {
  let value: unknown = entry;
  for (const [depth, step] of path.entries()) {
    if (!hasStep(value, step)) throw noField(value, path, depth, key);
    value = value[step.name];
  }
  return value;
}

const NAMES_SHOWN_MAX = 20;

function noField(holder: unknown, path: FieldPath, depth: number, key: string): CliError {
  const session = `session ${JSON.stringify(key)}`;
  const where = depth === 0 ? session : `${formatFieldPath(path.slice(0, depth))} of ${session}`;
  const missing = formatFieldPath(path.slice(depth, depth + 1));
  // A name with dots in it, typed without quotes.
  const rest = path.slice(depth).map(({ name }) => name);
  const dotted = rest
    .map((_, index) => rest.slice(0, rest.length - index).join("."))
    .find((name) => hasStep(holder, { name, isIndex: false }));
  const advice =
    dotted === undefined
      ? contentsOf(holder)
      : `A name with dots is written in quotes: ${formatFieldPath([...path.slice(0, depth), { name: dotted, isIndex: false }])}`;
  return new CliError(
    "field_not_found",
    `${where} has no ${path[depth]?.isIndex === true ? "item" : "field"} ${missing}. ${advice}`,
    {
      data: { key, field: formatFieldPath(path) },
    },
  );
}

function contentsOf(holder: unknown): string {
  if (Array.isArray(holder)) {
    return holder.length === 0
      ? "It is an empty array."
      : `It is an array with the items [0] to [${holder.length - 1}].`;
  }
  const names = typeof holder === "object" && holder !== null ? Object.keys(holder) : [];
  if (names.length === 0) return "It has no fields.";
  const shown = names.slice(0, NAMES_SHOWN_MAX).map((name) => formatFieldPath(topLevel(name)));
  return `It has ${shown.join(", ")}${names.length > NAMES_SHOWN_MAX ? ", …" : "."}`;
}
