/**
 * Brings the sessions of an export into a store, through the store's own interface: all of its rules hold, others may work on it
 * meanwhile, and a file of any size passes by in bounded memory.
 *
 * Sessions that fit into one commit are one transaction each, several at a time. A larger one comes in step by step
 * (settle-session.ts). Killed anywhere, the same import is simply run again: what is there already is `unchanged`.
 */
import { SessionStoreError } from "../../errors.js";
import { throwIfAborted } from "../../store/retry.js";
import type { DirectorySessionStore, SessionRecord } from "../../store/types.js";
import { Crowd } from "./crowd.js";
import type { AnyStore, WorkOptions } from "./options.js";
import { readExport, type ExportEvent, type IncomingSession } from "./read-export.js";
import { checkRules, rewriteEntry } from "./rewrite-rule.js";
import {
  sessionExists,
  settle,
  type Incoming,
  type NewSession,
  type OnConflict,
  type Settled,
  type Target,
} from "./settle-session.js";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, isOvertaken, type NewItem } from "./transcript-sync.js";

export interface ImportOptions extends WorkOptions {
  /**
   * What becomes of a session that is there and differs from the file's. `fail` stops at the first one; `skip` leaves it as it is;
   * `replace` makes it like the file's, with its transcripts; `newer` does so if the file's `updatedAt` is later. Default `fail`.
   */
  readonly onConflict?: OnConflict | undefined;
  /** Nothing is written, and the report says what would be. Conflicts are counted. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Goes on behind damaged lines, and says in the report what is wrong. Default false: the first one ends the import. */
  readonly salvage?: boolean | undefined;
  /** Hears after every session how many there were so far. */
  readonly onProgress?: ((sessions: number) => void) | undefined;
}

export interface ImportFault {
  readonly line?: number;
  /** The session that is left out because of it. */
  readonly key?: string;
  readonly message: string;
}

export interface ImportReport {
  readonly dryRun: boolean;
  /** Sessions by what became of them. */
  readonly created: number;
  readonly replaced: number;
  readonly unchanged: number;
  readonly skipped: number;
  /** Only in a dry run: sessions at which `fail` would end it. */
  readonly conflicts: number;
  /** Keys of the first hundred sessions that were skipped, or are conflicts. */
  readonly kept: readonly string[];
  /** Items that were appended. */
  readonly items: number;
  /** Fields that `rewrite` changed. */
  readonly rewritten: number;
  /** With `salvage`: the first hundred. */
  readonly faults: readonly ImportFault[];
  readonly faultCount: number;
}

/** What a store does not take, however often it is asked: with `salvage` it costs its session. */
const REFUSALS: ReadonlySet<string> = new Set([
  "key_too_long",
  "entry_too_large",
  "record_too_large",
  "blob_too_large",
  "value_too_deep",
  "item_too_large",
]);

/**
 * A store keeps a little of each session that was changed since the last checkpoint, and of a whole import that was hundreds of
 * megabytes. After so many sessions, or bytes of them, it is told to put them away.
 */
const CHECKPOINT_SESSIONS = 5000;
const CHECKPOINT_BYTES = 64 * 1024 * 1024;

/** Of a file in which nothing is right, some are enough. */
const TOLD_MAX = 100;
/**
 * @param pieces The bytes of a file that {@link exportSessions} made, packed with gzip or not.
 * @throws `export_invalid` for a file that is none, is cut or damaged (`data.line`, `data.reason`): what came before that is imported.
 *   `session_exists` with `onConflict: "fail"`, after what came before it was imported; what writing throws.
 * @example
 * const report = await importSessions(store, exportedBytes, { onConflict: "newer" });
 * console.log(report.created, report.replaced);
 */
