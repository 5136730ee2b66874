/**
 * One store, the workers (`programs/recorder.mjs`) on it, and what they wrote down: in rounds, each of which begins
 * with the state that the one before ended with, and ends with everything being compared.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenOptions, SessionRecord } from "../../../src/index.js";
import { start, type Child } from "./child.js";
import { checkHistory, type Sessions, type Verdict } from "./history-check.js";
import { History } from "./history.js";
import { untidiness } from "./tidy-store.js";

export interface Entry {
  readonly token: string;
  readonly previous: string | null;
  readonly depth: number;
  readonly balance?: number;
  readonly shared?: unknown;
}

export interface RecordingOptions {
  /** Folder of the programs; a copy, where the library may be built anew meanwhile. */
  readonly programs?: string | undefined;
  readonly options: OpenOptions<Entry>;
  /** Whether calls of workers may fail, because their disk goes away. */
  readonly mayFail: boolean;
  /** Whether what a failure left is kept for people to look at. Default true. */
  readonly keepsEvidence?: boolean;
  /** How many sessions of each kind; fewer means more conflicts. */
  readonly shape?: Partial<typeof SHAPE>;
  /** For the workers: options of Node's own. */
  readonly nodeOptions?: readonly string[] | undefined;
}

const SHAPE = { hot: 6, cold: 200, lives: 8, accounts: 6, blind: 3 };

export interface WorkerOptions {
  readonly durability: "os" | "disk";
  readonly seed: number;
  readonly lanes: number;
  readonly stores: number;
  readonly threads: number;
}

export interface Total {
  rounds: number;
  acknowledged: number;
  durable: number;
  counted: number;
  undone: number;
  reads: number;
  changes: number;
}

interface Settled {
  readonly sessions: readonly SessionRecord<Entry>[];
  readonly stayed: boolean;
  readonly warnings: readonly string[];
}

export class Recording {
  readonly store: string;
  readonly total: Total = {
    rounds: 0,
    acknowledged: 0,
    durable: 0,
    counted: 0,
    undone: 0,
    reads: 0,
    changes: 0,
  };
  readonly warnings = new Map<string, number>();
  readonly #history: string;
  readonly #workers: { readonly name: string; readonly durable: boolean }[] = [];
  #incarnations = 0;
  #sessions: Sessions = new Map();

  /** @param outside Where workers write their histories: not on the disk of the store, if that loses power. */
  constructor(
    folder: string,
    outside: string,
    readonly options: RecordingOptions,
  ) {
    this.store = join(folder, "sessions.d");
    this.#history = join(outside, "history");
    mkdirSync(this.#history);
  }

  startWorker({ durability, ...worker }: WorkerOptions): Child {
    const name = `w${this.#incarnations++}`;
    const threads = Array.from({ length: worker.threads }, (_, index) => `${name}t${index}`);
    for (const writer of [name, ...threads]) {
      this.#workers.push({ name: writer, durable: durability === "disk" });
    }
    const { options, programs, shape, mayFail, nodeOptions } = this.options;
    const argument = {
      ...worker,
      path: this.store,
      history: join(this.#history, name),
      name,
      shape: { ...SHAPE, ...shape },
      options: { ...options, durability },
      mayFail,
    };
    return start("recorder", argument, { programs, nodeOptions });
  }

  /**
   * All workers have ended: compares what they wrote down with what a clean process finds.
   * @param powerCut When the power was still there, if it was cut, as {@link History} has its times.
   */
  async settle(powerCut?: number): Promise<Verdict> {
    const evidence = `${this.#history}-evidence`;
    rmSync(evidence, { recursive: true, force: true });
    if (existsSync(this.store)) cpSync(this.store, join(evidence, "sessions.d"), { recursive: true });
    const { sessions, stayed, warnings } = await this.#look();
    const after = new Map(
      sessions.map(({ key, entry, revision }) => [key, { token: entry.token, revision }]),
    );
    const history = new History();
    for (const { name, durable } of this.#workers.splice(0)) {
      history.readFile(join(this.#history, name), name, durable ? (powerCut ?? Number.POSITIVE_INFINITY) : 0);
    }
    const verdict = checkHistory(history, this.#sessions, after, powerCut !== undefined);
    const wrong = [...verdict.wrong, ...untidiness(this.store, sessions), ...this.#sums(sessions)];
    if (!stayed) wrong.push("tidying up changed what a listing says");
    // Nobody damages anything here: a warning about damage would be one about our own doing.
    for (const warning of warnings) {
      const [code = ""] = warning.split(":");
      this.warnings.set(code, (this.warnings.get(code) ?? 0) + 1);
      if (!(powerCut !== undefined && AFTER_POWER_CUT.has(code))) wrong.push(warning);
    }
    if (wrong.length > 0 && this.options.keepsEvidence !== false)
      wrong.push(`histories and the store as it was found: ${this.#keep(evidence)}`);
    if (wrong.length === 0) for (const name of readdirSync(this.#history)) rmSync(join(this.#history, name));
    this.#sessions = after;
    this.total.rounds += 1;
    for (const name of ["acknowledged", "durable", "counted", "undone", "reads", "changes"] as const) {
      this.total[name] += verdict[name];
    }
    return { ...verdict, wrong };
  }

  async #look(): Promise<Settled> {
    const { options, programs } = this.options;
    const existed = existsSync(this.store);
    const child = start("settling", { path: this.store, options }, { programs });
    const settled = await child.next("settled");
    await child.finished();
    const { sessions, stayed, warnings } = settled as unknown as Settled;
    if (!existed && sessions.length > 0) throw new Error("a new store has sessions");
    return { sessions, stayed, warnings };
  }

  /** Chance does not repeat itself: what a failure left is kept, to be looked at. */
  #keep(evidence: string): string {
    const kept = mkdtempSync(join(tmpdir(), "sessiondir-evidence-"));
    cpSync(this.#history, join(kept, "history"), { recursive: true });
    if (existsSync(evidence)) cpSync(evidence, kept, { recursive: true });
    return kept;
  }

  #sums(sessions: readonly SessionRecord<Entry>[]): string[] {
    const balances = sessions.flatMap(({ entry: { balance } }) => (balance === undefined ? [] : [balance]));
    const sum = balances.reduce((total, balance) => total + balance - 1000, 0);
    return sum === 0 ? [] : [`all accounts together have ${sum} too much`];
  }
}

/** Warnings that docs/durability.md expects after a power cut. */
export const AFTER_POWER_CUT: ReadonlySet<string> = new Set(["log_gap", "segment_garbage"]);
