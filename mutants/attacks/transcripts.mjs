// @ts-check
/** Mutants of transcripts: rules 7 to 11, the steps T1 to T10, operations, and what the doctor does with them. */
import {
  BUG_BASE,
  CHUNK_FILE,
  CHUNK_WRITER,
  HOT_TRANSCRIPT,
  KNOWN_IDS,
  LOG_LINE,
  TRANSCRIPT_DAMAGE,
  TRANSCRIPT_FLUSH,
  TRANSCRIPT_FORMAT,
  TRANSCRIPT_ORDER,
  TRANSCRIPT_POWER_CUT,
  TRANSCRIPT_READING,
  TRANSCRIPT_SUSPENDED,
  TRANSCRIPT_VERDICT,
  TRANSCRIPT_WRITTEN,
  inFile,
} from "../suites.mjs";

const FORMAT = [
  ...inFile("src/format/transcript-head.ts", TRANSCRIPT_FORMAT, [
    {
      name: "a head may have more items than numbers",
      rule: "rule 1",
      find: ` || total > last`,
      replace: ``,
    },
  ]),
  ...inFile("src/format/transcript-lines.ts", TRANSCRIPT_FORMAT, [
    {
      name: "an item's line counts whatever its checksum says",
      rule: "T1",
      find: `  return found === said;`,
      replace: `  return true;`,
    },
    {
      name: "the digits of a checked line stay zeros",
      rule: "T1",
      find: `  writeHex(line, said, digits);`,
      replace: `  if (found !== said) writeHex(line, said, digits);`,
    },
    {
      name: "the comma of a parsed line stays a brace",
      rule: "T1",
      find: `  line[end] = comma;`,
      replace: `  if (text.length === 0) line[end] = comma;`,
    },
    {
      name: "the header of an item with a long id is not read",
      rule: "T1",
      find: ` ?? ITEM_HEADER.exec(line.toString("latin1"))`,
      replace: ``,
    },
    {
      name: "an id of several bytes a character is taken as it stands",
      rule: "T1",
      find: `id === undefined || PLAIN.test(id) ? id : idOf(id)`,
      replace: `id`,
    },
    {
      name: "bytes of an empty object are those of one with members",
      rule: "T1",
      find: `(json.bytes > 2 ? json.bytes + 2 : 3)`,
      replace: `json.bytes + 2`,
    },
    {
      name: "an item that could be taken for a header stands in the line as it is",
      rule: "T1",
      find: `.some((name) => name.startsWith("$"))`,
      replace: `.some((name) => name === "")`,
    },
    {
      name: "a chunk's first line counts in another order of members",
      rule: "T1",
      find: `canonical.compare(line, 0, line.length, 0, canonical.length - 1) === 0`,
      replace: `canonical.length > 0`,
    },
  ]),
  ...inFile("src/format/transcript-op.ts", TRANSCRIPT_FORMAT, [
    {
      name: "an op may lack both head and base",
      rule: "rule 7",
      find: `(h === undefined) === (value["b"] === undefined)`,
      replace: `h !== undefined && value["b"] !== undefined`,
    },
    {
      name: "a recut need not name its cut",
      rule: "T10",
      find: ` || value["e"] === undefined))\n    return "a recut`,
      replace: `))\n    return "a recut`,
    },
  ]),
  ...inFile(
    "src/format/log-line.ts",
    [LOG_LINE],
    [
      {
        name: "a transcript may occur twice in a record",
        rule: "rule 1",
        find: `if (parsed.some(({ k, l }) => k === op.k && l === op.l))`,
        replace: `if (parsed.length > 99)`,
      },
      {
        name: "a record may change a transcript of a session that it deletes",
        rule: "rule 10",
        find: `if (changesTranscript(op) && ops.some(`,
        replace: `if (ops.length > 99 && ops.some(`,
      },
    ],
  ),
];

