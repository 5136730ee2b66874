// @ts-check
/** Mutants of commits, of reading one session, and of what retries them and keeps them in order. */
import * as suite from "../suites.mjs";
import {
  BACKGROUND,
  BAD_BLOBS,
  BAD_ENTRY,
  CHANGES,
  CONFORMANCE,
  COPIES,
  ENGINE,
  NESTED,
  READ_ONLY,
  RULES,
  inFile,
} from "../suites.mjs";

const TURNS = inFile("src/engine/directory/directory-engine.ts", ENGINE, [
  {
    name: "commits that need no sync keep the event loop",
    rule: "I9",
    suites: [suite.TURNS],
    find: `if (++this.#commits % COMMITS_PER_TURN > 0) return outcome;`,
    replace: `if (++this.#commits % COMMITS_PER_TURN > -1) return outcome;`,
  },
]);

const COMMIT = inFile("src/engine/directory/committer.ts", ENGINE, [
  {
    name: "bases are left to rule 4",
    rule: "O4",
    suites: [suite.COMMIT],
    find: `if (op.base !== undefined && states[index]?.base !== op.base) {`,
    replace: `if (false as boolean) {`,
  },
  {
    name: "a record is composed for a sealed segment",
    rule: "O2, rule 2",
    suites: [suite.NEXT_SEGMENT],
    find: `if (segment.ledger.sealed || this.log.active !== segment) return { next: "make segment" };\n    return seal`,
    replace: `return seal`,
  },
  {
    name: "others do not learn of damage that refuses a write",
    rule: "seal instead",
    suites: suite.DAMAGED_LOG,
    find: `if (ended !== undefined) return ended;`,
    replace: `void ended;`,
  },
  {
    name: "a file that is ahead of the log is built upon",
    rule: "O5",
    suites: [...RULES, COPIES],
    find: `if (revision >= segment.firstRevision && !segment.ledger.changed.has(op.key)) {`,
    replace: `if (false as boolean) {`,
  },
  {
    name: "what a listing has told of a session's revision is forgotten",
    rule: "O5",
    suites: [suite.COMMIT, COPIES],
    find: `state?.revision ?? this.log.cold.knownRevision(op.key) ?? 0`,
    replace: `state?.revision ?? 0`,
  },
  {
    name: "the next segment begins at the revision of the file that is ahead",
    rule: "O5",
    suites: [...RULES, COPIES],
    find: `seal: { firstRevision: revision + 1 }`,
    replace: `seal: {}`,
  },
  {
    name: "shared values are looked up once, and not in every segment",
    rule: "O14, F15",
    suites: [suite.COMMIT],
    find: `this.#lookedUp?.segment === segment ? this.#lookedUp.hashes : undefined`,
    replace: `this.#lookedUp?.hashes`,
  },
  {
    name: "states of several sessions are of several moments",
    rule: "O3, O4",
    suites: [suite.COMMIT],
    find: `if (!cold || (this.log.epoch === epoch && states.every(current))) return states;`,
    replace: `if (!cold || epoch >= 0 || states.every(current)) return states;`,
  },
  {
    name: "states from before a rewind are used",
    rule: "O12",
    suites: [suite.COMMIT],
    find: `(this.log.epoch === epoch && states.every(current))`,
    replace: `(epoch >= 0 && states.every(current))`,
  },
  {
    name: "shared values within shared values are not looked up",
    rule: "O14",
    suites: [NESTED, BAD_BLOBS],
    find: `if (!reference.nested) continue;`,
    replace: `if (reference.hash !== "") continue;`,
  },
  {
    name: "a record is appended though an entry's toJSON moved the store on",
    rule: "O3",
    suites: [suite.COMMIT, suite.CALLBACKS],
    find: `if (log.active !== segment || segment.ledger.sealed) return undefined;`,
    replace: ``,
  },
  {
    name: "a record is appended behind a seal that was read while it was composed",
    rule: "O3, rule 2",
    suites: [suite.BUG_BASE],
    find: `|| segment.ledger.sealed) return undefined;`,
    replace: `) return undefined;`,
  },
  {
    name: "who is fenced while a shared value is made waits for ever",
    rule: "O14, F6",
    suites: [suite.COMMIT],
    find: `return this.log.end.stageGone(segment);`,
    replace: `return;`,
  },
  {
    name: "a commit is acknowledged as durable without waiting for the disk",
    rule: "O6",
    suites: [suite.DURABLE],
    find: `durable = log.end.sync(segment);`,
    replace: `durable = Promise.resolve();`,
  },
  {
    name: "a commit whose sync did not begin with its line is not synced",
    rule: "O6",
    suites: [suite.COMMIT],
    find: `if (durability === "disk" && durable === undefined) sync();`,
    replace: ``,
  },
  {
    name: "a sync begins with every line, however often others are faster",
    rule: "group commit",
    suites: [suite.COMMIT],
    find: `this.#contended = commit === undefined ? CONTENDED_COMMITS : Math.max(0, this.#contended - 1);`,
    replace: `this.#contended *= CONTENDED_COMMITS;`,
  },
  {
    name: "the failed sync of a record that does not count is nobody's",
    rule: "O6",
    suites: [suite.COMMIT],
    find: `if (commit === undefined) durable?.catch(() => {});`,
    replace: `void durable;`,
  },
  {
    name: "commits go on after an fdatasync that failed",
    rule: "O6",
    find: `throw refused(failure);\n  }`,
    replace: `}`,
  },
  {
    name: "a commit that was appended is told of damage as if it were not",
    rule: "O6, O15",
    suites: [suite.DURABLE],
    find: `if (!(failure instanceof SessionStoreError) || failure.code === "durability_unknown") return failure;`,
    replace: `if (failure !== undefined) return failure;`,
  },
  {
    name: "a reader writes",
    rule: "read only",
    suites: [READ_ONLY],
    find: `if (this.options.readOnly) throw readOnlyError("commit");`,
    replace: ``,
    equivalent: "the store refuses every write of a reader before the engine hears of it",
  },
  {
    name: "attempts to commit are not bounded",
    rule: "bound",
    suites: [BACKGROUND],
    find: `const ATTEMPTS_MAX = 200;`,
    replace: `const ATTEMPTS_MAX = Number.POSITIVE_INFINITY;`,
  },
]);

