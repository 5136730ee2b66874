/**
 * Verifies backups: each byte of each file, by its hash; that nothing is missing; that nothing lies there that is none of
 * ours. `deep` also restores each to a scratch folder, opens it as a store, and reads every session, shared value and item.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asStoreError, SessionStoreError } from "../../errors.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { removeTree } from "../../legacy/base/tree.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import { checkBackup } from "./check.js";
import { nameOfManifest, openBackupFolder, type BackupFolder } from "./folder.js";
import { backupNames, findName, infoOf, readManifest, type Manifest } from "./manifest.js";
import { isHash } from "./objects.js";
import { Pace } from "./pace.js";
import { recorded } from "./record.js";
import { restoreTo } from "./restore.js";
import { optionalBoolean, optionalText, settle, warner, type Settled } from "./settle.js";
import type { BackupHost, BackupProblem, VerifiedBackup, VerifyOptions, VerifyReport } from "./types.js";

const PROBLEMS_MAX = 1000;
/** Sessions in memory at once. */
const PAGE = 500;

export async function verifyBackupsOn(
  host: BackupHost,
  backups: string,
  options?: VerifyOptions,
): Promise<VerifyReport> {
  const settled = settle(options, { backups }, ["name", "deep", "scratch"]);
  const name = optionalText(options?.name, "options.name");
  const deep = optionalBoolean(options?.deep, "options.deep") ?? false;
  const scratch = optionalText(options?.scratch, "options.scratch") ?? tmpdir();
  const { runtime } = host;
  const started = runtime.monotonic();
  const { warn } = warner(settled.onWarning);
  try {
    const folder = openBackupFolder(host, backups, settled.trust);
    const names = name === undefined ? backupNames(host.fs, folder) : [findName(host.fs, folder, name)];
    if (names.length === 0) findName(host.fs, folder, "latest"); // says that there is none
    const found: VerifiedBackup[] = [];
    const good = new Set<string>();
    for (const each of names) {
      const verified = await recorded(host, folder, "verify", warn, async () => {
        const result = await verifyOne(host, folder, each, good, settled, deep ? scratch : undefined);
        const failure = result === undefined ? undefined : failureOf(result);
        const outcome = { name: each, ...(result && { revision: result.revision }) };
        return { result, outcome, ...(failure && { failure }) };
      });
      if (verified !== undefined) found.push(verified); // pruned meanwhile
    }
    const unknown = unknownFiles(host, folder);
    const isGood = unknown.length === 0 && found.every(({ problemCount }) => problemCount === 0);
    const durationMs = Math.round(runtime.monotonic() - started);
    return { path: folder.path, backups: found, unknown, good: isGood, durationMs };
  } catch (error) {
    throw asStoreError(error, `verify the backups in ${backups}`);
  }
}

function failureOf({
  problems: [first],
  problemCount,
}: VerifiedBackup): { code: string; message: string } | undefined {
  if (first === undefined) return undefined;
  const more = problemCount === 1 ? "" : `, and ${problemCount - 1} more`;
  return { code: "backup_damaged", message: `${first.path} is ${first.what}: ${first.reason}${more}` };
}

async function verifyOne(
  host: BackupHost,
  folder: BackupFolder,
  name: string,
  good: Set<string>,
  settled: Settled,
  scratch: string | undefined,
): Promise<VerifiedBackup | undefined> {
  const manifest = readManifest(host.fs, folder, name);
  if (manifest === undefined) return undefined;
  if (typeof manifest === "string") {
    const problem = { what: "damaged" as const, path: folder.manifest(name), reason: manifest };
    return { name, revision: 0, sessions: 0, files: 0, bytes: 0, problems: [problem], problemCount: 1 };
  }
  const pace = new Pace(host, settled.signal);
  const { problems } = await checkBackup(host, folder, manifest, good, pace.step);
  const { revision, sessions, leftOut, files, bytes } = infoOf(manifest);
  const problemCount = problems.length;
  if (problemCount > 0 && statusNow(host.fs, folder.manifest(name)) === undefined) return undefined;
  const found = {
    name,
    revision,
    sessions,
    ...(leftOut && { leftOut }),
    files,
    bytes,
    problems: problems.slice(0, PROBLEMS_MAX),
    problemCount,
  };
  if (scratch === undefined || problemCount > 0) return found;
  try {
    const read = await readDeep(host, folder, manifest, scratch, settled, pace);
    return { ...found, ...read, problemCount: read.problems.length };
  } catch (error) {
    // What is wrong with one backup says nothing of the others; what is wrong with the scratch folder does.
    if (!(error instanceof SessionStoreError) || OF_THE_MACHINE.has(error.code)) throw error;
    if (statusNow(host.fs, folder.manifest(name)) === undefined) return undefined;
    const problem = { what: "damaged" as const, path: folder.manifest(name), reason: error.message };
    return { ...found, problems: [problem], problemCount: 1 };
  }
}

