// @ts-check
/** Mutants of checkpoints, entry files, staging folders, and of the work in the background. */
import * as suite from "./suites.mjs";
import { inFile } from "./suites.mjs";

const { BAD_ENTRY, BAD_LOG, BUG_BASE, BUSY, EDGES, ENGINE, FAILING } = suite;
const { ENTRY_FILE, READ_ONLY, RULES, SIZES, STRAY, SUSPENDED, SYMLINKS } = suite;

const CHECKPOINT = inFile("src/engine/directory/checkpoint.ts", ENGINE, [
  {
    name: "the segment after a lower one is checkpointed first",
    rule: "O10, in order",
    find: `if (segment.number !== lowest) return true; // read it first: strictly in order`,
    replace: ``,
    equivalent:
      "nothing leads there: removing garbage starts over when the lowest segment was not read, and then the lowest is the active one",
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
    find: `await this.log.syncer.sync(tail.active);`,
    replace: ``,
  },
  {
    name: "log/ is not synced before the unlink",
    rule: "O10, F9",
    find: `await syncDirectory(fs, layout.log);\n    await ignoreMissing(fs.later.unlink(segment.path));`,
    replace: `await ignoreMissing(fs.later.unlink(segment.path));`,
  },
  {
    name: "log/ is not synced after the unlink",
    rule: "O10, F9",
    find: `await ignoreMissing(fs.later.unlink(segment.path));\n    await syncDirectory(fs, layout.log);`,
    replace: `await ignoreMissing(fs.later.unlink(segment.path));`,
  },
  {
    name: "the segment goes although its catalog was not written",
    rule: "O10",
    suites: [suite.CHECKPOINT],
    find: `if (!(await this.#writeCatalog(segment, epoch))) return true;`,
    replace: `await this.#writeCatalog(segment, epoch);`,
  },
  {
    name: "a catalog's name is not synced",
    rule: "O10, catalog",
    find: `await syncDirectory(fs, layout.store);`,
    replace: ``,
  },
  {
    name: "a catalog's content is not synced",
    rule: "O10, catalog",
    find: `await createFile(fs, temporary, bytes, { sync: true });`,
    replace: `await createFile(fs, temporary, bytes, { sync: false });`,
  },
  {
    name: "a catalog is written in place",
    rule: "O10, catalog",
    find: "const temporary = `${layout.stageFolder(active.ledger.stage)}/${runtime.randomName(8)}`;",
    replace: "const temporary = layout.catalog(number);",
  },
  {
    name: "a catalog is written after a start-over",
    rule: "O12",
    suites: [suite.CHECKPOINT],
    find: `if (this.log.tail.epoch !== epoch || this.log.tail.segments[0] !== segment) return false;`,
    replace: ``,
  },
  {
    name: "older catalogs stay",
    rule: "O10",
    find: `await this.#dropCatalogsBelow(segment.number);`,
    replace: ``,
  },
  {
    name: "any catalog that this process wrote is merged into the next one",
    rule: "O10, catalog",
    suites: [suite.CHECKPOINT],
    find: `this.latest?.segment === number - 1 ? this.latest : undefined`,
    replace: `this.latest`,
  },
  {
    name: "a catalog with damaged sessions is carried on for ever",
    rule: "catalog",
    suites: [BAD_ENTRY],
    find: `const again = loaded?.incomplete === true;`,
    replace: `const again = false as boolean;`,
  },
  {
    name: "a file of the right revision is right, whatever is in it",
    rule: "O10, F7",
    find: ` && crcOf(state) === file.crc;`,
    replace: `;`,
  },
  {
    name: "any whole file is right",
    rule: "O10, F7",
    find: `return state.revision === file.revision && state.stored !== undefined && crcOf(state) === file.crc;`,
    replace: `return state.stored !== undefined;`,
  },
  {
    name: "a missing file is right",
    rule: "O10, verify",
    suites: [suite.CHECKPOINT],
    find: `if (file.status === "absent") return state.stored === undefined;`,
    replace: `if (file.status === "absent") return true;`,
  },
  {
    name: "a file that only an older segment explains is right",
    rule: "O10, F7",
    find: `if (number >= segment.number) states.push(finals.get(key));`,
    replace: `states.push(finals.get(key), ...(number >= 0 ? [] : [undefined]));`,
    equivalent: "the segment that is checkpointed is the lowest of which anything is known",
  },
  {
    name: "what this process has just written is not known by the time it is looked at",
    rule: "O10",
    suites: [BUSY],
    find: `const states = [this.log.table.hot.get(key), written];`,
    replace: `const states = [this.log.table.hot.get(key), written === undefined ? written : undefined];`,
  },
  {
    name: "a wrong file that we believed to be written is not written again",
    rule: "O10",
    find: `state.flushed = false;\n      state.replacesSeen`,
    replace: `state.replacesSeen`,
  },
  {
    name: "a file whose sync failed is looked at again and believed",
    rule: "O10, EIO",
    suites: [EDGES],
    find: `          this.#distrust([key]);\n`,
    replace: ``,
  },
  {
    name: "a file that is newer than what was read of the log is wrong",
    rule: "O10",
    suites: [suite.CHECKPOINT],
    find: `this.log.tail.catchUp(); // it may be newer than what we have read`,
    replace: ``,
  },
  {
    name: "a checkpoint goes on after a start-over",
    rule: "O12",
    find: `!this.#stopped && this.log.tail.epoch === epoch && this.log.tail.segments[0] === segment;`,
    replace: `!this.#stopped && epoch >= 0;`,
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
    find: `assertFolder(fs, folder); // a link in its place would have a file of somebody else's synced and believed`,
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
    find: `if (look > LOOKS_MAX) throw neverRight(open, this.log);`,
    replace: `void look;`,
  },
  {
    name: "a segment below a gap is removed though nothing proves that it may go",
    rule: "O11",
    suites: [BAD_LOG],
    find: `proven ? fs.later.unlink(path) : fs.later.rename(path, aside)`,
    replace: `fs.later.unlink(path)`,
  },
  {
    name: "a segment that came back stays",
    rule: "O11, F9",
    suites: [RULES, BAD_LOG],
    find: `await ignoreMissing(proven ? fs.later.unlink(path) : fs.later.rename(path, aside));`,
    replace: `void aside;`,
  },
]);