const VERDICTS = inFile(
  "src/log/transcript-verdict.ts",
  [TRANSCRIPT_VERDICT],
  [
    {
      name: "the first op on a transcript needs no head",
      rule: "rule 7",
      find: `if (known === undefined && op.h === undefined)`,
      replace: `if (op.k === "")`,
    },
    {
      name: "a later head takes the place of what the segment says",
      rule: "rule 7",
      find: `  if (known !== undefined) return known.head;\n  return h`,
      replace: `  if (known !== undefined && h === undefined) return known.head;\n  return h`,
    },
    {
      name: "the cut is not compared",
      rule: "rule 8, T10",
      find: `if (e !== undefined && e !==`,
      replace: `if (e !== undefined && e < 0 && e !==`,
    },
    {
      name: "the last number is not compared",
      rule: "rule 8",
      find: `if (v !== undefined && v !==`,
      replace: `if (v !== undefined && v < 0 && v !==`,
    },
    {
      name: "the length is not compared",
      rule: "rule 8",
      find: `if (c !== undefined && c !==`,
      replace: `if (c !== undefined && c < 0 && c !==`,
    },
    {
      name: "trimmed items count as length",
      rule: "rule 8",
      find: `head === undefined ? 0 : lengthOf(head)`,
      replace: `head === undefined ? 0 : Math.max(head.total, lengthOf(head))`,
    },
    {
      name: "a recut of a chunk that is not the last one any more counts",
      rule: "rule 8",
      find: `if (x.of !== head.born) return`,
      replace: `if (x.of > head.born) return`,
    },
    {
      name: "a recut may keep more than there is",
      rule: "rule 8",
      find: `x.before + x.n > head.total`,
      replace: `x.before > head.total`,
    },
    {
      name: "an item whose id is there counts again",
      rule: "rule 9",
      find: `if (id !== undefined && (known || fresh.has(id)))`,
      replace: `if (id !== undefined && fresh.has(id))`,
    },
    {
      name: "an item whose id is twice in an op counts twice",
      rule: "rule 9",
      find: `if (id !== undefined && (known || fresh.has(id)))`,
      replace: `if (id !== undefined && known)`,
    },
    {
      name: "an id that was cut off is still there",
      rule: "rule 9",
      find: `for (const [id, { seq }] of entry.ids) if (seq > op.x.keep) entry.ids.delete(id);`,
      replace: ``,
    },
    {
      name: "an id that was trimmed away is still there",
      rule: "rule 9",
      find: `const known = kept && found.position > (head?.gone ?? 0);`,
      replace: `const known = kept && head !== undefined;`,
    },
    {
      name: "ids outlive a removal",
      rule: "rule 9",
      find: `    entry.head = undefined;\n    entry.ids.clear();`,
      replace: `    entry.head = undefined;`,
    },
    {
      name: "a full chunk goes on",
      rule: "rule 9",
      find: `this.head.size >= this.chunkBytes`,
      replace: `this.head.size > this.chunkBytes`,
    },
    {
      name: "numbers are used again behind a truncation",
      rule: "rule 9",
      find: `this.head = { ...head, cut, total };`,
      replace: `this.head = { ...head, cut, total, last: recut.keep };`,
    },
    {
      name: "a truncation leaves the cut as it was",
      rule: "rule 9",
      find: `const cut = total < head.total ? this.revision : head.cut;`,
      replace: `const cut = head.cut;`,
    },
    {
      name: "taking out trimmed items is a cut",
      rule: "rule 9",
      find: `const cut = total < head.total ? this.revision : head.cut;`,
      replace: `const cut = this.revision;`,
    },
    {
      name: "the bytes that a recut chunk begins with are not counted",
      rule: "rule 9",
      find: `born: this.revision, size: size + body };`,
      replace: `born: this.revision, size: size + 0 * body };`,
    },
    {
      name: "a trim counts alone",
      rule: "rule 9",
      find: `const left = op.r === undefined && op.x === undefined && accepted.length === 0;`,
      replace: `const left = op.r === undefined && op.x === undefined && op.g === undefined && op.m === undefined && accepted.length === 0;`,
    },
    {
      name: "a trim takes back what was trimmed",
      rule: "rule 9",
      find: `? gone : Math.max(gone, Math.min(trimmed, total));`,
      replace: `? gone : Math.min(trimmed, total);`,
    },
    {
      name: "a deleted session keeps its transcripts",
      rule: "rule 10",
      find: `  ledger.transcripts.delete(key);`,
      replace: ``,
    },
    {
      name: "a delete says nothing of transcripts that the segment has not mentioned",
      rule: "rule 10",
      find: `  ledger.cleared.set(key, revision);`,
      replace: `  void revision;`,
    },
  ],
);

