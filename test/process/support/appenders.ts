/**
 * One store, the workers (`programs/appending.mjs`) that append to its transcripts, and what they wrote down: in rounds, each of
 * which begins with the state that the one before ended with, and ends with everything being compared.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openDirectoryStore, type DirectorySessionStore, type OpenOptions } from "../../../src/index.js";
import { start, type Child } from "./child.js";
import { ItemAccounts, transcriptId, type FinalTranscript, type ItemTotal } from "./item-account.js";

interface Counting {
  readonly length?: number;
}

export interface AppendersOptions {
  /** Folder of the programs; a copy, where the library may be built anew meanwhile. */
  readonly programs: string;
  readonly options: OpenOptions<Counting>;
  /** Whether calls of workers may fail, because their disk goes away. */
  readonly mayFail: boolean;
}

export interface AppenderOptions {
  /** An incarnation takes up what the one before it in the same slot left open. */
  readonly slot: number;
  readonly durability: "os" | "disk";
  readonly seed: number;
  readonly lanes: number;
}

export class Appenders {
  readonly store: string;
  /** Warnings of clean processes, by code. */
  readonly warnings = new Map<string, number>();
  readonly total: ItemTotal = { acknowledged: 0, durable: 0, repeated: 0, open: 0, removals: 0, observed: 0 };
  readonly #history: string;
  readonly #durable = new Map<string, boolean>();
  /** Sessions that may have transcripts, whether they have a record or not. */
  readonly #keys = new Set(["shared"]);
  #round = 0;
  #before: ReadonlyMap<string, FinalTranscript> = new Map();

  /** @param outside Where workers write their histories: not on the disk of the store, if that loses power. */
  constructor(
    folder: string,
    outside: string,
    readonly options: AppendersOptions,
  ) {
    this.store = join(folder, "sessions.d");
    this.#history = join(outside, "items");
    mkdirSync(this.#history);
  }

  /** Slot 0 also removes items; a worker without lanes reads. */
  startWorker({ slot, durability, seed, lanes }: AppenderOptions): Child {
    const name = `${this.#round}-${slot}`;
    this.#durable.set(name, (this.#durable.get(name) ?? true) && durability === "disk");
    const { options, programs, mayFail } = this.options;
    this.#keys.add(`own:${name}`);
    const argument = {
      path: this.store,
      history: join(this.#history, name),
      slot: name,
      seed,
      lanes,
      reads: lanes === 0,
      removes: slot === 0,
      options: { ...options, durability },
      mayFail,
    };
    return start("appending", argument, { programs });
  }

  /**
   * All workers have ended: compares what they wrote down with what a clean process finds, before and after all of it was moved
   * into files.
   * @param powerCut When the power was still there, if it was cut, in nanoseconds of the monotonic clock.
   * @returns What does not agree.
   */
  async settle(powerCut?: number): Promise<string[]> {
    const accounts = new ItemAccounts();
    for (const name of readdirSync(this.#history)) {
      const until = this.#durable.get(name) === true ? (powerCut ?? Number.POSITIVE_INFINITY) : 0;
      accounts.read(name, readFileSync(join(this.#history, name), "utf8"), until);
    }
    const store = await this.#open();
    const after = await transcriptsOf(store, this.#keys);
    await store.flush();
    await store.checkpoint();
    await store.close();
    const again = await this.#open();
    const moved = await transcriptsOf(again, this.#keys);
    await again.close();
    const wrong = accounts.compare(this.#before, after, powerCut !== undefined);
    if (JSON.stringify([...moved]) !== JSON.stringify([...after]))
      wrong.push("a checkpoint changed what is there");
    if (wrong.length > 0) return wrong;
    for (const name of readdirSync(this.#history)) rmSync(join(this.#history, name));
    this.#round += 1;
    this.#before = after;
    for (const name of Object.keys(this.total) as (keyof ItemTotal)[])
      this.total[name] += accounts.total[name];
    return wrong;
  }

  #open(): Promise<DirectorySessionStore<Counting>> {
    return openDirectoryStore<Counting>(this.store, {
      ...this.options.options,
      onWarning: ({ code }) => void this.warnings.set(code, (this.warnings.get(code) ?? 0) + 1),
    });
  }

  /** Files of transcripts, on disk. */
  files(): string[] {
    if (!existsSync(this.store)) return [];
    return readdirSync(this.store, { recursive: true })
      .map(String)
      .filter((name) => name.endsWith(".jsonl") && !name.startsWith(".store"));
  }
}

async function transcriptsOf(
  store: DirectorySessionStore<Counting>,
  keys: Iterable<string>,
): Promise<Map<string, FinalTranscript>> {
  const found = new Map<string, FinalTranscript>();
  for (const key of keys) {
    for (const name of await store.transcripts(key)) {
      const info = await store.transcript(key, name);
      const items = [];
      for await (const { seq, id = "", revision, item } of store.iterateItems<{ by: string }>(key, {
        transcript: name,
      })) {
        if (item.by !== id) throw new Error(`item ${seq} of ${id} is one of ${item.by}`);
        items.push({ seq, id, revision });
      }
      const { last = 0, length = 0 } = info ?? {};
      const counted = name === "main" ? ((await store.get(key))?.length ?? 0) : undefined;
      found.set(transcriptId(key, name), { items, last, length, counted });
    }
  }
  return found;
}
