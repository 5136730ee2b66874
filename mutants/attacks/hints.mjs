// @ts-check
/** Mutants of hints: what a process that opens a store believes of the log without reading it line by line. */
import { HINTS, inFile } from "../suites.mjs";

const BELIEVING = inFile("src/log/hinted-segment.ts", HINTS, [
  {
    name: "a hint is believed whatever the log's bytes are",
    rule: "H1",
    find: `if ((yield* checksumOf(fs, segment.fd, position, space)) !== checksum) return false;`,
    replace: `if ((yield* checksumOf(fs, segment.fd, position, space)) === undefined) return false;`,
  },
  {
    name: "a log that is shorter than what a hint is about is as good",
    rule: "H1",
    find: `    if (count === 0) return undefined;\n    checksum = crc32Number(space.`,
    replace: `    if (count === 0) return checksum;\n    checksum = crc32Number(space.`,
    equivalent: "fewer bytes have another checksum: this only saves reading on",
  },
  {
    name: "a hint is made of bytes that were damaged after its process had read them",
    rule: "H1",
    find: `if (!line.isRight && !isReadable(fs, fd, lineAt, at + newline)) return undefined;`,
    replace: `void isReadable(fs, fd, lineAt, at + newline);`,
  },
  {
    name: "a hint is made of damaged bytes if a good line is glued to them",
    rule: "H1",
    find: `parseLogLines(bytes, 0, bytes.length).every(`,
    replace: `parseLogLines(bytes, 0, bytes.length).some(`,
  },
  {
    name: "a torn write stops every hint",
    rule: "H1",
    find: `if (!line.isRight && !isReadable(fs, fd, lineAt, at + newline)) return undefined;`,
    replace: `if (!line.isRight && isReadable(fs, fd, lineAt, at + newline)) return undefined;`,
  },
  {
    name: "reading goes on in front of what a hint is about",
    rule: "H1",
    find: `segment.position = position;`,
    replace: `segment.position = lastLineAt;`,
  },
  {
    name: "where the last line begins is forgotten",
    rule: "H1, D6",
    find: `segment.lastLineAt = lastLineAt;`,
    replace: `void lastLineAt;`,
  },
]);

const TAIL = inFile("src/log/log-tail.ts", HINTS, [
  {
    name: "a hint that lacks a live segment is believed",
    rule: "H1, O11",
    find: `if (wanted.length === 0 || !wanted.every(({ number }, index) => number === live[index])) return false;`,
    replace: `if (wanted.length === 0) return false;`,
  },
  {
    name: "segments of a hint that were checkpointed are wanted as well",
    rule: "H1, O11",
    find: `const wanted = hinted.filter(({ number }) => number >= (live[0] ?? 0));`,
    replace: `const wanted = hinted;`,
  },
]);

const SNAPSHOT = inFile("src/engine/directory/session-log.ts", HINTS, [
  {
    name: "a process that cannot read all of the log writes a hint",
    rule: "H1, D1",
    find: `!damaged &&`,
    replace: ``,
  },
  {
    name: "what a hint says of the log goes on changing while it is written",
    rule: "H1",
    find: `ledger: copyLedger(segment.ledger),`,
    replace: `ledger: segment.ledger,`,
    equivalent:
      "the position is of the same instant, and who reads on from there changes the ledger again in the same way",
  },
  {
    name: "what a hint says of segments that were checkpointed stays in memory",
    rule: "H1",
    find: `if (segment < lowest) this.transcripts.release(segment); // checkpointed since`,
    replace: ``,
  },
  {
    name: "the revision of the latest change of a record is not taken over",
    rule: "H1",
    find: `this.#recordsRevision = hint.recordsRevision;`,
    replace: ``,
  },
]);

const LEDGER = inFile("src/log/segment-ledger.ts", HINTS, [
  {
    name: "ids of a transcript are those of later, in a hint",
    rule: "H1, rule 9",
    find: `copies.set(name, { ...entry, ids: new Map(entry.ids) });`,
    replace: `copies.set(name, entry);`,
    equivalent: "a hint is written in slices, and a later id is appended again by whoever reads on",
  },
]);

