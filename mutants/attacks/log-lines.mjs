// @ts-check
/** Mutants of one line of the log: its checksum, its members, and what is torn in front of it. */
import { BAD_LOG, LOG_LINE, TAIL, inFile } from "../suites.mjs";

export const LOG_LINES = inFile(
  "src/format/log-line.ts",
  [LOG_LINE, ...TAIL, ...BAD_LOG],
  [
    {
      name: "zeros are not told from other damage",
      rule: "power cut",
      find: `zeros: bytes.subarray(start, end).includes(0) };`,
      replace: `zeros: false };`,
    },
    {
      name: "a torn write in front of a line is damage",
      rule: "torn writes",
      find: `piece.kind === "unreadable" && isBeginning(bytes, at, next);`,
      replace: `(false as boolean) && isBeginning(bytes, at, next);`,
    },
    {
      name: "whatever stands in front of a line is a torn write",
      rule: "torn writes",
      find: `piece.kind === "unreadable" && isBeginning(bytes, at, next);`,
      replace: `piece.kind === "unreadable";`,
    },
    {
      name: "a line that lacks its newline is damage if a write was torn behind it",
      rule: "torn writes",
      find: `behind <= start || end - behind > SHORT_BYTES_MAX) return piece;`,
      replace: `behind < end) return piece;`,
    },
    {
      name: "whatever stands behind a line that lacks its newline was torn there",
      rule: "torn writes",
      find: `return SHORT_BEGINNINGS.test(bytes.toString("latin1", behind, end))\n    ? parseLogLine`,
      replace: `return SHORT_BEGINNINGS.test("")\n    ? parseLogLine`,
    },
    {
      name: "any number of beginnings stand behind a line that lacks its newline",
      rule: "torn writes",
      find: `behind <= start || end - behind > SHORT_BYTES_MAX) return piece;`,
      replace: `behind <= start) return piece;`,
    },
    {
      name: "a piece with control bytes is a torn write",
      rule: "torn writes",
      find: `if (byte < SPACE) return false; // JSON escapes those`,
      replace: ``,
    },
    {
      name: "a complete line with a wrong checksum is a torn write",
      rule: "torn writes",
      find: `if (closers.length === 0) return false;`,
      replace: ``,
    },
    {
      name: "a brace in a string closes a line",
      rule: "torn writes",
      find: `else if (inString) continue;`,
      replace: ``,
    },
    {
      name: "an escaped quote ends a string",
      rule: "torn writes",
      find: `if (byte === BACKSLASH && inString && (bytes[at + 1] ?? 0) >= SPACE) at++;\n    else if`,
      replace: `if`,
    },
    {
      name: "a control byte behind a backslash is not looked at",
      rule: "torn writes",
      find: `inString && (bytes[at + 1] ?? 0) >= SPACE) at++;`,
      replace: `inString) at++;`,
    },
    {
      name: "a line may begin in the text of a record",
      rule: "torn writes",
      find: `FIRST_LETTERS.includes(piece[brace + FIRST_BRACE.length] ?? 0) &&`,
      replace: `piece.length > 0 &&`,
    },
    {
      name: "several short torn writes are damage",
      rule: "torn writes",
      find: `at >= Math.max(start, end - SHORT_BYTES_MAX); at--`,
      replace: `at >= end; at--`,
    },
    {
      name: "a gap begins behind the torn bytes in front of it",
      rule: "rule 3",
      find: `placed.push({ at, from, line: piece });`,
      replace: `placed.push({ at, from: at, line: piece });`,
    },
    {
      name: "any bytes at the end are a torn write",
      rule: "torn writes",
      find: `=== "unreadable") return false;\n    at = next;`,
      replace: `=== "unreadable") void at;\n    at = next;`,
    },
    {
      name: "a header of format 1 counts",
      rule: "rule 1",
      find: `if (!isCount(after) || after >= firstRevision) return malformed("malformed header");`,
      replace: `if (!isCount(after)) return malformed("malformed header");`,
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
      find: `for (const name of Object.keys(value)) if (!RECORD_MEMBERS.has(name)) return malformed("malformed record");`,
      replace: `void RECORD_MEMBERS;`,
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
