// @ts-check
/** Mutants of reading what a legacy gateway left, and of merging it into a store. */
import {
  ABSORPTION,
  DAMAGE,
  INPUTS,
  LAYOUTS,
  LEGACY_SYNC,
  MERGE,
  MIRROR,
  SEPARATORS,
  inFile,
} from "../suites.mjs";

const ABSORB = inFile(
  "src/legacy/merging/absorb.ts",
  [ABSORPTION, LEGACY_SYNC, MERGE, MIRROR],
  [
    {
      name: "a file is put aside though the store is gone",
      rule: "which side is authoritative",
      find: `if (!(await isStore(host, directory))) throw goneMeanwhile(directory);`,
      replace: ``,
    },
    {
      name: "a file that was put aside stays there when the store is gone",
      rule: "which side is authoritative",
      find: `if (!(await isStore(host, directory))) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a file is merged in its place",
      rule: "rename before reading",
      find: `path = await takeAside(work);`,
      replace: `void takeAside;`,
    },
    {
      name: "a file has no second name while it is put aside",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `await fs.later.link(paths.file, second);`,
      replace: ``,
    },
    {
      name: "the second name of a file that is put aside is not synced before the first one goes",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `await syncDirectory(fs, paths.folder);\n      // An old`,
      replace: `// An old`,
    },
    {
      name: "the rename that puts a file aside is not synced",
      rule: "power cut",
      suites: [LEGACY_SYNC],
      find: `fs.rename(paths.file, path);\n        await syncDirectory(fs, paths.folder);`,
      replace: `fs.rename(paths.file, path);`,
    },
    {
      name: "the backup's name is not synced before the file loses the one it has",
      rule: "fsync",
      suites: [LEGACY_SYNC],
      find: `  await syncDirectory(fs, paths.folder);\n  return { backup, made };`,
      replace: `  return { backup, made };`,
    },
    {
      name: "a file that is put back loses its other name before the first one is durable",
      rule: "power cut",
      find: `  await syncDirectory(host.fs, paths.folder);\n  await host.fs.later.unlink(path);`,
      replace: `  await host.fs.later.unlink(path);`,
    },
    {
      name: "a version that an old gateway wrote while the file was put aside is renamed unseen",
      rule: "stamp",
      find: `round === ROUNDS_MAX || stampNow(host, paths.file) === stampNow(host, second)`,
      replace: `round > 0`,
    },
    {
      name: "a file that a killed run left under two names has two backups",
      rule: "leftovers",
      find: `if (inode !== undefined && (await statusOf(host.fs, backup))?.inode === inode) return backup;`,
      replace: ``,
    },
    {
      name: "a damaged file stays aside",
      rule: "legacy_invalid",
      find: `if (damaged || !(await isStore(host, directory))) await putBack(work, journal, path);`,
      replace: `void damaged;`,
    },
    {
      name: "a damaged file is merged by half",
      rule: "legacy_invalid",
      find: `const { reading, intake, tally: planned } = await merge.read(source, { commit: false });`,
      replace: `const { reading, intake, tally: planned } = await merge.read(source, { commit: true });`,
    },
    {
      name: "a file that we wrote ourselves is merged",
      rule: "known files",
      find: `const foreign = !known.knows(bytes, sha256);`,
      replace: `const foreign = bytes >= 0;`,
    },
    {
      name: "a file that was merged is not recorded",
      rule: "known files",
      find: `await recordKnownFile(work.host, directory, record);`,
      replace: `void record;`,
    },
    {
      name: "leftovers of a killed run come last",
      rule: "known files",
      find: `if (left !== undefined) return`,
      replace: `if (left !== undefined && (await statusOf(host.fs, paths.file)) === undefined) return`,
    },
    {
      name: "putting a file back writes over a newer one",
      rule: "link",
      find: `await host.fs.later.link(path, paths.file);`,
      replace: `return void (await host.fs.later.rename(path, paths.file));`,
    },
  ],
);

const MERGING = inFile(
  "src/legacy/merging/merge.ts",
  [MERGE, MIRROR],
  [
    {
      name: "what a foreign writer did not touch counts as written",
      rule: "merge",
      find: `if (base === digest) return "untouched";`,
      replace: `void base;`,
    },
    {
      name: "the older of two versions counts",
      rule: "merge",
      find: `return updatedAt > storedAt ? "file" : "store";`,
      replace: `return updatedAt < storedAt ? "file" : "store";`,
    },
    {
      name: "of two versions of one time the file's counts always",
      rule: "merge",
      find: `return stored === base ? "file" : "store";`,
      replace: `return stored === "" ? "store" : "file";`,
    },
    {
      name: "of two versions of one time the store's counts always",
      rule: "merge",
      find: `return stored === base ? "file" : "store";`,
      replace: `return stored === "" ? "file" : "store";`,
    },
    {
      name: "a session that only the file has is left out",
      rule: "merge",
      find: `if (current === undefined || current === DAMAGED) return "file";`,
      replace: `if (current === undefined || current === DAMAGED) return "store";`,
    },
    {
      name: "a session that the store cannot read costs all that are merged with it",
      rule: "damage",
      suites: [DAMAGE],
      find: `if (!isDamage(error)) throw error;\n      return DAMAGED;`,
      replace: `throw error;`,
    },
  ],
);

