// @ts-check
/** Mutants of what is done about a log of which something has cut off the end. */
import { BUG_BASE, CUT, LEFT_BY_POWER_CUT, inFile } from "../suites.mjs";

export const CUT_OFF = [
  ...inFile("src/log/log-tail.ts", CUT, [
    {
      name: "a seal in front of the place where a process reads is not looked for",
      rule: "cut off",
      find: `if (!segment.damaged && this.#endCut(segment)) return true;`,
      replace: ``,
      equivalent:
        "a process lists the log, and so learns that another segment follows, only where it has just looked whether its own is whole",
    },
    {
      name: "a process that knows that the log was cut off does not look who has ended it",
      rule: "cut off",
      find: `if (segment.cutAt !== undefined) return this.#endCut(segment);`,
      replace: ``,
      equivalent:
        "who writes seals the segment, and finds it sealed; who reads finds the seal where it reads, or when the next segment is there",
    },
    {
      name: "what does not follow what was read is taken for damage",
      rule: "cut off",
      find: `if (at === 0 && !this.#follows(segment, line)) return true;`,
      replace: `void this.#follows;`,
    },
    {
      name: "a process goes on from a seal although others went on in front of it",
      rule: "cut off",
      find: `if (segment.ledger.sealedBytes !== undefined && !segment.damaged) this.#gaps.assertAllRead(segment);`,
      replace: ``,
    },
  ]),
  ...inFile("src/log/gap-finder.ts", CUT, [
    {
      name: "a log that ends in front of its mark is whole",
      rule: "cut off",
      find: `if (segment.damaged || segment.position >= durable) return;`,
      replace: `if (segment.damaged || segment.position >= durable * 0) return;`,
    },
    {
      name: "a last line that was durable is taken for torn",
      rule: "cut off",
      find: `if (segment.damaged || segment.position >= durable) return;`,
      replace: `if (segment.damaged || segment.position + segment.undecided >= durable) return;`,
    },
    {
      name: "a record that is not the next one of its writer follows what was read",
      rule: "cut off",
      find: `if (n <= (segment.ledger.numbers.get(w) ?? 0) + 1) return undefined;`,
      replace: `if (n > 0) return undefined;`,
    },
  ]),
  ...inFile("src/log/cut-segment.ts", CUT, [
    {
      name: "a record of others in place of one's own is not seen",
      rule: "cut off",
      find: `return line?.kind !== "record" ||`,
      replace: `return line !== undefined ||`,
    },
    {
      name: "a process goes on although others went on from what was left",
      rule: "cut off",
      find: `if (w !== ownWriter && n >`,
      replace: `if (w === ownWriter && n >`,
    },
  ]),
  ...inFile("src/log/store-place.ts", CUT, [
    {
      name: "nobody looks whether the log is as long as it was",
      rule: "cut off",
      find: `} else if (status.size < position) this.#wasCut(segment, status.size);`,
      replace: `} else void position;`,
    },
  ]),
  ...inFile("src/log/log-writer.ts", CUT, [
    {
      name: "a commit of unknown fate does not tell of the damage",
      rule: "cut off",
      find: `{ ...typed?.data, path: segment.path, reason: typed?.code }`,
      replace: `{ path: segment.path }`,
    },
    {
      name: "a writer does not notice that its record stands where none was read",
      rule: "cut off",
      find: `if (size >= position + written) return;`,
      replace: `if (size >= 0) return;`,
    },
    {
      name: "a segment that was cut off is sealed like any other",
      rule: "cut off",
      find: `if (size < segment.position) segment.cutAt ??= size;`,
      replace: ``,
    },
    {
      name: "who had read more does not find the seal",
      rule: "cut off",
      find: `const missing = seal.bytes - this`,
      replace: `const missing = seal.bytes * 0 - this`,
    },
  ]),
  ...inFile("src/engine/directory/durable-mark.ts", CUT, [
    {
      name: "the mark is lowered",
      rule: "mark",
      find: `if (durableBytes(readMark(fs, layout), segment) >= bytes) return "done";`,
      replace: ``,
    },
    {
      name: "a mark that was copied is believed",
      rule: "mark",
      find: `mark.inode === String(inode) && mark.device === String(device)`,
      replace: `mark.inode !== String(inode + device)`,
    },
  ]),
  ...inFile("src/engine/directory/entry-flush.ts", CUT, [
    {
      name: "entry files are written without a mark",
      rule: "mark",
      find: `if ((await raiseMark(log.options, segment, ledger.gap ?? position)) === "fenced") {`,
      replace: `void raiseMark;\n  if (position < 0) {`,
    },
    {
      name: "the mark covers what a power cut left",
      rule: "mark",
      suites: [BUG_BASE],
      find: `ledger.gap ?? position)`,
      replace: `position)`,
    },
  ]),
  ...inFile("src/engine/directory/log-end.ts", CUT, [
    {
      name: "revisions that were cut off are given again",
      rule: "cut off",
      find: `if (bytes <= segment.position) return { gap };`,
      replace: `if (bytes > 0) return { gap };`,
    },
    {
      name: "what a power cut left is sealed although the log goes on behind it",
      rule: "power cut",
      suites: [LEFT_BY_POWER_CUT],
      find: `this.tail.catchUp();\n      if (segment.ledger.sealed || this.tail.active !== segment) return undefined;`,
      replace: ``,
    },
    {
      name: "revisions that a process has read behind the mark are given again",
      rule: "cut off",
      find: `segment.firstRevision + bytes + UNSAID_BYTES_MAX`,
      replace: `segment.firstRevision + bytes`,
    },
    {
      name: "what others find in place of what was cut off is the last commit",
      rule: "cut off",
      find: `const unknown = cut || this.doubts.isDamaged(segment);`,
      replace: `void cut;\n      const unknown = this.doubts.isDamaged(segment);`,
    },
  ]),
  ...inFile("src/engine/directory/session-log.ts", CUT, [
    {
      name: "files are written of what others went on without",
      rule: "cut off",
      find: `this.#place.lookIfCut(segment);`,
      replace: ``,
    },
    {
      name: "a process that only reads goes on with what is not there",
      rule: "cut off",
      find: `if (this.options.readOnly) this.#tail.rewind();`,
      replace: ``,
    },
  ]),
];
