/**
 * Writes sessions as lines of text, as they are read: an item, an entry and a few shared values are in memory, however many there are.
 *
 * Each session is as of one instant (session-snapshot.ts). Where somebody cut a transcript while its items were read, what was
 * written of the session is called off by a line that says so, and it comes once more. The whole is not of one revision: sessions
 * that come later in the file may be newer.
 */
import { createHash } from "node:crypto";
import type { TranscriptInfo } from "../../store/transcript-types.js";
import { throwIfAborted } from "../../store/retry.js";
import {
  EXPORT_FORMAT,
  EXPORT_VERSION,
  type EndLine,
  type HeaderLine,
  type TranscriptSummary,
} from "./export-line.js";
import type { AnyStore, Selection, WorkOptions } from "./options.js";
import { checkRules, rewriteEntry } from "./rewrite-rule.js";
import { selectedKeys } from "./selected-keys.js";
import {
  alwaysCut,
  CUTS_MAX,
  isDamaged,
  isStill,
  takeSnapshot,
  type SessionSnapshot,
} from "./session-snapshot.js";
import { SharedValueWriter } from "./shared-values.js";

export interface ExportOptions extends Selection, WorkOptions {
  /** What the store is called in the header, for people. Default: nothing. */
  readonly name?: string | undefined;
  /** Hears after every session how many there are so far. */
  readonly onProgress?: ((sessions: number) => void) | undefined;
}

/** A session that cannot be read, and is not in the export. */
export interface DamagedExport {
  /** Undefined where only the damaged file could tell it. */
  readonly key: string | undefined;
  /** Of the store's error. */
  readonly code: string;
  readonly message: string;
}

export interface ExportReport {
  readonly sessions: number;
  readonly transcripts: number;
  readonly items: number;
  /** Shared values, each time that one was written. */
  readonly values: number;
  /** Of the text, in UTF-8. */
  readonly bytes: number;
  /** Fields that `rewrite` changed. */
  readonly rewritten: number;
  /** Keys that were named and are not there. */
  readonly missing: readonly string[];
  readonly damaged: readonly DamagedExport[];
  /** Of the store, right before the first session was read. */
  readonly revision: number;
}

/** Text that is put together before it is given away. */
const PIECE_CHARS = 64 * 1024;
/** A page of items; where they are big the store gives fewer. */
const PAGE_ITEMS = 500;

/**
 * The sessions of a store, with all that a later {@link importSessions} needs: pieces of text, which together are the file that
 * docs/moving.md describes. The store may be in use.
 * @returns What was exported. A session that cannot be read is in `damaged`, and not in the file.
 * @throws `TypeError` for a wrong rule; `conflict` for a session that was cut ten times while it was read; what reading throws.
 * @example
 * for await (const text of exportSessions(store, { prefix: "agent:main:" })) process.stdout.write(text);
 */
export function exportSessions(
  store: AnyStore,
  options: ExportOptions = {},
): AsyncGenerator<string, ExportReport, void> {
  return exportWatched(store, options, {});
}

/** Somebody who decides about each session as it is read, and hears which state of it is in the file. */
export interface ExportWatcher {
  /** @returns Whether it goes into the file. Asked again for a later state if it was cut meanwhile. */
  readonly accepts?: (snapshot: SessionSnapshot) => boolean | Promise<boolean>;
  /** All of it is written. */
  readonly written?: (snapshot: SessionSnapshot) => void;
  /** The time of the header. Default: the system's. */
  readonly now?: () => number;
}

/** {@link exportSessions} for those who do something with the very states that were exported. */
export async function* exportWatched(
  store: AnyStore,
  options: ExportOptions,
  watcher: ExportWatcher,
): AsyncGenerator<string, ExportReport, void> {
  const { signal, name, onProgress } = options;
  const writer = new ExportWriter(store, options, watcher);
  const revision = await store.revision();
  writer.line({
    type: "header",
    format: EXPORT_FORMAT,
    version: EXPORT_VERSION,
    ...(name !== undefined && { store: name }),
    revision,
    time: (watcher.now ?? Date.now)(),
  } satisfies HeaderLine);
  const damaged: DamagedExport[] = [];
  const missing: string[] = [];
  const named = new Set(options.keys);
  const keys = selectedKeys(store, options, ({ reason, path }) =>
    damaged.push({ key: undefined, code: "entry_corrupt", message: `${path}: ${reason}` }),
  );
  for await (const key of keys) {
    throwIfAborted(signal);
    try {
      const found = yield* writer.session(key);
      if (!found && named.has(key)) missing.push(key);
    } catch (error) {
      if (!isDamaged(error)) throw error;
      writer.abandon(key);
      damaged.push({ key, code: error.code, message: error.message });
    }
    yield* writer.piece();
    onProgress?.(writer.sessions);
  }
  writer.end(damaged.length);
  yield* writer.piece(0);
  const { sessions, transcripts, items, values, bytes, rewritten } = writer;
  return { sessions, transcripts, items, values, bytes, rewritten, missing, damaged, revision };
}

