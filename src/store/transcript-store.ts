/**
 * The transcripts of a store, over any engine.
 *
 * A change is one op, decided by the engine: an append needs no read, and what the caller says of the transcript (`ifLast`, `ifLength`)
 * goes with the op. Only when the engine calls that a conflict is the transcript looked at, for the numbers in the error; if it then
 * is as the caller said, another process was in between, and the op is tried again.
 *
 * Writes take the turn of their session, as those of records do: they come in the order of the calls. There is no `await` before
 * the commit on an engine that answers at once.
 */
import { isTranscriptDamaged } from "../errors.js";
import type {
  CommitOutcome,
  EngineItemQuery,
  EngineTranscript,
  MaybePromise,
  TranscriptOp,
  TranscriptOutcome,
} from "../engine/contract.js";
import { isPromiseLike, untilDurable } from "./engine-calls.js";
import { beforeRetry, throwIfAborted } from "./retry.js";
import { StoreBase } from "./store-base.js";
import { requireConditions, toInfo, toPage } from "./transcript-answers.js";
import { compareSuffix } from "./suffix.js";
import {
  appendArguments,
  changeArguments,
  iterateArguments,
  keepArguments,
  opOn,
  readArguments,
  suffixArguments,
  transcriptName,
  type AppendArguments,
  type ChangeArguments,
  type Keep,
} from "./transcript-arguments.js";
import type {
  Appended,
  AppendOptions,
  ExpectedSuffix,
  Item,
  IterateItemsOptions,
  Page,
  ReadItemsOptions,
  TranscriptInfo,
  TranscriptOptions,
  Transcripts,
} from "./transcript-types.js";

type Committed = Extract<CommitOutcome, { status: "committed" }>;

/** What a change is made of: the op, or that there is nothing to change and `found` is the answer. */
type Composed = TranscriptOp | { readonly kind: "nothing"; readonly found: EngineTranscript | undefined };

/** Makes the answer; without a commit the revision is 0. */
type Finish<R> = (outcome: TranscriptOutcome, revision: number) => R;