const FOLD = inFile(
  "src/log/verdict.ts",
  [TRANSCRIPT_VERDICT],
  [
    {
      name: "an operation is committed twice",
      rule: "rule 11",
      find: `if (record.o !== undefined && ledger.operations.has(record.o[0]))`,
      replace: `if (record.n < 0)`,
    },
    {
      name: "what is demanded of transcripts does not matter",
      rule: "rule 8",
      find: `const refusal = transcriptRefusal(ledger, op);`,
      replace: `const refusal = transcriptRefusal(ledger, op) && undefined;`,
    },
    {
      name: "the header does not say when a chunk is full",
      rule: "rule 9",
      find: `ledger.chunkBytes = header.chunk ?? CHUNK_BYTES;`,
      replace: `ledger.chunkBytes = CHUNK_BYTES;`,
    },
  ],
);

const FILES = [
  ...inFile(
    "src/entries/chunk-writer.ts",
    [CHUNK_WRITER],
    [
      {
        name: "a line is written whether it is there or not",
        rule: "T1",
        find: `if (!readAt(this.fs, this.fd, bytes.length, at).equals(bytes)) await`,
        replace: `await`,
      },
      {
        name: "a line is appended",
        rule: "T1",
        find: `return writeAll(this.fs, this.fd, bytes, at);`,
        replace: `return writeAll(this.fs, this.fd, bytes, this.fs.fstat(this.fd).size + 0 * at);`,
      },
      {
        name: "lines are there if one of them is",
        rule: "T5",
        find: `found = crc32Number(bytes, found);`,
        replace: `found = crc32Number(bytes);`,
      },
      {
        name: "where a file ends too early its lines are there",
        rule: "T5",
        find: `if (bytes.length === 0) return false;`,
        replace: `if (bytes.length === 0) return true;`,
      },
      {
        name: "a chunk replaces the one that is there",
        rule: "T2",
        find: `await this.fs.later.link(temporary, path);`,
        replace: `await this.fs.later.rename(temporary, path);`,
      },
      {
        name: "a staged chunk stays",
        rule: "T2",
        find: `await ignoreMissing(this.fs.later.unlink(temporary));`,
        replace: `await ignoreMissing(Promise.resolve());`,
      },
      {
        name: "the folder of a fenced chunk stays",
        rule: "T2",
        find: `        await removeIfEmpty(this.fs, folder);\n        return "fenced";`,
        replace: `        void removeIfEmpty;\n        return "fenced";`,
      },
      {
        name: "a chunk that is missing is made in place",
        rule: "T4",
        find: `return new OpenChunk(this.fs, this.fs.open(path, "update"));`,
        replace: `try { return new OpenChunk(this.fs, this.fs.open(path, "update")); } catch { return new OpenChunk(this.fs, this.fs.open(path, "create")); }`,
      },
    ],
  ),
  ...inFile(
    "src/entries/chunk-file.ts",
    [CHUNK_FILE],
    [
      {
        name: "a file of another transcript is believed",
        rule: "whose",
        find: `if (this.expected !== undefined && !isOf(this.expected, parsed))`,
        replace: `if (this.end < 0)`,
      },
      {
        name: "an item is looked for from the beginning",
        rule: "reads",
        find: `while (high - low > NEAR_BYTES) {`,
        replace: `while (high < low) {`,
      },
      {
        name: "behind a line that does not begin as one nothing is found",
        rule: "damage",
        find: `if ((peekItemLine(bytes)?.[by] ?? 0) >= wanted) return at;`,
        replace: `if ((peekItemLine(bytes)?.[by] ?? wanted) >= wanted) return at;`,
      },
      {
        name: "a damaged line is left out",
        rule: "damage",
        find: `throw this.damage(start, "its last line has no end");`,
        replace: `return;`,
      },
    ],
  ),
];

