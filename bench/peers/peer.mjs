// @ts-check
/**
 * What a store must be able to do to be measured. A peer may answer at once or with a promise; the workloads await
 * only promises, so that nobody pays for an `await` that it does not need.
 */

/**
 * @typedef {import("../entries.mjs").Entry} Entry
 * @typedef {"disk" | "os"} Durability "disk" survives a power cut, "os" a killed process.
 *
 * @typedef {object} Peer
 * @property {string} name As in results and tables.
 * @property {string} settings What makes the comparison fair: modes and versions, for the report.
 * @property {(folder: string, durability: Durability) => Promise<OpenPeer>} open Makes the store if there is none.
 *   Other processes may have it open.
 * @property {(folder: string, entries: Iterable<[key: string, entry: Entry]>) => Promise<void>} fill Makes a store
 *   with these sessions as if it had been in use: nothing is left to be done for them. Not measured.
 *
 * @typedef {object} OpenPeer
 * @property {(key: string) => Entry | undefined} get Latest state, other processes' commits included.
 * @property {(key: string, change: (entry: Entry) => Entry) => void | Promise<unknown>} update Read, change, write,
 *   with nobody in between; resolved when it is as durable as was asked.
 * @property {(count: number) => KeyedEntry[] | Promise<KeyedEntry[]>} newest By updatedAt, latest first.
 * @property {() => KeyedEntry[] | Promise<KeyedEntry[]>} all
 * @property {() => Promise<void>} settle Does now what it would otherwise do in the background, later.
 * @property {() => Promise<void>} tidy Leaves the files as after a long quiet time: nothing in any log.
 * @property {() => number} segments Grows by one with every checkpoint; 0 where there is no such thing.
 * @property {() => Promise<void>} close
 *
 * @typedef {{ key: string, entry: Readonly<Entry> }} KeyedEntry
 */
export {};
