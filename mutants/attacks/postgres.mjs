// @ts-check
/** Mutants of the engine over PostgreSQL: what decides a commit, what a read may be answered with, what may be removed. */
import { inFile, POSTGRES } from "../suites.mjs";

const { HOSTILE, FRESH, CACHE, GUESSED, SHARED, HISTORY, TWIN, STALE } = POSTGRES;

export const POSTGRES_ENGINE = [
  ...inFile(
    "src/engine/postgres/fresh-reads.ts",
    [FRESH],
    [
      {
        name: "a read is answered by a statement that was sent before it",
        rule: "freshness",
        find: `        this.#waiting.delete(key);\n        const known`,
        replace: `        setTimeout(() => this.#waiting.delete(key), 100);\n        const known`,
      },
      {
        name: "a session that others deleted is what it was",
        rule: "freshness",
        find: `      return resolve(undefined);\n    }\n    if (row["bytes"]`,
        replace: `      return resolve(held);\n    }\n    if (row["bytes"]`,
      },
      {
        name: "forgotten changes are believed to be all",
        rule: "bounded staleness",
        find: `rows.length <= CHANGES_MAX && Number(first["floor"]) <= position.head`,
        replace: `rows.length <= CHANGES_MAX`,
      },
      {
        name: "the first of many changes are believed to be all",
        rule: "bounded staleness",
        find: `rows.length <= CHANGES_MAX && Number`,
        replace: `Number`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/record-cache.ts",
    [CACHE, FRESH],
    [
      {
        name: "an answer that was late is covered",
        rule: "bounded staleness",
        find: `if (seen.head >= this.#position.head) kept.era`,
        replace: `kept.era`,
      },
      {
        name: "changes of others stay in memory",
        rule: "bounded staleness",
        find: `?? revision) < revision) this.forget(key);`,
        replace: `?? revision) < 0) this.forget(key);`,
      },
      {
        name: "whatever is kept is recent enough",
        rule: "bounded staleness",
        find: `return covered || kept.seenAt >= time ?`,
        replace: `return covered || kept.seenAt <= time ?`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/batch-writes.ts",
    [GUESSED, STALE],
    [
      {
        name: "a guess is not compared",
        rule: "base",
        find: `"and s.rev = i.rev and s.present order by`,
        replace: `"and s.present order by`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/decide.ts",
    [TWIN, GUESSED],
    [
      {
        name: "a base is not compared under the lock",
        rule: "base",
        find: `return op.base === undefined || op.base === rows.baseOf(op.key);`,
        replace: `return op.base === undefined || op.base >= 0;`,
      },
      {
        name: "a value that the record had is not there for the next one",
        rule: "shared values 2",
        suites: [SHARED],
        find: `writes.covered(hash);`,
        replace: `void hash;`,
      },
    ],
  ),
  ...inFile(
    "src/store/session-store.ts",
    [GUESSED],
    [
      {
        name: "nothing is written because a guess says so",
        rule: "base",
        find: `if (guess !== undefined && (await this.#isOutdated(key, guess))) continue;`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/commit-queue.ts",
    [HOSTILE],
    [
      {
        name: "what housekeeping has removed was never there",
        rule: "op id lookup",
        find: `if (Number(floor) <= since ||`,
        replace: `if (Number(floor) >= 0 ||`,
      },
      {
        name: "the server process that may still be at it is let be",
        rule: "fence",
        suites: [POSTGRES.FENCE],
        find: `if (backend !== undefined) await this.#fence(lent, backend);`,
        replace: `void backend;`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/value-locks.ts",
    [SHARED],
    [
      {
        name: "a value is used without a lock",
        rule: "shared values 3",
        find: `order by hash for key share`,
        replace: `order by hash`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/housekeeping.ts",
    [SHARED],
    [
      {
        name: "uses are looked for once",
        rule: "shared values 4",
        find: `v.hash = any($2::text[]) and \${unused}`,
        replace: `v.hash = any($2::text[])`,
      },
      {
        name: "values are removed that are in use",
        rule: "shared values 1",
        find: `u.store = v.store and u.hash = v.hash)\`;`,
        replace: `u.store = v.store and u.hash = v.hash and u.rev < 0)\`;`,
      },
      {
        name: "uses stay when their changes go",
        rule: "shared values 1",
        find: `u.rev = g.rev and u.key = g.key`,
        replace: `u.rev < 0 and u.key = g.key`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/known-history.ts",
    [HISTORY],
    [
      {
        name: "a counter that went back is taken as it is",
        rule: "history",
        find: `if (head < known.revision) this.#conclude(known.revision, head);`,
        replace: ``,
      },
      {
        name: "another's change is taken for the known one",
        rule: "history",
        find: `row["batch"] !== null && row["batch"] !== named.batch`,
        replace: `row["batch"] === ""`,
      },
    ],
  ),
  ...inFile(
    "src/engine/postgres/feed.ts",
    [TWIN, HISTORY, HOSTILE],
    [
      {
        name: "changes come in the order of their keys",
        rule: "cursor order",
        find: `order by l.rev, l.ord limit \${PAGE}`,
        replace: `order by l.key, l.ord limit \${PAGE}`,
      },
      {
        name: "a commit is over where its page is",
        rule: "cursor order",
        suites: [HOSTILE],
        find: `if (found.length < PAGE && found.length === first["there"]) return`,
        replace: `if (found.length > 0) return`,
      },
    ],
  ),
];
