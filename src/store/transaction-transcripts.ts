/**
 * The transcripts of a transaction: which it has looked at or changed, and what that comes to when it commits.
 *
 * Every change of a transcript looks at it first, so that its answer is exact. A transcript that was looked at stands in the commit
 * with what must still be so; see list-view.ts.
 */
import type { TranscriptOp } from "../engine/contract.js";
import { isTranscriptDamaged } from "../errors.js";
import type { Limits } from "../format/limits.js";
import type { Runtime } from "../runtime.js";
import { isPromiseLike, type EngineCalls } from "./engine-calls.js";
import { ListView } from "./list-view.js";
import { throwIfAborted } from "./retry.js";
import { compareSuffix } from "./suffix.js";
import { requireConditions, toPage } from "./transcript-answers.js";
import {
  appendArguments,
  changeArguments,
  keepArguments,
  readArguments,
  suffixArguments,
  transcriptName,
  type ChangeArguments,
  type Keep,
} from "./transcript-arguments.js";
import type { TransactionTranscripts, TranscriptInfo } from "./transcript-types.js";

export interface TranscriptsHost {
  readonly calls: EngineCalls;
  readonly runtime: Runtime;
  readonly limits: Limits;
  /** Normalizes and checks a key; throws where the transaction is over, or the store takes no writes. */
  readonly accept: (key: string, write: boolean) => string;
  /** Throws where the transaction is over. */
  readonly requireRunning: () => void;
}

export class TransactionTranscriptViews {
  readonly #host: TranscriptsHost;
  /** Session to name to view. */
  readonly #sessions = new Map<string, Map<string, ListView>>();
  /** Names that sessions had when they were asked for first. */
  readonly #names = new Map<string, readonly string[]>();
  /** How often the engine was asked for something: one answer is consistent by itself. */
  #reads = 0;
  /** Changes of one transcript one after the other, in the order of the calls: they read in between. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(host: TranscriptsHost) {
    this.#host = host;
  }

  readonly methods: TransactionTranscripts = {
    append: async (key, items, options) => {
      const { accept, limits, runtime } = this.#host;
      const given = appendArguments("append", accept(key, true), items, options, limits);
      return this.#change("append to", given, (view) =>
        view.append(given.items, given.maxLength, runtime.now()),
      );
    },
    readItems: async (given, options) => {
      const key = this.#host.accept(given, false);
      const { name, query } = readArguments(key, options);
      const page = await this.#inTurn(key, name, async (view) => {
        this.#reads += 1;
        return view.page(query);
      });
      return toPage(page, query.backwards);
    },
    transcript: async (given, name) => {
      const key = this.#host.accept(given, false);
      return this.#inTurn(key, transcriptName(name, key), async (view) => {
        view.dependOnEnd();
        return view.info();
      });
    },
    transcripts: async (key) => this.namesOf(this.#host.accept(key, false)),
    truncate: async (key, keep, options) =>
      this.#remove("truncate", key, keepArguments(keep, "afterSeq"), options, (view, kept) =>
        view.truncate(kept),
      ),
    trim: async (key, keep, options) =>
      this.#remove("trim", key, keepArguments(keep, "beforeSeq"), options, (view, kept) => view.trim(kept)),
    replaceSuffix: async (key, expected, items, options) => {
      const { accept, limits, runtime } = this.#host;
      const given = appendArguments("replaceSuffix", accept(key, true), items, options, limits);
      const suffix = suffixArguments(expected, limits, given.key);
      return this.#change("replace the end of", given, async (view) => {
        const conflict = await compareSuffix(given, suffix, view.last, (query) => view.page(query));
        if (conflict !== undefined) throw conflict;
        if (suffix.items.length > 0) await view.truncate({ seq: suffix.from - 1 });
        return view.append(given.items, given.maxLength, runtime.now());
      });
    },
    removeTranscript: async (key, options) => {
      const given = changeArguments("removeTranscript", this.#host.accept(key, true), options);
      let unread = false;
      const find = (): Promise<ListView> =>
        this.#viewOf(given.key, given.name).catch((error: unknown) => {
          // It is the way out for one of which not even the end can be read.
          const { ifLast, ifLength } = given.conditions;
          if (!isTranscriptDamaged(error) || ifLast !== undefined || ifLength !== undefined) throw error;
          unread = true;
          return this.#keepUnseen(given.key, given.name);
        });
      const remove = async (view: ListView): Promise<boolean> => {
        const { exists } = view;
        view.remove();
        return exists || unread;
      };
      return this.#change("remove", given, remove, find);
    },
  };

  /** Names of what a session has, own changes included. */
  async namesOf(key: string): Promise<string[]> {
    let known = this.#names.get(key);
    if (known === undefined) {
      this.#reads += 1;
      const reading = this.#host.calls.transcripts(key);
      const found = isPromiseLike(reading) ? await reading : reading;
      known = this.#names.get(key) ?? found;
      this.#names.set(key, known);
    }
    const names = new Set(known);
    for (const [name, view] of this.#sessions.get(key) ?? []) {
      if (view.exists) names.add(name);
      else names.delete(name);
    }
    return [...names].sort();
  }