export function importSessions(
  store: AnyStore,
  pieces: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<ImportReport> {
  return importEvents(store, readExport(pieces, { salvage: options.salvage ?? false }), options);
}

const NOTHING_CALLED_OFF: ReadonlySet<number> = new Set();

/**
 * {@link importSessions} from what was read of a file, or a part of it.
 * @param calledOff Lines of sessions that do not count, as far as somebody has read ahead: nothing is done about them.
 */
export async function importEvents(
  store: AnyStore,
  events: AsyncGenerator<ExportEvent, void>,
  options: ImportOptions,
  calledOff = NOTHING_CALLED_OFF,
): Promise<ImportReport> {
  const work = new ImportWork(store, options, calledOff);
  await work.run(events);
  return work.report();
}

type Counts = { -readonly [Name in "created" | "replaced" | "unchanged" | "skipped" | "conflict"]: number };

class ImportWork {
  readonly #counts: Counts = { created: 0, replaced: 0, unchanged: 0, skipped: 0, conflict: 0 };
  readonly #kept: string[] = [];
  readonly #faults: ImportFault[] = [];
  readonly #rules;
  readonly #onConflict: OnConflict;
  readonly #dryRun: boolean;
  readonly #crowd = new Crowd();
  #faultCount = 0;
  #items = 0;
  #rewritten = 0;
  #sessions = 0;
  /** Of the last checkpoint. */
  #since = { sessions: 0, bytes: 0 };

  constructor(
    private readonly store: AnyStore,
    private readonly options: ImportOptions,
    private readonly calledOff: ReadonlySet<number>,
  ) {
    this.#rules = checkRules(options.rewrite);
    this.#onConflict = options.onConflict ?? "fail";
    this.#dryRun = options.dryRun ?? false;
    if (!["fail", "skip", "replace", "newer"].includes(this.#onConflict))
      throw new TypeError(`onConflict must be fail, skip, replace or newer, not ${this.#onConflict}`);
  }

  async run(events: AsyncGenerator<ExportEvent, void>): Promise<void> {
    const input = new EventReader(events);
    try {
      for (;;) {
        const event = await input.next();
        if (event === undefined) break;
        throwIfAborted(this.options.signal);
        if (event.kind === "fault") this.#fault(event.fault);
        if (event.kind === "session" && !this.calledOff.has(event.session.line))
          await this.#session(event.session, input);
      }
    } finally {
      // What was begun comes to its end, whatever happened: a caller who closes the store next has to wait for it anyway.
      await this.#crowd.settled();
      await events.return();
    }
    this.#crowd.throwFailure();
  }

  report(): ImportReport {
    const { conflict, ...counts } = this.#counts;
    return {
      dryRun: this.#dryRun,
      ...counts,
      conflicts: conflict,
      kept: this.#kept,
      items: this.#items,
      rewritten: this.#rewritten,
      faults: this.#faults,
      faultCount: this.#faultCount,
    };
  }

  async #session(session: IncomingSession, input: EventReader): Promise<void> {
    const { key } = session;
    const { entry, fields } = rewriteEntry(session.entry ?? {}, this.#rules);
    const names = session.transcripts.map(({ name }) => name);
    const given: NewSession = { key, entry: session.entry && entry, names };
    const held = await holdBack(session, input);
    if (held === undefined) return; // called off
    if (held.complete) {
      const { bytes, transcripts } = held;
      const work = async (): Promise<void> => {
        const settled = await this.#unlessRefused(session, () => this.#settleAtOnce(given, transcripts));
        if (settled !== undefined) this.#done(key, settled, fields);
      };
      await this.#crowd.add(key, bytes, work);
      await this.#putAway(bytes);
      return;
    }
    await this.#crowd.settled();
    this.#crowd.throwFailure();
    const settled = await this.#unlessRefused(session, () =>
      this.#settleInSteps(given, held.transcripts, input),
    );
    if (settled === undefined) await input.skipSession();
    if (settled !== undefined) this.#done(key, settled, fields);
  }

  /** Nothing is changed meanwhile: a checkpoint beside commits has those in memory that came since it began. */
  async #putAway(bytes: number): Promise<void> {
    this.#since.sessions += 1;
    this.#since.bytes += bytes;
    const { sessions, bytes: sum } = this.#since;
    if (this.#dryRun || (sessions < CHECKPOINT_SESSIONS && sum < CHECKPOINT_BYTES)) return;
    this.#since = { sessions: 0, bytes: 0 };
    if (!("checkpoint" in this.store)) return;
    await this.#crowd.settled();
    this.#crowd.throwFailure();
    await (this.store as DirectorySessionStore<object>).checkpoint();
  }

  /** @returns Undefined if the store does not take it, and nobody wants the import to end for that. */
  async #unlessRefused(
    { key, line }: IncomingSession,
    work: () => Promise<Settled | undefined>,
  ): Promise<Settled | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SessionStoreError) || !REFUSALS.has(error.code)) throw error;
      const { code, message, data } = error;
      const told = new SessionStoreError(code, `line ${line}: ${message}`, {
        data: { ...data, key, line },
        cause: error,
      });
      if (this.options.salvage !== true) throw told;
      this.#fault(told);
      return undefined;
    }
  }

  /** One transaction. */
  async #settleAtOnce(session: NewSession, transcripts: readonly HeldTranscript[]): Promise<Settled> {
    const options = { onConflict: this.#onConflict, dryRun: this.#dryRun };
    if (this.#dryRun) return settle(targetOf(this.store), session, replay(transcripts), options);
    try {
      return await this.store.transact(
        async (tx) => {
          const settled = await settle(tx as Target, session, replay(transcripts), options);
          // It may have found out behind the first changes.
          if (settled.outcome === "skipped" || settled.outcome === "conflict") throw new Refused(settled);
          return settled;
        },
        { signal: this.options.signal },
      );
    } catch (error) {
      if (error instanceof Refused) return error.settled;
      throw error;
    }
  }

  /** @returns Undefined if the session was called off. */
  async #settleInSteps(
    session: NewSession,
    held: readonly HeldTranscript[],
    input: EventReader,
  ): Promise<Settled | undefined> {
    const options = {
      onConflict: this.#onConflict,
      dryRun: this.#dryRun,
      put: (entry: object, revision: number) => this.#putIfStill(session.key, entry, revision),
    };
    try {
      const settled = await settle(
        targetOf(this.store),
        session,
        follow(session.names, held, input),
        options,
      );
      await input.skipSession();
      return settled;
    } catch (error) {
      if (error instanceof CalledOff) return undefined;
      throw isOvertaken(error) ? overtaken(session.key, error) : error;
    }
  }

  /** The record comes last: with it the session is complete. */
  async #putIfStill(key: string, entry: object, ifRevision: number): Promise<void> {
    await this.store.put(key, entry, { ifRevision });
  }

  #done(key: string, { outcome, appended }: Settled, fields: number): void {
    if (outcome === "conflict" && !this.#dryRun)
      throw sessionExists(
        key,
        "is in the store already, and is not what the file has. What came before it is imported. Say what to do with such " +
          "sessions (--on-conflict skip, replace or newer), and import again.",
      );
    this.#counts[outcome] += 1;
    this.#items += appended;
    if (outcome === "created" || outcome === "replaced") this.#rewritten += fields;
    if ((outcome === "skipped" || outcome === "conflict") && this.#kept.length < TOLD_MAX)
      this.#kept.push(key);
    this.#sessions += 1;
    this.options.onProgress?.(this.#sessions);
  }

  #fault({ message, data }: SessionStoreError): void {
    this.#faultCount += 1;
    if (this.#faults.length === TOLD_MAX) return;
    const { line, key } = data;
    this.#faults.push({
      ...(typeof line === "number" && { line }),
      ...(typeof key === "string" && { key }),
      message,
    });
  }
}

