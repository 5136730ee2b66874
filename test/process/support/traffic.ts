/**
 * Traffic on one store by many workers (`programs/traffic.mjs`), and the account of it: what the workers were
 * promised, compared with what the store has in the end.
 */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openDirectoryStore, type DirectorySessionStore, type OpenOptions } from "../../../src/index.js";

export interface TrafficEntry {
  readonly count?: number;
  /** How often each incarnation of each worker changed this session. */
  readonly by?: Readonly<Record<string, number>>;
  readonly balance?: number;
  readonly updatedAt?: number;
  readonly shared?: unknown;
}

export interface TrafficOptions {
  readonly hot: number;
  readonly cold: number;
  readonly accounts: number;
  /** Updates that each worker has under way at once. */
  readonly lanes: number;
  readonly options: OpenOptions<TrafficEntry>;
}

export class Traffic {
  readonly store: string;
  readonly #acks: string;

  constructor(
    folder: string,
    readonly shape: TrafficOptions,
  ) {
    this.store = join(folder, "sessions.d");
    this.#acks = join(folder, "acks");
    mkdirSync(this.#acks);
  }

  /** Makes the store, with the same amount of money in every account. */
  async prepare(): Promise<void> {
    const store = await this.open();
    for (let account = 0; account < this.shape.accounts; account++) {
      await store.put(`account:${account}`, { balance: 1000 });
    }
    await store.close();
  }

  open(options: OpenOptions<TrafficEntry> = {}): Promise<DirectorySessionStore<TrafficEntry>> {
    return openDirectoryStore<TrafficEntry>(this.store, { ...this.shape.options, ...options });
  }

  /** Argument of the program for one incarnation of one worker; without `updates` it goes on until told to finish. */
  argument(name: string, seed: number, updates?: number): object {
    const { store, shape } = this;
    return { ...shape, store, acks: join(this.#acks, name), name, seed, updates };
  }

  /** What an incarnation was promised, and what it may or may not have done, by session. */
  promisesTo(name: string): Promises {
    let text = "";
    try {
      text = readFileSync(join(this.#acks, name), "utf8");
    } catch {
      // Killed before it opened the file.
    }
    return readPromises(text);
  }

  incarnations(): string[] {
    return readdirSync(this.#acks).sort();
  }

  /** Every session's counters against the promises; returns what does not agree, and the sums. */
  async settle(store: DirectorySessionStore<TrafficEntry>): Promise<Settlement> {
    const { sessions } = await store.list();
    const entries = new Map(sessions.map(({ key, entry }) => [key, entry]));
    const wrong: string[] = [];
    const settlement = { promised: 0, counted: 0, open: 0, money: 0 };
    const expected = new Map<string, number>();
    for (const name of this.incarnations()) {
      const { acknowledged, open } = this.promisesTo(name);
      for (const key of new Set([...acknowledged.keys(), ...open.keys()])) {
        const least = acknowledged.get(key) ?? 0;
        const most = least + (open.get(key) ?? 0);
        const counted = entries.get(key)?.by?.[name] ?? 0;
        settlement.promised += least;
        settlement.open += most - least;
        settlement.counted += counted;
        expected.set(key, (expected.get(key) ?? 0) + counted);
        if (counted < least || counted > most) {
          wrong.push(`${name} changed ${key} ${least} to ${most} times, but ${counted} count`);
        }
      }
    }
    for (const [key, { count = 0, balance = 0 }] of entries) {
      settlement.money += balance;
      if (count !== (expected.get(key) ?? 0)) wrong.push(`${key} counted ${count}, not ${expected.get(key)}`);
    }
    return { ...settlement, wrong };
  }
}

export interface Settlement {
  /** Acknowledged updates. */
  readonly promised: number;
  /** Updates that count. */
  readonly counted: number;
  /** Updates that were begun and never acknowledged. */
  readonly open: number;
  /** In all accounts. */
  readonly money: number;
  /** What does not agree, in words. */
  readonly wrong: readonly string[];
}

export interface Promises {
  readonly acknowledged: ReadonlyMap<string, number>;
  readonly open: ReadonlyMap<string, number>;
  readonly total: number;
}

/** A file of `I <number> <key>`, `A <number>` and `R <number>` lines; the last one may be cut off. */
function readPromises(text: string): Promises {
  const begun = new Map<string, string>();
  const acknowledged = new Map<string, number>();
  const open = new Map<string, number>();
  let total = 0;
  const lines = text.split("\n");
  lines.pop();
  for (const line of lines) {
    const [kind = "", number = "", key = ""] = line.split(" ");
    if (kind === "I") {
      begun.set(number, key);
      continue;
    }
    if (kind === "A") {
      add(acknowledged, begun.get(number) ?? "");
      total++;
    }
    begun.delete(number);
  }
  for (const key of begun.values()) add(open, key);
  return { acknowledged, open, total };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