export class TranscriptStore extends StoreBase implements Transcripts {
  async append<I = unknown>(key: string, items: readonly I[], options?: AppendOptions): Promise<Appended> {
    const accepted = this.#acceptWrite("append", key);
    const given = appendArguments("append", accepted, items, options, this.limits);
    const op: TranscriptOp = { ...opOn(given), ...additionOf(given) };
    const compose = (): MaybePromise<Composed> => (given.items.length > 0 ? op : this.#unchanged(given));
    return this.#write("append to", given, compose, toAppended);
  }

  async readItems<I = unknown>(key: string, options?: ReadItemsOptions): Promise<Page<I>> {
    this.requireOpen("read", key);
    const accepted = this.acceptKey(key);
    const { name, query } = readArguments(accepted, options);
    const page = this.calls.items(accepted, name, query);
    return toPage<I>(isPromiseLike(page) ? await this.run(page) : page, query.backwards);
  }

  iterateItems<I = unknown>(key: string, options?: IterateItemsOptions): AsyncIterable<Item<I>> {
    this.requireOpen("read", key);
    const accepted = this.acceptKey(key);
    const { name, query, signal } = iterateArguments(accepted, options);
    return { [Symbol.asyncIterator]: () => this.#iterate<I>(accepted, name, query, signal) };
  }

  async transcript(key: string, name?: string): Promise<TranscriptInfo | undefined> {
    this.requireOpen("read", key);
    const accepted = this.acceptKey(key);
    const found = this.calls.transcript(accepted, transcriptName(name, accepted));
    return toInfo(isPromiseLike(found) ? await this.run(found) : found);
  }

  async transcripts(key: string): Promise<string[]> {
    this.requireOpen("read", key);
    return [...(await this.run(this.calls.transcripts(this.acceptKey(key))))];
  }

  async truncate(
    key: string,
    keep: { readonly afterSeq: number } | { readonly length: number },
    options?: TranscriptOptions,
  ): Promise<TranscriptInfo | undefined> {
    const given = this.#changeArguments("truncate", key, options);
    const kept = keepArguments(keep, "afterSeq");
    const truncate = "seq" in kept ? { afterSeq: kept.seq } : kept;
    const leavesAll = (found: EngineTranscript): boolean =>
      "seq" in kept ? kept.seq >= found.last : kept.length >= found.length;
    return this.#remove("truncate", given, { truncate }, leavesAll);
  }

  async trim(
    key: string,
    keep: { readonly beforeSeq: number } | { readonly length: number },
    options?: TranscriptOptions,
  ): Promise<TranscriptInfo | undefined> {
    const given = this.#changeArguments("trim", key, options);
    const kept: Keep = keepArguments(keep, "beforeSeq");
    const trim = "seq" in kept ? { beforeSeq: kept.seq } : kept;
    const leavesAll = (found: EngineTranscript): boolean =>
      "seq" in kept ? kept.seq <= 1 : kept.length >= found.length;
    return this.#remove("trim", given, { trim }, leavesAll);
  }

  async replaceSuffix<I = unknown>(
    key: string,
    expected: ExpectedSuffix,
    items: readonly I[],
    options?: AppendOptions,
  ): Promise<Appended> {
    const accepted = this.#acceptWrite("replaceSuffix", key);
    const given = appendArguments("replaceSuffix", accepted, items, options, this.limits);
    const suffix = suffixArguments(expected, this.limits, accepted);
    const compose = async (): Promise<Composed> => {
      const found = await this.#compareSuffix(given, suffix);
      if (suffix.items.length === 0 && given.items.length === 0) return { kind: "nothing", found };
      // With these three, not an item was added or removed since.
      const { last = 0, length = 0, cut = 0 } = found ?? {};
      const truncate = suffix.items.length > 0 && { truncate: { afterSeq: suffix.from - 1 } };
      const conditions = { ifLast: last, ifLength: length, ifCut: cut };
      return { ...opOn(given), ...conditions, ...truncate, ...additionOf(given) };
    };
    return this.#write("replace the end of", given, compose, toAppended);
  }

  async removeTranscript(key: string, options?: TranscriptOptions): Promise<boolean> {
    const given = this.#changeArguments("removeTranscript", key, options);
    let removed = false;
    const compose = async (): Promise<Composed> => {
      let found: EngineTranscript | undefined;
      try {
        found = await this.calls.transcript(given.key, given.name);
      } catch (error) {
        // It is the way out for one of which not even the end can be read.
        const { ifLast, ifLength } = given.conditions;
        if (!isTranscriptDamaged(error) || ifLast !== undefined || ifLength !== undefined) throw error;
        removed = true;
        return { ...opOn(given), remove: true };
      }
      requireConditions("remove", given, found);
      removed = found !== undefined;
      // Of two callers who remove it at once only one did.
      return found === undefined
        ? { kind: "nothing", found }
        : { ...opOn(given), ifCut: found.cut, remove: true };
    };
    return this.#write("remove", given, compose, () => removed);
  }

  async *#iterate<I>(
    key: string,
    name: string,
    query: EngineItemQuery,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Item<I>, void, undefined> {
    let rest = query;
    let since: number | undefined;
    for (;;) {
      throwIfAborted(signal);
      this.requireOpen("read", key);
      const page = await this.run(this.calls.items(key, name, rest));
      since ??= page.transcript?.since;
      // It was removed, and perhaps begun again: the rest of what was asked for is gone.
      if (page.transcript?.since !== since) return;
      const { items, next } = toPage<I>(page, query.backwards);
      for (const item of items) {
        throwIfAborted(signal);
        yield item;
      }
      if (next === undefined) return;
      rest = query.backwards ? { ...rest, to: next } : { ...rest, from: next };
    }
  }

  #acceptWrite(method: string, key: string): string {
    this.requireOpen(method, key);
    const accepted = this.acceptKey(key);
    this.requireWritable(method, accepted);
    return accepted;
  }

  #changeArguments(method: string, key: string, options: TranscriptOptions | undefined): ChangeArguments {
    return changeArguments(method, this.#acceptWrite(method, key), options);
  }

  /** The transcript as it is, for a change that changes nothing. */
  #unchanged(given: ChangeArguments): MaybePromise<Composed> {
    const answer = (found: EngineTranscript | undefined): Composed => {
      requireConditions("append to", given, found);
      return { kind: "nothing", found };
    };
    const found = this.calls.transcript(given.key, given.name);
    return isPromiseLike(found) ? Promise.resolve(found).then(answer) : answer(found);
  }