const FLUSH = inFile("src/engine/directory/entry-flush.ts", ENGINE, [
  {
    name: "files are written before the log is durable",
    rule: "O8",
    find: `await log.syncer.sync(segment); // log before data`,
    replace: ``,
  },
  {
    name: "a state older than the folder's segment is not synced before its rename",
    rule: "O8, F5",
    find: `const sync = state.revision < segment.firstRevision;`,
    replace: `const sync = false as boolean;`,
  },
  {
    name: "states from before a start-over are written",
    rule: "O12",
    suites: [suite.FLUSH],
    find: `if (log.tail.epoch !== epoch) return false; // O12: what was taken before a start-over is void`,
    replace: ``,
  },
  {
    name: "states go through a later segment's folder",
    rule: "O9",
    find: `const complete = await inParallel(states, (state) => writeOne(writer, state, segment));`,
    replace:
      `const later = await log.becomeActive();\n` +
      `  const complete = await inParallel(states, (state) => writeOne(writer, state, later));`,
  },
  {
    name: "a staging folder that is lost stops files for ever",
    rule: "O10, F6",
    suites: [suite.FLUSH],
    find: `if (!complete) await log.stageGone(segment);`,
    replace: ``,
  },
  {
    name: "a fenced file counts as written",
    rule: "O10",
    suites: [suite.FLUSH],
    find: `if ((await writer.write(state, segment.ledger.stage, { sync, look })) === "fenced") return false;`,
    replace: `await writer.write(state, segment.ledger.stage, { sync, look });`,
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
    suites: [ENTRY_FILE, RULES, SUSPENDED],
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
    find: `{ bytesMax: ENTRY_FILE_BYTES_MAX }`,
    replace: `{ bytesMax: Math.max(ENTRY_FILE_BYTES_MAX, Number.MAX_SAFE_INTEGER) }`,
  },
]);

