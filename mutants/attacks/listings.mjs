// @ts-check
/** Mutants of listings, of the catalogs from which they come, and of the feed of changes. */
import * as suite from "../suites.mjs";
import {
  BAD_ENTRY,
  CHANGES,
  CONFORMANCE,
  COPIES,
  INTERLEAVED,
  LISTING,
  NEWEST,
  RULES,
  inFile,
} from "../suites.mjs";

const LIST = inFile(
  "src/engine/directory/listing.ts",
  [suite.OVERTAKEN, LISTING, NEWEST, ...RULES, COPIES, INTERLEAVED],
  [
    {
      name: "a listing that was overtaken between two slices is given out",
      rule: "O4, F10",
      find: `if (log.epoch !== epoch || log.revision !== revision) continue;`,
      replace: `if (epoch < 0 || revision < 0) continue;`,
    },
    {
      name: "the log is not read again after files were read",
      rule: "O4, F10",
      find: `log.catchUp();\n      if (log.doubts.damagedSegment > 0) return yield*`,
      replace: `if (round === 0) log.catchUp();\n      if (log.doubts.damagedSegment > 0) return yield*`,
    },
    {
      name: "a listing believes a file that is ahead of the log at once",
      rule: "O5",
      find: `if (log.cold.isAhead(file)) log.catchUp(); // O5: believed only if the log still does not know better`,
      replace: ``,
      equivalent:
        "nothing is answered in the round in which files were read: the next one reads the log first, and enters what it says",
    },
    {
      name: "a listing learns what it read before a rewind",
      rule: "O12",
      suites: [suite.SESSION_LOG],
      find: `if (log.epoch === epoch && !row.dead) log.cold.learn(state);`,
      replace: `if (epoch >= 0) log.cold.learn(state);`,
    },
    {
      name: "an index survives a rewind",
      rule: "O12",
      find: `this.#answered = undefined;\n    this.#index = undefined;`,
      replace: `this.#answered = undefined;`,
    },
    {
      name: "an index from before a rewind is used",
      rule: "O12",
      find: `if (log.epoch !== epoch) continue;`,
      replace: ``,
    },
    {
      name: "what changes while an index is built is missing in it",
      rule: "O4",
      find: `for (const later of this.#buildings) later.set(state.key, state);`,
      replace: ``,
    },
    {
      name: "a page out of the catalog lacks what the live log has made of its sessions",
      rule: "page",
      suites: [NEWEST],
      find: `page = pageOf([live, ...catalog.layers], query);`,
      replace: `void live;\n      page = pageOf(catalog.layers, query);`,
    },
    {
      name: "a page out of an incomplete catalog",
      rule: "page",
      suites: [suite.WAYS_OUT],
      find: `if (catalog === undefined || catalog.incomplete) return undefined;`,
      replace: `if (catalog === undefined) return undefined;`,
    },
    {
      name: "a page by key comes in the wrong order",
      rule: "page",
      suites: [LISTING, NEWEST],
      find: `return orderBy === "key" ? !descending :`,
      replace: `return orderBy === "key" ? true :`,
    },
    {
      name: "the newest behind a cursor are the newest",
      rule: "page",
      suites: [LISTING, NEWEST],
      find: `descending && prefix === "" && after === undefined;`,
      replace: `descending && prefix === "";\n  void after;`,
    },
    {
      name: "the newest come with entries of another revision",
      rule: "page",
      suites: [NEWEST],
      find: `if (state?.stored === undefined || state.revision !== row.revision) return undefined;`,
      replace: `if (state?.stored === undefined) return undefined;`,
    },
    {
      name: "the newest come from files that are ahead of the log",
      rule: "page, O5",
      suites: [NEWEST, COPIES],
      find: `if (file.status !== "present" || this.log.cold.isAhead(file)) return undefined;`,
      replace: `if (file.status !== "present") return undefined;`,
      equivalent:
        "a file that is ahead of the log has a later revision than its row, which is the next thing looked at",
    },
    {
      name: "the newest are of several moments",
      rule: "page, O4",
      suites: [NEWEST],
      find: `log.catchUp();\n      if (log.revision === revision && log.epoch === epoch) return states;`,
      replace: `if (revision >= 0 && epoch >= 0) return states;`,
      equivalent:
        "each file has the very revision that its row has, so all of them are of the moment of the first reading",
    },
    {
      name: "an older copy of a file is listed",
      rule: "entry_corrupt",
      suites: [BAD_ENTRY],
      find: `if (file.revision < row.revision) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a state that memory has is listed though a later one was written",
      rule: "entry_corrupt",
      suites: [BAD_ENTRY],
      find: `return state !== undefined && state.revision >= row.revision ? state : undefined;`,
      replace: `return state !== undefined && row.revision >= 0 ? state : undefined;`,
    },
    {
      name: "a file that is missing is damage, before the log is asked",
      rule: "O4",
      suites: [LISTING, ...RULES, INTERLEAVED],
      find: `log.catchUp();\n      if (log.epoch !== epoch || row.dead || this.#known(row) !== undefined) return;`,
      replace: `if (log.epoch !== epoch || row.dead || this.#known(row) !== undefined) return;`,
    },
    {
      name: "an answer is kept when there is no room for its sessions",
      rule: "bound",
      suites: [LISTING],
      find: `evicted: () => (this.#answered = undefined),`,
      replace: ``,
    },
    {
      name: "an answer from before a commit is given again",
      rule: "same answer",
      suites: [LISTING],
      find: `        this.#answered = undefined;\n        this.#index?.change(state);`,
      replace: `        this.#index?.change(state);`,
    },
    {
      name: "an answer from before a rewind is given again",
      rule: "same answer, O12",
      suites: [LISTING],
      find: `this.#answered = undefined;\n    this.#index = undefined;\n  }`,
      replace: `this.#index = undefined;\n  }`,
    },
    {
      name: "the answer to another question is given",
      rule: "same answer",
      suites: [LISTING],
      find: `if (answered !== undefined && sameQuery(answered.query, query)) return answered.scan;`,
      replace: `void sameQuery;\n      if (answered !== undefined) return answered.scan;`,
    },
    {
      name: "an answer that lacks what could not be read is given again",
      rule: "same answer",
      suites: [LISTING, BAD_ENTRY],
      find: `if (loaded.size === 0 && scan.damaged === undefined) this.#answered`,
      replace: `this.#answered`,
    },
    {
      name: "a count is right as of a reading before files",
      rule: "O4",
      suites: [LISTING, INTERLEAVED],
      find: `this.log.catchUp(); // an index that was made from files is right as of a reading after them`,
      replace: ``,
    },
  ],
);

const REPLAY = inFile(
  "src/engine/directory/replay.ts",
  [CHANGES, CONFORMANCE],
  [
    {
      name: "a replay may have read less of a segment than its process had",
      rule: "watch, damage",
      suites: suite.DAMAGED_LOG,
      find: `this.#assertAllIsThere();`,
      replace: ``,
    },
    {
      name: "a replay compares what it has read with any position",
      rule: "watch",
      find: ` || known.position !== position) continue;`,
      replace: `) continue;`,
    },
    {
      name: "a watch that was outrun has a gap",
      rule: "watch",
      find: `if ((this.#after ?? 0) > this.since) throw this.#missing("no longer has", false);`,
      replace: ``,
    },
    {
      name: "a replay goes on in another segment with what it knew of the last one",
      rule: "watch, rule 4",
      find: `this.#states = new Map(); // rule 4: every segment can be understood by itself`,
      replace: ``,
      equivalent:
        "by rule 4 the first change of a key in a segment carries the whole entry: it only frees memory",
    },
  ],
);

const FEED = inFile(
  "src/engine/directory/change-feed.ts",
  [CHANGES, CONFORMANCE],
  [
    {
      name: "a watch goes live on an end that is known to be damaged",
      rule: "watch, doubt",
      suites: suite.DAMAGED_LOG,
      find: `replay.assertWholeAtEnd();`,
      replace: ``,
    },
    {
      name: "a watch is live before it has read everything",
      rule: "watch",
      find: `if (replay.standsAt(log.active)) {`,
      replace: `if (replay.tail !== undefined) {`,
    },
    {
      name: "a watch with a full queue loses what does not fit",
      rule: "watch",
      find: `subscription.live = false;\n    takeQueue(subscription);`,
      replace: `takeQueue(subscription);`,
    },
    {
      name: "a watch does not hear of a rewind",
      rule: "watch, O12",
      find: `rewound: () => this.#readAgain(),`,
      replace: ``,
    },
  ],
);

export const LISTINGS = [...LIST, ...FEED, ...REPLAY];
