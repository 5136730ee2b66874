// @ts-check
/** Mutants of migration: a store is built, and takes the place of a legacy file. */
import {
  ABSORPTION,
  DECISION,
  LAYOUTS,
  LEFT,
  LEGACY_SYNC,
  MERGE,
  MIGRATE_CRASH,
  MIGRATE_LATE,
  PLAN,
  ROLLBACK_LATE,
  TWO_AT_ONCE,
  inFile,
} from "../suites.mjs";

const MIGRATE = inFile(
  "src/legacy/migration/migrate.ts",
  [MIGRATE_LATE, LEGACY_SYNC, MERGE],
  [
    {
      name: "the rename that makes the directory count is not synced",
      rule: "migration, step 2",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(fs, folder);`,
      replace: ``,
    },
    {
      name: "nothing says what a folder with an older layout was replaced by",
      rule: "replacement",
      suites: [LEGACY_SYNC],
      find: `await writeReplacement(host, built.path, { backup });`,
      replace: `void writeReplacement;`,
    },
    {
      name: "what was written to the file during the migration stays there",
      rule: "migration, step 4",
      find: `await removeUnfinished(work);\n    await absorbLegacyFiles(work, journal, work.paths.directory);`,
      replace: `await removeUnfinished(work);`,
    },
    {
      name: "a file that a killed run was merging is not given back",
      rule: "which side is authoritative",
      suites: [ABSORPTION],
      find: `await giveBack(work, journal);\n        return undefined;`,
      replace: `void giveBack;\n        return { outcome: "missing", tally: EMPTY_TALLY };`,
    },
    {
      name: "what others are building goes on after one side is authoritative",
      rule: "migration, step 3",
      find: `await removeUnfinished(work);\n    await absorbLegacyFiles`,
      replace: `await absorbLegacyFiles`,
    },
  ],
);

const SITUATION = inFile(
  "src/legacy/migration/situation.ts",
  [MIGRATE_LATE, DECISION],
  [
    {
      name: "a store that has just come is taken for an older layout",
      rule: "which side is authoritative",
      suites: [MIGRATE_LATE],
      find: `if (older?.inDirectory === true && (await isStore(host, paths.directory))) return lookAround(work);`,
      replace: ``,
    },
    {
      name: "the directory is authoritative only after the file was moved away",
      rule: "migration, step 4",
      suites: [MERGE, DECISION],
      find: `if (store) return alone`,
      replace: `if (store && file === "none") return alone`,
    },
    {
      name: "a file that has come since is migrated before the one that a killed run was merging",
      rule: "which side is authoritative",
      suites: [DECISION],
      find: `if (merging && file === "none") return`,
      replace: `if (merging && file === "none" && older === undefined) return`,
    },
  ],
);

const RUN = inFile(
  "src/legacy/run/run.ts",
  [TWO_AT_ONCE],
  [
    {
      name: "who is overtaken fails",
      rule: "look again",
      find: `if (!work.overtaken(error, round === ROUNDS_MAX)) throw error;`,
      replace: `if (round > 0) throw error;`,
    },
  ],
);

const BUILD = inFile(
  "src/legacy/migration/build.ts",
  [LEGACY_SYNC, MERGE, TWO_AT_ONCE],
  [
    {
      name: "what was built is not compared with the source",
      rule: "migration, step 1",
      find: `if (difference !== undefined) mismatch = mismatchError(source.path, key, difference);`,
      replace: `if (difference !== undefined) void mismatchError;`,
    },
    {
      name: "a source that changed while it was read is migrated as it was",
      rule: "migration, step 1",
      suites: [MERGE],
      find: `if (again.sha256 !== reading.sha256 || again.bytes !== reading.bytes) return undefined;`,
      replace: ``,
    },
    {
      name: "sessions that are in the store and not in the source are not noticed",
      rule: "migration, step 1",
      find: `if (digests.length === winners.size && sessions === winners.size) return digests;`,
      replace: `if (sessions >= 0) return digests;`,
    },
  ],
);

const PLANNING = inFile(
  "src/legacy/migration/plan.ts",
  [PLAN],
  [
    {
      name: "a dry run does not ask whether the place is free",
      rule: "dry run",
      find: `await assertPlaceIsFree(work, older);`,
      replace: `void assertPlaceIsFree;`,
    },
    {
      name: "a dry run does not ask who may change the folder",
      rule: "dry run",
      find: `const { existing } = assertTrustedParents(host.fs, paths.building(host.runtime), options.trust);`,
      replace: `const { existing } = assertTrustedParents(host.fs, paths.building(host.runtime), "group");`,
    },
    {
      name: "a dry run does not ask which file system it is",
      rule: "dry run",
      find: `assertLocalFileSystem(host.fs, existing, "write");`,
      replace: `void assertLocalFileSystem;`,
    },
  ],
);

const REPLACING = inFile(
  "src/legacy/migration/finish-replacement.ts",
  [MIGRATE_LATE, LAYOUTS],
  [
    {
      name: "a store is renamed aside like an older layout",
      rule: "which side is authoritative",
      find: 'if (stampNow(host, `${paths.directory}/${STORE_FOLDER}`) !== "none") return false;',
      replace: ``,
    },
    {
      name: "a store that was renamed aside stays there",
      rule: "which side is authoritative",
      find: `if (!isLayout) await putBack(work, backup);`,
      replace: `if (!isLayout) void putBack;`,
    },
    {
      name: "a store that was renamed aside is taken for the older layout",
      rule: "which side is authoritative",
      find: 'const isLayout = stampNow(host, `${backup}/${STORE_FOLDER}`) === "none";',
      replace: 'const isLayout = backup !== "none";',
    },
    {
      name: "a new store in the place of one that was renamed aside counts alone",
      rule: "replacement",
      find: `if (await isStore(host, store)) await mergeStores(work, store);`,
      replace: ``,
    },
    {
      name: "the next run finishes with our store where others had theirs",
      rule: "replacement",
      find: `const store = (await isStore(host, note.backup)) ? note.backup : building;`,
      replace: `const store = building;`,
    },
  ],
);

const REPLACEMENT = inFile(
  "src/legacy/run/replacement.ts",
  [LEGACY_SYNC, LAYOUTS],
  [
    {
      name: "the note of what is replaced is not synced",
      rule: "replacement",
      find: `{ sync: true });`,
      replace: `{ sync: false });`,
    },
    {
      name: "the name of the note of what is replaced is not synced",
      rule: "replacement",
      find: `await syncDirectory(host.fs, folder);`,
      replace: `void folder;`,
    },
  ],
);

const LEFTOVERS = inFile(
  "src/legacy/run/leftovers.ts",
  [LEFT, ROLLBACK_LATE],
  [
    {
      name: "what a living builder makes is removed as stale",
      rule: "fence",
      find: `if (complete || runtime.now() - latest < STALE_MS) continue;`,
      replace: `if (complete || runtime.now() - latest < -STALE_MS * 1e9) continue;`,
    },
    {
      name: "unfinished files stay",
      rule: "fence",
      find: `await removeUnfinishedFiles(work);`,
      replace: ``,
    },
    {
      name: "unfinished folders stay",
      rule: "fence",
      find: `for (const path of await unfinishedDirectories(work)) await removeBuilding(work, path);`,
      replace: ``,
    },
    {
      name: "a building folder is removed under its own name",
      rule: "fence",
      find: `await fs.later.rename(path, removing);\n    await removeTree(work.host, removing);`,
      replace: `await removeTree(work.host, removing === "" ? removing : path);`,
    },
  ],
);

const WORK = inFile(
  "src/legacy/run/work.ts",
  [ABSORPTION, TWO_AT_ONCE],
  [
    {
      name: "a legacy function makes a new, empty store where there was one",
      rule: "create: false",
      find: `create: false, cacheBytes`,
      replace: `create: true, cacheBytes`,
    },
  ],
);

const TREE = inFile(
  "src/legacy/base/tree.ts",
  [LEGACY_SYNC, MIGRATE_CRASH],
  [
    {
      name: "files of a store that was built aside are not synced",
      rule: "migration, step 1",
      find: `await each(files, (file) => syncFile(fs, file));`,
      replace: `void files;`,
    },
    {
      name: "a file is opened and not synced",
      rule: "migration, step 1",
      find: `await fs.later.fdatasync(fd);`,
      replace: ``,
    },
    {
      name: "folders of a store that was built aside are not synced",
      rule: "migration, step 1",
      find: `await each(folders.toReversed(), (folder) => syncDirectory(fs, folder));`,
      replace: ``,
    },
  ],
);

export const MIGRATION = [
  ...MIGRATE,
  ...SITUATION,
  ...RUN,
  ...BUILD,
  ...PLANNING,
  ...REPLACING,
  ...REPLACEMENT,
  ...LEFTOVERS,
  ...WORK,
  ...TREE,
];