const FILE = inFile("src/engine/directory/hint/hint-file.ts", HINTS, [
  {
    name: "a hint forgets how many lines were committed",
    rule: "H1, watch",
    find: `      end,\n      commits,\n    });`,
    replace: `      end,\n      commits: Number(commits > 0),\n    });`,
  },
  {
    name: "a hint of a later version is read as one of this",
    rule: "H1",
    find: `if (form !== FORM || store !== this.storeId) return false;`,
    replace: `if (store !== this.storeId) return false;`,
  },
  {
    name: "a hint in another form is a reason to fail",
    rule: "H1",
    find: `    return undefined; // whatever it is, the log has it all`,
    replace: `    throw new TypeError("another form");`,
  },
  {
    name: "a hint of another store is believed",
    rule: "H1",
    find: `if (form !== FORM || store !== this.storeId) return false;`,
    replace: `if (form !== FORM) return false;`,
    equivalent: "the log begins with the store's id, so that its bytes are others",
  },
  {
    name: "a hint without its end is believed",
    rule: "H1",
    find: `return reading.ended ? reading.hint : undefined;`,
    replace: `return reading.hint;`,
  },
  {
    name: "what stands behind the end of a hint counts",
    rule: "H1",
    find: `if (parsed === undefined || reading.ended || !reading.take(parsed)) return undefined;`,
    replace: `if (parsed === undefined || !reading.take(parsed)) return undefined;`,
  },
  {
    name: "the numbers of writers are not in a hint",
    rule: "H1, rule 3",
    find: `yield* block("writers", ledger.numbers, (entry) => JSON.stringify(entry));`,
    replace: ``,
  },
  {
    name: "operations are not in a hint",
    rule: "H1, rule 11",
    find: `yield* block("operations", ledger.operations, ([id, { hash, revision }]) =>
    JSON.stringify([id, hash, revision]),
  );`,
    replace: ``,
  },
  {
    name: "deletes are not in a hint",
    rule: "H1, rule 10",
    find: `yield* block("cleared", ledger.cleared, (entry) => JSON.stringify(entry));`,
    replace: ``,
  },
  {
    name: "a deleted session is one that a hint does not mention",
    rule: "H1, rule 4",
    find: `ledger.changed.set(key, stored === undefined ? 0 : revision);`,
    replace: `if (stored !== undefined) ledger.changed.set(key, revision);`,
  },
  {
    name: "ids of items are not in a hint",
    rule: "H1, rule 9",
    find: `yield* block("ids", ids, ([id, { seq, position }]) => JSON.stringify([id, seq, position]));`,
    replace: ``,
  },
]);

const WRITER = inFile("src/engine/directory/hint/hint-writer.ts", HINTS, [
  {
    name: "a hint comes through the staging folder of the segment that is active by then",
    rule: "H1, O9",
    find: "const temporary = `${layout.stageFolder(last.ledger.stage)}/${runtime.randomName(8)}`;",
    replace:
      "const temporary = `${layout.stageFolder(this.log.active.ledger.stage)}/${runtime.randomName(8)}`;",
  },
  {
    name: "each process writes hints of its own",
    rule: "hints take little",
    find: `this.#look(); // another process may have written one`,
    replace: ``,
  },
  {
    name: "a hint is written at each chance",
    rule: "hints take little",
    find: `GROWTH[when] * this.#known.bytes`,
    replace: `0`,
  },
  {
    name: "a hint takes the room that is left for others",
    rule: "room",
    find: ` || this.options.isShort()) return false;`,
    replace: `) return false;`,
  },
  {
    name: "no room for a hint is a failure",
    rule: "nobody needs a hint",
    find: `if (errnoOf(error) === undefined) throw error;`,
    replace: `throw error;`,
  },
  {
    name: "a hint that could not be moved in stays in the staging folder",
    rule: "I8",
    find: `await ignoreMissing(fs.later.unlink(temporary));`,
    replace: ``,
  },
]);

const CHECKPOINT = inFile("src/engine/directory/checkpointer.ts", HINTS, [
  {
    name: "hints stay when their segment goes",
    rule: "H1, I8",
    find: `if ((hintNumber(name) ?? segment + 1) <= segment)`,
    replace: `if ((hintNumber(name) ?? segment) < segment)`,
  },
  {
    name: "what cannot be removed in place of a hint stops the checkpoint",
    rule: "nobody needs a hint",
    find: ".catch(ignoreRefusal); // the next checkpoint tries again",
    replace: ";",
  },
]);

const BACKGROUND = inFile("src/engine/directory/background-work.ts", HINTS, [
  {
    name: "no hint is written at rest",
    rule: "hints",
    find: `if (revision === this.#lookedAt) void this.#writeHintAtRest();`,
    replace: ``,
  },
  {
    name: "no hint is written under load",
    rule: "hints",
    find: `await this.#hints.writeIfDue("busy");`,
    replace: ``,
  },
  {
    name: "no hint is written at the end",
    rule: "hints",
    find: `    await this.#writeHintAtRest();
    await this.#room`,
    replace: `    await this.#room`,
  },
  {
    name: "what was dead is forgotten by who begins with a hint",
    rule: "dead values",
    find: `resumed: (dead) => this.#dead.resume(dead),`,
    replace: ``,
  },
]);

export const OF_HINTS = [
  ...BELIEVING,
  ...TAIL,
  ...SNAPSHOT,
  ...LEDGER,
  ...FILE,
  ...WRITER,
  ...CHECKPOINT,
  ...BACKGROUND,
];
