// @ts-check
/** Mutants of migration, rollback and mirror, and of a legacy file that is written in place of a store. */
import * as suite from "./suites.mjs";
import { inFile } from "./suites.mjs";

const { BUG_BASE, LEGACY_SYNC, MERGE, MIGRATE_CRASH, MIRROR, ROLLBACK_CRASH, TWO_AT_ONCE } = suite;
const MIGRATE_LATE = "test/legacy/migration/migrate.test.ts";
const ABSORPTION = "test/legacy/merging/absorb.test.ts";
const ROLLBACK_LATE = "test/legacy/back/rollback.test.ts";
const REPLACED = "test/legacy/back/replace-file.test.ts";
const LEFT = "test/legacy/migration/leftovers.test.ts";
const INPUTS = "test/legacy/reading/inputs.test.ts";
const SEPARATORS = "test/legacy/reading/json5-separators.test.ts";
const LAYOUTS = "test/legacy/layouts/older-layout.test.ts";
const DAMAGE = "test/legacy/back/damage.test.ts";
const LINKS = "test/legacy/links.test.ts";
const LOCK = "test/openclaw/legacy-file/lock.test.ts";
const FILE_FORM = "test/openclaw/legacy-file/file-form.test.ts";

const MIGRATE = inFile(
  "src/legacy/migration/migrate.ts",
  [MIGRATE_LATE, LEGACY_SYNC, MERGE],
  [
    {
      name: "the rename that makes the directory count is not synced",
      rule: "migration, step 2",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(fs, this.work.paths.folder);`,
      replace: ``,
    },
    {
      name: "a store that has just come is taken for an older layout",
      rule: "which side counts",
      find: `if (older?.inDirectory === true && (await isStore(host, paths.directory))) return lookAround(work);`,
      replace: ``,
    },
    {
      name: "nothing says what a folder with an older layout was replaced by",
      rule: "replacement",
      suites: [LEGACY_SYNC],
      find: `await writeReplacement(host, built.path, { backup });`,
      replace: `void writeReplacement;`,
    },
    {
      name: "the directory counts only after the file was moved away",
      rule: "migration, step 4",
      suites: [MERGE],
      find: `if (situation.store) return this.#absorb(situation);`,
      replace: `if (situation.store && situation.file === "none") return this.#absorb(situation);`,
    },
    {
      name: "what was written to the file during the migration stays there",
      rule: "migration, step 4",
      find: `if (situation.file !== "none") await absorbLegacyFiles(work, paths.directory);`,
      replace: ``,
    },
    {
      name: "a file that a killed run was merging is not given back",
      rule: "which side counts",
      suites: [ABSORPTION],
      find: `if (situation.merging && situation.file === "none") await giveBack(work);\n    else if`,
      replace: `void giveBack;\n    if`,
    },
    {
      name: "what others are building goes on after one side counts",
      rule: "migration, step 3",
      find: `await removeUnfinished(work);\n    const kept = work.counts;`,
      replace: `const kept = work.counts;`,
    },
    {
      name: "who is overtaken fails",
      rule: "look again",
      suites: [TWO_AT_ONCE],
      find: `if (!work.overtaken(error, round === ROUNDS_MAX)) throw error;`,
      replace: `if (round > 0) throw error;`,
    },
  ],
);

const REPLACING = inFile(
  "src/legacy/migration/finish-replacement.ts",
  [MIGRATE_LATE, LAYOUTS],
  [
    {
      name: "a store is renamed aside like an older layout",
      rule: "which side counts",
      find: 'if (stampNow(host, `${paths.directory}/${STORE_FOLDER}`) !== "none") return false;',
      replace: ``,
    },
    {
      name: "a store that was renamed aside stays there",
      rule: "which side counts",
      find: `if (!isLayout) await putBack(work, backup);`,
      replace: `if (!isLayout) void putBack;`,
    },
    {
      name: "a store that was renamed aside is taken for the older layout",
      rule: "which side counts",
      find: 'const isLayout = stampNow(host, `${backup}/${STORE_FOLDER}`) === "none";',
      replace: 'const isLayout = backup !== "none";',
    },
    {
      name: "a new store in the place of one that was renamed aside counts alone",
      rule: "replacement",
      find: `if (await isStore(host, store)) await mergeStores(work, store);`,
      replace: ``,
    },
    {
      name: "the next run finishes with our store where others had theirs",
      rule: "replacement",
      find: `const store = (await isStore(host, note.backup)) ? note.backup : building;`,
      replace: `const store = building;`,
    },
  ],
);

