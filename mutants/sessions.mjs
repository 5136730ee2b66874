// @ts-check
/** Mutants of commits, reads, listings, catalogs, shared values, and of opening a store. */
import * as suite from "./suites.mjs";
import { inFile } from "./suites.mjs";

const { BACKGROUND, BAD_BLOBS, BAD_ENTRY, BAD_FORMAT, BLOBS, CATALOG, CHANGES, CONFORMANCE, COPIES } = suite;
const { EDGES, ENGINE, FAILING, INTERLEAVED, LISTING, LOST_LOG, NESTED, NEWEST, POWER_CUT } = suite;
const { READ_ONLY, RULES, SIZES, STORE_FOLDER, SYMLINKS, TRUST } = suite;

const COMMIT = inFile("src/engine/directory/commit.ts", ENGINE, [
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
    find: `if (segment.ledger.sealed) return { next: "make segment" };`,
    replace: ``,
  },
  {
    name: "a file that is ahead of the log is built upon",
    rule: "O5",
    suites: [RULES, COPIES],
    find: `if (revision >= segment.firstRevision && !segment.ledger.changed.has(op.key)) {`,
    replace: `if (false as boolean) {`,
  },
  {
    name: "what a listing has told of a session's revision is forgotten",
    rule: "O5",
    suites: [suite.COMMIT, COPIES],
    find: `state?.revision ?? this.log.knownRevision?.(op.key) ?? 0`,
    replace: `state?.revision ?? 0`,
  },
  {
    name: "the next segment begins at the revision of the file that is ahead",
    rule: "O5",
    suites: [RULES, COPIES],
    find: `segment, revision: revision + 1 }`,
    replace: `segment, revision }`,
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
    find: `if (!cold || (tail.epoch === epoch && states.every(current))) return states;`,
    replace: `if (!cold || epoch >= 0 || states.every(current)) return states;`,
  },
  {
    name: "states from before a start-over are used",
    rule: "O12",
    suites: [suite.COMMIT],
    find: `(tail.epoch === epoch && states.every(current))`,
    replace: `(epoch >= 0 && states.every(current))`,
  },
  {
    name: "a write without a base trusts its predecessor's shared values",
    rule: "O14",
    suites: [suite.COMMIT],
    find: `op.base === undefined || state?.stored === undefined ? [] :`,
    replace: `state?.stored === undefined ? [] :`,
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
    suites: [suite.COMMIT, EDGES],
    find: `if (tail.active !== segment) return undefined;`,
    replace: ``,
  },
  {
    name: "the first change of a key in a segment is a patch",
    rule: "rule 4",
    suites: [suite.COMMIT],
    find: `plan.segment.ledger.changed.has(k) &&`,
    replace: ``,
  },
  {
    name: "a patch changes the order of fields",
    rule: "rule 4",
    suites: [suite.COMMIT, CONFORMANCE],
    find: `keepsOrder(before, after, diff.unset)\n`,
    replace: `(keepsOrder(before, after, diff.unset), true as boolean)\n`,
  },
  {
    name: "who is fenced while a shared value is made waits for ever",
    rule: "O14, F6",
    suites: [suite.COMMIT],
    find: `return this.log.stageGone(segment);`,
    replace: `return;`,
  },
  {
    name: "a commit is acknowledged as durable without waiting for the disk",
    rule: "O6",
    suites: [suite.DURABLE],
    find: `durable = syncer.sync(segment);`,
    replace: `durable = (void syncer, Promise.resolve());`,
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
    find: `this.#restless = revision === undefined ? RESTLESS_COMMITS : Math.max(0, this.#restless - 1);`,
    replace: `this.#restless *= RESTLESS_COMMITS;`,
  },
  {
    name: "the failed sync of a record that does not count is nobody's",
    rule: "O6",
    suites: [suite.COMMIT],
    find: `if (revision === undefined) durable?.catch(() => {});`,
    replace: `void durable;`,
  },
  {
    name: "commits go on after an fdatasync that failed",
    rule: "O6",
    find: `throw refused(failure);\n  }`,
    replace: `}`,
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

const SESSION_LOG = inFile("src/engine/directory/session-log.ts", ENGINE, [
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
    find: `if (file.status === "present" && file.revision < (this.knownRevision?.(key) ?? 0)) {`,
    replace: `if (false as boolean) {`,
  },
  {
    name: "a start-over keeps the sessions that were known",
    rule: "O12",
    suites: [suite.NEXT_SEGMENT],
    find: `this.table.clear();`,
    replace: ``,
  },
  {
    name: "a start-over keeps what segments made of their keys",
    rule: "O12",
    suites: [suite.NEXT_SEGMENT],
    find: `this.finals.clear();`,
    replace: ``,
  },
  {
    name: "indexes and watches do not hear of a start-over",
    rule: "O12",
    suites: [CHANGES, RULES],
    find: `for (const listener of this.listeners) listener.startedOver?.();`,
    replace: ``,
  },
  {
    name: "a staging folder that is lost does not end its segment",
    rule: "O10, F6",
    find: `if (this.tail.active === segment) this.writer.seal(segment);`,
    replace: ``,
  },
  {
    name: "our own record is not recognised among others",
    rule: "O2",
    find: `this.writer.saw(record, revision);`,
    replace: ``,
  },
]);

const LIST = inFile(
  "src/engine/directory/listing.ts",
  [suite.OVERTAKEN, LISTING, NEWEST, RULES, COPIES, INTERLEAVED],
  [
    {
      name: "a listing that was overtaken between two slices is given out",
      rule: "O4, F10",
      find: `if (tail.epoch !== epoch || tail.revision !== revision) continue;`,
      replace: `if (epoch < 0 || revision < 0) continue;`,
    },
    {
      name: "the log is not read again after files were read",
      rule: "O4, F10",
      find: `tail.catchUp();\n      const answered =`,
      replace: `if (round === 0) tail.catchUp();\n      const answered =`,
    },
    {
      name: "a listing believes a file that is ahead of the log at once",
      rule: "O5",
      find: `if (this.log.isAhead(file)) tail.catchUp(); // O5: believed only if the log still does not know better`,
      replace: ``,
      equivalent:
        "nothing is answered in the round in which files were read: the next one reads the log first, and enters what it says",
    },
    {
      name: "a listing learns what it read before a start-over",
      rule: "O12",
      suites: [suite.SESSION_LOG],
      find: `if (tail.epoch === epoch && !row.dead) table.learn(state);`,
      replace: `if (epoch >= 0) table.learn(state);`,
    },
    {
      name: "an index survives a start-over",
      rule: "O12",
      find: `        this.#index = undefined;\n      },`,
      replace: `      },`,
    },
    {
      name: "an index from before a start-over is used",
      rule: "O12",
      find: `if (tail.epoch !== epoch) continue;`,
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
      rule: "glance floor",
      suites: [NEWEST],
      find: `if (!head.whole && !(more && oldest && floor && compareRows(oldest, floor) <= 0)) return undefined;`,
      replace: `void compareRows;\n    void floor;`,
    },
    {
      name: "the newest come with entries of another revision",
      rule: "glance",
      suites: [NEWEST],
      find: `if (state?.stored === undefined || state.revision !== row.revision) return undefined;`,
      replace: `if (state?.stored === undefined) return undefined;`,
    },
    {
      name: "the newest come from files that are ahead of the log",
      rule: "glance, O5",
      suites: [NEWEST, COPIES],
      find: `if (file.status !== "present" || this.log.isAhead(file)) return undefined;`,
      replace: `if (file.status !== "present") return undefined;`,
      equivalent:
        "a file that is ahead of the log has a later revision than its row, which is the next thing looked at",
    },
    {
      name: "the newest are of several moments",
      rule: "glance, O4",
      suites: [NEWEST],
      find: `tail.catchUp();\n      if (tail.revision === revision && tail.epoch === epoch) return states;`,
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
      suites: [LISTING, RULES, INTERLEAVED],
      find: `tail.catchUp();\n      if (tail.epoch !== epoch || row.dead || this.#known(row) !== undefined) return;`,
      replace: `if (tail.epoch !== epoch || row.dead || this.#known(row) !== undefined) return;`,
    },
    {
      name: "an answer is kept when there is no room for its sessions",
      rule: "bound",
      suites: [LISTING],
      find: `log.table.onEvicted = () => (this.#answered = undefined);`,
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
      name: "an answer from before a start-over is given again",
      rule: "same answer, O12",
      suites: [LISTING],
      find: `        this.#answered = undefined;\n        this.#index = undefined;`,
      replace: `        this.#index = undefined;`,
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
      find: `this.log.tail.catchUp(); // an index that was made from files is right as of a reading after them`,
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
      rule: "catalog, glance",
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
      find: `return { segment, revision, rows: sorted, incomplete: damaged.length > 0, damaged };`,
      replace: `return { segment, revision, rows: sorted, incomplete: false, damaged };`,
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
      suites: [CATALOG, LISTING, RULES],
      find: `if (changed.has(row.key)) continue;`,
      replace: ``,
    },
  ],
);

const SHARED = inFile(
  "src/entries/blobs.ts",
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
      find: `return holder !== undefined && this.#exists(this.layout.stageFolder(holder));`,
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
      find: `assertEngineRoom(this.fs, this.layout);`,
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
      find: `await this.fs.later.link(path, \`\${this.layout.trash}/\${name}\`);`,
      replace: `await this.fs.later.rename(path, \`\${this.layout.trash}/\${name}\`);`,
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
      find: `if (errnoOf(error) === "ENOENT") return false;`,
      replace: `if (errnoOf(error) === "ENOENT") return true;`,
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
      name: "shared values go though a session cannot be read",
      rule: "O14",
      find: `if (catalog === undefined || catalog.incomplete) return undefined;`,
      replace: `if (catalog === undefined) return undefined;`,
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
      find: `log.tail.catchUp();\n    referenced.addHot(log);`,
      replace: ``,
    },
    {
      name: "the log is not read before values are discarded",
      rule: "O14, phase 1",
      find: `log.tail.catchUp();\n  const stillCovered`,
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
      name: "a removal goes on after a start-over",
      rule: "O12, O14",
      find: `log.tail.epoch === epoch && (log.tail`,
      replace: `epoch >= 0 && (log.tail`,
      equivalent:
        "after a start-over the log is read from its lowest segment on, and whether catalog and log have every session then is the other half of the condition",
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
    {
      name: "any catalog that this process wrote is current",
      rule: "O14",
      find: `if (latest !== undefined && latest.segment >= lowest - 1) return latest;`,
      replace: `if (latest !== undefined) return latest;`,
    },
  ],
);

