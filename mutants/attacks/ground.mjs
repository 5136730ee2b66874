// @ts-check
/** Mutants of files and formats: what is opened, which paths are trusted, checksums, limits. */
import * as suite from "../suites.mjs";
import { inFile } from "../suites.mjs";

const { BAD_ENTRY, CONFORMANCE, FRESH_VALUES, RULES, SIZES, SPECIAL, SYMLINKS, TRUST } = suite;
const NODE_FILES = "test/fs/node-file-system.test.ts";
const REGULAR_FILE = "test/fs/regular-file.test.ts";
const TRUSTED_PATH = "test/fs/trusted-path.test.ts";
const CODEC = "test/format/entry-codec.test.ts";
const ENTRY_LIMITS = "test/format/entry-limits.test.ts";
const DOCUMENT = "test/format/entry-document.test.ts";
const KEYS = "test/format/session-key.test.ts";

const NODE = inFile(
  "src/fs/node-file-system.ts",
  [NODE_FILES, REGULAR_FILE, SPECIAL],
  [
    {
      name: "links are followed",
      rule: "O_NOFOLLOW",
      find: `const NO_FOLLOW = flag("O_NOFOLLOW");`,
      replace: `const NO_FOLLOW = flag("O_RDONLY");`,
    },
    {
      name: "a FIFO in place of a file blocks",
      rule: "O_NONBLOCK",
      find: `const NO_WAIT = flag("O_NONBLOCK") | flag("O_NOCTTY");`,
      replace: `const NO_WAIT = flag("O_NOCTTY");`,
    },
    {
      name: "a file that exists is made again",
      rule: "O_EXCL",
      find: `flag("O_CREAT") | flag("O_EXCL") | NO_FOLLOW`,
      replace: `flag("O_CREAT") | NO_FOLLOW`,
    },
    {
      name: "what is appended goes to the file's beginning",
      rule: "O_APPEND",
      find: `flag("O_RDWR") | flag("O_APPEND") | NO_FOLLOW`,
      replace: `flag("O_RDWR") | NO_FOLLOW`,
    },
    {
      name: "the umask decides what mode a file has",
      rule: "trusted path",
      find: `return mode === "create" ? withFileMode(fd) : fd;`,
      replace: `return fd;`,
      suites: [NODE_FILES, TRUST],
    },
    {
      name: "a descriptor's path follows a folder that was moved",
      rule: "trusted path",
      find: `return (pinnedRoot ??= canPin());`,
      replace: `return (pinnedRoot ??= canPin() && (false as boolean));`,
      suites: [TRUSTED_PATH, SYMLINKS],
    },
  ],
);

