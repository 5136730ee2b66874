// @ts-check
/** Mutants of the work in the background, and of the room that it keeps and gives back. */
import * as suite from "../suites.mjs";
import { READ_ONLY, RULES, STRAY, SYMLINKS, inFile } from "../suites.mjs";

const BACKGROUND = inFile(
  "src/engine/directory/background-work.ts",
  [suite.BACKGROUND, ...RULES, suite.FLUSH, suite.FULL_DISK],
  [
    {
      name: "a store is closed while room is being made",
      rule: "close",
      suites: [suite.BUG_BASE],
      find: `await this.#room.settled();`,
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
      find: `if (!complete) for (const key of keys) this.dirty.makeDue(key);`,
      replace: `void complete;`,
    },
    {
      name: "nobody checkpoints what a dead process has sealed",
      rule: "step in",
      find: `this.#checkpointSoon(damaged ? 0 : this.#stepInMs() * (1 + runtime.random()));`,
      replace: `if (damaged) this.#checkpointSoon(0);\n    void runtime;`,
    },
    {
      name: "who opens a store does not go on with its checkpoints",
      rule: "step in",
      find: `if (active.ledger.sealed || active.damaged || segments.length > 1) this.#checkpointSoon(0);`,
      replace: `void active;\n    void segments;`,
    },
    {
      name: "a process at rest does not look what others have written",
      rule: "step in",
      suites: suite.DAMAGED_LOG,
      find: `    this.#lookAround();\n  }\n\n  #lookAround`,
      replace: `    void this.#lookAround;\n  }\n\n  #lookAround`,
    },
    {
      name: "a damaged segment is not ended by who only reads it",
      rule: "step in",
      suites: suite.DAMAGED_LOG,
      find: `    await this.#endDamaged();\n`,
      replace: `    void this.#endDamaged;\n`,
    },
    {
      name: "who opens a store does not write the files that dead processes owed",
      rule: "flush",
      find: `for (const [key, state] of this.log.hot) this.#maybeFlushed.set(key, state);`,
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
      equivalent:
        "the second attempt of a commit does the second phase; it only costs one attempt more that fails",
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
      find: `assertInternalFolder(this.log.options.fs, this.log.options.layout);`,
      replace: ``,
    },
  ],
);

const SHARED_SEGMENT = inFile(
  "src/engine/directory/shared-segment-watch.ts",
  [suite.SHARED_LOG],
  [
    {
      name: "a segment that a copy of hard links shares is appended to for ever",
      rule: "link count",
      find: `if (links <= 1) this.#shared = undefined;`,
      replace: `if (links >= 0) this.#shared = undefined;`,
    },
    {
      name: "a second name of a moment is worth a segment",
      rule: "link count",
      find: `now - this.#shared.since >= SECOND_NAME_MS &&`,
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
      name: "a session is written in every round, however often it changes",
      rule: "passed over",
      find: `if (revision === undefined || revision === dirty.revision || dirty.passedOver`,
      replace: `if (revision !== -1 || dirty.passedOver`,
    },
  ],
);

const SWEEP = inFile(
  "src/engine/directory/sweep.ts",
  [suite.SWEEP, ...RULES, STRAY, READ_ONLY],
  [
    {
      name: "empty session folders stay",
      rule: "O11, F14",
      find: `if ((await namesIn(fs, folder)).length === 0) await removeIfEmpty(fs, folder);`,
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

const SPACE = inFile(
  "src/engine/directory/space.ts",
  [suite.FULL_DISK, suite.SPACE],
  [
    {
      name: "what keeps the dead from being removed is told as a disk that is only full",
      rule: "disk full",
      suites: [suite.SPACE],
      find: `cause instanceof SessionStoreError && !isDiskFull(cause) ? cause : undefined`,
      replace: `cause instanceof SessionStoreError && isDiskFull(cause) ? cause : undefined`,
    },
    {
      name: "work that meets a full disk does not get the reserve",
      rule: "reserve",
      find: `if (!isDiskFull(error)) throw error;`,
      replace: `if (isDiskFull(error) || this.short || error !== undefined) throw error;`,
    },
    {
      name: "commits do not wait for entry files on a small disk",
      rule: "reserve",
      find: `return this.short || this.inDebt ||`,
      replace: `return this.short ||`,
    },
    {
      name: "what commits take is no reason to look at the room",
      rule: "reserve",
      find: `this.#takenBytes += bytes;`,
      replace: `void bytes;`,
    },
    {
      name: "a new reserve takes the room of work that was given the old one",
      rule: "reserve",
      find: `if (this.#spending > 0 || possible`,
      replace: `if (possible`,
    },
    {
      name: "a reserve that is being made is not waited for",
      rule: "reserve",
      find: `await this.#makingReserve; //`,
      replace: `//`,
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
      find: `if (await making) this.short`,
      replace: `if (bytes < 0 && (await making)) this.short`,
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
      name: "the reserve is a hole",
      rule: "reserve",
      find: `return randomBytes(bytes);`,
      replace: `void randomBytes;\n  return Buffer.alloc(bytes);`,
    },
    {
      name: "a reserve for which there is no room is an error",
      rule: "reserve",
      find: `if (isDiskFull(error) || isMissing(error)) return false;`,
      replace: `if (isDiskFull(error) && bytes < 0) return false;`,
    },
  ],
);

export const BACKGROUND_WORK = [...BACKGROUND, ...SHARED_SEGMENT, ...DIRTY, ...SWEEP, ...SPACE, ...RESERVE];
