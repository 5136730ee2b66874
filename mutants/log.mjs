// @ts-check
/** Mutants of the commit log: the verdict, appending, reading on, the next segment, durability. */
import * as suite from "./suites.mjs";
import { inFile } from "./suites.mjs";

const { BAD_LOG, DURABLE, EDGES, ENGINE, FAILING, LOG_LINE, RULES, SYMLINKS, TAIL, VERDICT } = suite;

const VERDICTS = inFile(
  "src/log/verdict.ts",
  [VERDICT],
  [
    {
      name: "lines behind the seal count",
      rule: "rule 2",
      find: `if (ledger.sealed) return { fate: "void", reason: "behind the seal" }; // rule 2`,
      replace: ``,
    },
    {
      name: "a hole does not end the segment",
      rule: "rule 2",
      find: `ledger.sealed = true;\n      return { fate: "sealed", hole: true };`,
      replace: `return { fate: "sealed", hole: true };`,
    },
    {
      name: "a seal does not end the segment",
      rule: "rule 2",
      find: `ledger.sealed = true;\n      ledger.wantedFirstRevision`,
      replace: `ledger.wantedFirstRevision`,
    },
    {
      name: "what a seal asks of the next segment is forgotten",
      rule: "O5",
      find: `ledger.wantedFirstRevision = line.seal.firstRevision ?? 0;`,
      replace: ``,
    },
    {
      name: "a second header counts",
      rule: "rule 1",
      find: `if (ledger.firstRevision !== undefined) return { fate: "void", reason: "a second header" };`,
      replace: ``,
    },
    {
      name: "the header of another segment counts",
      rule: "rule 1",
      find: `if (header.segment !== ledger.number) return { fate: "void", reason: "header of another segment" };`,
      replace: ``,
    },
    {
      name: "the first commit takes the revision behind the first one",
      rule: "rule 5",
      find: `ledger.lastRevision = header.firstRevision - 1;`,
      replace: `ledger.lastRevision = header.firstRevision;`,
    },
    {
      name: "a seal before the header counts",
      rule: "rule 1",
      find: `if (ledger.firstRevision === undefined) return { fate: "void", reason: "before the header" };\n      ledger.sealed`,
      replace: `ledger.sealed`,
    },
    {
      name: "a record before the header counts",
      rule: "rule 1",
      find: `if (ledger.firstRevision === undefined) return { fate: "void", reason: "before the header" };\n  if (record.g`,
      replace: `ledger.firstRevision ??= 1;\n  if (record.g`,
    },
    {
      name: "a record composed for another segment counts",
      rule: "rule 3",
      find: `if (record.g !== ledger.number) return { fate: "void", reason: "composed for another segment" }; // rule 3`,
      replace: ``,
    },
    {
      name: "one op that fails does not void the record",
      rule: "rule 5",
      find: `if (refusal !== undefined) return { fate: "void", reason: refusal }; // rule 5`,
      replace: ``,
    },
    {
      name: "a patch is the first change of a key in a segment",
      rule: "rule 4",
      find: `if (op.p !== undefined) return "a patch cannot be the first change of a key in a segment";`,
      replace: ``,
    },
    {
      name: "any base is older than the segment",
      rule: "rule 4",
      find: `if (op.b !== undefined && op.b >= firstRevision) return "base is not older than the segment";`,
      replace: `void firstRevision;`,
    },
    {
      name: "the first revision of the segment is older than the segment",
      rule: "rule 4",
      find: `op.b >= firstRevision`,
      replace: `op.b > firstRevision`,
    },
    {
      name: "a base need not be the latest change",
      rule: "rule 4",
      find: `if (op.b !== undefined && op.b !== changed) return "base is not the latest revision";`,
      replace: ``,
    },
    {
      name: "a base may be newer than the latest change",
      rule: "rule 4",
      find: `op.b !== changed`,
      replace: `op.b < changed`,
    },
    {
      name: "a deleted session is patched",
      rule: "rule 4",
      find: `if (op.p !== undefined && changed === 0) return "a patch of a deleted session";`,
      replace: ``,
    },
    {
      name: "after a delete the base is the delete's revision",
      rule: "F12",
      find: `ledger.changed.set(op.k, 0);`,
      replace: `ledger.changed.set(op.k, revision);`,
    },
    {
      name: "a check counts as a change",
      rule: "F13",
      find: `else if (op.s !== undefined || op.p !== undefined) ledger`,
      replace: `else ledger`,
    },
  ],
);