class Refused extends Error {
  constructor(readonly settled: Settled) {
    super("refused");
  }
}

/** The session that is being read does not count. */
class CalledOff extends Error {}

interface HeldTranscript {
  readonly name: string;
  readonly items: NewItem[];
}

/** Events one after the other, one of which can be put back. */
class EventReader {
  #ahead: ExportEvent | undefined;
  /** Inside of a session. */
  #inside = false;

  constructor(private readonly events: AsyncGenerator<ExportEvent, void>) {}

  async next(): Promise<ExportEvent | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) return ahead;
    const next = await this.events.next();
    if (next.done === true) return undefined;
    const { kind } = next.value;
    if (kind === "session") this.#inside = true;
    if (kind === "sessionEnd" || kind === "abandon") this.#inside = false;
    return next.value;
  }

  /** @throws {@link CalledOff} */
  async nextOfSession(): Promise<ExportEvent> {
    const event = await this.next();
    if (event === undefined || event.kind === "abandon") throw new CalledOff();
    return event;
  }

  putBack(event: ExportEvent): void {
    this.#ahead = event;
  }

  /** To the end of the session that was begun. */
  async skipSession(): Promise<void> {
    while (this.#inside || this.#ahead !== undefined) if ((await this.next()) === undefined) return;
  }
}

