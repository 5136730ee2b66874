/** `sessiondir rm`: deletes sessions, one after the other. */
import type { Command } from "commander";
import {
  addExamples,
  addStoreOptions,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { isSessionDamaged } from "../../errors.js";
import { CliError } from "../failure.js";
import type { Store } from "../open-store.js";
import { forEachKey, readKeys, requireOneKey, storeOfKeys } from "../key-arguments.js";
import { transcriptsBeside } from "../transcripts-beside.js";

interface Options extends StoreOptions {
  readonly ifRevision?: number;
  readonly unchangedSince?: number;
  readonly dryRun?: boolean;
}

export function addRm(program: Command, invocation: Invocation): void {
  const command = program
    .command("rm")
    .description("delete a session with its transcripts; there is no way back but a backup")
    .argument("<key...>", "the session's key, or several; - reads keys from standard input, one a line");
  addStoreOptions(command)
    .option("--if-revision <revision>", "only if it has this revision", wholeNumber("--if-revision", 1))
    .option(
      "--unchanged-since <revision>",
      "only what has not changed since this revision of the store, which ls --json gives",
      wholeNumber("--unchanged-since", 0),
    )
    .option("--dry-run", "say what would be done and do nothing")
    .action((keys: readonly string[], options: Options) => rm(invocation, keys, options));
  addExamples(
    command,
    "rm agent:main:subagent:8f2c --store sessions.d --dry-run",
    "rm agent:main:subagent:8f2c --store sessions.d --if-revision 12",
    "rm - --store sessions.d --dry-run < keys.txt",
  );
}

async function rm(invocation: Invocation, given: readonly string[], options: Options): Promise<void> {
  const keys = await readKeys(invocation, given);
  const { ifRevision, unchangedSince, dryRun = false } = options;
  if (ifRevision !== undefined) requireOneKey(keys, "--if-revision", "is the revision of one session");
  const [key] = keys;
  if (key === undefined) return;
  const path = await storeOfKeys(invocation, options, keys);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, { write: !dryRun, key }, (store) =>
    forEachKey(invocation, keys, (key) =>
      remove(invocation, store, { path, key, ifRevision, unchangedSince, dryRun }),
    ),
  );
}

interface Removal {
  readonly path: string;
  readonly key: string;
  readonly ifRevision: number | undefined;
  readonly unchangedSince: number | undefined;
  readonly dryRun: boolean;
}

async function remove(
  invocation: Invocation,
  store: Store,
  { path, key, ifRevision, unchangedSince, dryRun }: Removal,
): Promise<void> {
  if (unchangedSince !== undefined) await assertUnchanged(store, key, unchangedSince);
  const { missingSession, planAndWrite, printWrite } = await import("../plan-write.js");
  const transcripts = await transcriptsBeside(store, key);
  // Without a record there is nothing that planning could build on: a delete removes what there is.
  const isBare = transcripts.length > 0 && ifRevision === undefined && (await lacksRecord(store, key));
  const along = transcripts.length > 0 && { transcripts };
  if (isBare) {
    if (!dryRun && !(await deleteIf(store, key, undefined, unchangedSince)))
      throw await missingSession(store, path, key);
    const bare = { key, dryRun, action: "delete", previousRevision: 0, ...along } as const;
    return printWrite(invocation, { store: path, ...bare });
  }
  const outcome = await planAndWrite(store, invocation.signal, {
    path,
    key,
    ifRevision,
    dryRun,
    plan: () => ({ action: "delete" }),
    planDamaged: { action: "delete" },
    missing: () => missingSession(store, path, key),
    apply: async (base) => {
      // Without a base it was not seen before, and may not be there.
      if (!(await deleteIf(store, key, base, unchangedSince))) throw await missingSession(store, path, key);
      return undefined;
    },
  });
  await printWrite(invocation, { store: path, ...outcome, ...along });
}

/** Deletes, provided that nothing was changed meanwhile. */
async function deleteIf(
  store: Store,
  key: string,
  ifRevision: number | undefined,
  unchangedSince: number | undefined,
): Promise<boolean> {
  if (unchangedSince === undefined) return store.delete(key, { ifRevision });
  return store.transact(async (tx) => {
    await assertUnchanged(tx, key, unchangedSince);
    return tx.delete(key);
  });
}

/** @throws `conflict` if the record, or a transcript, was written later. */
async function assertUnchanged(
  store: Pick<Store, "read" | "transcripts" | "readItems">,
  key: string,
  since: number,
): Promise<void> {
  const revisions = [(await store.read(key))?.revision ?? 0];
  for (const transcript of await store.transcripts(key)) {
    const { items } = await store.readItems(key, { transcript, backwards: true, limit: 1 });
    revisions.push(items[0]?.revision ?? 0);
  }
  const latest = Math.max(...revisions);
  if (latest <= since) return;
  throw new CliError(
    "conflict",
    `session ${JSON.stringify(key)} was changed at revision ${latest}, which is later than ${since}. It was not deleted: look at it, ` +
      "and decide anew.",
    { data: { key, expected: since, actual: latest } },
  );
}

/** Where the log is damaged, a record may be hidden: that is no lack. */
async function lacksRecord(store: Store, key: string): Promise<boolean> {
  try {
    return (await store.read(key)) === undefined;
  } catch (error) {
    if (isSessionDamaged(error)) return false;
    throw error;
  }
}