const LOST = inFile(
  "src/engine/directory/lost-log.ts",
  [LOST_LOG, RULES, suite.BAD_LOG, POWER_CUT],
  [
    {
      name: "a new log is begun beside one that others began meanwhile",
      rule: "lost log, F1",
      suites: [RULES],
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
      find: `const revision = Math.max(inFiles, inCatalogs);`,
      replace: `const revision = inCatalogs >= 0 ? inFiles : 0;`,
    },
    {
      name: "files that no catalog knows do not count",
      rule: "lost log",
      find: `const revision = Math.max(inFiles, inCatalogs);`,
      replace: `const revision = inFiles >= 0 ? inCatalogs : 0;`,
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

const FOLDER = inFile(
  "src/engine/directory/store-folder.ts",
  [STORE_FOLDER, RULES, POWER_CUT],
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
      find: `checkFolders(options, engineRoom(layout));`,
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
      find: `if (look === "first") return readFormat(options, layout, path, "second");`,
      replace: `void look;`,
    },
    {
      name: "unfinished stores of dead processes stay",
      rule: "F14",
      find: `await removeBuildingFolders(fs, layout);`,
      replace: ``,
    },
  ],
);

const FEED = inFile(
  "src/engine/directory/changes.ts",
  [CHANGES, CONFORMANCE],
  [
    {
      name: "a watch that was outrun has a gap",
      rule: "watch",
      find: `if (first === undefined || first <= this.since + 1) return;`,
      replace: `if (first !== -1) return;`,
    },
    {
      name: "a watch is live before it has read everything",
      rule: "watch",
      find: `if (replay.standsAt(log.tail)) {`,
      replace: `if (replay.tail !== log.tail) {`,
    },
    {
      name: "a watch with a full queue loses what does not fit",
      rule: "watch",
      find: `subscription.live = false;\n    takeQueue(subscription);`,
      replace: `takeQueue(subscription);`,
    },
    {
      name: "a watch does not hear of a start-over",
      rule: "watch, O12",
      find: `subscription.live = false;\n          subscription.wake?.();`,
      replace: `subscription.wake?.();`,
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

const TABLE = inFile(
  "src/engine/directory/session-table.ts",
  ["test/engine/directory/session-table.test.ts", RULES],
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
      find: `if (this.hot.get(key) !== state) continue;`,
      replace: `if (state === undefined) continue;`,
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

export const SESSIONS = [
  ...COMMIT,
  ...SESSION_LOG,
  ...LIST,
  ...LOADER,
  ...CATALOGS,
  ...SHARED,
  ...DISCARDED,
  ...REMOVAL,
  ...LOST,
  ...FOLDER,
  ...FEED,
  ...TABLE,
  ...QUEUE,
  ...RETRY,
];
