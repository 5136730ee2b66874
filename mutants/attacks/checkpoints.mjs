// @ts-check
/** Mutants of checkpoints: sealing, and the files of sessions that follow the log. */
import * as suite from "../suites.mjs";
import {
  BAD_LOG,
  BUG_BASE,
  BUSY,
  ENGINE,
  FAILING,
  RULES,
  SIZES,
  STRAY,
  SYMLINKS,
  inFile,
} from "../suites.mjs";

const CHECKPOINT = inFile("src/engine/directory/checkpointer.ts", ENGINE, [
  {
    name: "the segment after a lower one is checkpointed first",
    rule: "O10, in order",
    find: `if (segment.number !== lowest) return true; // read it first: strictly in order`,
    replace: ``,
    equivalent:
      "nothing leads there: removing garbage rewinds when the lowest segment was not read, and then the lowest is the active one",
  },
  {
    name: "no fence",
    rule: "O10, fence",
    find: `await fence(fs, layout, segment.number);`,
    replace: `void fence;`,
  },
  {
    name: "the fence takes the next segment's staging folder as well",
    rule: "O10, fence",
    suites: [suite.CHECKPOINT],
    find: `await fence(fs, layout, segment.number);`,
    replace: `await fence(fs, layout, segment.number + 1);`,
  },
  {
    name: "files are not looked at again",
    rule: "O10, verify",
    find: `if (!(await this.#verify(segment, key, written.get(key)))) wrong.push(key);`,
    replace: `void wrong;`,
  },
  {
    name: "entry files are not synced",
    rule: "O10, F4",
    find: `await fs.later.fdatasync(fd);`,
    replace: ``,
  },
  {
    name: "session folders are not synced",
    rule: "O10, F4",
    find: `await syncDirectory(fs, folder);\n    } catch (error) {\n      if (errnoOf(error) !== "ENOENT") throw error;`,
    replace: `} catch (error) {\n      if (errnoOf(error) !== "ENOENT") throw error;`,
  },
  {
    name: "the store's folder is not synced",
    rule: "O10",
    find: `await syncDirectory(fs, layout.root);`,
    replace: ``,
  },
  {
    name: "the active segment is not synced before the old one goes",
    rule: "O10, F11",
    find: `await this.log.end.sync(this.log.active);`,
    replace: ``,
  },
  {
    name: "log/ is not synced before the unlink",
    rule: "O10, F9",
    find: `await syncDirectory(fs, layout.log);\n    await this.#remove(segment);`,
    replace: `await this.#remove(segment);`,
  },
  {
    name: "log/ is not synced after the unlink",
    rule: "O10, F9",
    find: `await this.#remove(segment);\n    await syncDirectory(fs, layout.log);`,
    replace: `await this.#remove(segment);`,
  },
  {
    name: "the segment goes although its catalog was not written",
    rule: "O10",
    suites: [suite.CHECKPOINT],
    find: `if (!(await this.#writeCatalog(segment, epoch))) return true;`,
    replace: `await this.#writeCatalog(segment, epoch);`,
  },
  {
    name: "older catalogs and parts stay",
    rule: "O10",
    find: `await this.#catalogs.tidy(segment.number);`,
    replace: ``,
  },
  {
    name: "what this process has just written is not known by the time it is looked at",
    rule: "O10",
    suites: [BUSY],
    find: `const states = [this.log.hot.get(key), written, ...`,
    replace: `const states = [this.log.hot.get(key), written === undefined ? written : undefined, ...`,
  },
  {
    name: "a file whose sync failed is looked at again and believed",
    rule: "O10, EIO",
    suites: [suite.FLUSH],
    find: `          this.flusher.distrust([key]);\n`,
    replace: ``,
  },
  {
    name: "a file that is newer than what was read of the log is wrong",
    rule: "O10",
    suites: [suite.CHECKPOINT],
    find: `this.log.catchUp(); // it may be newer than what we have read`,
    replace: ``,
  },
  {
    name: "a checkpoint goes on after a rewind",
    rule: "O12",
    find: `this.log.doubts.damagedSegment === 0 &&\n      this.log.epoch === epoch &&\n      this.log.segments[0] === segment\n`,
    replace: `epoch >= 0\n`,
  },
  {
    name: "a deleted session's folder is not synced where a user's files keep it",
    rule: "O10",
    find: `await syncDirectory(fs, folder); // a user's own files kept it: then our file's absence must be durable in it`,
    replace: ``,
  },
  {
    name: "a deleted session's folder stays",
    rule: "O8, F14",
    find: `await this.writer.removeFolder(folder);\n    try {`,
    replace: `try {`,
    equivalent:
      "whoever removes the file removes the folder as well, and the sweep takes what a killed process left",
  },
  {
    name: "a file behind a link in place of the session's folder is believed",
    rule: "O_NOFOLLOW",
    suites: [suite.CHECKPOINT, SYMLINKS],
    find: `assertFolder(fs, folder); // a link in its place would have a foreign file synced and believed`,
    replace: ``,
  },
  {
    name: "an entry file of any size is read",
    rule: "limit",
    suites: [SIZES],
    find: ` && status.size <= 2 * LINE_BYTES_MAX;`,
    replace: `;`,
  },
  {
    name: "files that are never right are written for ever",
    rule: "bound",
    suites: [suite.CHECKPOINT, BUSY],
    find: `if (attempt > VERIFY_ATTEMPTS_MAX) throw neverRight(open, this.log);`,
    replace: `void attempt;`,
  },
  {
    name: "a segment below a gap is removed though nothing proves that it may go",
    rule: "O11",
    suites: BAD_LOG,
    find: `proven ? fs.later.unlink(path) : fs.later.rename(path, aside)`,
    replace: `fs.later.unlink(path)`,
  },
  {
    name: "a segment that came back stays",
    rule: "O11, F9",
    suites: [...RULES, ...BAD_LOG],
    find: `await ignoreMissing(proven ? fs.later.unlink(path) : fs.later.rename(path, aside));`,
    replace: `void aside;`,
  },
]);