const FLUSHES = inFile(
  "src/engine/directory/transcripts/transcript-flusher.ts",
  [TRANSCRIPT_FLUSH, TRANSCRIPT_ORDER, TRANSCRIPT_DAMAGE, TRANSCRIPT_READING, TRANSCRIPT_SUSPENDED],
  [
    {
      name: "files are written before the log is durable",
      rule: "T1",
      suites: [TRANSCRIPT_POWER_CUT],
      find: `await log.end.sync(segment); // log before data`,
      replace: `await Promise.resolve();`,
    },
    {
      name: "a chunk that begins with another one's lines is not synced before it is moved in",
      rule: "T3",
      suites: [TRANSCRIPT_ORDER],
      find: `const sync = begun?.recut !== undefined || options.durable;`,
      replace: `const sync = options.durable && begun?.recut === undefined;`,
    },
    {
      name: "a lazy flush makes what was cut",
      rule: "T5",
      suites: [TRANSCRIPT_READING],
      find: `if (begun?.recut !== undefined && !options.recuts) return "done";`,
      replace: ``,
    },
    {
      name: "a checkpoint does not look at what this process has written",
      rule: "T5",
      suites: [TRANSCRIPT_WRITTEN],
      find: `const from = durable ? 0 : `,
      replace: `const from = `,
    },
    {
      name: "a checkpoint believes that what this process has written is still there",
      rule: "T5",
      suites: [TRANSCRIPT_WRITTEN],
      find: `(!durable || chunk.has(written));`,
      replace: `chunk !== undefined;`,
    },
    {
      name: "a checkpoint does not look in front of what this process has written",
      rule: "T5",
      suites: [TRANSCRIPT_WRITTEN],
      find: `      written.from <= wanted &&\n`,
      replace: ``,
    },
    {
      name: "only what was written last is remembered",
      rule: "work",
      suites: [TRANSCRIPT_WRITTEN],
      find: `crc = crc32Number(bytes, crc);`,
      replace: `crc = crc32Number(bytes);`,
    },
    {
      name: "lines of others in between are counted as this process's",
      rule: "work",
      suites: [TRANSCRIPT_WRITTEN],
      find: `      written.to >= wanted &&\n`,
      replace: ``,
    },
    {
      name: "what another process wrote is not made durable",
      rule: "T5",
      find: `    if (durable) await this.#written.synced(hot, id, chunk.sync());\n`,
      replace: ``,
    },
    {
      name: "a damaged line in front takes the first line of the log along",
      rule: "damage",
      suites: [TRANSCRIPT_WRITTEN],
      find: `    else if (to < firstAt) await place(to, NEWLINE);\n`,
      replace: ``,
    },
    {
      name: "a file that could not be synced is synced again as it is",
      rule: "T5",
      suites: [TRANSCRIPT_WRITTEN],
      find: `      await (anew ? chunk.write(at, bytes) : chunk.place(at, bytes));`,
      replace: `      await chunk.place(at, bytes);`,
    },
    {
      name: "the folder of new chunks is not synced",
      rule: "T5",
      find: `for (const key of keys) await this.#syncFolder(key);`,
      replace: ``,
    },
    {
      name: "that dead chunks went is not synced",
      rule: "T5",
      find: `if (dead.length > 0) await this.#syncFolder(key);`,
      replace: ``,
    },
    {
      name: "dead chunks stay",
      rule: "T5",
      find: `for (const { encoded, id } of dead) {`,
      replace: `for (const { encoded, id } of dead.slice(0, 0)) {`,
    },
    {
      name: "a chunk that is younger than what was read is dead",
      rule: "T6",
      find: `const dead = chunks.filter((id) => id.born <= revision && !hot.isLive(id));`,
      replace: `const dead = chunks.filter((id) => revision > 0 && !hot.isLive(id));`,
    },
    {
      name: "chunks of a session that was made again are dead",
      rule: "T6",
      find: `return chunks.filter(({ born }) => born <= deletedAt);`,
      replace: `return chunks.filter(() => deletedAt > 0);`,
    },
    {
      name: "trimmed chunks stay",
      rule: "T5",
      find: `    if (gone === 0) return [];`,
      replace: `    if (gone >= 0) return [];`,
    },
    {
      name: "a chunk of which some items are trimmed away goes",
      rule: "T5",
      find: `?? files.headerOf(next).before) <= gone;`,
      replace: `?? files.headerOf(next).before) <= gone + 2;`,
    },
    {
      name: "what was cut off meanwhile is made",
      rule: "T4",
      find: `      if (hot.cuts !== cuts) return "cut meanwhile";\n      if (begun?.recut`,
      replace: `      if (begun?.recut`,
    },
    {
      name: "a chunk that is missing is taken for lost, and the log not read",
      rule: "T4",
      suites: [TRANSCRIPT_SUSPENDED],
      find: `    this.log.catchUp();\n    if (hot.cuts !== cuts || hot.isTrimmed(target)) return "cut meanwhile";\n`,
      replace: ``,
    },
    {
      name: "items that are lost with the file that they were in are not told",
      rule: "damage",
      suites: [TRANSCRIPT_DAMAGE],
      find: `if (made === "made") onWarning(lostWarning(hot, path, lostOf(hot, begun)));`,
      replace: ``,
    },
    {
      name: "items are told to be lost where another process has made the file",
      rule: "T4",
      suites: [TRANSCRIPT_DAMAGE],
      find: `if (made === "made") onWarning(`,
      replace: `if (made.length > 0) onWarning(`,
    },
    {
      name: "items that the log has are told to be lost",
      rule: "damage",
      suites: [TRANSCRIPT_DAMAGE],
      find: `  return n - hot.items.filter(`,
      replace: `  return n - 0 * hot.items.filter(`,
    },
    {
      name: "a file that cannot have what it begins with is not made",
      rule: "damage",
      suites: [TRANSCRIPT_DAMAGE],
      find: `    if (begun !== undefined) {\n      const folder`,
      replace: `    if (begun !== undefined && path === "") {\n      const folder`,
    },
    {
      name: "a lazy flush keeps in the quarantine what the log still has",
      rule: "damage",
      suites: [TRANSCRIPT_DAMAGE],
      find: `    if (!durable) return "done";`,
      replace: ``,
    },
    {
      name: "a state that was let go of is written",
      rule: "stale",
      suites: [TRANSCRIPT_SUSPENDED],
      find: `if (hot.isLetGo || log`,
      replace: `if (log`,
    },
  ],
);

