// @ts-check
/** Mutants of listings, of the catalogs from which they come, and of the feed of changes. */
import * as suite from "../suites.mjs";
import {
  BAD_ENTRY,
  CATALOG,
  CHANGES,
  CONFORMANCE,
  COPIES,
  FAILING,
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
      name: "the newest may be older than sessions that were not read",
      rule: "head scan floor",
      suites: [NEWEST],
      find: `if (!head.whole && !(more && oldest && floor && compareRows(oldest, floor) <= 0)) return undefined;`,
      replace: `void compareRows;\n    void floor;`,
    },
    {
      name: "the newest come with entries of another revision",
      rule: "head scan",
      suites: [NEWEST],
      find: `if (state?.stored === undefined || state.revision !== row.revision) return undefined;`,
      replace: `if (state?.stored === undefined) return undefined;`,
    },
    {
      name: "the newest come from files that are ahead of the log",
      rule: "head scan, O5",
      suites: [NEWEST, COPIES],
      find: `if (file.status !== "present" || this.log.cold.isAhead(file)) return undefined;`,
      replace: `if (file.status !== "present") return undefined;`,
      equivalent:
        "a file that is ahead of the log has a later revision than its row, which is the next thing looked at",
    },
    {
      name: "the newest are of several moments",
      rule: "head scan, O4",
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

const LOADER = inFile(
  "src/engine/directory/catalog-loader.ts",
  [suite.CATALOG_LOADER, LISTING, NEWEST, COPIES, BAD_ENTRY],
  [
    {
      name: "a catalog that is ahead of the log is read",
      rule: "catalog",
      find: `if (number > to) continue;`,
      replace: ``,
    },
    {
      name: "a catalog that is ahead of the log is overlooked",
      rule: "catalog",
      suites: [suite.CATALOG_LOADER],
      find: `if (ahead !== "ignore" && numbers.some((number) => number > to)) return undefined;`,
      replace: `void ahead;`,
    },
    {
      name: "a catalog that went while it was looked for is not looked for again",
      rule: "catalog",
      suites: [suite.CATALOG_LOADER],
      find: `if (numbers.join() === before) break;`,
      replace: `if (before !== "x") break;`,
    },
    {
      name: "the front of a catalog that is ahead of the log is read",
      rule: "catalog, head scan",
      find: `if (number === undefined || number > to) return undefined;`,
      replace: `if (number === undefined || to < 0) return undefined;`,
    },
    {
      name: "the file of another session is listed",
      rule: "entry_corrupt",
      find: `if (folderNameForKey(parsed.key) !== basename(folder))`,
      replace: `if (false as boolean)`,
    },
    {
      name: "a session whose file cannot be read for the moment is left out for ever",
      rule: "EIO",
      suites: [suite.CATALOG_LOADER, FAILING],
      find: `if (error instanceof SessionStoreError) return error.message;`,
      replace: `if (error instanceof Error) return error.message;`,
    },
    {
      name: "catalogs that are ahead of the log stay",
      rule: "catalog",
      find: `if (number < active) continue;`,
      replace: `if (number < active || active > 0) continue;`,
    },
    {
      name: "a catalog that was made without a damaged session does not say so",
      rule: "catalog",
      suites: [suite.REMOVAL, BAD_ENTRY],
      find: `next: revision + 1, rows: sorted, incomplete: damaged.length > 0, damaged };`,
      replace: `next: revision + 1, rows: sorted, incomplete: false, damaged };`,
    },
  ],
);

const CATALOGS = inFile(
  "src/engine/directory/catalog.ts",
  [CATALOG, LISTING],
  [
    {
      name: "a line counts whatever its checksum",
      rule: "catalog, checksum",
      find: 'if (line.toString("latin1", 0, CRC_DIGITS + 1) !== `${crc32Hex(json)} `) return undefined;',
      replace: ``,
    },
    {
      name: "the catalog of another store or segment is read",
      rule: "catalog",
      find: `if (line["catalog"] !== segment || line["store"] !== storeId) return undefined;`,
      replace: ``,
    },
    {
      name: "a catalog without a line in the middle is whole",
      rule: "catalog",
      find: `line["sessions"] === rows.length && start`,
      replace: `start`,
    },
    {
      name: "a catalog with something behind its end is whole",
      rule: "catalog",
      find: ` && start === bytes.length;`,
      replace: `;`,
    },
    {
      name: "a catalog without an end is whole",
      rule: "catalog",
      find: `return head?.whole === true ? head.catalog : undefined;`,
      replace: `return head?.catalog;`,
    },
    {
      name: "a session that changed is in the next catalog twice",
      rule: "catalog",
      suites: [CATALOG, LISTING, ...RULES],
      find: `if (changed.has(row.key)) continue;`,
      replace: ``,
    },
  ],
);

const REPLAY = inFile(
  "src/engine/directory/replay.ts",
  [CHANGES, CONFORMANCE],
  [
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

export const LISTINGS = [...LIST, ...LOADER, ...CATALOGS, ...FEED, ...REPLAY];
