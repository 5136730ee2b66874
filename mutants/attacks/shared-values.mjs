// @ts-check
/** Mutants of values that several versions share: kept, found dead, discarded, removed. */
import * as suite from "../suites.mjs";
import { ENGINE, BAD_BLOBS, BAD_ENTRY, BLOBS, NESTED, SIZES, SYMLINKS, inFile } from "../suites.mjs";

const SHARED = inFile(
  "src/entries/blob-store.ts",
  [BLOBS, suite.BLOB_TRASH, BAD_BLOBS, ...ENGINE],
  [
    {
      name: "a shared value is read whatever its hash",
      rule: "blob hash",
      find: `if (bytes.length === reference.bytes && hashOf(bytes) === reference.hash) return bytes;`,
      replace: `if (path !== "") return bytes;`,
    },
    {
      name: "a damaged shared value that is there is used again",
      rule: "blob hash",
      find: `if (hashOf(await this.#readOpen(fd, status.size)) !== hash || this.#unsynced.has(hash))`,
      replace: `if (this.#unsynced.has(hash))`,
    },
    {
      name: "a shared value that is there is not synced",
      rule: "O14",
      find: `await this.fs.later.fdatasync(fd).catch(`,
      replace: `await Promise.resolve().catch(`,
    },
    {
      name: "the folder of a shared value is not synced",
      rule: "O14",
      find: `await syncDirectory(this.fs, this.layout.blobFolder(hash));`,
      replace: ``,
    },
    {
      name: "blobs/ is not synced",
      rule: "O14",
      find: `await syncDirectory(this.fs, this.layout.blobs);`,
      replace: ``,
    },
    {
      name: "a new shared value is not synced before it has its name",
      rule: "O14",
      find: `await createFile(this.fs, temporary, own, { sync: true });`,
      replace: `await createFile(this.fs, temporary, own, { sync: false });`,
    },
    {
      name: "a shared value is written in place",
      rule: "O14",
      find: `await createFile(this.fs, temporary, own, { sync: true });\n          await this.#ensureFolder(hash);\n          await this.fs.later.rename(temporary, path);`,
      replace: `await this.#ensureFolder(hash);\n          await createFile(this.fs, path, own, { sync: true });`,
    },
    {
      name: "a writer does not look in the trash",
      rule: "O14",
      find: `if (discarded !== undefined) {`,
      replace: `if (discarded !== undefined && discarded === "") {`,
    },
    {
      name: "a reader does not look in the trash",
      rule: "O14",
      find: `if (discarded === undefined) continue; // it may have been moved back meanwhile: look once more`,
      replace: `if (discarded === undefined || discarded !== "") continue;`,
    },
    {
      name: "a writer takes a name from the trash that is held",
      rule: "O14, F15",
      find: `needless = discarded === undefined || this.#isHeld(discarded) ? undefined : discarded;`,
      replace: `needless = discarded;`,
    },
    {
      name: "a writer asks whether a name is held after the value was found in its place",
      rule: "O14, F15",
      find: `if (needless !== undefined) await`,
      replace: `needless = this.#findInTrash(hash);\n        if (needless !== undefined && !this.#isHeld(needless)) await`,
    },
    {
      name: "a writer leaves the name in the trash",
      rule: "O14",
      find: `if (needless !== undefined) await ignoreMissing(this.fs.later.unlink(needless));`,
      replace: `void needless;`,
    },
    {
      name: "a damaged value stays in its place though a good one is in the trash",
      rule: "O14",
      find: `if ((await this.#syncExisting(hash)) === "done") return;`,
      replace: `if ((await this.#syncExisting(hash)) !== "missing") return;`,
    },
    {
      name: "a good value in its place is replaced by the one in the trash",
      rule: "blob hash",
      find: `if ((await this.#syncExisting(hash)) === "done") return;`,
      replace: ``,
    },
    {
      name: "a value that is moved back is not synced before it leaves the trash",
      rule: "O14",
      find: `await this.#linkIntoPlace(discarded, temporary, hash);\n    await this.#syncExisting(hash);`,
      replace: `await this.#linkIntoPlace(discarded, temporary, hash);`,
    },
    {
      name: "a writer puts a damaged value from the trash back for ever",
      rule: "blob hash",
      find: `const discarded = corrupt && own !== undefined ? undefined : this.#findInTrash(hash);`,
      replace: `const discarded = this.#findInTrash(hash);`,
    },
    {
      name: "a value that is put back keeps a name in the staging folder",
      rule: "O14",
      find: `await ignoreMissing(this.fs.later.unlink(temporary)); // between`,
      replace: `// between`,
    },
    {
      name: "a name whose staging folder is gone is held",
      rule: "O14, F15",
      find: `return holder !== undefined && existsNow(this.fs, this.layout.stageFolder(holder));`,
      replace: `return holder !== undefined;`,
    },
    {
      name: "a shared value whose sync failed is synced again, and believed",
      rule: "O14",
      suites: [BLOBS],
      find: `this.#unsynced.add(hash);`,
      replace: ``,
    },
    {
      name: "a shared value of any size is read",
      rule: "limit",
      suites: [BLOBS, SIZES],
      find: `{ bytesMax: this.options.bytesMax }`,
      replace: `{ bytesMax: Math.max(this.options.bytesMax, Number.MAX_SAFE_INTEGER) }`,
    },
    {
      name: "shared values are made behind links in place of the store's folders",
      rule: "O_NOFOLLOW",
      suites: [BLOBS, SYMLINKS],
      find: `assertInternalFolder(this.fs, this.layout);`,
      replace: ``,
    },
    {
      name: "shared values are read behind links in place of the store's folders",
      rule: "O_NOFOLLOW",
      suites: [BLOBS, SYMLINKS],
      find: `for (const folder of [store, blobs, this.layout.blobFolder(hash)]) assertFolderIfAny(this.fs, folder);`,
      replace: `void store;\n    void blobs;`,
    },
  ],
);