  /** Removes all that a session has. @returns Whether it had any. */
  async removeAll(key: string): Promise<boolean> {
    const names = await this.namesOf(key);
    for (const name of names) {
      const view = this.#sessions.get(key)?.get(name);
      if (view === undefined) this.#keepUnseen(key, name);
      else view.remove();
    }
    return names.length > 0;
  }

  keys(): Iterable<string> {
    return this.#sessions.keys();
  }

  /** Whether the transaction leaves items of its own. */
  beganAgain(key: string): boolean {
    return [...(this.#sessions.get(key)?.values() ?? [])].some((view) => view.hasOwnItems);
  }

  /** @param checksOnly Of these sessions, which are deleted whole, only what must be so. */
  ops(checksOnly: ReadonlySet<string>): TranscriptOp[] {
    return [...this.#sessions].flatMap(([key, views]) =>
      [...views.values()]
        .map((view) => (checksOnly.has(key) ? view.toCheck() : view.toOp()))
        .filter((op) => op !== undefined),
    );
  }

  /** Number of reads that have to be of one instant. */
  get reads(): number {
    return this.#reads;
  }

  checks(): TranscriptOp[] {
    return this.ops(new Set(this.#sessions.keys()));
  }

  /**
   * Compares what was looked at with what is there now, if the engine answers at once.
   * @returns The session that is not as it was; "later" for an engine that has to be asked with a commit.
   */
  findChanged(): { readonly key: string } | "later" | undefined {
    for (const [key, views] of this.#sessions) {
      for (const [name, view] of views) {
        if (view.toCheck() === undefined) continue;
        const found = this.#host.calls.transcript(key, name);
        if (isPromiseLike(found)) {
          void Promise.resolve(found).catch(() => {});
          return "later";
        }
        if (!view.holds(found)) return { key };
      }
    }
    return undefined;
  }

  #remove(
    doing: "truncate" | "trim",
    key: string,
    kept: Keep,
    options: Parameters<TransactionTranscripts["trim"]>[2],
    remove: (view: ListView, kept: Keep) => Promise<void>,
  ): Promise<TranscriptInfo | undefined> {
    const given = changeArguments(doing, this.#host.accept(key, true), options);
    return this.#change(doing, given, async (view) => {
      await remove(view, kept);
      return view.info();
    });
  }

  #change<R>(
    doing: string,
    given: ChangeArguments,
    change: (view: ListView) => Promise<R>,
    find?: () => Promise<ListView>,
  ): Promise<R> {
    throwIfAborted(given.signal);
    const use = async (view: ListView): Promise<R> => {
      view.dependOnEnd();
      requireConditions(doing, given, view);
      this.#reads += 1;
      return change(view);
    };
    return this.#inTurn(given.key, given.name, use, find);
  }

  async #inTurn<R>(
    key: string,
    name: string,
    use: (view: ListView) => Promise<R>,
    find = () => this.#viewOf(key, name),
  ): Promise<R> {
    const turn = JSON.stringify([key, name]);
    const before = this.#turns.get(turn);
    const own = (async () => {
      await before;
      return use(await find());
    })();
    this.#turns.set(
      turn,
      own.catch(() => {}),
    );
    const result = await own;
    this.#host.requireRunning(); // its function may have returned without waiting
    return result;
  }

  async #viewOf(key: string, name: string): Promise<ListView> {
    const known = this.#sessions.get(key)?.get(name);
    if (known !== undefined) return known;
    this.#reads += 1;
    const base = await this.#host.calls.transcript(key, name);
    // It may have been removed with its session while it was read.
    return (
      this.#sessions.get(key)?.get(name) ??
      this.#keep(key, name, new ListView(this.#host.calls, key, name, base))
    );
  }

  /** One that is removed, whatever it is. */
  #keepUnseen(key: string, name: string): ListView {
    return this.#keep(key, name, new ListView(this.#host.calls, key, name, undefined, true));
  }

  #keep(key: string, name: string, view: ListView): ListView {
    const views = this.#sessions.get(key) ?? new Map<string, ListView>();
    this.#sessions.set(key, views.set(name, view));
    return view;
  }
}