const PLAN = inFile("src/engine/directory/commit-plan.ts", ENGINE, [
  {
    name: "a put never takes the place of what no file has",
    rule: "fresh values",
    suites: [suite.BIG_FIELD],
    find: `this.codec.encode(op.entry, state?.stored, op.key, this.isDirty(op.key))`,
    replace: `this.codec.encode(op.entry, state?.stored, op.key)`,
  },
  {
    name: "a patch never takes the place of what no file has",
    rule: "fresh values",
    suites: [suite.BIG_FIELD],
    find: `this.codec.encodeFields(op.fields, state.stored, op.key, this.isDirty(op.key))`,
    replace: `this.codec.encodeFields(op.fields, state.stored, op.key)`,
  },
  {
    name: "no file is taken to have what a put takes the place of",
    rule: "fresh values",
    suites: [suite.BIG_FIELD],
    find: `state?.stored, op.key, this.isDirty(op.key))`,
    replace: `state?.stored, op.key, true)`,
  },
  {
    name: "a write without a base trusts its predecessor's shared values",
    rule: "O14",
    suites: [suite.COMMIT],
    find: `op.base === undefined || state?.stored === undefined ? [] :`,
    replace: `state?.stored === undefined ? [] :`,
  },
  {
    name: "the first change of a key in a segment is a patch",
    rule: "rule 4",
    suites: [suite.COMMIT],
    find: `this.segment.ledger.changed.has(k) &&`,
    replace: ``,
  },
  {
    name: "a patch changes the order of fields",
    rule: "rule 4",
    suites: [suite.COMMIT, CONFORMANCE],
    find: `keepsOrder(before, after, diff.unset)\n`,
    replace: `(keepsOrder(before, after, diff.unset), true as boolean)\n`,
  },
]);

const COLD = inFile("src/engine/directory/cold-sessions.ts", ENGINE, [
  {
    name: "a file that is ahead of the log is believed at once",
    rule: "O5",
    suites: [suite.SESSION_LOG],
    find: `this.tail.catchUp(); // O5: once more, before a file is believed that the log does not explain`,
    replace: ``,
  },
  {
    name: "only a damaged file makes a reader look at the log again",
    rule: "O5",
    find: `if (file.status === "corrupt" || this.isAhead(file)) {`,
    replace: `if (file.status === "corrupt") {`,
    equivalent:
      "what such a file says is in the log by then: who builds on it reads the log on first, listings do before they answer, everybody else at the next call",
  },
  {
    name: "nothing is ahead of the log",
    rule: "O5",
    find: `file.status === "present" && file.revision >= this.tail.active.firstRevision`,
    replace: `file.status === "present" && file.revision < 0`,
    equivalent:
      "what such a file says is in the log by then: who builds on it reads the log on first, listings do before they answer, everybody else at the next call",
  },
  {
    name: "an older copy of a file is believed",
    rule: "entry_corrupt",
    suites: [BAD_ENTRY],
    find: `if (file.status === "present" && file.revision < (elsewhere.knownRevision(key) ?? 0)) {`,
    replace: `if (false as boolean) {`,
  },
]);