const DISCARDED = inFile(
  "src/entries/blob-trash.ts",
  [suite.BLOB_TRASH, BLOBS, BAD_BLOBS, suite.REMOVAL, ...ENGINE],
  [
    {
      name: "a discarded value has no durable name in the trash before it leaves its place",
      rule: "O14, phase 1",
      find: `return wasThere(this.fs.later.link(path, \`\${this.layout.trash}/\${name}\`));`,
      replace: `return wasThere(this.fs.later.rename(path, \`\${this.layout.trash}/\${name}\`));`,
    },
    {
      name: "the trash is not synced before a value leaves its place",
      rule: "O14, phase 1",
      find: `await syncDirectory(this.fs, this.layout.trash);`,
      replace: ``,
    },
    {
      name: "a value leaves its place by an unlink",
      rule: "O14, fence",
      find: `await ignoreMissing(this.fs.later.rename(path, leaving));`,
      replace: `await ignoreMissing(this.fs.later.unlink(path));`,
    },
    {
      name: "a value leaves its place although others have discarded it and made it anew",
      rule: "O14, phase 1",
      find: `else if (await this.#linked(path, name)) linked.push({ path, name });`,
      replace: `else if ((await this.#linked(path, name)) || name !== "") linked.push({ path, name });`,
    },
    {
      name: "a discarded value keeps its name in the staging folder",
      rule: "O14",
      find: `await ignoreMissing(this.fs.later.unlink(leaving));`,
      replace: ``,
    },
    {
      name: "a damaged value is held in the trash",
      rule: "blob hash",
      find: `if (!this.blobs.isIntact(hash)) await this.#discardDamaged(hash);`,
      replace: `if (hash === "") await this.#discardDamaged(hash);`,
    },
    {
      name: "two moves to the trash have one name",
      rule: "O14, F15",
      find: "const name = `${hash}.${this.runtime.randomName(8)}.${stage}`",
      replace: 'const name = `${hash}.${this.runtime.randomName(8).replace(/./g, "0")}.${stage}`',
    },
    {
      name: "a name that is held leaves the trash",
      rule: "O14, F15",
      find: `if (holder !== undefined && holders.has(holder) && !released.has(name)) {`,
      replace: `if (holder !== undefined && holders.has(holder) && released.has(name) && hash === "") {`,
    },
    {
      name: "a name whose discarder has done its work is held until the next checkpoint",
      rule: "O14",
      find: `holders.has(holder) && !released.has(name)) {`,
      replace: `holders.has(holder) && !released.has("")) {`,
    },
    {
      name: "it is asked who holds a name after the log was read",
      rule: "O14, F15",
      find: `    const holders = new Set(await this.fs.later.readdir(this.layout.stage));\n    const scanned = scan();\n`,
      replace: `    const scanned = scan();\n    const holders = new Set(await this.fs.later.readdir(this.layout.stage));\n`,
    },
    {
      name: "a value in the trash that is referenced is not moved back",
      rule: "O14, phase 2",
      find: `if (isReferenced(hash)) {`,
      replace: `if (isReferenced(hash) && hash === "") {`,
    },
    {
      name: "a value leaves the trash at the first look",
      rule: "O14, phase 2",
      find: `unmarked.push(name);`,
      replace: `await ignoreMissing(this.fs.later.unlink(\`\${this.layout.trash}/\${name}\`));`,
    },
    {
      name: "a value leaves the trash before the segment of its removal is sealed",
      rule: "O14, phase 2",
      find: `segment < activeSegment`,
      replace: `segment <= activeSegment`,
    },
    {
      name: "the trash is not synced before an unmarked name goes",
      rule: "O14, phase 2",
      find: `await syncDirectory(this.fs, trash);`,
      replace: ``,
    },
  ],
);