const WRITTEN = inFile(
  "src/engine/directory/transcripts/written-lines.ts",
  [TRANSCRIPT_WRITTEN],
  [
    {
      name: "a cut changes nothing about what is written",
      rule: "T4",
      find: `if (written?.cuts !== cuts)`,
      replace: `if (written === undefined)`,
    },
    {
      name: "what is known of a file stays when its lines are gone from the log",
      rule: "memory",
      find: `if (first < oldest) written.chunks.delete(name);`,
      replace: `if (first < 0 * oldest) written.chunks.delete(name);`,
    },
    {
      name: "that a sync failed is forgotten",
      rule: "T5",
      find: `    await sync;\n    unsynced`,
      replace: `    await sync.finally(() => unsynced.clear());\n    unsynced`,
    },
  ],
);

const READS = [
  ...inFile(
    "src/engine/directory/transcripts/transcript-files.ts",
    [TRANSCRIPT_DAMAGE, TRANSCRIPT_READING],
    [
      {
        name: "files that have a part of a commit are taken to have all of it",
        rule: "D1",
        suites: [TRANSCRIPT_DAMAGE],
        find: `if (inFiles.revision !== revision) return inFiles.revision > revision;`,
        replace: `return inFiles.revision >= revision + 0 * items;`,
      },
      {
        name: "items of earlier commits count as those of the last one",
        rule: "D1",
        suites: [TRANSCRIPT_DAMAGE],
        find: `          if (item.revision !== revision) return;\n`,
        replace: ``,
      },
      {
        name: "the first item that was not trimmed away may be missing",
        rule: "T7",
        find: `item.position > gone + 1)`,
        replace: `item.position > gone + 2)`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/transcripts/transcript-reader.ts",
    [TRANSCRIPT_READING, TRANSCRIPT_DAMAGE, TRANSCRIPT_ORDER],
    [
      {
        name: "a file that went between listing and opening is damage at once",
        rule: "T4",
        find: ` || failure.message === before`,
        replace: ` || failure.message !== before`,
      },
      {
        name: "damage behind a full page fails that page",
        rule: "T7",
        find: `if (full && (error instanceof Incomplete`,
        replace: `if (!full && full && (error instanceof Incomplete`,
      },
      {
        name: "a page that is full leaves the file open that it read",
        rule: "descriptors",
        find: `found.return(); //`,
        replace: `//`,
      },
      {
        name: "damage behind a full page is the end of the transcript",
        rule: "T7",
        find: `more = next === "unreadable" || (full`,
        replace: `more = next !== "unreadable" && (full`,
      },
      {
        name: "the log is not read again behind a look into files",
        rule: "T8",
        find: `      if (failure === undefined && wasHot) return answer as R;`,
        replace: `      if (failure === undefined) return answer as R;`,
      },
      {
        name: "that a segment was let go of meanwhile does not matter",
        rule: "T9",
        find: `const same = this.log.epoch === epoch && transcripts.releases === releases;`,
        replace: `const same = this.log.epoch > 0 || epoch + releases > -1;`,
      },
      {
        name: "a file that is missing is damage at once",
        rule: "T4",
        find: `(this.log.revision === revision || (failure === undefined &&`,
        replace: `(failure !== undefined || (failure === undefined &&`,
      },
      {
        name: "what a process with more knowledge has not written yet is a damaged file",
        rule: "doubt",
        suites: [TRANSCRIPT_DAMAGE],
        find: `doubts.damagedSegment > 0 ? doubts.unreadableTranscript(key) : failure.asDamage()`,
        replace: `doubts.damagedSegment > 1e9 ? doubts.unreadableTranscript(key) : failure.asDamage()`,
      },
      {
        name: "a transcript that is in doubt is read as it was",
        rule: "doubt",
        suites: [TRANSCRIPT_DAMAGE],
        find: `    if (behind !== undefined) throw doubts.unreadableTranscript(key, behind.revision);\n    return inMemory;`,
        replace: `    return inMemory;`,
      },
      {
        name: "a file that is new enough does not settle a doubt",
        rule: "doubt",
        suites: [TRANSCRIPT_DAMAGE],
        find: `if (tellOfIt && revision > (inMemory?.revision ?? 0))`,
        replace: `if (tellOfIt && revision < 0)`,
      },
      {
        name: "an item is not given if the one behind it is damaged",
        rule: "damage",
        suites: [TRANSCRIPT_DAMAGE],
        find: `        if (line.seq === to) return; // the line behind it may be damaged\n`,
        replace: ``,
      },
      {
        name: "where an item stands is told by the file that was cut",
        rule: "T10",
        find: `if (taken === undefined) return found;`,
        replace: `if (taken === undefined || taken.first > 0) return found;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/transcripts/hot-transcript.ts",
    [HOT_TRANSCRIPT],
    [
      {
        name: "what stands in a file behind the base is read",
        rule: "T7",
        find: `readable.push({ first, born, end: base.size });`,
        replace: `readable.push({ first, born });`,
      },
      {
        name: "a chunk that took over items of the log ends with the last one in files",
        rule: "T7",
        find: `further: chunk.recut.before + chunk.recut.n > (this.lastInFiles?.position ?? 0),`,
        replace: `further: false,`,
      },
      {
        name: "a chunk of a commit that was not read is read",
        rule: "T7",
        find: `if (born > revision) continue;`,
        replace: `if (born < 0 * revision) continue;`,
      },
      {
        name: "a truncation is no cut of places",
        rule: "T4",
        find: `    this.cuts++;\n    const { keep, first, before`,
        replace: `    const { keep, first, before`,
      },
      {
        name: "items that were cut off stay in memory",
        rule: "T7",
        find: `while ((this.items.at(-1)?.seq ?? 0) > keep) this.items.pop();`,
        replace: ``,
      },
      {
        name: "items of a segment that is gone stay in memory",
        rule: "memory",
        find: `    this.items.splice(0, gone);`,
        replace: `    this.items.splice(0, 0 * gone);`,
      },
      {
        name: "the base stays when its segment goes",
        rule: "T7",
        find: `    this.base = lowest.head;`,
        replace: `    this.base ??= lowest.head;`,
      },
      {
        name: "cuts of a segment that is gone still count",
        rule: "T7",
        find: `this.#cuts = this.#cuts.filter((cut) => cut.segment > segment);`,
        replace: ``,
      },
      {
        name: "chunks of a segment that is gone are still on their way",
        rule: "T7",
        find: `this.#chunks = this.#chunks.filter((chunk) => chunk.segment > segment);`,
        replace: ``,
      },
      {
        name: "files are read behind what was cut",
        rule: "T7",
        find: `      if (keep < last.seq) last =`,
        replace: `      if (keep < 0) last =`,
      },
      {
        name: "a file that the log began is read",
        rule: "T7",
        find: `else if (chunk === undefined) readable.push`,
        replace: `else readable.push`,
      },
      {
        name: "what was cut off is alive",
        rule: "T6",
        find: `return this.#cuts.every(({ below }) => id.first < below);`,
        replace: `return this.#cuts.every(({ below }) => id.first <= below);`,
      },
      {
        name: "what no commit of the log began is alive",
        rule: "T6",
        find: `if (this.base === undefined || id.born > this.base.born) return false;`,
        replace: `if (this.base === undefined) return false;`,
      },
      {
        name: "a chunk is trimmed away before its last item is",
        rule: "T5",
        find: `next.header.before <= (this.head?.gone ?? 0);`,
        replace: `next.header.before <= (this.head?.gone ?? 0) + 1;`,
      },
      {
        name: "what a segment says that could not be read is what this process knows",
        rule: "rule 7",
        find: `    else if (!isSame(before, this.head)) this.#beginAnew(before);\n`,
        replace: ``,
      },
      {
        name: "a segment of which the end was not read can be checkpointed",
        rule: "rule 7",
        find: `for (const { segment } of this.#ends) this.#lost.add(segment);`,
        replace: ``,
      },
      {
        name: "a removal leaves the items of the log",
        rule: "T7",
        find: `    if (op.r !== undefined) this.#cutAll(segment);\n`,
        replace: ``,
      },
      {
        name: "a transcript that is let go of has had no cut",
        rule: "stale",
        find: `    this.cuts++;\n    this.#letGo = true;`,
        replace: `    this.#letGo = true;`,
      },
      {
        name: "items that a new chunk took over are looked for in the old one",
        rule: "T1",
        find: `this.items[index] = { ...item, chunk: { first: chunk.first, born: chunk.born }, at: end };`,
        replace: `this.items[index] = { ...item, at: end };`,
      },
      {
        name: "items in front of a new chunk move into it",
        rule: "T1",
        find: `      if (item.position <= before) break;\n`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/transcripts/hot-transcripts.ts",
    [HOT_TRANSCRIPT],
    [
      {
        name: "an op that changed nothing is entered",
        rule: "rule 9",
        find: `if (effect.before === effect.after) continue; // it changed nothing`,
        replace: ``,
      },
      {
        name: "a delete of a session leaves its transcripts",
        rule: "rule 10",
        find: `    for (const hot of this.of(key)) hot.clear(segment, revision);\n`,
        replace: ``,
      },
      {
        name: "the first delete of a session counts, and not the latest",
        rule: "T6",
        find: `this.#deletes.get(key)?.at(-1)?.revision`,
        replace: `this.#deletes.get(key)?.at(0)?.revision`,
      },
      {
        name: "a delete is forgotten with an earlier segment",
        rule: "T6",
        find: `deletes.filter((entry) => entry.segment > segment)`,
        replace: `deletes.filter((entry) => entry.segment > segment + 1)`,
      },
      {
        name: "that a segment was let go of is not counted",
        rule: "T9",
        find: `  release(segment: number): void {\n    this.releases++;`,
        replace: `  release(segment: number): void {`,
      },
      {
        name: "a transcript of which no live segment tells is still followed",
        rule: "stale",
        find: `        hot.letGo();\n        ofKey.delete(name);`,
        replace: `        ofKey.delete(name);`,
      },
      {
        name: "after a rewind a flush goes on with what was known",
        rule: "O12",
        find: `for (const hot of this.all()) hot.letGo();`,
        replace: ``,
      },
      {
        name: "all texts stay in memory",
        rule: "memory",
        find: `      oldest.json = undefined;\n`,
        replace: ``,
      },
      {
        name: "the newest text does not stay in memory",
        rule: "memory",
        find: `this.#textUnits > TEXT_UNITS_MAX / 2`,
        replace: `this.#textUnits > 0`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/transcripts/known-ids.ts",
    [KNOWN_IDS],
    [
      {
        name: "ids are believed across a cut",
        rule: "ids",
        find: ` || known.head?.cut !== head?.cut)`,
        replace: `)`,
      },
      {
        name: "ids that others have appended are not read",
        rule: "ids",
        find: `if (head !== undefined && from <= head.last)`,
        replace: `if (head !== undefined && from === 1)`,
      },
    ],
  ),
];

const RECORDS = inFile(
  "src/engine/directory/transcripts/item-records.ts",
  [BUG_BASE],
  [
    {
      name: "of glued records the last one is read for items of the first",
      rule: "O1, T7",
      find: `parseLogLines(line, 0, line.length)[0]?.line`,
      replace: `parseLogLines(line, 0, line.length).at(-1)?.line`,
    },
  ],
);

const MENDING = inFile(
  "src/engine/directory/transcripts/transcript-mending.ts",
  [TRANSCRIPT_DAMAGE],
  [
    {
      name: "the doctor takes files that have a part of a commit for all of it",
      rule: "D5",
      find: `const op = isInFiles ? { ...this.#restOf(given, revision), b: revision } : given;`,
      replace: `const op = isInFiles ? { k, l, b: revision } : given;`,
    },
    {
      name: "the doctor adds all of a commit to the part that files have",
      rule: "D5",
      find: `return index < 0 || index === a.length - 1 ? { k, l } : { k, l, a: a.slice(index + 1) };`,
      replace: `return index === a.length - 1 ? { k, l } : { k, l, a };`,
    },
    {
      name: "what the doctor guessed is not told",
      rule: "doctor",
      find: `if (!isLater && inFiles < (revisions.at(-1) ?? 0))`,
      replace: `if (revisions.length < 0)`,
    },
    {
      name: "what a file proves is called a guess",
      rule: "doctor",
      find: `if (!isLater && inFiles < (revisions.at(-1) ?? 0))`,
      replace: `if (!isLater)`,
    },
    {
      name: "what does not fit behind the damage is taken",
      rule: "doctor",
      find: `if ((now?.revision ?? 0) > revision || transcriptRefusal(ledger, op) !== undefined) return nothing;`,
      replace: `if ((now?.revision ?? 0) > revision) return nothing;`,
    },
    {
      name: "what a file has already is taken again",
      rule: "doctor",
      find: `if ((now?.revision ?? 0) > revision || transcriptRefusal`,
      replace: `if (transcriptRefusal`,
    },
    {
      name: "records behind the damage are let go of",
      rule: "doctor",
      find: `if (line.kind === "record" && line.record.g === number && (`,
      replace: `if (line.kind === "record" && line.record.g < 0 && (`,
    },
    {
      name: "a file that knows more is not asked",
      rule: "doctor",
      find: `if (inFiles === undefined || inFiles.revision <= known) return;`,
      replace: `if (inFiles === undefined || inFiles.revision > 0) return;`,
    },
  ],
);

const OPERATIONS = [
  ...inFile(
    "src/engine/directory/operations.ts",
    [TRANSCRIPT_DAMAGE],
    [
      {
        name: "another operation under the same name is a repetition",
        rule: "operations",
        find: `if (found.hash === hash) return found.revision;`,
        replace: `if (found.hash !== "") return found.revision;`,
      },
      {
        name: "operations of segments that are gone are forgotten",
        rule: "operations",
        find: `const found = live ?? this.#inFile().get(id);`,
        replace: `const found = live;`,
      },
      {
        name: "operations of earlier files are not taken along",
        rule: "operations",
        find: `before === undefined ? [] : this.#read(before);`,
        replace: `[];`,
      },
      {
        name: "the file of operations is not synced",
        rule: "operations",
        find: `{ sync: true });\n      await fs.later.rename`,
        replace: `{ sync: false });\n      await fs.later.rename`,
      },
      {
        name: "the name of the file of operations is not synced",
        rule: "operations",
        find: `    await syncDirectory(fs, layout.store);\n`,
        replace: `    void syncDirectory;\n`,
      },
      {
        name: "older files of operations stay",
        rule: "operations",
        find: `if (other < number) await`,
        replace: `if (other < 0) await`,
      },
      {
        name: "a damaged file of operations says that there were none",
        rule: "operations",
        find: `if (crc32Number(json) === readHex(bytes, 0)) {`,
        replace: `if (json.length > 0) {`,
      },
    ],
  ),
];

export const TRANSCRIPTS = [
  ...FORMAT,
  ...VERDICTS,
  ...FOLD,
  ...FILES,
  ...FLUSHES,
  ...WRITTEN,
  ...READS,
  ...RECORDS,
  ...MENDING,
  ...OPERATIONS,
];
