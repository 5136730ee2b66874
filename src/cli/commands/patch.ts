/** `sessiondir patch`: sets and removes top-level fields of one session; the others stay as they are. */
import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { usageError } from "../failure.js";
import {
  addExamples,
  addStoreOptions,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Entry, Store } from "../open-store.js";
import type { Write, WritePlan } from "../plan-write.js";
import { acceptKey } from "../session-key-argument.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly data?: string;
  readonly file?: string;
  readonly unset: readonly string[];
  readonly ifRevision?: number;
  readonly dryRun?: boolean;
}

export function addPatch(program: Command, invocation: Invocation): void {
  const command = program
    .command("patch")
    .description("set or remove fields of a session; what is not named stays as it is")
    .argument("<key>", "the session's key")
    .argument(
      "[changes...]",
      "field=value, where the value is JSON, or else a string; or one JSON object with all fields",
    );
  addStoreOptions(command)
    .option("--data <json>", "the fields as a JSON object")
    .option("--file <path>", "read the fields from this file; - is standard input")
    .option(
      "--unset <field>",
      "remove this field; may be repeated",
      (name: string, all: readonly string[]) => [...all, name],
      [],
    )
    .option("--if-revision <revision>", "only if it has this revision", wholeNumber("--if-revision", 1))
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, changes: readonly string[], options: Options) =>
      patch(invocation, key, changes, options),
    );
  addExamples(
    command,
    "patch agent:main:main model=large thinking=true --store sessions.d",
    `patch agent:main:main '{"usage":{"total":0}}' --unset error --store sessions.d --dry-run`,
  );
}

async function patch(
  invocation: Invocation,
  key: string,
  changes: readonly string[],
  options: Options,
): Promise<void> {
  await acceptKey(key);
  const path = await resolveStore(options, key);
  const fields = await readFields(invocation, changes, options);
  const { withStore } = await import("../open-store.js");
  const { missingSession, planAndWrite, printWrite } = await import("../plan-write.js");
  const { dryRun = false } = options;
  await withStore(invocation, path, { write: !dryRun }, async (store) => {
    if ((await store.read(key)) === undefined) throw await missingSession(store, path, key);
    const outcome = await planAndWrite(store, invocation.signal, patchOf(store, key, fields, options));
    await printWrite(invocation, { store: path, ...outcome });
  });
}

function patchOf(store: Store, key: string, fields: Entry, { ifRevision, dryRun = false }: Options): Write {
  return {
    key,
    ifRevision,
    dryRun,
    plan: (current) => planPatch(current?.entry ?? {}, fields),
    apply: (base) => store.patch(key, fields, base === 0 ? {} : { ifRevision: base }),
  };
}

/** Fields whose value really changes; undefined means away with it. */
function planPatch(entry: Readonly<Entry>, fields: Entry): WritePlan {
  const changed = Object.keys(fields).filter((name) => {
    if (fields[name] === undefined) return Object.hasOwn(entry, name);
    return !Object.hasOwn(entry, name) || !isDeepStrictEqual(entry[name], fields[name]);
  });
  return {
    action: changed.length === 0 ? "unchanged" : "patch",
    set: changed.filter((name) => fields[name] !== undefined),
    unset: changed.filter((name) => fields[name] === undefined),
  };
}

/** All fields, with undefined for those to be removed. Standard input is read when nothing else says anything. */
async function readFields(
  invocation: Invocation,
  changes: readonly string[],
  options: Options,
): Promise<Entry> {
  const { parseObject, readObject } = await import("../read-input.js");
  const { data, file, unset } = options;
  const named = new Map<string, unknown>();
  const add = (name: string, value: unknown): void => {
    if (named.has(name)) throw usageError(`the field ${JSON.stringify(name)} is given twice`);
    named.set(name, value);
  };
  for (const change of changes) {
    if (change.startsWith("{"))
      for (const [name, value] of Object.entries(parseObject(change, "the patch"))) add(name, value);
    else add(...assignmentOf(change));
  }
  for (const name of unset) add(name, undefined);
  if (data !== undefined || file !== undefined || named.size === 0) {
    for (const [name, value] of Object.entries(await readObject(invocation, { data, file })))
      add(name, value);
  }
  return Object.fromEntries(named); // own fields, `__proto__` too
}

/**
 * `field=value`: JSON where it is JSON; any other text is a string, because nobody wants to quote `model=large` twice. A
 * value that begins like a JSON object, array or string must be one.
 */
function assignmentOf(text: string): [name: string, value: unknown] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    throw usageError(
      `${JSON.stringify(text)} is no change: write field=value, or one JSON object with all fields`,
    );
  }
  const name = text.slice(0, equals);
  const value = text.slice(equals + 1);
  try {
    return [name, JSON.parse(value)];
  } catch {
    if (!/^\s*[{["]/.test(value)) return [name, value];
    throw usageError(
      `the value of ${JSON.stringify(name)} begins like JSON and is none: ${JSON.stringify(value)}`,
    );
  }
}