const ABSORB = inFile(
  "src/legacy/merging/absorb.ts",
  [ABSORPTION, LEGACY_SYNC, MERGE, MIRROR],
  [
    {
      name: "a file is put aside though the store is gone",
      rule: "which side counts",
      find: `if (!(await isStore(host, directory))) throw goneMeanwhile(directory);`,
      replace: ``,
    },
    {
      name: "a file that was put aside stays there when the store is gone",
      rule: "which side counts",
      find: `if (!(await isStore(host, directory))) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a file is merged in its place",
      rule: "rename before reading",
      find: `path = await takeAside(work);`,
      replace: `void takeAside;`,
    },
    {
      name: "a file has no second name while it is put aside",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `await fs.later.link(paths.file, second);`,
      replace: ``,
    },
    {
      name: "the second name of a file that is put aside is not synced before the first one goes",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(fs, paths.folder);\n      // An old`,
      replace: `// An old`,
    },
    {
      name: "the rename that puts a file aside is not synced",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `fs.rename(paths.file, path);\n        await syncDirectory(fs, paths.folder);`,
      replace: `fs.rename(paths.file, path);`,
    },
    {
      name: "the backup's name is not synced before the file loses the one it has",
      rule: "fsync",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(fs, paths.folder);\n  await ignoreMissing(fs.later.unlink(path));`,
      replace: `await ignoreMissing(fs.later.unlink(path));`,
    },
    {
      name: "a file that is put back loses its other name before the first one is durable",
      rule: "power cut",
      find: `  await syncDirectory(host.fs, paths.folder);\n  await host.fs.later.unlink(path);`,
      replace: `  await host.fs.later.unlink(path);`,
    },
    {
      name: "a version that an old gateway wrote while the file was put aside is renamed unseen",
      rule: "stamp",
      find: `round === ROUNDS_MAX || stampNow(host, paths.file) === stampNow(host, second)`,
      replace: `round > 0`,
    },
    {
      name: "a file that a killed run left under two names has two backups",
      rule: "leftovers",
      find: `if (backup !== undefined && backup.inode === inode) return true;`,
      replace: ``,
    },
    {
      name: "a damaged file stays aside",
      rule: "legacy_invalid",
      find: `if (damaged || !(await isStore(host, directory))) await putBack(work, path);`,
      replace: `void damaged;`,
    },
    {
      name: "a damaged file is merged by half",
      rule: "legacy_invalid",
      find: `const checked = await merge.read(source, { commit: false });`,
      replace: `const checked = await merge.read(source, { commit: true });`,
    },
    {
      name: "a file that we wrote ourselves is merged",
      rule: "known files",
      find: `const foreign = !known.knows(bytes, sha256);`,
      replace: `const foreign = bytes >= 0;`,
    },
    {
      name: "a file that was merged is not recorded",
      rule: "known files",
      find: `await recordKnownFile(work.host, directory, record);`,
      replace: `void record;`,
    },
    {
      name: "leftovers of a killed run come last",
      rule: "known files",
      find: `if (left !== undefined) return`,
      replace: `if (left !== undefined && (await statusOf(host.fs, paths.file)) === undefined) return`,
    },
    {
      name: "putting a file back writes over a newer one",
      rule: "link",
      find: `await host.fs.later.link(path, paths.file);`,
      replace: `return void (await host.fs.later.rename(path, paths.file));`,
    },
  ],
);

const MERGING = inFile(
  "src/legacy/merging/merge.ts",
  [MERGE, MIRROR],
  [
    {
      name: "what a foreign writer did not touch counts as written",
      rule: "merge",
      find: `if (base === digest) return "untouched";`,
      replace: `void base;`,
    },
    {
      name: "the older of two versions counts",
      rule: "merge",
      find: `return updatedAt > storedAt ? "file" : "store";`,
      replace: `return updatedAt < storedAt ? "file" : "store";`,
    },
    {
      name: "of two versions of one time the file's counts always",
      rule: "merge",
      find: `return stored === base ? "file" : "store";`,
      replace: `return stored === "" ? "store" : "file";`,
    },
    {
      name: "of two versions of one time the store's counts always",
      rule: "merge",
      find: `return stored === base ? "file" : "store";`,
      replace: `return stored === "" ? "file" : "store";`,
    },
    {
      name: "a session that only the file has is left out",
      rule: "merge",
      find: `if (current === undefined || current === DAMAGED) return "file";`,
      replace: `if (current === undefined || current === DAMAGED) return "store";`,
    },
    {
      name: "a session that the store cannot read costs all that are merged with it",
      rule: "damage",
      suites: [DAMAGE],
      find: `if (!isDamage(error)) throw error;\n      return DAMAGED;`,
      replace: `throw error;`,
    },
  ],
);

const ROLLBACK = inFile(
  "src/legacy/back/rollback.ts",
  [ROLLBACK_LATE, LEGACY_SYNC, ROLLBACK_CRASH],
  [
    {
      name: "a file that others wrote meanwhile is taken for ours",
      rule: "stamp",
      find: `if (stampNow(host, paths.file) !== this.#stamp) return undefined;`,
      replace: ``,
    },
    {
      name: "both sides may be gone",
      rule: "which side counts",
      find: `if (stampNow(host, paths.file) === "none") {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "the rename that makes the file count is not synced",
      rule: "rollback, step 4",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(host.fs, paths.folder);`,
      replace: ``,
    },
    {
      name: "a foreign file is written over",
      rule: "known files",
      suites: [ROLLBACK_CRASH],
      find: `await this.#absorbForeign();`,
      replace: ``,
    },
    {
      name: "unfinished files of suspended writers stay",
      rule: "rollback, step 5",
      find: `await removeUnfinished(work);`,
      replace: ``,
    },
    {
      name: "commits from during the rollback are only in the backup",
      rule: "rollback, step 6",
      find: `await this.#addLateCommits(backup);`,
      replace: ``,
    },
    {
      name: "a commit from while the file was written is missing in it",
      rule: "rollback, step 2",
      find: `return (await store.revision()) === written.record.revision;`,
      replace: `return true;`,
    },
    {
      name: "the file is not recorded before it has its name",
      rule: "known files",
      suites: [LEGACY_SYNC],
      find: `if (directory === paths.directory) await recordKnownFile(host, directory, written.record);`,
      replace: ``,
    },
    {
      name: "late commits are written over an old gateway's file",
      rule: "rollback, step 6",
      find: `if (sha256 !== this.#written?.record.sha256 || !(await this.#write(backup))) return;`,
      replace: `if (sha256 === "" || !(await this.#write(backup))) return;`,
    },
  ],
);

const WORK = inFile(
  "src/legacy/work.ts",
  [ABSORPTION, TWO_AT_ONCE],
  [
    {
      name: "a legacy function makes a new, empty store where there was one",
      rule: "create: false",
      find: `create: false, cacheBytes`,
      replace: `create: true, cacheBytes`,
    },
  ],
);

const WRITE = inFile(
  "src/legacy/back/write-file.ts",
  [LEGACY_SYNC, MIRROR],
  [
    {
      name: "a legacy file is not synced before it has its name",
      rule: "fdatasync",
      find: `await this.work.host.fs.later.fdatasync(this.fd);`,
      replace: ``,
    },
    {
      name: "a legacy file is not read back",
      rule: "verify",
      suites: [LEGACY_SYNC],
      find: `await verify(work, path, { bytes, sha256 }, ordered, comparison);`,
      replace: `void verify;`,
    },
    {
      name: "a session that reads back differently is not noticed",
      rule: "verify",
      suites: [LEGACY_SYNC],
      find: `if (same && wrong === undefined) return;`,
      replace: `if (same) return;`,
    },
    {
      name: "sessions that were deleted since the last file are forgotten",
      rule: "known files",
      suites: [MIRROR],
      find: `const gone = known.goneWithout(new Set(entries.map(([key]) => key)));`,
      replace: `const gone = known.goneWithout(new Set([...known.base().keys()]));`,
    },
  ],
);

const REPLACE = inFile(
  "src/legacy/back/replace-file.ts",
  [REPLACED, LEGACY_SYNC],
  [
    {
      name: "a file that somebody else has just written is replaced",
      rule: "stamp",
      find: `if (stampNow(host, paths.file) !== expected) return false;`,
      replace: `void expected;`,
    },
    {
      name: "the rename of a legacy file is not synced",
      rule: "fsync",
      find: `await syncDirectory(host.fs, paths.folder);`,
      replace: ``,
    },
    {
      name: "who has lost its file fails",
      rule: "look again",
      find: `if (errnoOf(error) === "ENOENT") return false;`,
      replace: ``,
    },
  ],
);

const TREE = inFile(
  "src/legacy/tree.ts",
  [LEGACY_SYNC, MIGRATE_CRASH],
  [
    {
      name: "files of a store that was built aside are not synced",
      rule: "migration, step 1",
      find: `await each(files, (file) => syncFile(fs, file));`,
      replace: `void files;`,
    },
    {
      name: "a file is opened and not synced",
      rule: "migration, step 1",
      find: `await fs.later.fdatasync(fd);`,
      replace: ``,
    },
    {
      name: "folders of a store that was built aside are not synced",
      rule: "migration, step 1",
      find: `await each(folders.toReversed(), (folder) => syncDirectory(fs, folder));`,
      replace: ``,
    },
  ],
);

const BUILD = inFile(
  "src/legacy/migration/build.ts",
  [LEGACY_SYNC, MERGE, TWO_AT_ONCE],
  [
    {
      name: "what was built is not compared with the source",
      rule: "migration, step 1",
      find: `if (difference !== undefined) mismatch = mismatchError(source.path, key, difference);`,
      replace: `if (difference !== undefined) void mismatchError;`,
    },
    {
      name: "a source that changed while it was read is migrated as it was",
      rule: "migration, step 1",
      suites: [MERGE],
      find: `if (again.sha256 !== reading.sha256 || again.bytes !== reading.bytes) return undefined;`,
      replace: ``,
    },
    {
      name: "sessions that are in the store and not in the source are not noticed",
      rule: "migration, step 1",
      find: `if (digests.length === winners.size && sessions === winners.size) return digests;`,
      replace: `if (sessions >= 0) return digests;`,
    },
    {
      name: "a building folder is removed under its own name",
      rule: "fence",
      suites: [LEFT],
      find: `await fs.later.rename(path, removing);\n    await removeTree(work.host, removing);`,
      replace: `await removeTree(work.host, removing === "" ? removing : path);`,
    },
  ],
);

const KNOWN = inFile(
  "src/legacy/merging/known-files.ts",
  [LEGACY_SYNC, INPUTS, MIRROR, ABSORPTION, MERGE],
  [
    {
      name: "commits that a record tells of are not durable before it",
      rule: "known files",
      find: `await syncLog(host, directory);`,
      replace: `void syncLog;`,
    },
    {
      name: "a record is not synced before it has its name",
      rule: "fdatasync",
      find: `    sync: true,`,
      replace: `    sync: false,`,
    },
    {
      name: "a record's name is not synced",
      rule: "fsync",
      find: "await fs.later.rename(temporary, `${folder}/${name}`);\n  await syncDirectory(fs, folder);",
      replace: "await fs.later.rename(temporary, `${folder}/${name}`);",
    },
    {
      name: "the folder of records is not synced",
      rule: "fsync",
      find: "await syncDirectory(fs, `${directory}/${STORE_FOLDER}`);",
      replace: ``,
    },
    {
      name: "a file of the same size is known",
      rule: "known files",
      suites: [MIRROR],
      find: `record.bytes === bytes && record.sha256 === sha256`,
      replace: `record.bytes === bytes && sha256 !== ""`,
    },
    {
      name: "the newest record is removed with the old ones",
      rule: "known files",
      suites: [INPUTS],
      find: `const oldestKept = records.at(-KEPT) ?? "";`,
      replace: `const oldestKept = "9".repeat(KEPT);`,
    },
  ],
);

const REPLACEMENT = inFile(
  "src/legacy/migration/replacement.ts",
  [LEGACY_SYNC, LAYOUTS],
  [
    {
      name: "the note of what is replaced is not synced",
      rule: "replacement",
      find: `{ sync: true });`,
      replace: `{ sync: false });`,
    },
    {
      name: "the name of the note of what is replaced is not synced",
      rule: "replacement",
      find: `await syncDirectory(host.fs, folder);`,
      replace: `void folder;`,
    },
  ],
);

const MIRRORS = inFile(
  "src/legacy/back/mirror.ts",
  [MIRROR, TWO_AT_ONCE, BUG_BASE],
  [
    {
      name: "a file is not recorded before it has its name",
      rule: "mirror, step 4",
      suites: [LEGACY_SYNC],
      find: `await recordKnownFile(host, paths.directory, { ...record, revision });`,
      replace: `void record;`,
    },
    {
      name: "unfinished files of earlier revisions stay",
      rule: "mirror, step 5",
      find: `await this.#removeOlder(work, revision);`,
      replace: ``,
    },
    {
      name: "a foreign file is written over",
      rule: "mirror, step 1",
      find: `await mergeForeign(work, this.store, work.paths.directory, known, this.path);`,
      replace: `void mergeForeign;\n    if (this.#merged === 0) return found ?? ({ revision: 0, complete: false } as KnownFile);`,
    },
    {
      name: "a mirror writes on after a rollback",
      rule: "which side counts",
      find: `if ((await identityOf(this.#host, directory)) === this.identity) return;`,
      replace: `if (this.identity !== "") return;`,
    },
    {
      name: "records are not read again before a file counts as foreign",
      rule: "mirror, step 1",
      find: `if (again !== undefined) return again;`,
      replace: ``,
    },
  ],
);

const DAMAGED = inFile(
  "src/legacy/damage.ts",
  [DAMAGE],
  [
    {
      name: "a big value that cannot be read costs all sessions",
      rule: "damage",
      find: `if (!isDamage(error)) throw error;\n      damaged.push(`,
      replace: `throw error;\n      damaged.push(`,
    },
    {
      name: "the copy that a backup has is not looked for",
      rule: "damage",
      find: `return [paths.file, ...backups.map(({ path }) => path)];`,
      replace: `return [paths.file];`,
    },
    {
      name: "the copy that the file has is not looked for",
      rule: "damage",
      find: `return [paths.file, ...backups.map(({ path }) => path)];`,
      replace: `return backups.map(({ path }) => path);`,
    },
    {
      name: "a session that was mended still counts as damaged",
      rule: "damage",
      find: `(!seen.has(report.key) && (await isDamaged(store, report.key)))`,
      replace: `!seen.has(report.key + store.constructor.name)`,
    },
  ],
);

const RESEMBLANCE = inFile(
  "src/legacy/resemblance.ts",
  [INPUTS],
  [
    {
      name: "a file of which most would be refused is taken",
      rule: "what is no sessions file",
      find: `(refused <= taken && unlike <= like)`,
      replace: `unlike <= like`,
    },
    {
      name: "objects of any kind are taken for sessions",
      rule: "what is no sessions file",
      find: `(refused <= taken && unlike <= like)`,
      replace: `refused <= taken`,
    },
  ],
);

const NUMBERS = inFile(
  "src/legacy/reading/odd-numbers.ts",
  [INPUTS],
  [
    {
      name: "a number that JSON cannot write stays",
      rule: "numbers",
      find: `if (!finite) setField(own, name, null);`,
      replace: ``,
    },
  ],
);

const PLACE = inFile(
  "src/store/legacy-place.ts",
  [LINKS],
  [
    {
      name: "links on the way are not followed",
      rule: "symlinks, 1",
      find: `return fs.realpath(folder);`,
      replace: `fs.realpath(folder);\n    return folder;`,
    },
    {
      name: "a link in place of the file is not followed",
      rule: "symlinks, 3",
      find: `if (target === undefined) return { folder, name, identity };`,
      replace: `if (target === undefined || name !== "") return { folder, name, identity };`,
    },
    {
      name: "`link/..` is taken for nothing",
      rule: "symlinks, 3",
      find: "path = isAbsolute(target) ? target : `${folder}/${target}`;",
      replace: "path = isAbsolute(target) ? join(target) : join(folder, target);",
    },
  ],
);

const LAYOUT = inFile(
  "src/legacy/layouts/older-layout.ts",
  [LAYOUTS],
  [
    {
      name: "session folders of our own are taken for an older layout",
      rule: "which side counts",
      find: `if (own.length > 0 && !(await isStore`,
      replace: `if (own.length < 0 && !(await isStore`,
    },
  ],
);

const JSON5 = inFile(
  "src/legacy/reading/json5-separators.ts",
  [SEPARATORS],
  [
    {
      name: "a separator does not end a comment",
      rule: "console",
      find: String.raw`"//": /[\n\r\u2028\u2029]/g`,
      replace: String.raw`"//": /[\n\r]/g`,
    },
    {
      name: "a fault is told where it is in the changed text",
      rule: "console",
      find: `index - LONGER_BY_CHARS * ends.filter((end) => end <= index).length`,
      replace: `index`,
    },
  ],
);

const LEFTOVERS = inFile(
  "src/legacy/migration/leftovers.ts",
  [LEFT, ROLLBACK_LATE],
  [
    {
      name: "what a living builder makes is removed as stale",
      rule: "fence",
      find: `if (complete || runtime.now() - latest < STALE_MS) continue;`,
      replace: `if (complete || runtime.now() - latest < -STALE_MS * 1e9) continue;`,
    },
    {
      name: "unfinished files stay",
      rule: "fence",
      find: `await removeUnfinishedFiles(work);`,
      replace: ``,
    },
    {
      name: "unfinished folders stay",
      rule: "fence",
      find: `for (const path of await unfinishedDirectories(work)) await removeBuilding(work, path);`,
      replace: ``,
    },
  ],
);

const LOCKS = inFile(
  "src/openclaw/legacy-file/lock.ts",
  [LOCK, FILE_FORM],
  [
    {
      name: "a stale lock is taken over without a guard",
      rule: "lock",
      find: `if (!this.#create(guard)) {`,
      replace: `if (!this.#create(guard) && guard === "") {`,
    },
    {
      name: "a stale lock is not looked at again before it is taken over",
      rule: "lock",
      find: `if (!found.stale) return false;`,
      replace: ``,
    },
    {
      name: "a lock that was moved by mistake is not given back",
      rule: "lock",
      find: `if (!same) fs.link(aside, path);`,
      replace: ``,
    },
    {
      name: "whatever was moved away is the stale lock",
      rule: "lock",
      find: `const same = findLock(fs, aside, runtime.now())?.identity === expected.identity;`,
      replace: `const same = expected.identity !== "";`,
    },
    {
      name: "a lock is held for ever once it was had",
      rule: "lock",
      find: `return findLock(this.host.fs, this.path, this.host.runtime.now())?.identity === this.#held;`,
      replace: `return this.#held !== undefined;`,
    },
    {
      name: "somebody else's lock is released",
      rule: "lock",
      find: `if (this.isHeld()) remove(this.host, this.path);`,
      replace: `remove(this.host, this.path);`,
    },
    {
      name: "a lock is waited for without end",
      rule: "bound",
      find: `if (runtime.monotonic() - started >= waitMsMax) throw lockedError(lock.path, holder, waitMsMax);`,
      replace: `if (runtime.monotonic() - started >= waitMsMax * 1e9 + 1e12) throw lockedError(lock.path, holder, waitMsMax);`,
    },
    {
      name: "a lock file that could not be written stays",
      rule: "full disk",
      find: `remove(this.host, path); // a full disk: nobody could tell whose it is`,
      replace: ``,
    },
  ],
);

const HOLDER = inFile(
  "src/openclaw/legacy-file/lock-holder.ts",
  [LOCK, FILE_FORM],
  [
    {
      name: "the lock of a dead process is held",
      rule: "lock",
      find: `if (!isAlive(pid)) return true;`,
      replace: ``,
    },
    {
      name: "the lock of another process with the same number is held",
      rule: "lock",
      find: `if (running !== undefined && running !== starttime) return true;`,
      replace: `void running;`,
    },
    {
      name: "a lock is held however old it is",
      rule: "lock",
      find: `const old = (since: number): boolean => now - since > LOCK_STALE_MS;`,
      replace: `const old = (since: number): boolean => now - since > LOCK_STALE_MS * 1e9;`,
    },
    {
      name: "a lock file that is just being written is stale",
      rule: "lock",
      find: `return old(createdAt === undefined ? modifiedAt : Math.max(createdAt, modifiedAt));`,
      replace: `return pid === undefined || old(createdAt ?? modifiedAt);`,
    },
  ],
);

const FILE = inFile(
  "src/openclaw/legacy-file/session-file.ts",
  [FILE_FORM],
  [
    {
      name: "a legacy file is not synced before it has its name",
      rule: "fdatasync",
      find: `await createFile(host.fs, complete, Buffer.from(text), { sync: true });`,
      replace: `await createFile(host.fs, complete, Buffer.from(text), { sync: false });`,
    },
    {
      name: "the rename of a legacy file is not synced",
      rule: "fsync",
      find: `if (replaced) await syncDirectory(host.fs, paths.folder);`,
      replace: ``,
    },
    {
      name: "nobody asks whether the lock is still held before the rename",
      rule: "lock",
      find: `if (mayReplace()) {`,
      replace: `if (mayReplace !== undefined) {`,
    },
    {
      name: "a file that changed within a tick of the clock is not read again",
      rule: "cache",
      find: `const same = settled && this.#stamp()?.text === stamp.text;`,
      replace: `const same = settled || stamp.text !== "";`,
    },
    {
      name: "a file that a migration has put aside is an empty store",
      rule: "which side counts",
      find: `if (aside === undefined) return NOTHING;`,
      replace: `if (aside === undefined || aside !== "") return NOTHING;`,
    },
    {
      name: "a file with nothing in it is an empty store",
      rule: "legacy_invalid",
      suites: ["test/openclaw/load-session-store.test.ts"],
      find: `if (json.trim() === "")\n    throw`,
      replace: `if (json.trim() === "") return {};\n  if (json === "")\n    throw`,
    },
    {
      name: "members of the file that are no sessions are dropped",
      rule: "legacy file",
      find: `const members = new Map<string, unknown>(Object.entries(value));`,
      replace: `const members = new Map<string, unknown>(Object.entries(value).filter(([, entry]) => isEntry(entry)));`,
    },
    {
      name: "what killed writers left stays",
      rule: "leftovers",
      find: `await this.#removeUnfinished();`,
      replace: ``,
    },
  ],
);

export const LEGACY_FILES = [
  ...MIGRATE,
  ...REPLACING,
  ...ABSORB,
  ...MERGING,
  ...ROLLBACK,
  ...WORK,
  ...WRITE,
  ...REPLACE,
  ...TREE,
  ...BUILD,
  ...KNOWN,
  ...REPLACEMENT,
  ...MIRRORS,
  ...DAMAGED,
  ...RESEMBLANCE,
  ...NUMBERS,
  ...PLACE,
  ...LAYOUT,
  ...JSON5,
  ...LEFTOVERS,
  ...LOCKS,
  ...HOLDER,
  ...FILE,
];