const LINES = inFile(
  "src/format/log-line.ts",
  [LOG_LINE, TAIL, BAD_LOG],
  [
    {
      name: "a line with NUL bytes is a damaged line and no hole",
      rule: "rule 2, F8",
      find: `if (line.kind === "void" && bytes.subarray(start, end).includes(0)) return { kind: "hole" };`,
      replace: ``,
    },
    {
      name: "a line of 32 MiB counts",
      rule: "limit",
      find: `if (end - start > LINE_BYTES_MAX) return`,
      replace: `if (end - start > 2 * LINE_BYTES_MAX) return`,
    },
    {
      name: "a line counts whatever its checksum",
      rule: "rule 1, checksum",
      find: `if (crc32Number(json) !== readHex(bytes, start))`,
      replace: `if (false as boolean)`,
    },
    {
      name: "a line that is not UTF-8 counts",
      rule: "rule 1",
      find: `if (text.includes("\\ufffd") && !isUtf8(json)) return lineVoid("not UTF-8");`,
      replace: ``,
    },
    {
      name: "a line with a replacement character of its own does not count",
      rule: "rule 1",
      find: `text.includes("\\ufffd") && !isUtf8(json)`,
      replace: `text.includes("\\ufffd")`,
    },
    {
      name: "an op with an unknown member counts",
      rule: "rule 1",
      find: `return "an op with an unknown member";`,
      replace: `break;`,
    },
    {
      name: "a record with an unknown member counts",
      rule: "rule 1",
      find: `if (!hasOnly(value, 5) || !isName(w)`,
      replace: `if (!isName(w)`,
    },
    {
      name: "a record that has a key twice counts",
      rule: "rule 1",
      find: `checked.length > 1 && new Set(checked.map((op) => op.k)).size < checked.length`,
      replace: `false as boolean`,
    },
    {
      name: "an entry of any depth counts",
      rule: "limit",
      find: `if (!isWithinDepth(value)) return "an entry that nests too deep";`,
      replace: ``,
    },
    {
      name: "a patch of a session that must not exist counts",
      rule: "rule 1",
      find: `if (patch && op["b"] === 0) return "a patch of a session that must not exist";`,
      replace: ``,
    },
    {
      name: "a patch or check without base counts",
      rule: "rule 1",
      find: `if (!based && (patch || kinds === 0)) return "a patch or check without base";`,
      replace: ``,
    },
    {
      name: "an op that sets and deletes counts",
      rule: "rule 1",
      find: `if (kinds > 1) return "an op of several kinds";`,
      replace: ``,
    },
  ],
);