const REMOVAL = inFile(
  "src/engine/directory/blob-removal.ts",
  [suite.REMOVAL, BAD_ENTRY, NESTED, BAD_BLOBS, BLOBS, ...ENGINE],
  [
    {
      name: "what sessions refer to that no live segment changed does not count",
      rule: "O14",
      find: `for (const row of rows) for (const name of row.blobs) referenced.add(name);`,
      replace: `void rows;`,
    },
    {
      name: "shared values go though a session cannot be read",
      rule: "O14",
      find: `if (incomplete) return { segment, referenced: undefined };`,
      replace: `void incomplete;`,
    },
    {
      name: "the log's references are not looked at before values are discarded",
      rule: "O14, phase 1",
      find: `referenced.addHot(log);\n  if (referenced.unknown`,
      replace: `if (referenced.unknown`,
    },
    {
      name: "the log is not read again before the trash is emptied",
      rule: "O14, phase 2",
      find: `log.catchUp();\n    referenced.addHot(log);`,
      replace: ``,
    },
    {
      name: "the log is not read before values are discarded",
      rule: "O14, phase 1",
      find: `log.catchUp();\n  const stillCovered`,
      replace: `const stillCovered`,
    },
    {
      name: "values are discarded though catalog and log no longer have every session",
      rule: "O12, O14",
      find: `if (!stillCovered()) return undefined;`,
      replace: ``,
    },
    {
      name: "the trash is emptied though catalog and log no longer have every session",
      rule: "O12, O14",
      find: `if (!stillCovered() || referenced.unknown`,
      replace: `if (referenced.unknown`,
    },
    {
      name: "a removal goes on after a rewind",
      rule: "O12, O14",
      find: `log.epoch === epoch && (log.segments`,
      replace: `epoch >= 0 && (log.segments`,
      equivalent:
        "after a rewind the log is read from its lowest segment on, and whether catalog and log have every session then is the other half of the condition",
    },
    {
      name: "values go though what a missing one refers to is not known",
      rule: "O14",
      find: `if (referenced.unknown !== undefined) return warn(log, referenced.unknown);`,
      replace: `void warn;`,
    },
    {
      name: "values within values are not referenced",
      rule: "O14",
      find: `for (const reference of this.#within(hash)) this.add(blobName(reference));`,
      replace: ``,
    },
  ],
);

const DEAD = inFile(
  "src/engine/directory/dead-values.ts",
  [suite.DEAD_VALUES, suite.FULL_DISK],
  [
    {
      name: "values of fields that a patch replaces are not counted",
      rule: "space",
      find: `if (old !== undefined) this.#giveUpFields(old, op.p, op.u);`,
      replace: ``,
    },
    {
      name: "values of a session that is set anew are not counted",
      rule: "space",
      find: `if (old !== undefined) for (const name of Object.keys(old)) this.#giveUp(old[name]);`,
      replace: ``,
    },
    {
      name: "a value that is referred to anew stays counted",
      rule: "space",
      find: `      this.#count(-bytes);\n`,
      replace: ``,
    },
    {
      name: "one value is counted for every session that gives it up",
      rule: "space",
      find: `    if (this.#given.has(hash)) return;\n    this.#given.set`,
      replace: `    this.#given.set`,
    },
    {
      name: "values within values are not counted",
      rule: "space",
      find: `for (const part of within(value.hash) ?? []) this.#add(part);`,
      replace: `void within;`,
    },
    {
      name: "what others have removed stays counted",
      rule: "space",
      find: `      this.bytes -= bytes;\n`,
      replace: ``,
    },
  ],
);

export const SHARED_VALUES = [...SHARED, ...DISCARDED, ...REMOVAL, ...DEAD];
