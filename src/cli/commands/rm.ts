/** `sessiondir rm`: deletes one session. */
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
  readonly ifRevision?: number;
  readonly dryRun?: boolean;
}

export function addRm(program: Command, invocation: Invocation): void {
  const command = program
    .command("rm")
    .description("delete a session; there is no way back but a backup")
    .argument("<key>", "the session's key");
  addStoreOptions(command)
    .option("--if-revision <revision>", "only if it has this revision", wholeNumber("--if-revision", 1))
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => rm(invocation, key, options));
  addExamples(
    command,
    "rm agent:main:subagent:8f2c --store sessions.d --dry-run",
    "rm agent:main:subagent:8f2c --store sessions.d --if-revision 12",
  );
}

async function rm(invocation: Invocation, key: string, options: Options): Promise<void> {
  await acceptKey(key);
  const path = await resolveStore(invocation, options, { key });
  const { withStore } = await import("../open-store.js");
  const { missingSession, planAndWrite, printWrite } = await import("../plan-write.js");
  const { ifRevision, dryRun = false } = options;
  await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const outcome = await planAndWrite(store, invocation.signal, {
      key,
      ifRevision,
      dryRun,
      plan: () => ({ action: "delete" }),
      planDamaged: { action: "delete" },
      missing: () => missingSession(store, path, key),
      apply: async (base) => {
        // Without a base it was not seen before, and may not be there.
        if (!(await store.delete(key, { ifRevision: base }))) throw await missingSession(store, path, key);
        return undefined;
      },
    });
    await printWrite(invocation, { store: path, ...outcome });
  });
}