/**
 * What comes of a session, as long as it fits into one commit.
 * @returns Undefined if it was called off.
 */
async function holdBack(
  session: IncomingSession,
  input: EventReader,
): Promise<
  | { readonly complete: boolean; readonly bytes: number; readonly transcripts: readonly HeldTranscript[] }
  | undefined
> {
  const transcripts: HeldTranscript[] = [];
  let bytes = 0;
  let count = 0;
  for (;;) {
    if (bytes > BATCH_BYTES_MAX || count >= BATCH_ITEMS_MAX) return { complete: false, bytes, transcripts };
    const event = await input.next();
    if (event === undefined || event.kind === "abandon") return undefined;
    if (event.kind === "sessionEnd") return { complete: true, bytes: bytes + session.bytes, transcripts };
    if (event.kind === "transcript") transcripts.push({ name: event.name, items: [] });
    if (event.kind !== "item") continue;
    transcripts.at(-1)?.items.push(event.item);
    bytes += event.item.bytes;
    count += 1;
  }
}

async function* replay(transcripts: readonly HeldTranscript[]): Incoming {
  for (const { name, items } of transcripts) yield { name, items: all(items) };
}

async function* all(items: readonly NewItem[]): AsyncGenerator<NewItem, void> {
  yield* items;
}

/** What was held back, and then what still comes. */
async function* follow(
  names: readonly string[],
  held: readonly HeldTranscript[],
  input: EventReader,
): Incoming {
  for (const [index, name] of names.entries()) {
    const before = held[index];
    if (before === undefined) await input.nextOfSession(); // the line of the transcript
    const isComplete = index + 1 < held.length;
    yield { name, items: isComplete ? all(before?.items ?? []) : rest(before?.items ?? [], input) };
  }
}

async function* rest(held: readonly NewItem[], input: EventReader): AsyncGenerator<NewItem, void> {
  yield* held;
  for (;;) {
    const event = await input.nextOfSession();
    if (event.kind === "item") {
      yield event.item;
      continue;
    }
    if (event.kind !== "sessionEnd") input.putBack(event);
    return;
  }
}

/** The store as settling needs it. */
function targetOf(store: AnyStore): Target {
  return {
    read: (key) => store.read(key) as Promise<SessionRecord<object> | undefined>,
    put: (key, entry) => store.put(key, entry),
    append: (key, items, options) => store.append(key, items, options),
    readItems: (key, options) => store.readItems(key, options),
    transcript: (key, name) => store.transcript(key, name),
    transcripts: (key) => store.transcripts(key),
    truncate: (key, keep, options) => store.truncate(key, keep, options),
    removeTranscript: (key, options) => store.removeTranscript(key, options),
  };
}

function overtaken(key: string, cause: unknown): SessionStoreError {
  return new SessionStoreError(
    "conflict",
    `session ${JSON.stringify(key)} was changed by another process while it was imported. What came before it is imported; ` +
      "import again.",
    { data: { key }, cause },
  );
}
