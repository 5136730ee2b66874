// @ts-check
/** Mutants of opening a store: its folder, and a log that is gone. */
import * as suite from "../suites.mjs";
import { BAD_FORMAT, LOST_LOG, POWER_CUT, RULES, STORE_FOLDER, TRUST, inFile } from "../suites.mjs";

const FOLDER = inFile(
  "src/engine/directory/store-folder.ts",
  [STORE_FOLDER, ...RULES, POWER_CUT],
  [
    {
      name: "the folders of a new store are not synced by whoever makes it",
      rule: "O6, F3",
      find: `for (const folder of [layout.store, layout.root]) await syncDirectory(fs, folder);`,
      replace: ``,
    },
    {
      name: "the way to a new store is not synced",
      rule: "O6, F3",
      find: `await syncParents(fs, root.realPath);`,
      replace: `void syncParents;`,
    },
    {
      name: "folders that are made on the way to a store are not synced",
      rule: "O6, F3",
      find: `await syncDirectory(fs, parent);`,
      replace: `void parent;`,
      equivalent: "makeStoreFolder syncs every folder on the way right behind this, before there is a store",
    },
    {
      name: "the folders of a store that is built aside are not synced",
      rule: "power cut",
      find: `for (const folder of [...folders, building.store]) await syncDirectory(fs, folder);`,
      replace: ``,
    },
    {
      name: "format.json is not synced",
      rule: "power cut",
      find: "await createFile(fs, building.format, Buffer.from(`${JSON.stringify(format)}\\n`), { sync: true });",
      replace:
        "await createFile(fs, building.format, Buffer.from(`${JSON.stringify(format)}\\n`), { sync: false });",
    },
    {
      name: "whether files can have two names shows when the first segment is full",
      rule: "file_system_unsupported",
      find: `await publish(fs, staged, building.segment(segment));`,
      replace: `await fs.later.rename(staged, building.segment(segment));`,
    },
    {
      name: "a store is made in place",
      rule: "rename",
      find: "const building = new Layout(layout.root, `${BUILDING}${runtime.randomName(8)}`);",
      replace: "const building = layout;",
    },
    {
      name: "folders of the store that others can change are trusted",
      rule: "trusted path",
      suites: [TRUST],
      find: `checkFolders(options, internalFolders(layout));`,
      replace: `void checkFolders;`,
    },
    {
      name: "a network file system is good enough",
      rule: "file_system_unsupported",
      suites: [STORE_FOLDER, TRUST],
      find: `const locality = assertLocalFileSystem(fs, root.path, options.readOnly ? "read" : "write");`,
      replace: `const locality = "local" as "local" | "unknown";`,
    },
    {
      name: "a later format is read",
      rule: "format_unsupported",
      suites: [BAD_FORMAT],
      find: `if (format !== FORMAT) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a store is made among somebody's files",
      rule: "not_a_store",
      suites: [STORE_FOLDER, TRUST],
      find: `if (foreign === undefined) return undefined;`,
      replace: `if (foreign !== "") return undefined;`,
    },
    {
      name: "a store that appears between two looks is a damaged one",
      rule: "two first openers",
      find: `if (attempt === "first") return readFormat(options, layout, path, "second");`,
      replace: `void attempt;`,
    },
    {
      name: "unfinished stores of dead processes stay",
      rule: "F14",
      find: `await removeBuildingFolders(fs, layout);`,
      replace: ``,
    },
  ],
);

const LOST = inFile(
  "src/engine/directory/lost-log.ts",
  [LOST_LOG, ...RULES, ...suite.BAD_LOG, POWER_CUT],
  [
    {
      name: "a new log is begun beside one that others began meanwhile",
      rule: "lost log, F1",
      suites: [...RULES],
      find: `const published = !hasLog(fs, layout) && (await`,
      replace: `const published = (await`,
    },
    {
      name: "a log that is there is replaced",
      rule: "lost log",
      find: `if (hasLog(fs, layout)) return;`,
      replace: ``,
    },
    {
      name: "the new log's first segment has a number that the old one may have had",
      rule: "lost log",
      find: `return Math.ceil(Math.max(1, ...used) / ROUND) * ROUND;`,
      replace: `return Math.max(1, ...used) + (ROUND > 0 ? 1 : 0);`,
    },
    {
      name: "deletions that only a catalog knows do not count",
      rule: "lost log",
      find: `const revision = Math.max(inFiles, inCatalogs, inChunks);`,
      replace: `const revision = inCatalogs >= 0 ? Math.max(inFiles, inChunks) : 0;`,
    },
    {
      name: "files that no catalog knows do not count",
      rule: "lost log",
      find: `const revision = Math.max(inFiles, inCatalogs, inChunks);`,
      replace: `const revision = inFiles >= 0 ? Math.max(inCatalogs, inChunks) : 0;`,
    },
    {
      name: "log/ is not synced after a lost log was begun again",
      rule: "O6",
      find: `await syncDirectory(fs, layout.log);`,
      replace: ``,
      equivalent:
        "whoever acknowledges in the segment, or leans on it, syncs log/ itself (O6); if its name is lost before that, the log is begun again",
    },
  ],
);

export const OPENING = [...FOLDER, ...LOST];
