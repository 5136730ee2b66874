// @ts-check
/**
 * A floor: the system calls that sessiondir makes from opening a store to its first answer, recorded in one process and
 * made again, one after the other, in a new one that does nothing else. Its folder has the recording.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { notAStore } from "./bare-calls.mjs";

/**
 * @typedef {{ name: string, args: unknown[], fd?: number, failed?: true }} Call `fd` is what an open returned.
 * @typedef {import("../../dist/testing/index.js").FileSystem} FileSystem
 */

const FILE = "calls.json";
const { O_RDONLY, O_RDWR, O_APPEND, O_DIRECTORY } = fs.constants;
const FLAGS = { read: O_RDONLY, append: O_RDWR | O_APPEND, directory: O_RDONLY | O_DIRECTORY };
const PINNED = /^\/proc\/self\/fd\/(\d+)/;

let buffer = Buffer.alloc(0);

/** What opening may do, and how it is done without the store. @type {Record<string, (...args: any[]) => unknown>} */
const CALLS = {
  open: (path, /** @type {keyof typeof FLAGS} */ mode) => fs.openSync(path, FLAGS[mode]),
  close: (fd) => fs.closeSync(fd),
  read: (fd, _, __, length, position) => fs.readSync(fd, buffer, 0, length, position),
  fstat: (fd) => fs.fstatSync(fd, { bigint: true }),
  lstat: (path) => fs.lstatSync(path, { bigint: true }),
  readdir: (path) => fs.readdirSync(path),
  realpath: (path) => fs.realpathSync.native(path),
  readlink: (path) => fs.readlinkSync(path),
  fileSystemType: (path) => fs.statfsSync(path, { bigint: true }),
};
/** Asks nobody. */
const NO_CALLS = ["userId", "watch"];

/** @type {Call[]} */
let calls = [];

/** @param {string} folder */
export async function version(folder) {
  calls = JSON.parse(fs.readFileSync(join(folder, FILE), "utf8"));
  const longest = Math.max(
    0,
    ...calls.filter(({ name }) => name === "read").map(({ args }) => Number(args[3])),
  );
  buffer = Buffer.allocUnsafeSlow(longest);
  return `${calls.length} calls`;
}

export async function fill() {}

/** @returns {Promise<import("./peer.mjs").OpenPeer>} */
export async function open() {
  /** @type {Map<number, number>} */
  const files = new Map();
  for (const { name, args, fd, failed } of calls) {
    const [first, ...others] = args;
    let result;
    try {
      result = CALLS[name]?.(translated(first, files), ...others);
    } catch {
      if (failed) continue;
      throw new Error(`the store is not as it was recorded: ${name} ${String(first)}`);
    }
    if (fd !== undefined) files.set(fd, Number(result));
  }
  const NOTHING = /** @type {import("../data/entries.mjs").Entry} */ ({});
  return {
    ...notAStore,
    get: () => NOTHING,
    newest: (count) => Array.from({ length: count }, (_, index) => ({ key: String(index), entry: NOTHING })),
  };
}

/** Descriptors and the paths that lead through them have other numbers now. @param {unknown} first @param {Map<number, number>} files */
function translated(first, files) {
  if (typeof first === "number") return files.get(first);
  return String(first).replace(PINNED, (_, fd) => `/proc/self/fd/${files.get(Number(fd))}`);
}

/**
 * @param {string} folder Of sessiondir's store.
 * @param {{ key: string } | { newest: number }} question
 * @param {string} to The floor's folder.
 */
export async function record(folder, question, to) {
  const { nodeFileSystem, openDirectoryStoreOn, systemRuntime } = await import("../../dist/testing/index.js");
  /** @type {Call[]} */
  const made = [];
  const fileSystem = { ...recording(nodeFileSystem, made), later: recording(nodeFileSystem.later, made) };
  const store = await openDirectoryStoreOn(fileSystem, systemRuntime, join(folder, "sessions.d"), {
    durability: "os",
  });
  if ("key" in question) store.getSync(question.key);
  else store.listSync({ orderBy: "updatedAt", descending: true, limit: question.newest });
  fs.mkdirSync(to);
  fs.writeFileSync(join(to, FILE), JSON.stringify(made));
  await store.close();
  const unknown = made.find(({ name }) => !(name in CALLS));
  if (unknown !== undefined)
    throw new Error(`opening a store makes a call that is not known here: ${unknown.name}`);
}

/**
 * @template {object} T
 * @param {T} calls
 * @param {Call[]} made
 * @returns {T}
 */
function recording(calls, made) {
  const wrapped = Object.entries(calls).map(([name, call]) => {
    if (typeof call !== "function" || NO_CALLS.includes(name)) return [name, call];
    return [
      name,
      (/** @type {unknown[]} */ ...args) => {
        /** @type {Call} */
        const one = { name, args: args.map((arg) => (ArrayBuffer.isView(arg) ? null : arg)) };
        made.push(one);
        const keep = (/** @type {unknown} */ result) => {
          if (name === "open") one.fd = Number(result);
          return result;
        };
        const fail = (/** @type {unknown} */ error) => {
          one.failed = true;
          throw error;
        };
        try {
          const result = call(...args);
          return result instanceof Promise ? result.then(keep, fail) : keep(result);
        } catch (error) {
          return fail(error);
        }
      },
    ];
  });
  return Object.fromEntries(wrapped);
}
