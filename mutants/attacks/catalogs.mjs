// @ts-check
/** Mutants of catalogs: which one counts, what its parts say, and how they come and go. */
import * as suite from "../suites.mjs";
import {
  BAD_ENTRY,
  CATALOG_LAYERS,
  CATALOG_MANIFEST,
  CATALOG_PARTS,
  CATALOG_WRITER,
  COPIES,
  FAILING,
  HINTS,
  LISTING,
  NEWEST,
  POWER_CUT,
  RULES,
  inFile,
} from "../suites.mjs";

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
      find: `if (numbers.join() === before && same) break;`,
      replace: `if (before !== "x" && (same || !same)) break;`,
    },
    {
      name: "a page of a catalog that is ahead of the log",
      rule: "catalog, page",
      find: `number === undefined || number > to ? undefined`,
      replace: `number === undefined || to < 0 ? undefined`,
    },
    {
      name: "a damaged part is not remembered for the next checkpoint",
      rule: "catalog, damage",
      suites: [suite.CATALOG_WRITER],
      find: `for (const part of broken) source.parts.damaged.add(part);`,
      replace: ``,
    },
    {
      name: "a deleted session that an older part has is looked up there",
      rule: "catalog, deletion",
      suites: [suite.CATALOG_WRITER],
      find: `if (change !== undefined) return isRow(change)`,
      replace: `if (change !== undefined && isRow(change)) return isRow(change)`,
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
      find: `const incomplete = damaged.length > 0;`,
      replace: `const incomplete = false as boolean;`,
    },
  ],
);

const MANIFESTS = inFile(
  "src/engine/directory/catalog/manifest.ts",
  [CATALOG_MANIFEST],
  [
    {
      name: "the catalog of another store or segment is read",
      rule: "catalog",
      find: `if (catalog !== segment || store !== storeId) return undefined;`,
      replace: ``,
    },
    {
      name: "a catalog with something behind its end is whole",
      rule: "catalog",
      find: `if (bytes.indexOf(0x0a) !== end) return undefined;`,
      replace: ``,
    },
    {
      name: "a part may lie anywhere",
      rule: "catalog",
      find: ` || !isPartName(name)`,
      replace: ``,
    },
  ],
);

const ROWS = inFile(
  "src/format/checked-line.ts",
  [CATALOG_PARTS, ...HINTS],
  [
    {
      name: "a line counts whatever its checksum",
      rule: "catalog and hint, checksum",
      find: `if (line[CRC_DIGITS] !== SPACE || readHex(line, 0) !== crc32Number(json)) return undefined;`,
      replace: ``,
    },
  ],
);

const PARTS = inFile(
  "src/engine/directory/catalog/part-file.ts",
  [CATALOG_PARTS, CATALOG_WRITER],
  [
    {
      name: "a part without a line in the middle is whole",
      rule: "catalog, count",
      find: `if (ofRows !== rows || count !== rows + deleted) throw this.#damaged("rows are missing");`,
      replace: ``,
    },
    {
      name: "a part whose newest lack a line is whole",
      rule: "catalog, count",
      find: `if (count !== this.part.rows) throw this.#damaged("rows are missing");`,
      replace: ``,
    },
    {
      name: "rows may be in any order",
      rule: "catalog, order",
      find: `if (last !== undefined && compare(last, item) >= 0)`,
      replace: `if (last !== undefined && compare(last, item) > 9)`,
    },
    {
      name: "another part counts as this one",
      rule: "catalog",
      find: `if (header?.["part"] !== this.part.name) throw`,
      replace: `if (header?.["part"] === undefined) throw`,
    },
    {
      name: "the index of another part counts as this one's",
      rule: "catalog",
      find: `if (end !== name || !Array.isArray(index))`,
      replace: `if (end === name.length || !Array.isArray(index))`,
    },
    {
      name: "a line that the index does not mean is searched",
      rule: "catalog",
      find: `if (changes[0]?.key !== keys[number]?.key) throw this.#damaged("a line is not where it should be");`,
      replace: ``,
    },
    {
      name: "a checkpoint builds on parts that are not there",
      rule: "catalog, damage",
      suites: [CATALOG_WRITER],
      find: `if (this.#sizeOf(name) !== bytes) throw`,
      replace: `if (bytes < 0) throw`,
    },
    {
      name: "a checkpoint builds on parts that were found damaged",
      rule: "catalog, damage",
      suites: [CATALOG_WRITER],
      find: `if (this.damaged.has(name)) throw`,
      replace: `if (name === "") throw`,
    },
  ],
);

const LAYERS = inFile(
  "src/engine/directory/catalog/layer.ts",
  [CATALOG_LAYERS, LISTING],
  [
    {
      name: "an older part's row counts beside a newer one's",
      rule: "catalog, newest part wins",
      find: `isLatest = false;\n      cursor.advance();`,
      replace: `cursor.advance();\n      break;`,
    },
    {
      name: "the newest come twice, or although they are deleted",
      rule: "catalog, newest part wins",
      find: `if (!isOverridden(next.layer, next.row.key)) some.push(next.row);`,
      replace: `void isOverridden;\n    some.push(next.row);`,
    },
    {
      name: "an older part's row counts where a newer one has it as well",
      rule: "catalog, newest part wins",
      find: `(first === undefined || current.key < first.key)`,
      replace: `(first === undefined || current.key <= first.key)`,
    },
  ],
);

