// @ts-check
/**
 * What a store must be able to do to be measured. A peer may answer at once or with a promise; the workloads await
 * only promises, so that nobody pays for an `await` that it does not need.
 */

/**
 * @typedef {import("../data/entries.mjs").Entry} Entry
 * @typedef {import("../data/items.mjs").Item} Item
 * @typedef {"disk" | "os"} Durability "disk" survives a power cut, "os" a killed process.
 *
 * @typedef {object} Peer What is known of a peer without loading it.
 * @property {string} name As in results and tables.
 * @property {string} short As in charts.
 * @property {string} settings What makes the comparison fair: modes and options, for the report.
 * @property {string} reads What a warm read gives.
 * @property {boolean} records It keeps sessions' entries.
 * @property {string} transcripts How it keeps transcripts, for the report; empty if it is not measured with them.
 * @property {() => Promise<PeerModule>} load Throws where it cannot be measured.
 * @property {readonly Durability[]} durabilities
 * @property {boolean} manyProcesses
 * @property {boolean} newNode It needs a newer Node than the oldest that sessiondir supports.
 * @property {boolean} noisy It writes its own log to the standard error output.
 * @property {boolean} slow An update costs milliseconds: fewer rounds.
 * @property {number} sessionsMax More than that takes it minutes to make.
 * @property {boolean} floor No store, but the least that one of sessiondir's design has to do.
 * @property {boolean} untraceable A floor whose updates cannot be counted afterwards.
 *
 * @typedef {object} PeerModule
 * @property {(folder: string) => Promise<string>} version Of the package, for the report. Loads it; the folder is that
 *   of the worker's store, which need not be there.
 * @property {(folder: string, durability: Durability) => Promise<OpenPeer>} open Other processes may have it open.
 * @property {(folder: string, entries: Iterable<[key: string, entry: Entry]>) => Promise<void>} fill Makes a store
 *   with these sessions as if it had been in use: nothing is left to be done for them. Not measured.
 * @property {(folder: string, items: Iterable<[key: string, item: Item]>) => Promise<void>} [fillItems] Puts items into
 *   the transcripts of a store that `fill` made, one after the other, likewise. Of those that keep transcripts.
 *
 * @typedef {object} OpenPeer
 * @property {(key: string) => Entry | undefined | Promise<Entry | undefined>} get Latest state, other processes'
 *   commits included.
 * @property {(key: string, change: (entry: Entry) => Entry) => void | Promise<unknown>} update Read, change, write,
 *   with nobody in between; resolved when it is as durable as was asked.
 * @property {(key: string, entry: Entry) => void | Promise<unknown>} put
 * @property {(key: string) => void | Promise<unknown>} delete
 * @property {(count: number) => KeyedEntry[] | Promise<KeyedEntry[]>} newest By updatedAt, latest first.
 * @property {(count: number) => KeyedEntry[] | Promise<KeyedEntry[]>} oldest By updatedAt, earliest first.
 * @property {() => KeyedEntry[] | Promise<KeyedEntry[]>} all
 * @property {(listener: () => void) => () => void} onChange Calls the listener soon after a commit of any process;
 *   returns what ends that.
 * @property {() => Promise<void>} settle Does now what it would otherwise do in the background, later.
 * @property {() => Promise<void>} tidy Leaves the files as after a long quiet time: nothing in any log.
 * @property {() => number} checkpoints Grows by one with every checkpoint that is over; 0 where there is no such thing.
 * @property {() => Promise<void>} close
 * @property {OpenTranscripts} [transcripts] Of those that keep them. A floor may have some of it.
 *
 * @typedef {object} OpenTranscripts One transcript a session.
 * @property {(key: string, item: Item) => void | Promise<unknown>} append To the end; resolved when it is as durable as
 *   was asked.
 * @property {(key: string, item: Item, patch: Partial<Entry>) => void | Promise<unknown>} [appendAndPatch] The same, and
 *   some fields of the session's entry, in one commit. Left out by those that cannot do both or none.
 * @property {(key: string) => number | Promise<number>} count Of items; a floor tells of all transcripts together.
 * @property {(key: string, count: number) => Item[] | Promise<Item[]>} newest In the order in which they were appended.
 * @property {(key: string, see: (item: Item) => void) => void | Promise<void>} each All of them, oldest first.
 *
 * @typedef {{ key: string, entry: Readonly<Entry> }} KeyedEntry
 */
export {};
