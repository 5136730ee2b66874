/** `cp -r` of a store that is in use, some names at a time: its files and its log are of different moments. */
import { basename, dirname } from "node:path";
import { SimulatedDisk } from "../src/testing/simulated/disk.js";
import { STORE, type Commit, type Oracle, type Version } from "./oracle.js";

const NEWLINE = 0x0a;

export class Copy {
  readonly disk = new SimulatedDisk({ device: 2n });
  /** Names that are still to be copied; a folder is listed when its turn comes. */
  readonly #open = [STORE];
  /** Goes on while it is copied: a power cut, which begins a new history, is the end of an unfinished copy. */
  readonly #history: readonly Commit[];
  #calls = 0;

  constructor(
    private readonly from: SimulatedDisk,
    oracle: Oracle,
    /** System calls of the processes between two names. */
    private readonly pace: number,
  ) {
    this.#history = oracle.history;
  }

  /** To be told of every call. */
  called(): void {
    if (++this.#calls % this.pace === 0) this.#next();
  }

  get done(): boolean {
    return this.#open.length === 0;
  }

  finish(): void {
    while (!this.done) this.#next();
  }

  #next(): void {
    const path = this.#open.shift();
    if (path === undefined) return;
    const content = this.from.readRaw(path);
    if (content !== undefined) return this.disk.writeRaw(path, content);
    const names = this.from.names(path);
    if (!this.from.names(dirname(path)).includes(basename(path))) return; // gone before its turn came
    this.disk.makeDirectory(path);
    this.#open.unshift(...names.map((name) => `${path}/${name}`));
  }

  /** Whether the copied log ends within a line. */
  get torn(): boolean {
    return this.#lastSegment.at(-1) !== NEWLINE;
  }

  /** Whether the copied log ends in what a power cut left: it is newer than the system's start, and so nobody can tell that any more. */
  get hasZeros(): boolean {
    return this.#lastSegment.includes(0);
  }

  get #lastSegment(): Buffer {
    const folder = `${STORE}/.store/log`;
    const last = this.disk.names(folder).sort().at(-1);
    return (
      (last === undefined ? undefined : this.disk.readRaw(`${folder}/${last}`)) ?? Buffer.from([NEWLINE])
    );
  }

  /** What the store said of a session at some time. */
  version(key: string, revision: number): Version | undefined {
    return this.#history.find((commit) => commit.revision === revision)?.after.get(key);
  }
}