const SESSION_LOG = inFile("src/engine/directory/session-log.ts", ENGINE, [
  {
    name: "a rewind keeps the sessions that were known",
    rule: "O12",
    suites: [suite.NEXT_SEGMENT],
    find: `this.#table.clear();`,
    replace: ``,
  },
  {
    name: "indexes and watches do not hear of a rewind",
    rule: "O12",
    suites: [CHANGES, ...RULES],
    find: `for (const listener of this.#listeners) listener.rewound?.();`,
    replace: ``,
  },
  {
    name: "our own record is not recognised among others",
    rule: "O2",
    find: `this.#writer.saw(commit);`,
    replace: ``,
  },
]);

const END = inFile("src/engine/directory/log-end.ts", ENGINE, [
  {
    name: "a staging folder that is lost does not end its segment",
    rule: "O10, F6",
    find: `if (this.tail.active === segment) this.seal(segment);`,
    replace: ``,
  },
]);

const TABLE = inFile(
  "src/engine/directory/session-table.ts",
  ["test/engine/directory/session-table.test.ts", ...RULES],
  [
    {
      name: "what a file said is kept though the log says otherwise",
      rule: "cache",
      find: `if (this.#cold.size > 0) this.forget(state.key);`,
      replace: ``,
    },
    {
      name: "a later change is given up with the segment of an earlier one",
      rule: "cache",
      find: `if (this.#hot.get(key) !== state) continue;`,
      replace: ``,
    },
    {
      name: "what was cooling down is believed behind a damaged segment",
      rule: "cache",
      find: `for (const work of this.#cooling) runNow(work);`,
      replace: ``,
    },
    {
      name: "a file that only an older segment explains is right",
      rule: "O10, F7",
      find: `const state = number >= segment ? changed.get(key) : undefined;`,
      replace: `const state = number >= 0 ? changed.get(key) : undefined;`,
    },
    {
      name: "a rewind keeps what segments made of their keys",
      rule: "O12",
      suites: [suite.NEXT_SEGMENT],
      find: `this.#changed.clear();`,
      replace: ``,
    },
    {
      name: "what was read of files is never let go of",
      rule: "bound",
      find: `if (this.#coldBytes > this.coldBytesMax) this.#evict();`,
      replace: `void this.coldBytesMax;`,
    },
  ],
);

const QUEUE = inFile(
  "src/store/key-queue.ts",
  ["test/store/key-queue.test.ts"],
  [
    {
      name: "a key that is held is taken",
      rule: "key queue",
      find: `if (this.#lines.has(key)) return false;`,
      replace: ``,
    },
    {
      name: "several keys are taken in any order",
      rule: "key queue",
      find: `for (const key of [...new Set(keys)].sort()) {`,
      replace: `for (const key of new Set(keys)) {`,
    },
    {
      name: "who gives up while taking several keys keeps those",
      rule: "key queue",
      find: `this.leaveAll(held);\n      throw error;`,
      replace: `throw error;`,
    },
    {
      name: "who has given up gets the key",
      rule: "key queue",
      find: `while (waiter?.gone === true) waiter = waiter.next;`,
      replace: ``,
    },
  ],
);

const RETRY = inFile(
  "src/store/retry.ts",
  ["test/store/retry.test.ts", "test/store/session-store.test.ts"],
  [
    {
      name: "conflicts are retried for ever",
      rule: "bound",
      find: `if (attempt >= ATTEMPTS_MAX) throw retriesExhausted(doing, key, attempt);`,
      replace: ``,
    },
    {
      name: "an aborted call is retried",
      rule: "abort",
      find: `throwIfAborted(signal);\n  if (attempt`,
      replace: `if (attempt`,
    },
  ],
);

export const COMMITS = [
  ...TURNS,
  ...COMMIT,
  ...PLAN,
  ...COLD,
  ...SESSION_LOG,
  ...END,
  ...TABLE,
  ...QUEUE,
  ...RETRY,
];