const FLUSH = inFile("src/engine/directory/entry-flush.ts", ENGINE, [
  {
    name: "a file of the right revision is right, whatever is in it",
    rule: "O10, F7",
    find: `file.crc === this.#checksumOf(state)`,
    replace: `this.#checksumOf(state) !== ""`,
  },
  {
    name: "any whole file is right",
    rule: "O10, F7",
    find: `file.revision === state.revision && file.crc === this.#checksumOf(state)`,
    replace: `this.#checksumOf(state) !== undefined`,
  },
  {
    name: "a missing file is right",
    rule: "O10, verify",
    suites: [suite.CHECKPOINT],
    find: `if (file.status === "absent") return state.stored === undefined;`,
    replace: `if (file.status === "absent") return true;`,
  },
  {
    name: "a wrong file that we believed to be written is not written again",
    rule: "O10",
    find: `if (state !== undefined) this.#written.delete(state);`,
    replace: `void state;`,
  },
  {
    name: "files are written before the log is durable",
    rule: "O8",
    find: `await log.end.sync(segment); // log before data`,
    replace: ``,
  },
  {
    name: "a state older than the folder's segment is not synced before its rename",
    rule: "O8, F5",
    find: `const sync = state.revision < segment.firstRevision;`,
    replace: `const sync = false as boolean;`,
  },
  {
    name: "states from before a rewind are written",
    rule: "O12",
    suites: [suite.FLUSH],
    find: `if (log.epoch !== epoch) return false; // O12: what was taken before a rewind is outdated`,
    replace: ``,
  },
  {
    name: "states go through a later segment's folder",
    rule: "O9",
    find: `const complete = await inParallel(states, (state) => this.#writeOne(state, segment));`,
    replace:
      `const later = await log.end.becomeActive();\n` +
      `    const complete = await inParallel(states, (state) => this.#writeOne(state, later));`,
  },
  {
    name: "a staging folder that is lost stops files for ever",
    rule: "O10, F6",
    suites: [suite.FLUSH],
    find: `if (!complete) await log.end.stageGone(segment);`,
    replace: ``,
  },
  {
    name: "a fenced file counts as written",
    rule: "O10",
    suites: [suite.FLUSH],
    find: `if ((await this.writer.write(state, segment.ledger.stage, { sync })) === "fenced") return false;`,
    replace: `await this.writer.write(state, segment.ledger.stage, { sync });`,
  },
  {
    name: "files go through a link in place of the staging folder",
    rule: "O_NOFOLLOW",
    suites: [SYMLINKS],
    find: `assertFolderIfAny(log.options.fs, log.options.layout.stageFolder(segment.ledger.stage));`,
    replace: ``,
  },
  {
    name: "one session whose file cannot be written stops all others",
    rule: "file_unsafe",
    suites: [STRAY, SYMLINKS],
    find: `if (!(error instanceof SessionStoreError) || error.code !== "file_unsafe") throw error;`,
    replace: `throw error;`,
  },
]);

const SEALING = inFile(
  "src/engine/directory/sealer.ts",
  [suite.BACKGROUND, suite.FULL_DISK, ...RULES, suite.COMMIT_OUTCOME],
  [
    {
      name: "an error while a segment is sealed is the error of a commit that counts",
      rule: "read-back",
      suites: [suite.BACKGROUND, FAILING, BUG_BASE],
      find: `      this.#couldNotSeal(segment.path, error);\n`,
      replace: `      throw error;\n`,
    },
    {
      name: "an error while a full segment is looked at again ends the process",
      rule: "read-back",
      suites: [suite.BACKGROUND, BUG_BASE],
      find: `        this.#couldNotSeal(this.log.options.layout.log, error);\n`,
      replace: `        if (error !== undefined) throw error;\n`,
    },
    {
      name: "a full segment that could not be looked at is not looked at again",
      rule: "pacing",
      find: `        this.checkAgainIn(RETRY_MS);\n`,
      replace: ``,
    },
    {
      name: "a segment is never sealed while checkpoints do not keep up",
      rule: "pacing",
      find: `segment.position >= FULL_TIMES_MAX * space.logBytesMax ||`,
      replace: ``,
    },
    {
      name: "a full segment is sealed while the one before it is still there",
      rule: "pacing",
      find: `return this.log.segments.length > 1 ? CHECK_AGAIN_MS : 0;`,
      replace: `return 0;`,
    },
    {
      name: "nobody looks at a full segment again without a further commit",
      rule: "pacing",
      find: `if (!active.ledger.sealed) this.sealIfDue(active);`,
      replace: `void active;`,
    },
    {
      name: "a segment is sealed only when its log is full, whatever died in it",
      rule: "space",
      suites: [suite.FULL_DISK],
      find: `if (segment.position < space.logBytesMax && dead.inSegment < space.deadBytesMax) return;`,
      replace: `if (segment.position < space.logBytesMax) return;`,
    },
  ],
);

export const CHECKPOINTS = [...CHECKPOINT, ...FLUSH, ...SEALING];
