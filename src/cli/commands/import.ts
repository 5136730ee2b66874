/** `sessiondir import`: sessions of an export into a store. Stopped anywhere, the same import is run again. */
import type { Command } from "commander";
import type { ImportFileOptions } from "../../care/moving/export-file.js";
import type { ImportReport } from "../../care/moving/import.js";
import type { OnConflict } from "../../care/moving/settle-session.js";
import { EXIT, usageError } from "../failure.js";
import { formatCount } from "../figures.js";
import {
  addExamples,
  addStoreOptions,
  needsPerson,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Store } from "../open-store.js";
import { addRewriteOption, rulesOf, type RewriteOption } from "../rewrite-option.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions, RewriteOption {
  readonly onConflict: OnConflict;
  readonly salvage?: true;
  readonly create?: true;
  readonly dryRun?: boolean;
}

/** The documented shape of `import --json`. */
interface ImportResult extends ImportReport {
  readonly store: string;
  /** `-` for standard input. */
  readonly file: string;
  readonly onConflict: OnConflict;
  /** The store did not exist; absent if it did. */
  readonly storeCreated?: true;
}

const QUIET_MS = 1000;

export function addImport(program: Command, invocation: Invocation): void {
  const command = program
    .command("import")
    .description("bring the sessions of an export into a store; what is there already is left out")
    .argument("[file]", "the file, packed with gzip or not; - is standard input", "-")
    .option(
      "--on-conflict <what>",
      "what to do with a session that is there and differs: fail, skip, replace, or newer (replace it if the file's updatedAt is later)",
      onConflictOf,
      "fail" as OnConflict,
    )
    .option("--salvage", "take what can be read of a file that is cut or damaged")
    .option("--create", "make the store if there is none");
  addRewriteOption(addStoreOptions(command))
    .option("--dry-run", "say what would be done and do nothing")
    .action((file: string, options: Options) => importFile(invocation, file, options));
  addExamples(
    command,
    "import sessions.jsonl.gz --store sessions.d --dry-run",
    "import sessions.jsonl.gz --store new.d --create",
    "import --on-conflict newer --store sessions.d --rewrite sessionFile /home/old /home/new < sessions.jsonl",
  );
}

function onConflictOf(text: string): OnConflict {
  if (text === "fail" || text === "skip" || text === "replace" || text === "newer") return text;
  throw usageError(`--on-conflict must be fail, skip, replace or newer, not ${JSON.stringify(text)}`);
}

async function importFile(invocation: Invocation, file: string, options: Options): Promise<void> {
  const { onConflict, salvage = false, create = false, dryRun = false } = options;
  const rewrite = await rulesOf(options);
  const path = await resolveStore(invocation, options);
  const { makesStore, withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const storeCreated = await makesStore(invocation, path, create);
  const { Progress } = await import("../progress.js");
  const progress = new Progress(invocation, QUIET_MS);
  const { signal } = invocation;
  const doing = `importing ${file === "-" ? "standard input" : file}`;
  const given = {
    onConflict,
    salvage,
    dryRun,
    rewrite,
    signal,
    onRead: (done: number, total: number) => progress.show({ doing, done, total, unit: "bytes" }),
  };
  const use = async (store: Store): Promise<void> => {
    invocation.doing = doing;
    const report = await bringIn(invocation, store, file, given);
    progress.end();
    const result = { store: path, file, onConflict, ...report };
    tell(invocation, result);
    await print(invocation, { ...result, ...(storeCreated && { storeCreated }) });
  };
  if (storeCreated && dryRun) return withEmptyStore(use);
  await withStore(invocation, path, { write: !dryRun, create, cacheBytes: MODEST_CACHE_BYTES }, use);
}

async function bringIn(
  invocation: Invocation,
  store: Store,
  file: string,
  given: ImportFileOptions,
): Promise<ImportReport> {
  if (file !== "-") {
    const { importFromFile } = await import("../../care/moving/export-file.js");
    return importFromFile(store, file, given);
  }
  const { importSessions } = await import("../../care/moving/import.js");
  const { standardInput } = await import("../read-input.js");
  return importSessions(store, standardInput(invocation), given);
}

/** What a dry run plans on where the store is not made yet. */
async function withEmptyStore(use: (store: Store) => Promise<void>): Promise<void> {
  const { openSessionStore } = await import("../../store/open.js");
  const store = await openSessionStore("memory:");
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

function tell(invocation: Invocation, { file, faults, faultCount, conflicts }: ImportResult): void {
  const { terminal } = invocation;
  if (conflicts > 0) invocation.exitCode = EXIT.failure;
  if (faultCount > 0) needsPerson(invocation);
  for (const { message, ...data } of faults.slice(0, 20))
    terminal.warn("export_invalid", `${file}: ${message}`, { ...data, path: file });
  const more = faultCount - Math.min(faults.length, 20);
  if (more > 0)
    terminal.warn("export_invalid", `${formatCount(more)} more faults in ${file}.`, { path: file, more });
}

async function print({ terminal }: Invocation, result: ImportResult): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { countOf } = await import("../moving-text.js");
  const { created, replaced, unchanged, skipped, conflicts, items, rewritten, dryRun, kept, file } = result;
  const parts = [
    `${formatCount(created)} created`,
    replaced > 0 && `${formatCount(replaced)} replaced`,
    unchanged > 0 && `${formatCount(unchanged)} unchanged`,
    skipped > 0 && `${formatCount(skipped)} skipped`,
    conflicts > 0 && countOf(conflicts, "conflict"),
  ].filter((part) => part !== false);
  const all = created + replaced + unchanged + skipped + conflicts;
  const changed = rewritten === 0 ? "" : `, ${countOf(rewritten, "path")} rewritten`;
  const where = result.storeCreated === true ? ` into a new store ${visible(result.store)}` : "";
  const text = `${countOf(all, "session")} of ${file === "-" ? "standard input" : visible(file)}${where}: ${parts.join(", ")}; ${countOf(items, "item")} appended${changed}`;
  await (dryRun ? terminal.line(`would import ${text}`) : terminal.done(`imported ${text}`));
  if (dryRun) for (const key of kept.slice(0, 20)) await terminal.line(`differs  ${visible(key)}`);
}