const APPEND = inFile("src/log/append.ts", ENGINE, [
  {
    name: "the sync of a commit begins before its line is written",
    rule: "O6",
    suites: [suite.COMMIT],
    find: `written = this.fs.write(segment.fd, bytes, 0, bytes.length);\n    } catch (error) {\n      failure = error;\n    }\n    if (written === bytes.length) onWritten?.();`,
    replace: `onWritten?.();\n      written = this.fs.write(segment.fd, bytes, 0, bytes.length);\n    } catch (error) {\n      failure = error;\n    }`,
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
    suites: [suite.WRITER, BAD_LOG],
    find: `if (line.length > LINE_BYTES_MAX) {`,
    replace: `if (line.length > 2 * LINE_BYTES_MAX) {`,
  },
  {
    name: "no newline in front of a record behind torn bytes",
    rule: "O2",
    find: `const bytes = torn ? Buffer.concat([NEWLINE, line]) : line;`,
    replace: `const bytes = line;`,
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
    name: "a whole record without its newline counts as not written",
    rule: "O2",
    find: `if (complete) throw this.#unknown(segment, error);`,
    replace: `void complete;`,
  },
  {
    name: "a torn line is not ended",
    rule: "O2",
    find: `this.fs.write(segment.fd, NEWLINE, 0, 1);`,
    replace: ``,
  },
  {
    name: "a torn line that committed counts as not written",
    rule: "O2, read-back",
    suites: [suite.APPEND],
    find: `if (this.#awaitedRevision > 0) return this.#awaitedRevision;`,
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
    find: `this.#awaited = record.n;\n      this.#awaitedRevision = 0;`,
    replace: `this.#awaited = record.n;`,
  },
  {
    name: "records of other writers are taken for our own",
    rule: "O2",
    find: `record.n === this.#awaited && record.w === this.writerId`,
    replace: `record.n === this.#awaited`,
  },
  {
    name: "a read-back that comes back short decides",
    rule: "O1",
    find: `this.#readOn(segment, this.tail.fill(segment, count));`,
    replace: `this.#readOn(segment, count);`,
  },
  {
    name: "no newline in front of a seal behind torn bytes",
    rule: "O2, seal",
    suites: [suite.APPEND],
    find: `const bytes = segment.undecided > 0 ? Buffer.concat([NEWLINE, line]) : line;`,
    replace: `const bytes = line;`,
  },
]);

const TAILS = inFile(
  "src/log/tail.ts",
  [TAIL, ...ENGINE],
  [
    {
      name: "a read that comes back short is the end",
      rule: "O1",
      find: `if (count === 0) break;\n      filled += count;`,
      replace: `filled += count;\n      break;`,
    },
    {
      name: "a last line without its newline is decided",
      rule: "O1",
      find: `if (newline < 0) break; // O1`,
      replace:
        `if (newline < 0 && start < bytes.length) {\n        this.#decide(segment, parseLogLine(bytes, start, bytes.length));\n` +
        `        start = bytes.length;\n      }\n      if (newline < 0) break;`,
    },
    {
      name: "a start-over is not counted",
      rule: "O12",
      find: `this.epoch++;`,
      replace: ``,
    },
    {
      name: "nobody is told of a start-over",
      rule: "O12",
      suites: [RULES],
      find: `this.observer.startedOver();`,
      replace: ``,
    },
    {
      name: "a next segment that is gone is one that is not made yet",
      rule: "O12",
      find: `if (highest === sealed.number) return false;`,
      replace: `return false;`,
    },
    {
      name: "reading begins below a gap",
      rule: "O11",
      find: `const [lowest] = liveRun(this.listLog());`,
      replace: `const [lowest] = this.listLog().sort((a, b) => a - b);`,
    },
    {
      name: "a segment of another store is read",
      rule: "log_foreign",
      suites: [TAIL, BAD_LOG],
      find: `if (line.header.store !== this.storeId) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "revisions may go back",
      rule: "log_damaged",
      suites: [TAIL, BAD_LOG],
      find: `if (line.header.firstRevision <= before) throw damaged(segment, "its first revision goes back");`,
      replace: `void before;`,
    },
    {
      name: "a segment without a header is an empty one",
      rule: "log_damaged",
      suites: [TAIL, BAD_LOG],
      find: `if (segment.ledger.firstRevision === undefined) throw damaged(segment, "it has no valid header line");`,
      replace: ``,
    },
    {
      name: "a hole in place of the header ends the segment",
      rule: "log_damaged",
      suites: [TAIL, BAD_LOG],
      find: `if (sealed.ledger.firstRevision === undefined) throw damaged(sealed, "it has no valid header line");`,
      replace: ``,
    },
    {
      name: "zeros at the beginning of a long line are no hole",
      rule: "rule 2, F8",
      find: `hole: this.buffer.includes(0) };`,
      replace: `hole: false };`,
    },
    {
      name: "zeros further on in a long line are no hole",
      rule: "rule 2, F8",
      find: `line.hole ||= this.buffer.subarray(0, end).includes(0);`,
      replace: ``,
    },
    {
      name: "the log is read through links in place of its folders",
      rule: "O_NOFOLLOW",
      suites: [TAIL, SYMLINKS],
      find: `for (const folder of [layout.store, layout.log]) assertFolder(fs, folder);`,
      replace: ``,
    },
    {
      name: "the log is read from inside its own reading",
      rule: "re-entrancy",
      suites: [EDGES],
      find: `if (this.#deciding) throw new TypeError(REENTERED);`,
      replace: ``,
    },
  ],
);