const COMPOSING = inFile(
  "src/engine/directory/catalog/compose-part.ts",
  [CATALOG_LAYERS, CATALOG_PARTS, CATALOG_WRITER],
  [
    {
      name: "deletions go though an older part may have the session",
      rule: "catalog, deletion",
      find: `if (!oldest) {`,
      replace: `if (oldest && !oldest) {`,
    },
    {
      name: "deletions stay for ever",
      rule: "catalog, deletion",
      find: `if (!oldest) {`,
      replace: `if (oldest || !oldest) {`,
    },
    {
      name: "parts are never merged",
      rule: "catalog, few parts",
      find: `if (size > Math.max(RATIO * taken, SMALL) || takenBytes > bytesMax) return number;`,
      replace: `if (size > 0) return number;`,
    },
    {
      name: "every checkpoint writes the whole catalog",
      rule: "catalog, cost",
      find: `if (size > Math.max(RATIO * taken, SMALL) || takenBytes > bytesMax) return number;`,
      replace: `if (takenBytes > bytesMax) return number;`,
    },
    {
      name: "parts are merged on a disk that has no room for them",
      rule: "full disk",
      find: `const bytesMax = parts.length < PARTS_MAX ? freeBytes * SHARE_OF_ROOM : Number.POSITIVE_INFINITY;`,
      replace: `const bytesMax = freeBytes < 0 ? SHARE_OF_ROOM : Number.POSITIVE_INFINITY;`,
    },
    {
      name: "on a disk that is always full there are more and more parts",
      rule: "full disk",
      find: `parts.length < PARTS_MAX ?`,
      replace: `parts.length >= 0 ?`,
    },
  ],
);

const WRITING = inFile(
  "src/engine/directory/catalog/catalog-writer.ts",
  [CATALOG_WRITER, ...RULES, suite.CHECKPOINT, POWER_CUT],
  [
    {
      name: "a part may be missing after a power cut although a catalog names it",
      rule: "O10, part before catalog",
      find: "await fs.later.rename(`${gate}/${name}`, layout.part(name));\n    await syncDirectory(fs, layout.store);",
      replace: "await fs.later.rename(`${gate}/${name}`, layout.part(name));",
    },
    {
      name: "a catalog's name is not synced",
      rule: "O10, catalog",
      find: `await fs.later.rename(temporary, layout.catalog(number));\n    await syncDirectory(fs, layout.store);`,
      replace: `await fs.later.rename(temporary, layout.catalog(number));`,
    },
    {
      name: "a catalog's content is not synced",
      rule: "O10, catalog",
      find: `composeManifest(manifest, storeId), { sync: true });`,
      replace: `composeManifest(manifest, storeId), { sync: false });`,
    },
    {
      name: "a catalog is written in place",
      rule: "O10, catalog",
      find: "const temporary = `${gate}/${runtime.randomName(8)}`;",
      replace: "const temporary = layout.catalog(number);",
    },
    {
      name: "a catalog is written after a rewind, or when its segment is gone",
      rule: "O10, gate",
      find: `if (!isOwner() || !existsNow(fs, layout.segment(number))) return undefined;`,
      replace: `void isOwner;\n    void existsNow;`,
    },
    {
      name: "the gate stays open",
      rule: "O10, gate",
      find: `await removeStagingFolder(fs, layout.catalogGate(number));`,
      replace: `void removeStagingFolder;`,
    },
    {
      name: "a catalog with damaged sessions is carried on for ever",
      rule: "catalog",
      suites: [BAD_ENTRY],
      find: `return catalog.incomplete ? yield*`,
      replace: `return catalog.segment < 0 ? yield*`,
    },
    {
      name: "a catalog is built on damaged parts",
      rule: "catalog, damage",
      find: `this.source.parts.assertThere(catalog.parts);`,
      replace: ``,
    },
    {
      name: "parts of a catalog that is still being made are removed",
      rule: "O10, parts",
      find: `part === undefined || part.segment > number || alive`,
      replace: `part === undefined || alive`,
    },
    {
      name: "all parts are removed when the catalog cannot be read",
      rule: "O10, parts",
      find:
        "if (manifest === undefined) return; // others went on, or it is damaged: then nothing says what is needed\n" +
        "    const alive = new Set(manifest.parts",
      replace: "const alive = new Set((manifest?.parts ?? [])",
    },
    {
      name: "parts that a catalog names are removed",
      rule: "O10, parts",
      find: ` || alive.has(part.name)) continue;`,
      replace: `) continue;\n      void alive;`,
    },
  ],
);

const WRITING_PARTS = inFile(
  "src/engine/directory/write-lines.ts",
  [CATALOG_WRITER, ...RULES],
  [
    {
      name: "a part's content is not synced",
      rule: "O10, part before catalog",
      find: `return createFileBy(fs, path, write, options);`,
      replace: `return createFileBy(fs, path, write, { ...options, sync: false });`,
    },
  ],
);

export const CATALOGS = [
  ...LOADER,
  ...MANIFESTS,
  ...ROWS,
  ...PARTS,
  ...LAYERS,
  ...COMPOSING,
  ...WRITING,
  ...WRITING_PARTS,
];