const OF_THE_MACHINE: ReadonlySet<string> = new Set([
  "disk_full",
  "io_error",
  "path_untrusted",
  "backup_place",
]);

/** Reads everything of a copy that is opened. */
async function readDeep(
  host: BackupHost,
  folder: BackupFolder,
  manifest: Manifest,
  scratch: string,
  { trust, signal }: Settled,
  pace: Pace,
): Promise<Pick<VerifiedBackup, "problems"> & Required<Pick<VerifiedBackup, "deep">>> {
  const { fs, runtime } = host;
  const wanted = join(scratch, `sessiondir-verify-${runtime.randomName(8)}`);
  const path = await restoreTo(host, folder, manifest, wanted, trust, pace, signal);
  try {
    const problems: BackupProblem[] = [];
    const problem = (file: string, reason: string): void =>
      void problems.push({ what: "damaged", path: folder.manifest(manifest.name), file, reason });
    const store = await openDirectoryStoreOn<Record<string, unknown>>(fs, runtime, path, {
      readOnly: true,
      trust,
      onWarning: () => {}, // each is met again below, with the session that it is about
    });
    const deep = { sessions: 0, transcripts: 0, items: 0 };
    const told = new Set<string>();
    // What was said when it was made is no news: as far as that goes it is what it was.
    const known = new Set(manifest.leftOut?.map(({ key }) => key));
    try {
      for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
        const page = await store.list({ orderBy: "key", limit: PAGE, cursor });
        for (const { path: file, key, reason } of page.damaged ?? []) {
          if (!told.has(file) && !(key !== undefined && known.has(key))) problem(file, reason);
          told.add(file);
        }
        for (const { key, entry } of page.sessions) {
          await pace.step();
          deep.sessions++;
          try {
            JSON.stringify(entry); // touches every shared value
            for (const name of await store.transcripts(key)) {
              deep.transcripts++;
              for await (const _item of store.iterateItems(key, { transcript: name })) deep.items++;
            }
          } catch (error) {
            if (!known.has(key)) problem(key, error instanceof Error ? error.message : String(error));
          }
        }
        cursor = page.cursor;
      }
    } finally {
      await store.close();
    }
    return { problems, deep };
  } finally {
    await removeTree(host, path);
  }
}

/** Names in the folder that are none of ours; temporary ones, which begin with a dot, are. */
function unknownFiles({ fs }: BackupHost, folder: BackupFolder): BackupProblem[] {
  const unknown: BackupProblem[] = [];
  const add = (path: string): void =>
    void unknown.push({
      what: "unknown",
      path,
      reason: "no backup put it there: look at it, and move it away",
    });
  for (const name of namesInNow(fs, folder.path))
    if (!name.startsWith(".") && !folder.isOurs(name)) add(`${folder.path}/${name}`);
  for (const name of namesInNow(fs, folder.manifests))
    if (nameOfManifest(name) === undefined) add(`${folder.manifests}/${name}`);
  for (const prefix of namesInNow(fs, folder.objects)) {
    const path = `${folder.objects}/${prefix}`;
    if (!/^[0-9a-f]{2}$/.test(prefix)) add(path);
    else
      for (const name of namesInNow(fs, path))
        if (!isHash(name) || !name.startsWith(prefix)) add(`${path}/${name}`);
  }
  return unknown;
}