const LIVE_RUN = inFile(
  "src/format/layout.ts",
  [TAIL],
  [
    {
      name: "segments below a gap are live",
      rule: "O11",
      find: `return sorted.slice(Math.max(low, 0));`,
      replace: `return sorted;`,
    },
  ],
);

const PLACE = inFile(
  "src/log/place.ts",
  [suite.PLACE],
  [
    {
      name: "another file in the segment's place is the segment",
      rule: "O15",
      find: `return one.inode === other.inode && one.device === other.device;`,
      replace: `return one.inode >= 0n && other.inode >= 0n;`,
    },
    {
      name: "a store that is gone is looked for once a second only",
      rule: "O15",
      find: `this.#lookedAt = Number.NEGATIVE_INFINITY; // once it is gone, every call looks`,
      replace: ``,
    },
    {
      name: "answers rest on any old look",
      rule: "O15",
      find: `if (this.options.monotonic() - this.#lookedAt <= LOOK_MS) return;`,
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
    find: `sealed.directorySynced = false; // the seal's own directory entry must be durable too, whoever made it`,
    replace: ``,
    equivalent:
      "a segment counts as synced only after log/ was synced since it has its name, and a name in log/ never changes",
  },
  {
    name: "a segment is made after a start-over",
    rule: "O12",
    find: `if (tail.active !== sealed) return; // started over meanwhile: then nothing is known to be durable`,
    replace: ``,
    equivalent:
      "the sync holds the sealed segment open and is real whatever was started over; and the look at the very file decides",
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
    name: "who comes too late does not start over",
    rule: "O12",
    find: `if (!stillThere && tail.active === sealed) tail.startOver();`,
    replace: ``,
  },
  {
    name: "a staging folder's name is made twice",
    rule: "O13",
    find: "return `${segment}-${runtime.randomName(8)}`;",
    replace: "void runtime;\n  return `${segment}-00000000`;",
  },
  {
    name: "a segment that a raised seal asked for begins where the last one ended",
    rule: "O5",
    find: `Math.max(sealed.ledger.lastRevision + 1, sealed.ledger.wantedFirstRevision)`,
    replace: `sealed.ledger.lastRevision + 1`,
  },
  {
    name: "a failed attempt leaves its staging folder",
    rule: "full disk",
    suites: [EDGES],
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

const DURABILITY = inFile("src/log/durability.ts", ENGINE, [
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
    find: `this.#way = [layout.store, layout.root, parent];`,
    replace: `this.#way = parent === "" ? [layout.root] : [];`,
  },
  {
    name: "the folder with the store's own name is not synced",
    rule: "O6, F3",
    suites: [DURABLE],
    find: `this.#way = [layout.store, layout.root, parent];`,
    replace: `this.#way = [layout.store, parent === "" ? "" : layout.root];`,
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
    suites: [RULES, FAILING],
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
    find: `.then(() => this.place.look(segment))`,
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

export const LOG = [
  ...VERDICTS,
  ...LINES,
  ...APPEND,
  ...TAILS,
  ...LIVE_RUN,
  ...PLACE,
  ...NEXT,
  ...DURABILITY,
  ...SEGMENT,
];
