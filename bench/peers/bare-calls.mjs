// @ts-check
/**
 * Floors: the system calls that a store of sessiondir's design cannot do without, and nothing else. They are driven like
 * peers, by the same orders in the same rounds, so the cost of the harness is in both.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ITEM_BYTES } from "../data/items.mjs";

/**
 * @typedef {import("./peer.mjs").Durability} Durability
 * @typedef {import("./peer.mjs").OpenPeer} OpenPeer
 * @typedef {import("./peer.mjs").PeerModule} PeerModule
 */

/** An update of a small session in sessiondir's log. */
const LINE = Buffer.alloc(200, "x");
/** An append of an item there. */
const ITEM_LINE = Buffer.alloc(ITEM_BYTES + 100, "x");
/** As much as sessiondir asks for. */
const READ_BYTES = 1024 * 1024;
/** What SQLite's write-ahead log has before it begins anew. */
const OVERWRITTEN_BYTES = 4 * 1024 * 1024;
const SLOTS_PER_MS = 16;

const sync = promisify(fdatasync);
const NOTHING = Object.freeze({
  sessionId: "",
  updatedAt: 0,
  n: 0,
  contextTokens: 200_000,
  inputTokens: 0,
  note: "",
});

/**
 * A read: one `pread` at the end of the log. An update or an append: such a read, a `write`, and a `pread` of what was
 * written.
 */
export const calls = floor((file, durability) => {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let position = fstatSync(file).size;
  const readOn = () => {
    position += readSync(file, buffer, 0, buffer.length, position);
  };
  const write = (/** @type {Buffer} */ line) => {
    readOn();
    writeSync(file, line);
    readOn();
    return durability === "disk" ? sync(file) : undefined;
  };
  return {
    get() {
      readOn();
      return NOTHING;
    },
    update: () => write(LINE),
    transcripts: itemLines(file, () => write(ITEM_LINE)),
  };
});

export const appendOnPool = floor((file) => ({
  update: () => (writeSync(file, LINE), sync(file)),
  transcripts: itemLines(file, () => (writeSync(file, ITEM_LINE), sync(file))),
}));

export const appendBlocking = floor((file) => ({
  update: () => (writeSync(file, LINE), fdatasyncSync(file)),
}));

/** A file that does not grow, like SQLite's write-ahead log when it is used again. */
export const overwriteOnPool = {
  ...floor((_, __, folder) => {
    const file = openSync(join(folder, "floor.old"), "r+");
    const slots = Math.floor(OVERWRITTEN_BYTES / LINE.length);
    return {
      update() {
        // All processes near each other, as if they appended: what lies in one page is written once.
        const slot = (Date.now() * SLOTS_PER_MS) % slots;
        writeSync(file, LINE, 0, LINE.length, slot * LINE.length);
        return sync(file);
      },
    };
  }),
  /** @param {string} folder */
  async fill(folder) {
    makeLog(folder);
    const file = openSync(join(folder, "floor.old"), "w", 0o600);
    writeSync(file, Buffer.alloc(OVERWRITTEN_BYTES));
    await sync(file);
    closeSync(file);
  },
};

/** Between two updates nothing happens, so the longest time between them is the scheduler's. */
export const clock = floor((file) => ({ update() {}, transcripts: itemLines(file, () => {}) }));

/** @param {number} file @param {import("./peer.mjs").OpenTranscripts["append"]} append */
function itemLines(file, append) {
  return { ...noTranscripts, append, count: () => fstatSync(file).size / ITEM_LINE.length };
}

/**
 * @param {(file: number, durability: Durability, folder: string) => Partial<OpenPeer>} make
 * @returns {PeerModule}
 */
function floor(make) {
  return {
    version: async () => "",
    fill: async (folder) => makeLog(folder),
    async open(folder, durability) {
      const file = openSync(join(folder, "floor.log"), "a+", 0o600);
      return {
        ...notAStore,
        ...make(file, durability, folder),
        // The updates that there were.
        all: () => [{ key: "", entry: { ...NOTHING, n: fstatSync(file).size / LINE.length } }],
        close: async () => closeSync(file),
      };
    },
  };
}

/** @param {string} folder */
function makeLog(folder) {
  mkdirSync(folder, { recursive: true });
  closeSync(openSync(join(folder, "floor.log"), "a", 0o600));
}

const never = () => {
  throw new Error("no floor is measured here");
};

/** What a floor of appends need not be able to do. @type {import("./peer.mjs").OpenTranscripts} */
export const noTranscripts = { append: never, count: never, newest: never, each: never };

/** What a floor need not be able to do. @type {OpenPeer} */
export const notAStore = {
  get: never,
  update: never,
  put: never,
  delete: never,
  newest: never,
  oldest: never,
  all: never,
  onChange: never,
  settle: async () => {},
  tidy: async () => {},
  checkpoints: () => 0,
  close: async () => {},
};