const KNOWN = inFile(
  "src/legacy/merging/known-files.ts",
  [LEGACY_SYNC, INPUTS, MIRROR, ABSORPTION, MERGE],
  [
    {
      name: "commits that a record tells of are not durable before it",
      rule: "known files",
      find: `await syncLog(host, directory);`,
      replace: `void syncLog;`,
    },
    {
      name: "a record keeps the name under which it is made",
      rule: "rename",
      find: "await replaceFile(fs, temporary, `${folder}/${name}`, bytes);",
      replace: "await replaceFile(fs, `${folder}/${name}`, temporary, bytes);",
    },
    {
      name: "the folder of records is not synced",
      rule: "fsync",
      find: "await syncDirectory(fs, `${directory}/${STORE_FOLDER}`);",
      replace: ``,
    },
    {
      name: "a file of the same size is known",
      rule: "known files",
      suites: [MIRROR],
      find: `record.bytes === bytes && record.sha256 === sha256`,
      replace: `record.bytes === bytes && sha256 !== ""`,
    },
    {
      name: "the newest record is removed with the old ones",
      rule: "known files",
      suites: [INPUTS],
      find: `const oldestKept = records.at(-KEPT) ?? "";`,
      replace: `const oldestKept = "9".repeat(KEPT);`,
    },
  ],
);

const DAMAGED = inFile(
  "src/legacy/run/damage.ts",
  [DAMAGE],
  [
    {
      name: "a big value that cannot be read costs all sessions",
      rule: "damage",
      find: `if (!isDamage(error)) throw error;\n      damaged.push(`,
      replace: `throw error;\n      damaged.push(`,
    },
    {
      name: "the copy that a backup has is not looked for",
      rule: "damage",
      find: `return [paths.file, ...backups.map(({ path }) => path)];`,
      replace: `return [paths.file];`,
    },
    {
      name: "the copy that the file has is not looked for",
      rule: "damage",
      find: `return [paths.file, ...backups.map(({ path }) => path)];`,
      replace: `return backups.map(({ path }) => path);`,
    },
    {
      name: "a session that was mended still counts as damaged",
      rule: "damage",
      find: `(!seen.has(report.key) && (await isDamaged(store, report.key)))`,
      replace: `!seen.has(report.key + store.constructor.name)`,
    },
  ],
);

const RESEMBLANCE = inFile(
  "src/legacy/run/resemblance.ts",
  [INPUTS],
  [
    {
      name: "a file of which most would be refused is taken",
      rule: "what is no sessions file",
      find: `(refused <= taken && unlike <= like)`,
      replace: `unlike <= like`,
    },
    {
      name: "objects of any kind are taken for sessions",
      rule: "what is no sessions file",
      find: `(refused <= taken && unlike <= like)`,
      replace: `refused <= taken`,
    },
  ],
);

const NUMBERS = inFile(
  "src/legacy/reading/odd-numbers.ts",
  [INPUTS],
  [
    {
      name: "a number that JSON cannot write stays",
      rule: "numbers",
      find: `if (!finite) setField(own, name, null);`,
      replace: ``,
    },
  ],
);

const LAYOUT = inFile(
  "src/legacy/layouts/older-layout.ts",
  [LAYOUTS],
  [
    {
      name: "session folders of our own are taken for an older layout",
      rule: "which side is authoritative",
      find: `if (own.length > 0 && !(await isStore`,
      replace: `if (own.length < 0 && !(await isStore`,
    },
  ],
);

const JSON5 = inFile(
  "src/legacy/reading/json5-separators.ts",
  [SEPARATORS],
  [
    {
      name: "a separator does not end a comment",
      rule: "console",
      find: String.raw`"//": /[\n\r\u2028\u2029]/g`,
      replace: String.raw`"//": /[\n\r]/g`,
    },
    {
      name: "a fault is told where it is in the changed text",
      rule: "console",
      find: `index - LONGER_BY_CHARS * ends.filter((end) => end <= index).length`,
      replace: `index`,
    },
  ],
);

export const LEGACY_MERGING = [
  ...ABSORB,
  ...MERGING,
  ...KNOWN,
  ...DAMAGED,
  ...RESEMBLANCE,
  ...NUMBERS,
  ...LAYOUT,
  ...JSON5,
];
