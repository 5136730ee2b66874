/** `sessiondir patch`: sets and removes fields of one session, at any depth; the others stay as they are. */
import type { Command } from "commander";
import { usageError, type CliError } from "../failure.js";
import { changeFields, type ChangedFields, type FieldChange } from "../field-change.js";
import { formatFieldPath, parseAssignment, parseFieldPath, topLevel, type FieldPath } from "../field-path.js";
import {
  addExamples,
  addStoreOptions,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Store } from "../open-store.js";
import type { Write, WritePlan } from "../plan-write.js";
import type * as ReadInput from "../read-input.js";
import { acceptKey } from "../accept-key.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly data?: string;
  readonly file?: string;
  readonly unset?: readonly string[];
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
      "path=value, where the path is like that of get --field and the value is JSON, or else a string; or one JSON object with all fields",
    );
  addStoreOptions(command)
    .option("--data <json>", "the fields as a JSON object")
    .option("--file <path>", "read the fields from this file; - is standard input")
    .option(
      "--unset <path>",
      "remove this field; may be repeated",
      (name: string, all: readonly string[] | undefined) => [...(all ?? []), name],
    )
    .option("--if-revision <revision>", "only if it has this revision", wholeNumber("--if-revision", 1))
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, changes: readonly string[], options: Options) =>
      patch(invocation, key, changes, options),
    );
  addExamples(
    command,
    "patch agent:main:main model=large usage.total=0 --store sessions.d",
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
  const path = await resolveStore(invocation, options, { key });
  const fieldChanges = await readChanges(invocation, changes, options);
  const { withStore } = await import("../open-store.js");
  const { missingSession, planAndWrite, printWrite } = await import("../plan-write.js");
  const { dryRun = false } = options;
  await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const write = patchOf(store, { path, key }, fieldChanges, options);
    const missing = (): Promise<CliError> => missingSession(store, path, key);
    const outcome = await planAndWrite(store, invocation.signal, { ...write, missing });
    await printWrite(invocation, { store: path, ...outcome });
  });
}

function patchOf(
  store: Store,
  { path, key }: { readonly path: string; readonly key: string },
  changes: readonly FieldChange[],
  { ifRevision, dryRun = false }: Options,
): Write {
  let planned: ChangedFields | undefined;
  return {
    path,
    key,
    ifRevision,
    dryRun,
    plan: (current): WritePlan => {
      planned = changeFields(current?.entry ?? {}, changes, key);
      const { set, unset } = planned;
      return { action: set.length + unset.length === 0 ? "unchanged" : "patch", set, unset };
    },
    apply: (base) => store.patch(key, planned?.fields ?? {}, { ifRevision: base }),
    // The damaged file is kept in quarantine/; what goes on is at least what is known.
    overDamagedFile: {
      plan: (): WritePlan => {
        planned = changeFields({}, changes, key);
        return { action: "replace", set: planned.set };
      },
      apply: () => {
        const given = Object.entries(planned?.fields ?? {}).filter(([, value]) => value !== undefined);
        return store.put(key, Object.fromEntries(given));
      },
    },
  };
}

/** All changes. Standard input is read when nothing else says anything. */
async function readChanges(
  invocation: Invocation,
  given: readonly string[],
  options: Options,
): Promise<FieldChange[]> {
  const { assertExact, parseObject, readObject } = await import("../read-input.js");
  const { data, file, unset = [] } = options;
  const changes: FieldChange[] = [];
  const named = new Set<string>();
  const add = (path: FieldPath, value: unknown): void => {
    const name = formatFieldPath(path);
    if (named.has(name)) throw usageError(`the field ${name} is given twice`);
    named.add(name);
    changes.push({ path, value });
  };
  // Names in a JSON object are names, whatever characters they have.
  const addObject = (fields: object): void => {
    for (const [name, value] of Object.entries(fields)) add(topLevel(name), value);
  };
  for (const change of given) {
    if (change.startsWith("{")) addObject(parseObject(change, "the patch"));
    else add(...assignmentOf(change, assertExact));
  }
  for (const path of unset) add(parseFieldPath(path, "--unset"), undefined);
  if (data !== undefined || file !== undefined || changes.length === 0) {
    addObject(await readObject(invocation, { data, file }));
  }
  return changes;
}

type AssertExact = typeof ReadInput.assertExact;

/**
 * `path=value`: JSON where it is JSON; any other text is a string, because nobody wants to quote `model=large` twice. A
 * value that begins like a JSON object, array or string must be one.
 */
function assignmentOf(text: string, assertExact: AssertExact): [path: FieldPath, value: unknown] {
  const assignment = parseAssignment(text, "the change");
  if (assignment === undefined) {
    throw usageError(
      `${JSON.stringify(text)} is no change: write field=value, or one JSON object with all fields`,
    );
  }
  const [path, json] = assignment;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    if (!/^\s*[{["]/.test(json)) return [path, json];
    throw usageError(
      `the value of ${formatFieldPath(path)} begins like JSON and is none: ${JSON.stringify(json)}`,
    );
  }
  assertExact(json, "the change", path);
  return [path, value];
}
