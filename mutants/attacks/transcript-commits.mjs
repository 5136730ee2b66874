// @ts-check
/** Mutants of commits of transcripts: what a record is composed of, what watchers are told, what is in doubt, and what files say. */
import {
  CHANGES,
  CONFORMANCE,
  DAMAGED_LOG,
  KNOWN_IDS,
  LEFT_BY_POWER_CUT,
  TRANSCRIPT_COMPOSING,
  TRANSCRIPT_DAMAGE,
  TRANSCRIPT_READING,
  inFile,
} from "../suites.mjs";

const COMPOSED = [
  ...inFile(
    "src/engine/directory/transcripts/transcript-composer.ts",
    [TRANSCRIPT_COMPOSING, KNOWN_IDS],
    [
      {
        name: "what an op demands is left to the log",
        rule: "O4",
        find: `if (!isAsDemanded(given, head && engineTranscript(head))) return undefined;`,
        replace: ``,
      },
      {
        name: "every op brings the head",
        rule: "rule 7",
        find: `(known === undefined ? { h: head ?? "none" } : { b: known.revision })`,
        replace: `{ h: head ?? "none" }`,
      },
      {
        name: "where a chunk ends its items are copied",
        rule: "T10",
        find: `if (next !== undefined && next !== chunk.first)`,
        replace: `if (next === 0)`,
      },
      {
        name: "a damaged item cannot be cut off",
        rule: "damage",
        suites: [TRANSCRIPT_DAMAGE],
        find: `      if (isTranscriptDamaged(error)) return undefined;\n`,
        replace: ``,
      },
      {
        name: "what was trimmed is there again when all is cut off",
        rule: "T10",
        find: `position <= head.gone\n`,
        replace: `position < head.gone\n`,
      },
      {
        name: "an item that the same op cuts off keeps its id",
        rule: "ids",
        find: `found.seq <= (x?.keep ?? found.seq) && found.position > gone;`,
        replace: `found.position > gone;`,
      },
      {
        name: "an item that is trimmed away keeps its id",
        rule: "ids",
        find: `found.seq <= (x?.keep ?? found.seq) && found.position > gone;`,
        replace: `found.seq <= (x?.keep ?? found.seq);`,
      },
      {
        name: "an id that is twice in a batch is written twice",
        rule: "ids",
        find: `if (id !== undefined && (fresh.has(id) || isThere))`,
        replace: `if (id !== undefined && isThere)`,
      },
      {
        name: "a trim alone has no chunk that tells it",
        rule: "rule 9",
        find: `(!alone &&`,
        replace: `(op.k !== "" &&`,
      },
      {
        name: "a trim of all keeps the chunk",
        rule: "rule 9",
        find: `if (gone < before || gone >= total)`,
        replace: `if (gone < before)`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/committer.ts",
    [TRANSCRIPT_COMPOSING, KNOWN_IDS, TRANSCRIPT_DAMAGE],
    [
      {
        name: "what is left out of an op is so as of what was read before",
        rule: "O4",
        find: `if (changes.length > 0 || operation !== undefined) this.log.catchUp();`,
        replace: `if (operation !== undefined) this.log.catchUp();`,
      },
      {
        name: "files of a transcript that are ahead of the log are built upon in its segment",
        rule: "O5",
        find: `const ahead = state.revision >= segment.firstRevision && !isMentioned(segment, op);`,
        replace: `const ahead = state.revision < 0 && !isMentioned(segment, op);`,
      },
      {
        name: "a change builds on a transcript in doubt",
        rule: "D2",
        suites: [TRANSCRIPT_DAMAGE],
        find: `        if (this.log.doubts.isTranscriptInDoubt(key, name)) throw this.log.doubts.refusal(key);\n`,
        replace: ``,
      },
      {
        name: "a transcript of which the end cannot be read cannot be removed",
        rule: "damage",
        suites: [TRANSCRIPT_DAMAGE],
        find: `(remove ? this.transcripts.removable(key, name) : this.transcripts.state(key, name))`,
        replace: `this.transcripts.state(key, name)`,
      },
      {
        name: "items that are all there are a record",
        rule: "ids",
        find: `if (plan.ops.length === 0 && operation === undefined && plan.transcripts.every(({ index }) => index < 0))`,
        replace: `if (plan.ops.length < 0)`,
      },
      {
        name: "an operation that was done is done again",
        rule: "operations",
        find: `if (repeated !== undefined) {`,
        replace: `if (repeated !== undefined && repeated < 0) {`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/commit-plan.ts",
    [TRANSCRIPT_COMPOSING, CONFORMANCE],
    [
      {
        name: "a session that has only transcripts is deleted without a record",
        rule: "rule 10",
        find: `state?.stored !== undefined || this.hasTranscripts(op.key)`,
        replace: `state?.stored !== undefined`,
      },
      {
        name: "what a transaction has only read of a transcript is not compared",
        rule: "rule 8",
        find: `const index = changes || conditional ?`,
        replace: `const index = changes ?`,
      },
      {
        name: "a change of a transcript is none",
        rule: "rule 9",
        find: `    this.changes ||= changes;\n`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/store/transaction-transcripts.ts",
    [TRANSCRIPT_DAMAGE],
    [
      {
        name: "a damaged transcript cannot be removed in a transaction",
        rule: "damage",
        find: `if (!isTranscriptDamaged(error) || ifLast !== undefined || ifLength !== undefined) throw error;`,
        replace: `if (key !== "") throw error;`,
      },
      {
        name: "a damaged transcript is removed whatever was demanded of it",
        rule: "damage",
        find: `if (!isTranscriptDamaged(error) || ifLast !== undefined || ifLength !== undefined) throw error;`,
        replace: `if (!isTranscriptDamaged(error)) throw error;`,
      },
    ],
  ),
];

const TOLD = [
  ...inFile(
    "src/engine/directory/change-feed.ts",
    [CHANGES],
    [
      {
        name: "living watchers are told nothing of transcripts",
        rule: "watch",
        find: `transcriptChanged: (effect, last, commit) => this.#collect(newsOf(effect, commit), last),`,
        replace: ``,
      },
      {
        name: "the last change of a prefix does not end the commit",
        rule: "watch",
        find: `const last = index === matching.length - 1;`,
        replace: `const last = index === commit.length - 1;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/replay.ts",
    [CHANGES],
    [
      {
        name: "a replay tells of ops that changed nothing",
        rule: "watch",
        find: `if (effect.before !== effect.after) commit.push`,
        replace: `commit.push`,
      },
      {
        name: "a replay tells nothing of transcripts",
        rule: "watch",
        find: `if (effect.before !== effect.after) commit.push`,
        replace: `if (effect.op.k === "") commit.push`,
      },
    ],
  ),
  ...inFile(
    "src/engine/directory/transcripts/transcript-news.ts",
    [CHANGES],
    [
      {
        name: "that a transcript was removed is not told",
        rule: "watch",
        find: `op.r !== undefined && before !== undefined`,
        replace: `op.r !== undefined && before === undefined`,
      },
      {
        name: "a trim is told as a truncation",
        rule: "watch",
        find: `op.x.before + op.x.n < before.total;`,
        replace: `op.x.before + op.x.n <= before.total;`,
      },
      {
        name: "the length of before is told",
        rule: "watch",
        find: `length: after === undefined ? 0 : lengthOf(after),`,
        replace: `length: before === undefined ? 0 : lengthOf(before),`,
      },
    ],
  ),
];

const DOUBTS = inFile(
  "src/engine/directory/log-doubts.ts",
  [TRANSCRIPT_DAMAGE, ...DAMAGED_LOG],
  [
    {
      name: "a transcript is never in doubt",
      rule: "D1",
      find: `      if (number > damaged && inLedger(ledger, key, name) !== undefined) return false;\n    return !this.#isMended();`,
      replace: `      if (number > damaged && inLedger(ledger, key, name) !== undefined) return false;\n    return false;`,
    },
    {
      name: "a change in the damaged segment proves that nothing is hidden",
      rule: "D1",
      find: `if (number > damaged && inLedger(`,
      replace: `if (number >= damaged && inLedger(`,
    },
    {
      name: "what only a transcript's file knows is taken for what a power cut left",
      rule: "D1",
      suites: [LEFT_BY_POWER_CUT],
      find: `if (highestIn(fs, layout.sessionFolder(key)) >= revision) return true;`,
      replace: ``,
    },
    {
      name: "a delete of a session behind damage does not concern its transcripts",
      rule: "D1",
      find: `[behind.get(name), behind.get(ALL)];`,
      replace: `[behind.get(name)];`,
    },
  ],
);

const READ = inFile(
  "src/engine/directory/transcripts/transcript-files.ts",
  [TRANSCRIPT_READING],
  [
    {
      name: "a damaged line keeps its neighbours from being taken into a new chunk",
      rule: "damage",
      suites: [TRANSCRIPT_DAMAGE],
      find: `isTranscriptDamaged(error) ? this.#bytesFrom(chunks, from, length) : undefined;`,
      replace: `undefined;`,
    },
    {
      name: "a file that the log began is missed behind a number that was cut off",
      rule: "reads",
      find: `        if (position >= upTo.position) return;\n`,
      replace: ``,
    },
    {
      name: "items that a file took over from the log are read twice",
      rule: "reads",
      find: `          if (item.position > upTo.position) return;\n`,
      replace: ``,
    },
    {
      name: "the older birth of a chunk is read as well",
      rule: "T7",
      find: `return chunks.filter(({ first }, index) => chunks[index + 1]?.first !== first);`,
      replace: `return chunks.filter(({ first }, index) => chunks[index + 1]?.first !== first + 0.5);`,
    },
    {
      name: "backwards it does not matter that a file is missing",
      rule: "T4",
      suites: [TRANSCRIPT_DAMAGE],
      find: `if (position !== undefined && item.position !== position)`,
      replace: `if (position !== undefined && position < 0)`,
    },
    {
      name: "forwards it does not matter that a file is missing",
      rule: "T4",
      suites: [TRANSCRIPT_DAMAGE],
      find: `if (position === undefined ? id.first > from && before > gone : before !== position)`,
      replace: `if (position === undefined && id.first > from && before > gone)`,
    },
  ],
);

export const TRANSCRIPT_COMMITS = [...COMPOSED, ...TOLD, ...DOUBTS, ...READ];
