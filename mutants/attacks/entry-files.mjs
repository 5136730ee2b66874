// @ts-check
/** Mutants of entry files, of the folders in which they are staged, and of damaged ones. */
import * as suite from "../suites.mjs";
import {
  BAD_ENTRY,
  BUG_BASE,
  ENGINE,
  ENTRY_FILE,
  RULES,
  SIZES,
  STRAY,
  SUSPENDED,
  SYMLINKS,
  inFile,
} from "../suites.mjs";

const ENTRY = inFile("src/entries/entry-file.ts", ENGINE, [
  {
    name: "a file is written past the staging folder",
    rule: "O8, fence",
    find: "const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;",
    replace: "const temporary = `${this.layout.root}/${this.runtime.randomName(8)}`;",
  },
  {
    name: "a file is removed by an unlink",
    rule: "O8, fence",
    find: `await this.fs.later.rename(file, temporary);`,
    replace: `await this.fs.later.unlink(file);`,
  },
  {
    name: "a fenced writer leaves an empty folder",
    rule: "O8, F14",
    find: `await this.removeFolder(folder);\n        return "fenced";`,
    replace: `return "fenced";`,
  },
  {
    name: "a deleted session leaves an empty folder",
    rule: "O8, F14",
    find: `await this.removeFolder(folder);\n    return "done";`,
    replace: `return "done";`,
  },
  {
    name: "a folder that a sweeper took is not made again",
    rule: "O8",
    suites: [ENTRY_FILE],
    find: `if (!(await this.#exists(temporary))) {`,
    replace: `if (true as boolean) {`,
  },
  {
    name: "a delete without its staging folder counts as done",
    rule: "O8, fence",
    suites: [ENTRY_FILE, ...RULES, SUSPENDED],
    find: `if (!(await this.#exists(this.layout.stageFolder(stage)))) return "fenced";`,
    replace: `void stage;`,
  },
  {
    name: "a file behind a link in place of the session's folder is read",
    rule: "O_NOFOLLOW",
    suites: [ENTRY_FILE, SYMLINKS],
    find: `if (!isFolder(fs, folder)) return { status: "corrupt", path: folder, reason: "not a folder", offset: 0 };`,
    replace: ``,
  },
  {
    name: "a file is written behind a link in place of the session's folder",
    rule: "O_NOFOLLOW",
    suites: [ENTRY_FILE, SYMLINKS],
    find: `if (isFolder(this.fs, folder)) return;\n`,
    replace: `return void this.fs.lstat(folder);\n`,
  },
  {
    name: "a file is removed behind a link in place of the session's folder",
    rule: "O_NOFOLLOW",
    suites: [ENTRY_FILE, SYMLINKS],
    find: `if ((await this.#kindOf(folder)) !== "directory") return false;`,
    replace: ``,
  },
  {
    name: "the file of another session is this session's",
    rule: "entry_corrupt",
    suites: [BAD_ENTRY],
    find: `if (parsed.key !== key) {`,
    replace: `if (false as boolean) {`,
  },
  {
    name: "an entry file of any size is read",
    rule: "limit",
    suites: [SIZES],
    find: `bytes = readRegularFile(fs, path, { bytesMax: ENTRY_FILE_BYTES_MAX });\n  } catch`,
    replace: `bytes = readRegularFile(fs, path, { bytesMax: Number.MAX_SAFE_INTEGER });\n  } catch`,
  },
  {
    name: "a newer file that the log explains is replaced",
    rule: "O9",
    suites: ["test/entries/newer-file.test.ts"],
    find: `if (policy.isOvertaken(key, file.revision)) return "done";`,
    replace: ``,
  },
  {
    name: "a newer file that nothing explains stays",
    rule: "O9",
    suites: ["test/entries/newer-file.test.ts"],
    find: `if (policy.isOvertaken(key, file.revision)) return "done";`,
    replace: `return "done";`,
  },
  {
    name: "a newer file is replaced unseen",
    rule: "O9",
    suites: ["test/entries/newer-file.test.ts"],
    find: `(file.status === "present" && file.revision <= revision)`,
    replace: `file.status === "present"`,
  },
]);

const STAGING = inFile("src/entries/fence.ts", ENGINE, [
  {
    name: "staging folders are moved away instead of removed",
    rule: "O10, fence",
    find: `await fs.later.rmdir(folder);`,
    replace: `await fs.later.rename(folder, folder.replace("/stage/", "/quarantine/"));`,
  },
  {
    name: "the fence leaves staging folders of lower segments",
    rule: "O10, fence",
    find: `Number.POSITIVE_INFINITY) <= segment)`,
    replace: `Number.POSITIVE_INFINITY) === segment)`,
  },
  {
    name: "the fence gives up when a folder fills again",
    rule: "O10, fence",
    find: `if (errno !== "ENOTEMPTY" && errno !== "EEXIST") throw error;`,
    replace: `if (errno !== "ENOTEMPTY" && errno !== "EEXIST") throw error;\n      return;`,
    suites: [...RULES, SUSPENDED, BUG_BASE],
    equivalent:
      "the fence as a whole ends only when it finds none of those folders any more, so it comes back to this one",
  },
  {
    name: "the fence empties a folder behind a link",
    rule: "O_NOFOLLOW",
    suites: [ENTRY_FILE, SYMLINKS],
    find: `for (const folder of [layout.store, layout.stage]) assertFolder(fs, folder);`,
    replace: ``,
  },
  {
    name: "the fence goes through a link called like a staging folder",
    rule: "O_NOFOLLOW",
    suites: [STRAY, SYMLINKS],
    find: `if ((await fs.later.lstat(folder)).kind !== "directory") {`,
    replace: `if (false as boolean) {`,
  },
]);

const DAMAGED = [
  ...inFile(
    "src/entries/damaged-file.ts",
    [suite.WAYS_OUT],
    [
      {
        name: "what a damaged file had is not kept",
        rule: "I6",
        find: `await fs.later.rename(temporary, kept);`,
        replace: `await fs.later.unlink(temporary);`,
      },
      {
        name: "torn files that the log has are kept as well",
        rule: "I8",
        find: `if (revision === undefined ? torn : policy.isInLog(revision)) return "done";`,
        replace: `void torn;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/cold-sessions.ts",
    [suite.WAYS_OUT],
    [
      {
        name: "a file that was taken away is no session",
        rule: "I6",
        find: `if (file.status === "absent" && elsewhere.revisionElsewhere(key) !== undefined) {`,
        replace: `if (file.status !== file.status) {`,
      },
    ],
  ),
];

export const ENTRY_FILES = [...ENTRY, ...STAGING, ...DAMAGED];
