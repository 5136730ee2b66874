// @ts-check
/** Mutants of the way back: rollback, mirror, and the legacy file that they write. */
import {
  BUG_BASE,
  LEGACY_SYNC,
  MIRROR,
  REPLACED,
  ROLLBACK_CRASH,
  ROLLBACK_LATE,
  TWO_AT_ONCE,
  inFile,
} from "../suites.mjs";

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
      rule: "which side is authoritative",
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
      find: `return store.recordsRevisionSync() <= written.record.revision ? "complete" : "behind";`,
      replace: `return "complete";`,
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
      find: `sha256 === record.sha256 && (await this.#writeFile(backup))`,
      replace: `sha256 !== "" && (await this.#writeFile(backup))`,
    },
    {
      name: "commits from while late ones are written are only in the backup",
      rule: "rollback, step 6",
      find: `(await this.#writeFile(backup)) !== "overtaken";`,
      replace: `(await this.#writeFile(backup)) === "complete";`,
    },
    {
      name: "sessions that went late are not counted",
      rule: "rollback, step 6",
      find: `return count + digests.size;`,
      replace: `return count;`,
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
      find: `if (isMissing(error)) return false;`,
      replace: ``,
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
      find: `await this.#removeOlder(revision);`,
      replace: ``,
    },
    {
      name: "a foreign file is written over",
      rule: "mirror, step 1",
      find: `const { warnings } = await mergeForeign(work, this.store, directory, known, this.path, keep);`,
      replace: `void mergeForeign;\n    if (this.#merged === 0) return found ?? ({ revision: 0, complete: false } as KnownFile);\n    const warnings: LegacyWarning[] = [];`,
    },
    {
      name: "what a mirror must refuse is gone with the file that had it",
      rule: "mirror, step 1",
      find: `if (refused === 0) return;`,
      replace: `if (refused >= 0) return;`,
    },
    {
      name: "a mirror writes on after a rollback",
      rule: "which side is authoritative",
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

export const WAY_BACK = [...ROLLBACK, ...WRITE, ...REPLACE, ...MIRRORS];
