/** `sessiondir put`: replaces or creates one session. The only command that may make a store, and only with `--create`. */
import type { Command } from "commander";
import {
  addExamples,
  addStoreOptions,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { acceptKey } from "../accept-key.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly data?: string;
  readonly file?: string;
  readonly ifRevision?: number;
  readonly create?: true;
  readonly dryRun?: boolean;
}

export function addPut(program: Command, invocation: Invocation): void {
  const command = program
    .command("put")
    .description("replace or create a session with a JSON object from standard input, --file or --data")
    .argument("<key>", "the session's key, exactly as the gateway writes it");
  addStoreOptions(command)
    .option("--data <json>", "the entry as JSON")
    .option("--file <path>", "read the entry from this file; - is standard input")
    .option(
      "--if-revision <revision>",
      "only if it has this revision; 0: only if it is new",
      wholeNumber("--if-revision", 0),
    )
    .option("--create", "make the store if there is none")
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => put(invocation, key, options));
  addExamples(
    command,
    `put agent:main:main --store sessions.d --data '{"sessionId":"1","updatedAt":1795200000000}'`,
    "put agent:main:main --store sessions.d --if-revision 12 < entry.json",
    "put agent:main:main --store new.d --create --file entry.json --dry-run",
  );
}

async function put(invocation: Invocation, key: string, options: Options): Promise<void> {
  await acceptKey(key);
  const path = await resolveStore(invocation, options, { key });
  const { makesStore, withStore } = await import("../open-store.js");
  const { readObject } = await import("../read-input.js");
  const { planAndWrite, printWrite } = await import("../plan-write.js");
  const { ifRevision, create = false, dryRun = false } = options;
  const storeCreated = await makesStore(invocation, path, create);
  const entry = await readObject(invocation, options);

  if (storeCreated && dryRun) {
    const result = { store: path, key, dryRun, action: "create", previousRevision: 0, storeCreated } as const;
    return printWrite(invocation, result);
  }
  await withStore(invocation, path, { write: !dryRun, create }, async (store) => {
    const outcome = await planAndWrite(store, invocation.signal, {
      path,
      key,
      ifRevision,
      dryRun,
      plan: (current) => ({ action: current === undefined ? "create" : "replace" }),
      planDamaged: { action: "replace" },
      apply: (base) => store.put(key, entry, { ifRevision: base }),
    });
    const result = { store: path, ...outcome, ...(storeCreated && ({ storeCreated } as const)) };
    await printWrite(invocation, result);
  });
}