const STAGING = inFile("src/entries/staging.ts", ENGINE, [
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
    suites: [RULES, SUSPENDED, BUG_BASE],
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

const SEALING = inFile(
  "src/engine/directory/sealing.ts",
  [suite.BACKGROUND, suite.FULL_DISK, RULES, EDGES],
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
      find: `        this.lookAgainIn(RETRY_MS);\n`,
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
      find: `return tail.segments.length > 1 ? LOOK_AGAIN_MS : 0;`,
      replace: `return 0;`,
    },
    {
      name: "nobody looks at a full segment again without a further commit",
      rule: "pacing",
      find: `if (!active.ledger.sealed) this.look(active);`,
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

const SPACE = inFile(
  "src/engine/directory/space.ts",
  [suite.FULL_DISK, EDGES],
  [
    {
      name: "work that meets a full disk does not get the reserve",
      rule: "reserve",
      find: `if (!isDiskFull(error) || !(await this.giveUpReserve())) throw error;`,
      replace: `if (this.short || error !== undefined) throw error;\n      void isDiskFull;`,
    },
    {
      name: "commits take the room that the reserve left",
      rule: "reserve",
      find: `this.short = bytes < least * SHORT_SHARE;`,
      replace: `this.short = bytes < 0;`,
    },
    {
      name: "the reserve is not made again",
      rule: "reserve",
      find: `if (await this.#reserve.make(`,
      replace: `if (bytes < 0 && await this.#reserve.make(`,
    },
    {
      name: "the reserve does not grow with the catalog",
      rule: "reserve",
      find: `const wanted = reserveBytesOn(totalBytes, reserveBytes + 2 * this.catalogBytes);`,
      replace: `const wanted = reserveBytesOn(totalBytes, reserveBytes);`,
    },
    {
      name: "segments are as long on a small disk as on a large one",
      rule: "space",
      find: `this.logBytesMax = Math.min(segmentBytes, part(LOG_SHARE));`,
      replace: `this.logBytesMax = segmentBytes;`,
    },
  ],
);

const RESERVE = inFile(
  "src/entries/reserve.ts",
  [suite.FULL_DISK, suite.RESERVE, suite.STORE_FOLDER],
  [
    {
      name: "the reserve is made in its place",
      rule: "reserve",
      find: "const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;",
      replace: "const temporary = this.layout.reserve;\n    void stage;",
    },
    {
      name: "the reserve has no blocks of its own yet when it counts",
      rule: "reserve",
      find: `return createFile(fs, path, randomBytes(bytes), { sync: true });`,
      replace: `return createFile(fs, path, randomBytes(bytes), { sync: false });`,
    },
    {
      name: "the reserve is a hole",
      rule: "reserve",
      find: `return createFile(fs, path, randomBytes(bytes), { sync: true });`,
      replace: `void randomBytes;\n  return createFile(fs, path, Buffer.alloc(bytes), { sync: true });`,
    },
    {
      name: "a reserve for which there is no room is an error",
      rule: "reserve",
      find: `if (isDiskFull(error) || errnoOf(error) === "ENOENT") return false;`,
      replace: `if (isDiskFull(error) && bytes < 0) return false;`,
    },
  ],
);

const DEAD = inFile(
  "src/engine/directory/dead-values.ts",
  [suite.DEAD_VALUES, suite.FULL_DISK],
  [
    {
      name: "values of fields that a patch replaces are not counted",
      rule: "space",
      find: `if (old !== undefined) this.#giveUpFields(old, op.p, op.u);`,
      replace: ``,
    },
    {
      name: "values of a session that is set anew are not counted",
      rule: "space",
      find: `if (old !== undefined) for (const name of Object.keys(old)) this.#giveUp(old[name]);`,
      replace: ``,
    },
    {
      name: "a value that is referred to anew stays counted",
      rule: "space",
      find: `      this.#count(-bytes);\n`,
      replace: ``,
    },
    {
      name: "one value is counted for every session that gives it up",
      rule: "space",
      find: `    if (this.#given.has(hash)) return;\n    this.#given.set`,
      replace: `    this.#given.set`,
    },
    {
      name: "values within values are not counted",
      rule: "space",
      find: `for (const part of within(value.hash) ?? []) this.#add(part);`,
      replace: `void within;`,
    },
    {
      name: "what others have removed stays counted",
      rule: "space",
      find: `      this.bytes -= bytes;\n`,
      replace: ``,
    },
  ],
);

const MAINTENANCE = inFile(
  "src/engine/directory/maintenance.ts",
  [suite.BACKGROUND, RULES, EDGES],
  [
    {
      name: "a segment that a copy of hard links shares is appended to for ever",
      rule: "link count",
      suites: [suite.SHARED_LOG],
      find: `if (links <= 1) this.#shared = undefined;`,
      replace: `if (links >= 0) this.#shared = undefined;`,
    },
    {
      name: "a second name of a moment is worth a segment",
      rule: "link count",
      suites: [suite.SHARED_LOG],
      find: `now - this.#shared.since >= SECOND_NAME_MS &&`,
      replace: ``,
    },
    {
      name: "staging folders of segments that are gone stay",
      rule: "O11",
      find: `if (lowest > 1) await fence(fs, layout, lowest - 1);`,
      replace: `void lowest;`,
    },
    {
      name: "what killed processes left is not swept",
      rule: "O11, F14",
      find: `await sweep(this.log);\n    this.#swept = true;`,
      replace: `this.#swept = true;`,
    },
    {
      name: "what a flush could not write is forgotten",
      rule: "flush",
      find: `if (!complete) for (const key of keys) this.dirty.putBack(key);`,
      replace: `void complete;`,
    },
    {
      name: "a file of the right revision has the latest state, whatever is in it",
      rule: "F7",
      find: `file.revision === state.revision && file.crc === crcOf(state)`,
      replace: `file.revision === state.revision && crcOf(state) !== ""`,
    },
    {
      name: "nobody checkpoints what a dead process has sealed",
      rule: "step in",
      find: `this.#checkpointSoon(this.#stepInMs() * (1 + runtime.random()));`,
      replace: `void runtime;`,
    },
    {
      name: "who opens a store does not go on with its checkpoints",
      rule: "step in",
      find: `if (tail.active.ledger.sealed || tail.segments.length > 1) this.#checkpointSoon(0);`,
      replace: `void tail;`,
    },
    {
      name: "who opens a store does not write the files that dead processes owed",
      rule: "flush",
      find: `for (const [key, state] of this.log.table.hot) this.#unsure.set(key, state);`,
      replace: ``,
    },
    {
      name: "a removal of shared values is not repeated within a minute, not even when asked for",
      rule: "O14",
      find: `if (removal || this.#removalIsDue(progress)) await this.#removeBlobs();`,
      replace: `if (this.#removalIsDue(progress)) await this.#removeBlobs();`,
    },
    {
      name: "however much is dead, it is removed once a minute",
      rule: "space",
      suites: [suite.FULL_DISK],
      find: `      if (this.#dead.bytes >= space.deadBytesMax) return true;\n`,
      replace: ``,
    },
    {
      name: "the trash waits for a commit",
      rule: "space",
      suites: [suite.FULL_DISK],
      find: `if (outcome.waiting) this.#trashTimer`,
      replace: `if (outcome.waiting && this.#closing) this.#trashTimer`,
    },
    {
      name: "room is made by moving what is dead to the trash",
      rule: "space",
      suites: [suite.FULL_DISK],
      find: `for (let phase = 1; phase <= REMOVAL_PHASES; phase++) await this.#sealAndCheckpoint();`,
      replace: `void REMOVAL_PHASES;\n          await this.#sealAndCheckpoint();`,
    },
    {
      name: "nobody looks how much room there is",
      rule: "space",
      suites: [suite.FULL_DISK],
      find: `    await this.space.tend();\n`,
      replace: ``,
    },
    {
      name: "who opens a store does not notice that the reserve is gone",
      rule: "reserve",
      suites: [suite.FULL_DISK],
      find: `this.space.short = !hasReserve;`,
      replace: `void hasReserve;`,
    },
    {
      name: "work in the background goes through links in place of the store's folders",
      rule: "O_NOFOLLOW",
      suites: [SYMLINKS],
      find: `assertEngineRoom(this.log.options.fs, this.log.options.layout);`,
      replace: ``,
    },
  ],
);

const DIRTY = inFile(
  "src/engine/directory/dirty-sessions.ts",
  [suite.BACKGROUND],
  [
    {
      name: "a session that goes on changing is never written",
      rule: "passed over",
      find: ` || dirty.passedOver >= PASSED_OVER_MAX`,
      replace: ``,
    },
    {
      name: "a session is written at every look, however often it changes",
      rule: "passed over",
      find: `if (revision === undefined || revision === dirty.revision || dirty.passedOver`,
      replace: `if (revision !== -1 || dirty.passedOver`,
    },
  ],
);

const SWEEP = inFile(
  "src/engine/directory/sweep.ts",
  [suite.SWEEP, RULES, STRAY, READ_ONLY],
  [
    {
      name: "empty session folders stay",
      rule: "O11, F14",
      find: `if ((await fs.later.readdir(folder)).length === 0) await fs.later.rmdir(folder);`,
      replace: ``,
    },
    {
      name: "half-made stores stay",
      rule: "O11, F14",
      find: `await removeBuildingFolders(fs, layout);`,
      replace: ``,
    },
    {
      name: "empty folders that are not ours are removed",
      rule: "O11",
      find: `if (key === undefined && !isHashedFolderName(name)) continue; // not a folder of ours`,
      replace: ``,
    },
  ],
);

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
    "src/engine/directory/entry-flush.ts",
    [suite.WAYS_OUT],
    [
      {
        name: "a file that nobody has seen is written over without a look",
        rule: "I6",
        find: `const look = !state.replacesSeen;`,
        replace: `const look = false;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/session-log.ts",
    [suite.WAYS_OUT],
    [
      {
        name: "a file that was taken away is no session",
        rule: "I6",
        find: `if (file.status === "absent" && this.revisionElsewhere?.(key) !== undefined) {`,
        replace: `if (file.status !== file.status) {`,
      },
    ],
  ),
];

export const CHECKPOINTS = [
  ...DAMAGED,
  ...CHECKPOINT,
  ...FLUSH,
  ...ENTRY,
  ...STAGING,
  ...SEALING,
  ...SPACE,
  ...RESERVE,
  ...DEAD,
  ...MAINTENANCE,
  ...DIRTY,
  ...SWEEP,
];
