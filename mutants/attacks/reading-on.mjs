// @ts-check
/** Mutants of reading on: the live run of segments, from one to the next, gaps, and contradictions. */
import { BAD_LOG, CALLBACKS, DAMAGED_LOG, ENGINE, RULES, SYMLINKS, TAIL, inFile } from "../suites.mjs";

const TAILS = inFile(
  "src/log/log-tail.ts",
  [...TAIL, ...ENGINE],
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
      find: `if (highest === sealed.number) {\n        this.#lookBehindLastSeal`,
      replace: `if (highest >= sealed.number) {\n        this.#lookBehindLastSeal`,
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
      suites: [...TAIL, ...BAD_LOG],
      find: `if (line.header.store !== this.storeId) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a seal that came after the last read is missing",
      rule: "lost seal",
      suites: TAIL,
      find: `      return this.isFollowed(segment);\n    }`,
      replace: `    }\n    if (!this.isFollowed(segment)) return false;`,
    },
    {
      name: "nobody looks whether another segment follows a damaged one",
      rule: "lost seal",
      suites: TAIL,
      find: `      this.listLog();\n      return this.isFollowed(segment);`,
      replace: `      return false;`,
    },
    {
      name: "zeros at the end are a torn write",
      rule: "gap",
      suites: TAIL,
      find: `return isTorn(bytes, 0, bytes.length);`,
      replace: `return true;`,
    },
    {
      name: "a gap at the end is entered again and again",
      rule: "gap",
      suites: TAIL,
      find: `if (segment.ledger.gap !== undefined) return;`,
      replace: ``,
    },
    {
      name: "lines are passed over as long as nothing says where their segment begins",
      rule: "log_damaged",
      suites: TAIL,
      find: `else this.#gaps.beginWithoutHeader(segment, line.kind`,
      replace: `else if (this.observer.beginningOf?.(segment) !== undefined) this.#gaps.beginWithoutHeader(segment, line.kind`,
    },
    {
      name: "zeros at the beginning of a long line are not noticed",
      rule: "power cut",
      find: `zeros: this.buffer.includes(0) };`,
      replace: `zeros: false };`,
    },
    {
      name: "zeros further on in a long line are not noticed",
      rule: "power cut",
      find: `line.zeros ||= this.buffer.subarray(0, end).includes(0);`,
      replace: ``,
    },
    {
      name: "the log is read through links in place of its folders",
      rule: "O_NOFOLLOW",
      suites: [...TAIL, SYMLINKS],
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

const GAPS = inFile(
  "src/log/gap-finder.ts",
  [...TAIL, ...ENGINE],
  [
    {
      name: "revisions may go back",
      rule: "log_damaged",
      suites: [...TAIL, ...BAD_LOG],
      find: `if (header.firstRevision <= sealed.ledger.lastRevision)`,
      replace: `if (false as boolean)`,
    },
    {
      name: "a contradiction stops a process only with its next call",
      rule: "contradiction",
      suites: TAIL,
      find: `contradicted(segment, offset);\n    throw this.#contradiction;`,
      replace: `contradicted(segment, offset);`,
    },
    {
      name: "a header that contradicts is forgotten",
      rule: "contradiction",
      suites: TAIL,
      find: `this.#contradiction = contradicted(segment, offset);\n    throw this.#contradiction;`,
      replace: `throw contradicted(segment, offset);`,
    },
    {
      name: "a process goes on after a contradiction",
      rule: "contradiction",
      suites: [...TAIL, ...DAMAGED_LOG],
      find: `if (this.#contradiction !== undefined) throw this.#contradiction;`,
      replace: ``,
    },
    {
      name: "a segment without its seal is never left",
      rule: "lost seal",
      suites: TAIL,
      find: `segment.endSomewhere();\n    if (segment.ledger.gap`,
      replace: `if (segment.ledger.gap`,
    },
    {
      name: "a seal that is missing is no gap",
      rule: "lost seal",
      suites: TAIL,
      find: `if (segment.ledger.gap === undefined) this.found(segment, segment.position, "its seal is missing", false);`,
      replace: ``,
    },
  ],
);

const LIVE_RUN = inFile("src/format/layout.ts", TAIL, [
  {
    name: "segments below a gap are live",
    rule: "O11",
    find: `return sorted.slice(Math.max(low, 0));`,
    replace: `return sorted;`,
  },
]);

export const READING_ON = [...TAILS, ...GAPS, ...LIVE_RUN];