class ExportWriter {
  sessions = 0;
  transcripts = 0;
  items = 0;
  bytes = 0;
  rewritten = 0;
  readonly #rules;
  readonly #hash = createHash("sha256");
  readonly #shared = new SharedValueWriter((id, json) =>
    this.#text(`{"type":"value","id":${JSON.stringify(id)},"value":${json}}`),
  );
  #pending = "";
  /** A session was begun, and is not complete. */
  #open = false;

  constructor(
    private readonly store: AnyStore,
    private readonly options: ExportOptions,
    private readonly watcher: ExportWatcher,
  ) {
    this.#rules = checkRules(options.rewrite);
  }

  get values(): number {
    return this.#shared.values;
  }

  line(line: object): void {
    this.#text(JSON.stringify(line));
  }

  /** The text so far, if it is so much. */
  *piece(charsMin = PIECE_CHARS): Generator<string, void> {
    if (this.#pending.length <= charsMin) return;
    const text = this.#pending;
    this.#pending = "";
    this.#count(text);
    yield text;
  }

  /** @returns Whether there is such a session. */
  async *session(key: string): AsyncGenerator<string, boolean, void> {
    for (let attempt = 1; ; attempt++) {
      const snapshot = await takeSnapshot(this.store, key, this.options.signal);
      if (snapshot === undefined) return false;
      if ((await this.watcher.accepts?.(snapshot)) === false) return true;
      if (yield* this.#snapshot(snapshot)) {
        this.watcher.written?.(snapshot);
        return true;
      }
      this.abandon(key);
      if (attempt === CUTS_MAX)
        throw alwaysCut(key, "exported. Nothing was changed: stop what cuts them, and export again.");
    }
  }

  /** What was written of a session since its line does not count. */
  abandon(key: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.line({ type: "abandon", key });
  }

  end(damaged: number): void {
    const { sessions, transcripts, items, values } = this;
    const pending = this.#pending;
    const sha256 = this.#hash.copy().update(pending).digest("hex");
    this.line({ type: "end", sessions, transcripts, items, values, damaged, sha256 } satisfies EndLine);
  }

  #text(line: string): void {
    this.#pending += `${line}\n`;
  }

  #count(text: string): void {
    this.#hash.update(text);
    this.bytes += Buffer.byteLength(text);
  }

  /** @returns False if it was cut meanwhile. */
  async *#snapshot({ key, record, transcripts }: SessionSnapshot): AsyncGenerator<string, boolean, void> {
    const { entry, fields } = rewriteEntry(record?.entry ?? {}, this.#rules);
    const json = record && this.#shared.entryJson(entry); // writes lines of its own, which come first
    const summaries = [...transcripts].map(([name, { length, last }]) => ({ name, length, last }));
    this.#text(sessionJson(key, record, json, summaries));
    this.#open = true;
    let items = 0;
    for (const [name, info] of transcripts) {
      this.line({ type: "transcript", name });
      const count = yield* this.#transcript(key, name, info);
      const isWhole = count === info.length && isStill(info, await this.store.transcript(key, name));
      if (!isWhole) return false;
      items += count;
    }
    this.#open = false;
    this.sessions += 1;
    this.transcripts += transcripts.size;
    this.items += items;
    this.rewritten += fields;
    return true;
  }

  async *#transcript(
    key: string,
    transcript: string,
    { last }: TranscriptInfo,
  ): AsyncGenerator<string, number, void> {
    let count = 0;
    const range = { transcript, to: last, pageItems: PAGE_ITEMS, signal: this.options.signal };
    for await (const item of this.store.iterateItems(key, range)) {
      const { seq, id, time } = item;
      this.#text(
        `{"type":"item","seq":${seq},${id === undefined ? "" : `"id":${JSON.stringify(id)},`}"time":${time},` +
          `"revision":${item.revision},"item":${JSON.stringify(item.item)}}`,
      );
      count += 1;
      yield* this.piece();
    }
    return count;
  }
}

function sessionJson(
  key: string,
  record: SessionSnapshot["record"],
  entry: string | undefined,
  transcripts: readonly TranscriptSummary[],
): string {
  const of =
    record === undefined
      ? ""
      : `,"revision":${record.revision},"modifiedAt":${record.modifiedAt},"entry":${entry}`;
  return `{"type":"session","key":${JSON.stringify(key)},"transcripts":${JSON.stringify(transcripts)}${of}}`;
}
