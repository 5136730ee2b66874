/**
 * `sessiondir edit`: a session's entry in the person's editor, and back.
 *
 * The store is closed while a person thinks. What is written replaces exactly the revision that was shown: who changed the session
 * meanwhile keeps the change, and the edited text is kept in its file, which the message names.
 */
import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { isSessionDamaged, SessionStoreError } from "../../errors.js";
import { shellQuoted } from "../../legacy/base/paths.js";
import { CliError, reportOf } from "../failure.js";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import type { Entry } from "../open-store.js";
import { acceptKey } from "../accept-key.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly dryRun?: boolean;
}

export function addEdit(program: Command, invocation: Invocation): void {
  const command = program
    .command("edit")
    .description("change a session's entry in your editor ($VISUAL, then $EDITOR, then vi)")
    .argument("<key>", "the session's key");
  addStoreOptions(command)
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, options: Options) => edit(invocation, key, options));
  addExamples(
    command,
    "edit agent:main:main --store sessions.d",
    "edit agent:main:main --state-dir ~/.openclaw --dry-run",
  );
}

async function edit(invocation: Invocation, key: string, options: Options): Promise<void> {
  await acceptKey(key);
  const path = await resolveStore(invocation, options, { key });
  const { dryRun = false } = options;
  const { withStore } = await import("../open-store.js");
  const { missingRecord, planAndWrite, printWrite, withWaysOut } = await import("../plan-write.js");
  // To write as well, so that nobody types in vain what cannot be written.
  const record = await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
    const found = await store.read(key).catch((error: unknown) => {
      throw isSessionDamaged(error) ? withWaysOut(error, { path, key }) : error;
    });
    if (found === undefined) throw await missingRecord(store, path, key);
    const entry = JSON.parse(JSON.stringify(found.entry)) as Entry; // with its big values, before the store is closed
    return { entry, revision: found.revision };
  });
  const { EditedFile } = await import("../editor.js");
  const file = await EditedFile.make("entry.json", `${JSON.stringify(record.entry, null, 2)}\n`);
  const before = file.read();
  invocation.doing = `editing session ${JSON.stringify(key)}`;
  invocation.afterwards = () => `Nothing was written; the text is in ${file.path}.`;
  let edited = before;
  try {
    try {
      await invocation.withoutInterruption(() => file.edit());
    } finally {
      edited = file.read();
    }
    const entry = edited.equals(before) ? record.entry : await parsed(edited, file.path);
    const { revision } = record;
    if (isDeepStrictEqual(entry, record.entry)) {
      const unchanged = { key, dryRun, action: "unchanged", previousRevision: revision, revision } as const;
      await printWrite(invocation, { store: path, ...unchanged });
    } else
      await withStore(invocation, path, { write: !dryRun, key }, async (store) => {
        const outcome = await planAndWrite(store, invocation.signal, {
          path,
          key,
          ifRevision: revision,
          dryRun,
          plan: () => ({ action: "replace" }),
          missing: () => missingRecord(store, path, key),
          apply: (base) => store.put(key, entry, { ifRevision: base }),
        });
        await printWrite(invocation, { store: path, ...outcome });
      });
    file.remove();
  } catch (error) {
    if (!edited.equals(before)) throw kept(error, file.path, { path, key, revision: record.revision });
    file.remove();
    throw error;
  }
}

async function parsed(bytes: Buffer, path: string): Promise<Entry> {
  const { parseObject, textOf } = await import("../read-input.js");
  return parseObject(textOf(bytes, path), path);
}

interface Shown {
  readonly path: string;
  readonly key: string;
  readonly revision: number;
}

/** The failure, where the person's text is, and the commands to go on with: they replace nothing that the person has not seen. */
function kept(error: unknown, file: string, { path, key, revision }: Shown): unknown {
  if (!(error instanceof CliError || error instanceof SessionStoreError)) return error;
  const { code, message, data, exitCode } = reportOf(error);
  const { actual } = data;
  const target = `${shellQuoted(key)} --store ${shellQuoted(path)}`;
  const changed = typeof actual === "number" ? actual : undefined;
  const look = changed === undefined ? "" : `See what was written meanwhile: sessiondir get ${target}. `;
  const next =
    `${look}What you wrote is kept in ${file}: when it is right, ` +
    `sessiondir put ${target} --file ${shellQuoted(file)} --if-revision ${changed ?? revision}`;
  const sentence = message.endsWith(".") ? message : `${message}.`;
  return new CliError(code, `${sentence} ${next}`, { exitCode, data: { ...data, kept: file } });
}