const REGULAR = inFile(
  "src/fs/regular-file.ts",
  [REGULAR_FILE, SPECIAL, SYMLINKS, SIZES],
  [
    {
      name: "a folder or device is read like a file",
      rule: "regular file",
      find: `if (status.kind !== "file") {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a file of any size is read",
      rule: "limit",
      find: `if (status.size > limits.bytesMax) throw tooLarge(path, status.size, limits.bytesMax);`,
      replace: ``,
    },
    {
      name: "a file that grows while it is read has no limit",
      rule: "limit",
      find: `if (filled > bytesMax) throw tooLarge(path, filled, bytesMax);`,
      replace: ``,
    },
    {
      name: "a link to a folder is a folder",
      rule: "O_NOFOLLOW",
      find: `if (kind === "directory") return;`,
      replace: `if (kind === "directory" || kind === "symlink") return;`,
    },
    {
      name: "new files are never synced",
      rule: "O7, O8, O14",
      suites: [REGULAR_FILE, ...RULES],
      find: `if (options.sync) await fs.later.fdatasync(fd);`,
      replace: ``,
    },
    {
      name: "folders are never synced",
      rule: "O6, O7, O10",
      suites: [REGULAR_FILE, ...RULES],
      find: `await fs.later.fsync(fd);`,
      replace: ``,
    },
    {
      name: "a half-made file stays",
      rule: "full disk",
      suites: [REGULAR_FILE, suite.FULL_DISK, suite.FAILING],
      find: `await fs.later.unlink(path).catch(() => {});`,
      replace: ``,
    },
  ],
);

const MISSING = inFile(
  "src/fs/missing.ts",
  ["test/fs/missing.test.ts"],
  [
    {
      name: "a call that failed says that nothing is there",
      rule: "errno",
      find: `return errnoOf(error) === "ENOENT";`,
      replace: `return errnoOf(error) !== undefined;`,
    },
    {
      name: "a file in place of a folder on the way is a failure",
      rule: "errno",
      find: `return isMissing(error) || errnoOf(error) === "ENOTDIR";`,
      replace: `return isMissing(error);`,
    },
    {
      name: "what was missing was there",
      rule: "errno",
      suites: [suite.BLOB_TRASH],
      find: `if (isMissing(error)) return false;`,
      replace: `if (isMissing(error)) return true;`,
    },
  ],
);

const STATUS = inFile(
  "src/fs/status.ts",
  ["test/fs/status.test.ts", suite.PLACE],
  [
    {
      name: "files with one number on two disks are one file",
      rule: "identity",
      find: `return one.inode === other.inode && one.device === other.device;`,
      replace: `return one.inode === other.inode;`,
    },
    {
      name: "all files of a disk are one file",
      rule: "identity",
      find: `return one.inode === other.inode && one.device === other.device;`,
      replace: `return one.device === other.device;`,
    },
  ],
);

const WHOLE_FILES = [
  ...inFile(
    "src/fs/write-all.ts",
    ["test/fs/write-all.test.ts", suite.FAILING],
    [
      {
        name: "a write that was cut short is not gone on with",
        rule: "short write",
        find: `while (written < bytes.byteLength) {`,
        replace: `while (written < Math.min(1, bytes.byteLength)) {`,
      },
      {
        name: "a write that takes nothing is tried for ever",
        rule: "bound",
        find: `if (count === 0) throw tookNothing();`,
        replace: `if (count < 0) throw tookNothing();`,
      },
    ],
  ),
  ...inFile(
    "src/fs/replace-file.ts",
    ["test/fs/replace-file.test.ts", suite.RESERVE],
    [
      {
        name: "a file has its name before its bytes are durable",
        rule: "atomic replacement",
        find: `await createFile(fs, temporary, bytes, { sync: true });`,
        replace: `await createFile(fs, temporary, bytes, { sync: false });`,
      },
      {
        name: "the name of a replaced file is never durable",
        rule: "atomic replacement",
        find: `await syncDirectory(fs, dirname(path));`,
        replace: `void [syncDirectory, dirname];`,
      },
      {
        name: "what could not be put into its place stays aside",
        rule: "atomic replacement",
        find: `await fs.later.unlink(temporary).catch(() => {});`,
        replace: ``,
      },
    ],
  ),
  ...inFile(
    "src/fs/remove-if-empty.ts",
    ["test/fs/remove-if-empty.test.ts"],
    [
      {
        name: "a folder with something in it is a failure",
        rule: "F14",
        find: `["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"]`,
        replace: `["ENOENT", "EEXIST", "ENOTDIR"]`,
      },
      {
        name: "no failure of rmdir is told",
        rule: "errno",
        find: `if (!NOT_EMPTY.has(errnoOf(error) ?? "")) throw error;`,
        replace: `void [NOT_EMPTY, errnoOf(error)];`,
      },
    ],
  ),
];

const TRUSTED = inFile(
  "src/fs/trusted-path.ts",
  [TRUSTED_PATH, TRUST, SYMLINKS],
  [
    {
      name: "a folder may belong to anybody",
      rule: "trusted path, owner",
      find: `if (user === undefined || status.owner === user || status.owner === 0) return;`,
      replace: `if (user !== -1) return;`,
    },
    {
      name: "root's folders are not trusted",
      rule: "trusted path, owner",
      find: ` || status.owner === 0) return;`,
      replace: `) return;`,
    },
    {
      name: "a folder may be written by anybody",
      rule: "trusted path, mode",
      find: `if (this.#user === undefined || (status.mode & this.#writable) === 0) return;`,
      replace: `if (path !== "") return;`,
    },
    {
      name: "a folder may be written by its group",
      rule: "trusted path, mode",
      find: `WRITABLE_BY_ALL : WRITABLE_BY_GROUP | WRITABLE_BY_ALL;`,
      replace: `WRITABLE_BY_ALL : WRITABLE_BY_ALL;`,
    },
    {
      name: "in a sticky folder anybody's folder is trusted",
      rule: "trusted path, sticky",
      find: `else if ((status.mode & this.#writable) !== 0 && childStatus !== undefined)`,
      replace: `else if (false as boolean)`,
    },
    {
      name: "every folder that others can write is trusted like a sticky one",
      rule: "trusted path, sticky",
      find: `if ((status.mode & STICKY) === 0) this.notWritable(folder, status);`,
      replace: `if (status.mode < 0) this.notWritable(folder, status);`,
    },
    {
      name: "the folder itself may be a sticky one",
      rule: "trusted path, sticky",
      find: `    this.notWritable(path, status);\n`,
      replace: `    if ((status.mode & STICKY) === 0) this.notWritable(path, status);\n`,
    },
    {
      name: "a link on the way may belong to anybody",
      rule: "trusted path, owner",
      find: `judge.owner(child, childStatus);\n      if (++links`,
      replace: `if (++links`,
    },
    {
      name: "folders on the way may belong to anybody",
      rule: "trusted path, owner",
      find: `assertDirectory(child, childStatus);\n      judge.owner(child, childStatus);`,
      replace: `assertDirectory(child, childStatus);`,
    },
    {
      name: "a folder that was replaced while it was checked is opened",
      rule: "trusted path",
      find: `if (!isSameFile(status, seen)) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "links in a circle are followed for ever",
      rule: "bound",
      find: `if (++links > LINKS_MAX) {`,
      replace: `if (++links > LINKS_MAX * 1e6) {`,
    },
    {
      name: "the store's own folders may be anybody's",
      rule: "trusted path, owner",
      find: `assertIsFolder(status, path);\n      judge.folder(path, status);`,
      replace: `assertIsFolder(status, path);`,
    },
    {
      name: "the first folder that offends is the only one that is told",
      rule: "trusted path",
      find: `this.#offences.set(`,
      replace: `if (!this.offended) this.#offences.set(`,
    },
    {
      name: "what all may write is trusted with the group",
      rule: "trusted path, mode",
      find: `trust === "group" ? WRITABLE_BY_ALL`,
      replace: `trust === "group" ? 0`,
    },
    {
      name: "a network file system is local",
      rule: "file_system_unsupported",
      find: `if (network === undefined) return "local";`,
      replace: `if (network !== "") return "local";`,
    },
  ],
);

const DOCUMENTS = inFile(
  "src/format/entry-document.ts",
  [DOCUMENT, BAD_ENTRY],
  [
    {
      name: "an entry file is authoritative whatever its checksum",
      rule: "checksum",
      find: `if (found !== crc || !isUtf8(bytes)) return diagnose(bytes);`,
      replace: `if (found === "" || !isUtf8(bytes)) return diagnose(bytes);`,
    },
    {
      name: "an entry file that is not UTF-8 counts",
      rule: "entry_corrupt",
      find: `if (found !== crc || !isUtf8(bytes)) return diagnose(bytes);`,
      replace: `if (found !== crc) return diagnose(bytes);`,
    },
    {
      name: "an entry file that was edited by hand counts, if its checksum holds",
      rule: "canonical",
      find: "if (`${composeHeader(state)}${crc}${composeRest(state.stored)}` !== text) {",
      replace: "if (false as boolean) {",
    },
    {
      name: "an entry of any depth counts",
      rule: "limit",
      find: `if (!isWithinDepth(value)) return "it nests too deep";`,
      replace: ``,
    },
  ],
);

const SESSION_KEYS = inFile(
  "src/format/session-key.ts",
  [KEYS, "test/engine/directory/hostile/keys.test.ts"],
  [
    {
      name: "a key may have any length",
      rule: "limit",
      find: `if (actual > limits.keyBytesMax) {`,
      replace: `if (actual > Math.max(limits.keyBytesMax, 1e9)) {`,
    },
    {
      name: "a key may have half a character",
      rule: "key",
      find: `if (!isWellFormed(key)) {`,
      replace: `if (false as boolean) {`,
    },
    {
      name: "a folder's name begins with a dot",
      rule: "key",
      find: `if (name.startsWith(".") || RESERVED_NAME.test(name)) {`,
      replace: `if (RESERVED_NAME.test(name)) {`,
    },
    {
      name: "a folder has a name that Windows reserves",
      rule: "key",
      find: `if (name.startsWith(".") || RESERVED_NAME.test(name)) {`,
      replace: `if (name.startsWith(".")) {`,
    },
    {
      name: "a folder's name ends with a dot",
      rule: "key",
      find: 'if (name.endsWith(".")) name = `${name.slice(0, -1)}%2E`;',
      replace: ``,
    },
    {
      name: "a folder's name has any length",
      rule: "limit",
      find: `if (name.length <= NAME_BYTES_MAX) return name;`,
      replace: `if (name.length > 0) return name;`,
    },
    {
      name: "two keys have one folder where a long name is cut",
      rule: "key",
      find: 'return `${prefix}~${createHash("sha256").update(key, "utf8").digest("hex")}`;',
      replace: 'return `${prefix}~${createHash("sha256").update(prefix, "utf8").digest("hex")}`;',
    },
    {
      name: "a name that no key has is taken for a session's",
      rule: "key",
      find: `return folderNameForKey(key) === name ? key : undefined;`,
      replace: `return key;`,
    },
  ],
);

const LIMITS = inFile(
  "src/format/entry-limits.ts",
  [CODEC, ENTRY_LIMITS, SIZES],
  [
    {
      name: "an entry may have any size",
      rule: "limit",
      find: `if (total > entryBytesMax) {`,
      replace: `if (total > Math.max(entryBytesMax, 1e12)) {`,
    },
    {
      name: "the inline part of an entry may have any size",
      rule: "limit",
      find: `if (inlineBytes > recordBytesMax) {`,
      replace: `if (inlineBytes > Math.max(recordBytesMax, 1e12)) {`,
    },
  ],
);

const ENCODING = inFile(
  "src/format/encode-entry.ts",
  [CODEC, ENTRY_LIMITS, SIZES, CONFORMANCE],
  [
    {
      name: "work on an entry that is far too large goes on",
      rule: "limit",
      find: `if (this.#spent > limit)`,
      replace: `if (this.#spent > limit * 1e6)`,
    },
    {
      name: "a part of the last entry may nest to any depth",
      rule: "limit",
      find: `if (level + height - 1 > limits.depthMax) throw`,
      replace: `if (level + height - 1 > limits.depthMax * 1e6) throw`,
    },
    {
      name: "an entry may nest to any depth",
      rule: "limit",
      find: `if (level > this.rules.limits.depthMax) throw`,
      replace: `if (level > this.rules.limits.depthMax * 1e6) throw`,
    },
    {
      name: "a shared value may have any size",
      rule: "limit",
      find: `if (bytes > limits.blobBytesMax) {`,
      replace: `if (bytes > limits.blobBytesMax * 1e6) {`,
    },
  ],
);

const FRESH = inFile(
  "src/format/encode-entry.ts",
  [FRESH_VALUES, CODEC],
  [
    {
      name: "a big value stays inline although a file has what it takes the place of",
      rule: "fresh values",
      find: `if (!this.fresh || replaced === undefined`,
      replace: `if (replaced === undefined`,
    },
    {
      name: "a big value stays inline although it takes the place of a small one",
      rule: "fresh values",
      find: `if ((inline && before < thresholdBytes) || estimatedBytes`,
      replace: `if (estimatedBytes`,
    },
    {
      name: "any number of bytes stays inline",
      rule: "fresh values",
      find: ` || estimatedBytes(base) + more > inlineBytesMax) return false;`,
      replace: `) return false;`,
    },
    {
      name: "values that are replaced at once are not counted together",
      rule: "fresh values",
      find: `this.#inlinedBytes = more;`,
      replace: ``,
    },
    {
      name: "what other sessions have as well stays inline",
      rule: "fresh values",
      find: `if (lately.has(hash)) return false;`,
      replace: ``,
    },
    {
      name: "an inline value that came as a copy is changed",
      rule: "fresh values",
      find: `if (base === undefined && isSame(place.base, json)) return undefined;`,
      replace: ``,
    },
    {
      name: "an inline text that was not touched becomes a blob",
      rule: "fresh values",
      find: `if (same || bound < this.rules.thresholdBytes) return text;`,
      replace: `if (bound < this.rules.thresholdBytes) return text;`,
    },
    {
      name: "a blob that is known is not referred to",
      rule: "fresh values",
      find: `if (blob === undefined && base?.hash !== hash && this`,
      replace: `if (base?.hash !== hash && this`,
    },
  ],
);

const RECORD_LIMIT = inFile(
  "src/format/entry-codec.ts",
  [FRESH_VALUES],
  [
    {
      name: "what stays inline may make an entry too large for a record",
      rule: "fresh values",
      find: `Math.floor(limits.recordBytesMax / UNIT_BYTES_MAX),`,
      replace: `limits.recordBytesMax,`,
    },
  ],
);

const OPTIONS = inFile(
  "src/store/options.ts",
  ["test/store/options.test.ts"],
  [
    {
      name: "limits may go beyond what the format allows",
      rule: "limit",
      find: `if (resolved[name] > max) {`,
      replace: `if (resolved[name] > max * 1e9) {`,
    },
  ],
);

export const GROUND = [
  ...NODE,
  ...REGULAR,
  ...MISSING,
  ...STATUS,
  ...WHOLE_FILES,
  ...TRUSTED,
  ...DOCUMENTS,
  ...SESSION_KEYS,
  ...LIMITS,
  ...ENCODING,
  ...FRESH,
  ...RECORD_LIMIT,
  ...OPTIONS,
];
