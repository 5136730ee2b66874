// @ts-check
/** Mutants of what a record of the log counts: its line, the verdict, reading on, the live run of segments. */
import { ENGINE, BAD_LOG, CALLBACKS, LOG_LINE, RULES, SYMLINKS, TAIL, VERDICT, inFile } from "../suites.mjs";

const VERDICTS = inFile(
  "src/log/verdict.ts",
  [VERDICT],
  [
    {
      name: "lines behind the seal count",
      rule: "rule 2",
      find: `if (ledger.sealed) return { fate: "superseded", reason: "behind the seal" }; // rule 2`,
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
      find: `if (ledger.firstRevision !== undefined) return { fate: "malformed", reason: "a second header" };`,
      replace: ``,
    },
    {
      name: "the header of another segment counts",
      rule: "rule 1",
      find: `if (header.segment !== ledger.number) return { fate: "malformed", reason: "header of another segment" };`,
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
      find: `if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };\n      ledger.sealed`,
      replace: `ledger.sealed`,
    },
    {
      name: "a record before the header counts",
      rule: "rule 1",
      find: `if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };\n  if (record.g`,
      replace: `ledger.firstRevision ??= 1;\n  if (record.g`,
    },
    {
      name: "a record composed for another segment counts",
      rule: "rule 3",
      find: `if (record.g !== ledger.number) return { fate: "superseded", reason: "composed for another segment" }; // rule 3`,
      replace: ``,
    },
    {
      name: "one op that fails does not supersede the record",
      rule: "rule 5",
      find: `if (refusal !== undefined) return { fate: "superseded", reason: refusal }; // rule 5`,
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
      find: `if (line.kind === "malformed" && bytes.subarray(start, end).includes(0)) return { kind: "hole" };`,
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
      find: `if (text.includes("\\ufffd") && !isUtf8(json)) return malformed("not UTF-8");`,
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

const TAILS = inFile(
  "src/log/log-tail.ts",
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
      name: "a rewind is not counted",
      rule: "O12",
      find: `this.epoch++;`,
      replace: ``,
    },
    {
      name: "nobody is told of a rewind",
      rule: "O12",
      suites: [...RULES],
      find: `this.observer.rewound();`,
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
      suites: [CALLBACKS],
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

export const WHAT_COUNTS = [...VERDICTS, ...LINES, ...TAILS, ...LIVE_RUN];