  /** `truncate` and `trim`: no commit where there is nothing to remove. */
  #remove(
    doing: string,
    given: ChangeArguments,
    change: Pick<TranscriptOp, "truncate" | "trim">,
    leavesAll: (found: EngineTranscript) => boolean,
  ): Promise<TranscriptInfo | undefined> {
    const compose = async (): Promise<Composed> => {
      const found = await this.calls.transcript(given.key, given.name);
      requireConditions(doing, given, found);
      if (found === undefined || leavesAll(found)) return { kind: "nothing", found };
      return { ...opOn(given), ...change };
    };
    return this.#write(doing, given, compose, ({ transcript }) => toInfo(transcript));
  }

  /**
   * The state in which the items from `suffix.from` on were the expected ones; the commit has to say that it still is.
   * @throws `conflict` if they are others.
   */
  async #compareSuffix(
    given: ChangeArguments,
    suffix: ExpectedSuffix,
  ): Promise<EngineTranscript | undefined> {
    const { key, name, signal } = given;
    for (let attempt = 1; ; attempt++) {
      const state = await this.calls.transcript(key, name);
      requireConditions("replace the end of", given, state);
      const conflict = await compareSuffix(given, suffix, state?.last ?? 0, (query) =>
        this.calls.items(key, name, query),
      );
      if (conflict === undefined) return state;
      // Pages may be of different moments, and no error comes from a mixture of them.
      if (isSameState(state, await this.calls.transcript(key, name))) throw conflict;
      const pause = beforeRetry(this.runtime, "replace the end of a transcript", key, attempt, signal);
      if (pause !== undefined) await pause;
    }
  }

  /** The one path of every change of one transcript. */
  async #write<R>(
    doing: string,
    given: ChangeArguments,
    compose: () => MaybePromise<Composed>,
    finish: Finish<R>,
  ): Promise<R> {
    const { key, name, signal } = given;
    let decided: Committed | undefined;
    this.begin();
    try {
      throwIfAborted(signal);
      if (!this.queue.tryEnter(key)) await this.queue.enter(key, signal);
      try {
        for (let attempt = 1; decided === undefined; attempt++) {
          const composing = compose();
          const op = isPromiseLike(composing) ? await composing : composing;
          if (op.kind === "nothing")
            return finish({ transcript: op.found, first: 0, last: 0, skipped: [] }, 0);
          throwIfAborted(signal);
          const committing = this.calls.commit([op]);
          const outcome = isPromiseLike(committing) ? await committing : committing;
          if (outcome.status === "committed") {
            decided = outcome;
          } else {
            requireConditions(doing, given, await this.calls.transcript(key, name));
            const pause = beforeRetry(this.runtime, `${doing} a transcript`, key, attempt, signal);
            if (pause !== undefined) await pause;
          }
        }
      } finally {
        this.queue.leave(key);
      }
      const result = finish(decided.transcripts![0]!, decided.revision);
      if (decided.durable !== undefined) await untilDurable(decided.durable, key);
      return result;
    } finally {
      this.finish();
    }
  }
}

function additionOf({ items, maxLength }: AppendArguments): Pick<TranscriptOp, "items" | "trim"> {
  return {
    ...(items.length > 0 && { items }),
    ...(maxLength !== undefined && { trim: { length: maxLength } }),
  };
}

function toAppended({ transcript, first, last, skipped }: TranscriptOutcome, revision: number): Appended {
  return { revision, first, last, length: transcript?.length ?? 0, skipped };
}

function isSameState(one: EngineTranscript | undefined, other: EngineTranscript | undefined): boolean {
  return one?.last === other?.last && one?.length === other?.length && one?.cut === other?.cut;
}
