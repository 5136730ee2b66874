// @ts-check
/**
 * What a gateway began and what was acknowledged to it, in a file of its own: it survives the gateway's SIGKILL, and
 * the store knows nothing of it.
 *
 * Eight bytes a record: the session's number plus one, negative when begun and positive when acknowledged, as int32;
 * the microseconds that it took, 1 when begun, as float32. A transaction has a record for each of its sessions, with
 * 0 in all but the first.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const RECORD_BYTES = 8;

export class Journal {
  /** @readonly */
  #file;

  /** @param {string} path */
  constructor(path) {
    this.#file = openSync(path, "wx", 0o600);
  }

  /**
   * @param {readonly number[]} sessions
   * @param {() => Promise<void>} update
   */
  async record(sessions, update) {
    this.#write(sessions.map((session, index) => [-(session + 1), index === 0 ? 1 : 0]));
    const start = performance.now();
    await update();
    const microseconds = (performance.now() - start) * 1000;
    this.#write(sessions.map((session, index) => [session + 1, index === 0 ? microseconds : 0]));
  }

  /** @param {readonly (readonly number[])[]} records */
  #write(records) {
    const bytes = Buffer.alloc(records.length * RECORD_BYTES);
    for (const [index, [session = 0, microseconds = 0]] of records.entries()) {
      bytes.writeInt32LE(session, index * RECORD_BYTES);
      bytes.writeFloatLE(microseconds, index * RECORD_BYTES + 4);
    }
    writeSync(this.#file, bytes);
  }

  close() {
    closeSync(this.#file);
  }
}

/**
 * @param {string} path
 * @param {number} sessions How many there are.
 * @returns How often each session was to be changed, and was acknowledged to be; how long every acknowledged update
 *   took, and how many were never acknowledged.
 */
export function readJournal(path, sessions) {
  const bytes = readFileSync(path);
  const begun = new Uint32Array(sessions);
  const acknowledged = new Uint32Array(sessions);
  /** @type {number[]} */
  const microseconds = [];
  let unacknowledged = 0;
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const session = bytes.readInt32LE(at);
    const took = bytes.readFloatLE(at + 4);
    const counts = session < 0 ? begun : acknowledged;
    const index = Math.abs(session) - 1;
    counts[index] = (counts[index] ?? 0) + 1;
    if (took === 0) continue;
    unacknowledged += session < 0 ? 1 : -1;
    if (session > 0) microseconds.push(took);
  }
  return { begun, acknowledged, microseconds, unacknowledged };
}
