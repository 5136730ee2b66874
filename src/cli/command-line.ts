/** The tree of commands: what the command line can say. Help, completion and the man page are made from it. */
import type { Command, CommanderError } from "commander";
import { GROUPS } from "./command-group.js";
import { addBackup } from "./commands/backup.js";
import { addCompletion } from "./commands/completion.js";
import { addCopy } from "./commands/copy.js";
import { addDoctor } from "./commands/doctor.js";
import { addEdit } from "./commands/edit.js";
import { addExport } from "./commands/export.js";
import { addFlush } from "./commands/flush.js";
import { addGet } from "./commands/get.js";
import { addImport } from "./commands/import.js";
import { addInspect } from "./commands/inspect.js";
import { addLs } from "./commands/ls.js";
import { addMan } from "./commands/man.js";
import { addMend } from "./commands/mend.js";
import { addMigrate } from "./commands/migrate.js";
import { addMirror } from "./commands/mirror.js";
import { addPatch } from "./commands/patch.js";
import { addPrune } from "./commands/prune.js";
import { addPut } from "./commands/put.js";
import { addRebuild } from "./commands/rebuild.js";
import { addRenameKey } from "./commands/rename-key.js";
import { addRestore } from "./commands/restore.js";
import { addRewrite } from "./commands/rewrite.js";
import { addRm } from "./commands/rm.js";
import { addRollback } from "./commands/rollback.js";
import { addStats } from "./commands/stats.js";
import { addTranscript } from "./commands/transcript.js";
import { addWatch } from "./commands/watch.js";
import { EXIT_MEANINGS } from "./failure.js";
import type { Invocation, StoreOptions } from "./invocation.js";
import { VERSION } from "./version.js";

const COMMANDS = [
  addLs,
  addGet,
  addPut,
  addPatch,
  addEdit,
  addRm,
  addTranscript,
  addWatch,
  addStats,
  addFlush,
  addDoctor,
  addMend,
  addRebuild,
  addBackup,
  addPrune,
  addRestore,
  addExport,
  addImport,
  addCopy,
  addRenameKey,
  addRewrite,
  addInspect,
  addMigrate,
  addRollback,
  addMirror,
  addCompletion,
  addMan,
];

/** Names that people know from other programs. */
const SYNONYMS: Readonly<Record<string, string>> = {
  add: "put",
  append: "transcript append",
  archive: "prune",
  cat: "get",
  create: "put",
  count: "stats",
  cp: "copy",
  del: "rm",
  delete: "rm",
  dir: "ls",
  du: "stats",
  dump: "export",
  find: "ls",
  check: "doctor",
  clean: "prune",
  cleanup: "prune",
  expire: "prune",
  gc: "prune",
  fix: "doctor",
  fsck: "doctor",
  follow: "watch",
  grep: "ls",
  info: "stats",
  keys: "ls",
  list: "ls",
  load: "import",
  merge: "patch",
  move: "rename-key",
  mv: "rename-key",
  read: "get",
  remove: "rm",
  rename: "rename-key",
  repair: "doctor",
  replace: "put",
  set: "patch",
  show: "get",
  snapshot: "backup create",
  status: "stats",
  tail: "watch",
  sync: "copy",
  unarchive: "restore",
  unset: "patch",
  update: "patch",
  write: "put",
};

export async function makeProgram(invocation: Invocation): Promise<Command> {
  const { Command: Program } = await import("commander");
  const program = new Program("sessiondir")
    .description("Looks into session stores, changes them, and brings sessions.json files over and back.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // reported with all other failures
    .showSuggestionAfterError()
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  $ sessiondir ls --store /var/lib/gateway/sessions.d --order updatedAt --descending --limit 20",
        "  $ sessiondir get agent:main:main --store /var/lib/gateway/sessions.d",
        "  $ sessiondir stats --state-dir ~/.openclaw --agent main",
        "  $ sessiondir migrate --state-dir ~/.openclaw --dry-run",
        "",
        `Exit codes: ${EXIT_MEANINGS.map(([code, short]) => `${code} ${short}`).join(", ")}.`,
      ].join("\n"),
    );
  for (const add of COMMANDS) add(program, invocation);
  program.hook("preAction", (_program, command) => {
    const { trust } = command.opts<StoreOptions>();
    if (trust !== undefined) invocation.trust = trust;
  });
  return program;
}

export function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && "exitCode" in error && error.name === "CommanderError";
}

/** Commander's sentence on one line, without its own "error:", and with the next step. */
export function usageMessage(
  { message }: CommanderError,
  [command = "", verb = ""]: readonly string[],
): string {
  const text = message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  const isUnknown = text.startsWith("unknown command");
  const synonym = isUnknown ? synonymOf(command) : undefined;
  if (synonym !== undefined) return `there is no command '${command}', that is sessiondir ${synonym}`;
  if (text.includes("Did you mean")) return text;
  const ofGroup = GROUPS.has(command) && NAME.test(verb) ? `${command} ${verb}` : command;
  const help = NAME.test(command) && !isUnknown ? `${ofGroup} --help` : "--help";
  return `${text.replace(/\.$/, "")}. See sessiondir ${help}`;
}

const NAME = /^[a-z][a-z-]*$/;

function synonymOf(command: string): string | undefined {
  return Object.hasOwn(SYNONYMS, command) ? SYNONYMS[command] : undefined;
}
