// @ts-check
/** Mutants of appending to the log: the place, the next segment, durability. */
import * as suite from "../suites.mjs";
import { BAD_LOG, DURABLE, ENGINE, FAILING, RULES, inFile } from "../suites.mjs";

const APPEND = inFile("src/log/log-writer.ts", ENGINE, [
  {
    name: "the sync of a commit begins before its line is written",
    rule: "O6",
    suites: [suite.COMMIT],
    find: `written = this.fs.write(segment.fd, line, 0, line.length);\n    } catch (error) {\n      failure = error;\n    }\n    if (written === line.length) onWritten?.();`,
    replace: `onWritten?.();\n      written = this.fs.write(segment.fd, line, 0, line.length);\n    } catch (error) {\n      failure = error;\n    }`,
  },
  {
    name: "a line has no more room than most need",
    rule: "one write",
    suites: [suite.WRITER],
    find: `const space = bytesMax <= LINE_SPACE_BYTES ? this.#space`,
    replace: `const space = bytesMax > 0 ? this.#space`,
  },
  {
    name: "a record longer than a line may be is written",
    rule: "limit",
    suites: [suite.WRITER, ...BAD_LOG],
    find: `if (line.length > LINE_BYTES_MAX) {`,
    replace: `if (line.length > 2 * LINE_BYTES_MAX) {`,
  },
  {
    name: "what comes back is not compared",
    rule: "O1, read-back",
    suites: [suite.APPEND],
    find: `count === written && line.compare(buffer, 0, count) === 0`,
    replace: `count === written`,
  },
  {
    name: "the error of a write decides, and not the log",
    rule: "read-back",
    find: `      failure = error;\n    }`,
    replace: `      throw error;\n    }`,
  },
  {
    name: "a record that cannot be read back counts as not written",
    rule: "read-back",
    find: `    } catch (error) {\n      throw this.#unknown(segment, error);`,
    replace: `    } catch (error) {\n      throw error;`,
  },
  {
    name: "a record behind a gap counts as void",
    rule: "gap",
    suites: [suite.WRITER],
    find: `    if (segment.damaged) throw this.#unknown(segment, failure ?? unreadable(segment));\n`,
    replace: `    void unreadable;\n`,
  },
  {
    name: "a record that another's line can still make count is void",
    rule: "O2",
    suites: [suite.WRITER],
    find: `if (from >= 0 && from < tail.length - line.length + 1) throw error;`,
    replace: ``,
  },
  {
    name: "a record that lacks only its newline does not get it",
    rule: "O2",
    suites: [suite.WRITER],
    find: `this.fs.write(segment.fd, NEWLINE, 0, 1);`,
    replace: ``,
  },
  {
    name: "a torn line that committed counts as not written",
    rule: "O2, read-back",
    suites: [suite.WRITER],
    find: `      if (this.#commit !== undefined) return this.#commit;\n`,
    replace: ``,
  },
  {
    name: "a repeated record keeps its number",
    rule: "O2",
    suites: [suite.APPEND],
    find: `return ++this.#number;`,
    replace: `return (this.#number ||= 1);`,
  },
  {
    name: "the revision of the last record is taken for this one's",
    rule: "O2",
    suites: [suite.APPEND],
    find: `this.#awaited = record.n;\n      this.#commit = undefined;`,
    replace: `this.#awaited = record.n;`,
  },
  {
    name: "records of other writers are taken for our own",
    rule: "O2",
    find: `n === this.#awaited && w === this.writerId`,
    replace: `n === this.#awaited && w !== ""`,
  },
  {
    name: "a read-back that comes back short decides",
    rule: "O1",
    find: `const found = this.tail.fill(segment, count);`,
    replace: `const found = count;`,
  },
  {
    name: "a seal is glued to what is no torn write",
    rule: "gap, seal",
    suites: [suite.WRITER],
    find: `const ended = segment.undecided === 0 || this.tail.isTornAtEnd(segment);`,
    replace: `const ended = true as boolean;`,
  },
  {
    name: "a seal ends a torn write",
    rule: "O2, seal",
    suites: [suite.WRITER],
    find: `const ended = segment.undecided === 0 || this.tail.isTornAtEnd(segment);`,
    replace: `const ended = segment.undecided === 0;`,
  },
]);

