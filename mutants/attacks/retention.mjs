// @ts-check
/** Mutants of the retention of sessions: which ones go, and that none goes that is alive. */
import { PLANNER, RETENTION, inFile } from "../suites.mjs";

const POLICY = inFile("src/openclaw/maintenance/policy.ts", RETENTION, [
  {
    name: "a session that is to be kept goes for its age",
    rule: "retention",
    find: `isStale(entry, cutoff) && !protection.covers(key, entry)`,
    replace: `isStale(entry, cutoff) && protection !== undefined && key !== ""`,
  },
  {
    name: "a session that is to be kept goes because there are too many",
    rule: "retention",
    find: `oldestFirst.filter(({ key, entry }) => !protection.covers(key, entry)).slice(0, excess)`,
    replace: `oldestFirst.slice(0, protection === undefined ? 0 : excess)`,
  },
]);

const REMOVAL = inFile("src/openclaw/maintenance/removal.ts", RETENTION, [
  {
    name: "a session that is alive is told as removed",
    rule: "retention",
    find: `if (outcomes[index] === "removed") removed.push`,
    replace: `if (outcomes[index] !== undefined) removed.push`,
  },
  {
    name: "sessions that cannot be read refer to no transcript",
    rule: "retention",
    find: `if (page.damaged) references.addUnknown();`,
    replace: ``,
  },
]);

const BACKENDS = [
  ...inFile("src/openclaw/maintenance/directory-sessions.ts", RETENTION, [
    {
      name: "a session that was touched since it was listed is removed",
      rule: "retention",
      find: `await this.store.delete(key, { ifRevision: revision });`,
      replace: `await this.store.delete(key, revision < 0 ? { ifRevision: revision } : {});`,
    },
    {
      name: "a warning counts sessions without an age",
      rule: "retention",
      find: `{ updatedAfter: 0, updatedBefore: cutoff }`,
      replace: `{ updatedBefore: cutoff }`,
    },
  ]),
  ...inFile("src/openclaw/maintenance/file-sessions.ts", RETENTION, [
    {
      name: "the lock of a file is taken for nothing",
      rule: "retention",
      find: `.length === 0) return [];`,
      replace: `.length < 0) return [];`,
    },
  ]),
];

const AGE = inFile(
  "src/care/retention/age.ts",
  [...PLANNER, ...RETENTION],
  [
    {
      name: "a session without an age is stale",
      rule: "retention",
      find: `typeof time === "number" && time !== 0 && time < cutoff`,
      replace: `typeof time === "number" && time < cutoff`,
    },
    {
      name: "seconds are taken for milliseconds",
      rule: "retention",
      find: `if (value < TIME_MIN) return`,
      replace: `if (value < 1) return`,
    },
    {
      name: "a time in the future is one like any other",
      rule: "retention",
      find: `return value > now + CLOCKS_APART_MS ?`,
      replace: `return value > now * 2 ?`,
    },
  ],
);

export const RETENTION_OF_SESSIONS = [...POLICY, ...AGE, ...REMOVAL, ...BACKENDS];