const PLACE = inFile(
  "src/log/store-place.ts",
  [suite.PLACE],
  [
    {
      name: "another file in the segment's place is the segment",
      rule: "O15",
      find: `if (isSameFile(status, segment.identity)) return;`,
      replace: `if (segment.identity.inode >= 0n) return;`,
    },
    {
      name: "a store that is gone is looked for once a second only",
      rule: "O15",
      find: `this.#checkedAt = Number.NEGATIVE_INFINITY; // once it is gone, every call checks`,
      replace: ``,
    },
    {
      name: "answers rest on any old look",
      rule: "O15",
      find: `if (this.options.monotonic() - this.#checkedAt <= PLACE_CHECK_MS) return;`,
      replace: `return;`,
    },
    {
      name: "a segment that is missing was checkpointed, whatever is there",
      rule: "O15",
      find: `if (highest <= number) throw gone(path, highest > 0);`,
      replace: ``,
    },
    {
      name: "a segment that others have checkpointed is a store that is gone",
      rule: "O15, O11",
      find: `this.reading.catchUp();`,
      replace: ``,
    },
  ],
);

const NEXT = inFile("src/log/next-segment.ts", ENGINE, [
  {
    name: "the sealed segment is not synced before its successor exists",
    rule: "O7, F2",
    find: `await maker.syncer.sync(sealed);`,
    replace: ``,
  },
  {
    name: "the name of the sealed segment is not synced again",
    rule: "O7, F2",
    find: `sealed.directorySynced = false; // the seal's own directory entry must be durable too, whichever process made it`,
    replace: ``,
    equivalent:
      "a segment counts as synced only after log/ was synced since it has its name, and a name in log/ never changes",
  },
  {
    name: "a segment is made after a rewind",
    rule: "O12",
    find: `if (tail.active !== sealed) return; // rewound meanwhile: then nothing is known to be durable`,
    replace: ``,
    equivalent:
      "the sync holds the sealed segment open and is real whatever was rewound; and the look at the very file decides",
  },
  {
    name: "a staged segment is not synced",
    rule: "O7, F6",
    find: `{ sync: true }).catch(ignoreFenced);`,
    replace: `{ sync: false }).catch(ignoreFenced);`,
  },
  {
    name: "stage/ is not synced",
    rule: "O7, F6",
    find: `await syncDirectory(fs, layout.stage);`,
    replace: ``,
  },
  {
    name: "nobody looks whether the sealed segment is still there",
    rule: "O7, F1",
    find: `const stillThere = isSameFile(fs, sealed);`,
    replace: `const stillThere = (isSameFile(fs, sealed), true as boolean);`,
  },
  {
    name: "any file of that name is the sealed segment",
    rule: "O7, F1",
    find: `return inode === segment.identity.inode && device === segment.identity.device;`,
    replace: `return inode >= 0n && device >= 0n;`,
  },
  {
    name: "a segment is published by a rename over what is there",
    rule: "O7",
    find: `await fs.later.link(staged, path);`,
    replace: `await fs.later.rename(staged, path);`,
  },
  {
    name: "log/ is not synced after a segment was published",
    rule: "O7",
    find: `if (published) await syncDirectory(fs, layout.log);`,
    replace: ``,
    equivalent:
      "whoever acknowledges in a segment, or leans on it, syncs log/ itself (O6); if its name is lost before that, it is made again",
  },
  {
    name: "who loses the race leaves a staging folder",
    rule: "O7, F14",
    find: `if (!won) await gone(fs.later.rmdir(layout.stageFolder(stage)));`,
    replace: `void won;`,
  },
  {
    name: "the staged name of a segment stays",
    rule: "O7",
    find: `await gone(fs.later.unlink(staged));`,
    replace: `void staged;`,
  },
  {
    name: "who comes too late does not rewind",
    rule: "O12",
    find: `if (!stillThere && tail.active === sealed) tail.rewind();`,
    replace: ``,
  },
  {
    name: "a staging folder's name is made twice",
    rule: "O13",
    find: "return `${segment}-${runtime.randomName(8)}`;",
    replace: "void runtime;\n  return `${segment}-00000000`;",
  },
  {
    name: "a segment begins where the last one ended, whatever its seal asked for",
    rule: "O5",
    find: `firstRevision: sealed.nextFirstRevision,`,
    replace: `firstRevision: sealed.firstRevision + sealed.position,`,
  },
  {
    name: "a failed attempt leaves its staging folder",
    rule: "full disk",
    suites: [suite.FULL_DISK],
    find: `await withdraw(fs, layout, header.stage, stagedPath(layout, header.stage), false).catch(() => {});`,
    replace: ``,
  },
  {
    name: "a segment is made through links in place of the folders",
    rule: "O_NOFOLLOW",
    suites: [suite.NEXT_SEGMENT],
    find: `for (const folder of [layout.store, layout.log, layout.stage]) assertFolder(fs, folder);`,
    replace: ``,
  },
]);

const DURABILITY = inFile("src/log/log-syncer.ts", ENGINE, [
  {
    name: "damage that a look behind the sync meets is told as a sync that failed",
    rule: "O15",
    suites: [DURABLE],
    find: `if (cause instanceof SessionStoreError) return cause;`,
    replace: ``,
  },
  {
    name: "a store is closed while a sync is under way",
    rule: "close",
    suites: [suite.COMMIT],
    find: `const rounds = [...this.#rounds.values()];`,
    replace: `const rounds: Rounds[] = [];`,
  },
  {
    name: "no fdatasync before a commit is acknowledged as durable",
    rule: "O6",
    suites: [DURABLE],
    find: `? this.fs.later.fdatasync(segment.fd)`,
    replace: `? Promise.resolve()`,
  },
  {
    name: "no fdatasync before the first acknowledgement in a segment",
    rule: "O6",
    find: `const data = this.fs.later.fdatasync(segment.fd);`,
    replace: `const data = Promise.resolve();`,
  },
  {
    name: "log/ is not synced",
    rule: "O6, F3",
    find: `      syncDirectory(this.fs, this.layout.log),\n`,
    replace: ``,
  },
  {
    name: "the folders on the way to log/ are not synced",
    rule: "O6, F3",
    find: `this.#ancestorsToSync = [layout.store, layout.root, parent];`,
    replace: `this.#ancestorsToSync = parent === "" ? [layout.root] : [];`,
  },
  {
    name: "the folder with the store's own name is not synced",
    rule: "O6, F3",
    suites: [DURABLE],
    find: `this.#ancestorsToSync = [layout.store, layout.root, parent];`,
    replace: `this.#ancestorsToSync = [layout.store, parent === "" ? "" : layout.root];`,
  },
  {
    name: "a segment's name is believed to be durable",
    rule: "O6, F3",
    find: `const work = segment.directorySynced\n`,
    replace: `const work = (true as boolean)\n`,
  },
  {
    name: "a sync that failed is believed",
    rule: "O6",
    find: `if (failures.length > 0) throw failures.find(isFailedSync) ?? failures[0];`,
    replace: `void failures;`,
    suites: [...RULES, FAILING],
  },
  {
    name: "what failed in front of a sync is as final as a sync",
    rule: "O6",
    find: `if (final) this.failure ??= error;`,
    replace: `this.failure ??= error;`,
    suites: [DURABLE],
  },
  {
    name: "nobody looks whether the store is still there before a commit is acknowledged",
    rule: "O15",
    find: `.then(() => this.place.assertInPlace(segment))`,
    replace: `.then(() => {})`,
    suites: [suite.PLACE],
  },
  {
    name: "an fdatasync that failed is repeated, and believed",
    rule: "O6",
    find: `    return this.failure ?? error;\n`,
    replace: `    const { failure } = this;\n    this.failure = undefined;\n    return failure ?? error;\n`,
  },
  {
    name: "a commit takes part in the round that is under way",
    rule: "group commit",
    suites: [DURABLE],
    find: `return rounds.next;`,
    replace: `return rounds.running;`,
  },
]);

const SEGMENT = inFile("src/log/segment.ts", ENGINE, [
  {
    name: "a descriptor is closed while it is synced",
    rule: "O6",
    find: `if (!this.#dropped || this.#users > 0 || this.#closed) return;`,
    replace: `if (!this.#dropped || this.#closed) return;`,
  },
]);

export const APPENDING = [...APPEND, ...PLACE, ...NEXT, ...DURABILITY, ...SEGMENT];
