/**
 * Reads an export, line by line, and gives what is in it as events. A file is told to be wrong at the first line that shows it. Behind the
 * end of an export another one may begin, with a header of its own, as in the files of an archive: nothing of the one is known to the other.
 *
 * What is given of a session counts only when `sessionEnd` has come: all that its line announced was there. With `salvage` what is
 * wrong is told, its session called off, and reading goes on with the next one.
 */
import { createHash } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { SessionStoreError } from "../../errors.js";
import { jsonFault } from "../../format/json-fault.js";
import { DEFAULT_LIMITS, ID_BYTES_MAX, TRANSCRIPT_NAME_MAX } from "../../format/limits.js";
import { isCount } from "../../format/stored-value.js";
import { isWellFormed } from "../../format/session-key.js";
import { EXPORT_FORMAT, EXPORT_VERSION, LINE_BYTES_MAX, TRANSCRIPTS_MAX } from "./export-line.js";
import { unpacked } from "./gunzip.js";
import { linesIn, type InputLine } from "./input-lines.js";
import { SharedValueFault, SharedValueReader } from "./shared-values.js";

export interface IncomingSession {
  /** Number of its line. */
  readonly line: number;
  readonly key: string;
  /** Undefined: it has no record, only transcripts. */
  readonly entry: object | undefined;
  readonly transcripts: readonly { readonly name: string; readonly length: number }[];
  /** When its record was changed last, if the line says it. */
  readonly modifiedAt: number | undefined;
  /** Of its line. */
  readonly bytes: number;
  /** What it had in the store that it was exported from, if the line says so. */
  readonly revision?: number;
}

export interface IncomingItem {
  readonly item: unknown;
  readonly id: string | undefined;
  /** Of its line. */
  readonly bytes: number;
}

export type ExportEvent =
  /** An export begins. */
  | { readonly kind: "header"; readonly time: number | undefined }
  | { readonly kind: "session"; readonly session: IncomingSession }
  | { readonly kind: "transcript"; readonly name: string }
  | { readonly kind: "item"; readonly item: IncomingItem }
  | { readonly kind: "sessionEnd" }
  /** What came of the session since its line does not count. */
  | { readonly kind: "abandon" }
  /** Only with `salvage`: what is wrong; of the session `key`, if one was begun. */
  | { readonly kind: "fault"; readonly fault: SessionStoreError };

export interface ReadOptions {
  /** Default false: the first fault ends it. */
  readonly salvage?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * @param pieces Bytes of a file, packed or not.
 * @throws `export_invalid`
 */
export async function* readExport(
  pieces: AsyncIterable<Uint8Array>,
  { salvage = false }: ReadOptions = {},
): AsyncGenerator<ExportEvent, void> {
  const reader = new ExportReader();
  try {
    for await (const lines of linesIn(unpacked(pieces), LINE_BYTES_MAX))
      for (const line of lines) {
        try {
          yield* reader.read(line);
        } catch (error) {
          if (!salvage || !isFault(error) || !reader.hasHeader) throw error;
          const { isAtNext } = reader;
          yield* reader.callOff(error);
          if (isAtNext) yield* reader.read(line);
        }
      }
    reader.assertEnded();
  } catch (error) {
    if (!salvage || !isFault(error) || !reader.hasHeader) throw error;
    yield* reader.callOff(error);
  }
}

function isFault(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && error.code === "export_invalid";
}

const DEPTH_MAX = DEFAULT_LIMITS.depthMax;

/** Whether a value has more levels than any store takes; one without objects in it is one level. Keeps no stack of calls. */
function nestsTooDeep(value: object): boolean {
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return true;
    level = level.flatMap((each) =>
      (Object.values(each) as unknown[]).filter(
        (inner): inner is object => typeof inner === "object" && inner !== null,
      ),
    );
  }
  return false;
}

class ExportReader {
  hasHeader = false;
  /** What was wrong with the line is that a session in front of it is not complete. */
  isAtNext = false;
  #hadFaults = false;
  #ended = false;
  /** Number of the line that was read last. */
  #line = 0;
  #hash = createHash("sha256");
  #shared = new SharedValueReader();
  /** The session that was begun, and what is still to come of it. */
  #session: IncomingSession | undefined;
  #transcript = 0;
  #itemsLeft = 0;
  /** Behind a fault, until the next session. */
  #skipping = false;
  #sessions = 0;

  *read(line: InputLine): Generator<ExportEvent, void> {
    this.#line = line.number;
    const { bytes } = line;
    if (bytes === undefined) throw this.#fault("line", `has more than ${LINE_BYTES_MAX} bytes`);
    const fields = this.#fieldsOf(line, bytes);
    if (fields === undefined) {
      // Behind the end it is of no export.
      if (!this.#ended) this.#digest(bytes);
      return;
    }
    const { type } = fields;
    if (this.#ended) {
      if (type !== "header") throw this.#fault("line", "comes behind the end");
      this.#beginAnother();
      yield* this.#header(fields);
    } else if (!this.hasHeader) yield* this.#header(fields);
    else if (type === "end") return this.#end(fields);
    else if (type === "session") yield* this.#begin(fields, line.length);
    else if (type === "value") this.#value(fields, line.length);
    else if (!this.#skipping) yield* this.#within(type, fields, line.length);
    this.#digest(bytes);
  }

  /** Ends the session that was begun, for something of it is wrong. */
  *callOff(fault: SessionStoreError): Generator<ExportEvent, void> {
    const key = this.#session?.key;
    this.isAtNext = false;
    this.#hadFaults = true;
    const { code, message, data } = fault;
    if (this.#session !== undefined) yield { kind: "abandon" };
    this.#session = undefined;
    this.#skipping = true;
    const named =
      key === undefined ? fault : new SessionStoreError(code, message, { data: { ...data, key } });
    yield { kind: "fault", fault: named };
  }

  assertEnded(): void {
    if (!this.hasHeader) throw this.#fault("not_an_export", "is missing: there is nothing to import", 1);
    if (!this.#ended) {
      this.#line += 1;
      throw this.#fault("cut", "is missing: the file was cut, it has no end");
    }
  }

  #digest(bytes: Buffer): void {
    this.#hash.update(bytes).update("\n");
  }

  #fieldsOf({ number, ended }: InputLine, bytes: Buffer): Fields | undefined {
    const reason = this.hasHeader ? "line" : "not_an_export";
    if (!isUtf8(bytes)) throw this.#fault(reason, "is not UTF-8");
    const whole = bytes.toString("utf8");
    const text = number === 1 && whole.startsWith("\ufeff") ? whole.slice(1) : whole;
    if (text.trim() === "") return undefined;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      const at = jsonFault(text) ?? text.length;
      if (at >= text.trimEnd().length)
        throw this.#fault(ended || reason !== "line" ? reason : "cut", "ends too early: it is no whole JSON");
      throw this.#fault(reason, `is not JSON: found ${JSON.stringify(text[at])} at column ${at + 1}`);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw this.#fault(reason, "is no JSON object");
    return value as Fields;
  }

  #beginAnother(): void {
    this.#ended = false;
    this.#skipping = false;
    this.#hadFaults = false;
    this.#sessions = 0;
    this.#hash = createHash("sha256");
    this.#shared = new SharedValueReader();
  }

  *#header({ type, format, version, time }: Fields): Generator<ExportEvent, void> {
    if (type !== "header" || format !== EXPORT_FORMAT)
      throw this.#fault("not_an_export", `is no header of an export ("format":"${EXPORT_FORMAT}")`);
    if (version !== EXPORT_VERSION)
      throw this.#fault(
        "version",
        `says version ${JSON.stringify(version)}, and this program reads ${EXPORT_VERSION}: use a newer one`,
      );
    this.hasHeader = true;
    yield { kind: "header", time: typeof time === "number" ? time : undefined };
  }

  #value({ id, value }: Fields, bytes: number): void {
    this.#assertComplete();
    if (typeof id !== "string" || id === "" || id.length > 200 || value === undefined)
      throw this.#fault("line", "is a shared value, and needs an id and a value");
    this.#expanding(() => this.#shared.add(id, value, bytes));
  }

  *#begin(fields: Fields, bytes: number): Generator<ExportEvent, void> {
    this.#assertComplete();
    this.#skipping = false;
    const { key, entry, transcripts = [], modifiedAt } = fields;
    if (typeof key !== "string" || key === "") throw this.#fault("line", "is a session, and needs a key");
    if (!isWellFormed(key))
      throw this.#fault("line", `has a key with half a character: ${JSON.stringify(key)}`);
    if (entry !== undefined && (typeof entry !== "object" || entry === null || Array.isArray(entry)))
      throw this.#fault("line", "is a session, and its entry is no object");
    const session: IncomingSession = {
      line: this.#line,
      key,
      entry: entry === undefined ? undefined : this.#expanding(() => this.#shared.entry(entry, bytes), key),
      transcripts: this.#summaries(transcripts),
      modifiedAt: isCount(modifiedAt) ? modifiedAt : undefined,
      bytes,
      ...(typeof fields["revision"] === "number" && { revision: fields["revision"] }),
    };
    if (session.entry !== undefined && nestsTooDeep(session.entry))
      throw this.#fault("line", `nests more than ${DEPTH_MAX} levels`, this.#line, key);
    if (session.entry === undefined && session.transcripts.length === 0)
      throw this.#fault("line", "is a session with neither an entry nor a transcript");
    this.#session = session;
    this.#transcript = -1;
    this.#itemsLeft = 0;
    yield { kind: "session", session };
    yield* this.#endIfComplete();
  }

  #summaries(given: unknown): IncomingSession["transcripts"] {
    if (!Array.isArray(given) || given.length > TRANSCRIPTS_MAX)
      throw this.#fault("line", `has transcripts that are no list of at most ${TRANSCRIPTS_MAX}`);
    const names = new Set<string>();
    return given.map((one: unknown) => {
      const { name, length } = (typeof one === "object" && one !== null ? one : {}) as Fields;
      const isCount = typeof length === "number" && Number.isSafeInteger(length) && length >= 0;
      if (typeof name !== "string" || name === "" || !isCount || names.has(name))
        throw this.#fault("line", "has a transcript without a name and length of its own");
      if (!isWellFormed(name) || name.length > TRANSCRIPT_NAME_MAX)
        throw this.#fault(
          "line",
          `has a transcript whose name has more than ${TRANSCRIPT_NAME_MAX} characters, or half a one`,
        );
      names.add(name);
      return { name, length };
    });
  }

  /** A line of the session that was begun. */
  *#within(type: unknown, fields: Fields, bytes: number): Generator<ExportEvent, void> {
    if (type === "abandon") {
      if (this.#session === undefined) throw this.#fault("line", "calls off a session, and none was begun");
      this.#session = undefined;
      yield { kind: "abandon" };
      return;
    }
    if (type === "transcript") {
      const next = this.#itemsLeft === 0 ? this.#session?.transcripts[this.#transcript + 1] : undefined;
      if (next === undefined || next.name !== fields["name"])
        throw this.#fault("line", "begins a transcript that is not the next one of its session");
      this.#transcript += 1;
      this.#itemsLeft = next.length;
      yield { kind: "transcript", name: next.name };
      return yield* this.#endIfComplete();
    }
    if (type !== "item")
      throw this.#fault("line", `is of a type that this version does not know: ${JSON.stringify(type)}`);
    const { item, id } = fields;
    if (this.#itemsLeft === 0) throw this.#fault("line", "is an item, and its transcript is complete");
    if (item === undefined) throw this.#fault("line", "is an item, and has none");
    if (id !== undefined && typeof id !== "string") throw this.#fault("line", "has an id that is no text");
    if (id === "" || (id !== undefined && (!isWellFormed(id) || Buffer.byteLength(id) > ID_BYTES_MAX)))
      throw this.#fault(
        "line",
        `has an id that is empty, has more than ${ID_BYTES_MAX} bytes, or half a character`,
      );
    // Whoever compares or measures it goes down into it.
    if (typeof item === "object" && item !== null && nestsTooDeep(item))
      throw this.#fault("line", `nests more than ${DEPTH_MAX} levels`);
    this.#itemsLeft -= 1;
    yield { kind: "item", item: { item, id, bytes } };
    yield* this.#endIfComplete();
  }

  *#endIfComplete(): Generator<ExportEvent, void> {
    const { transcripts } = this.#session ?? {};
    if (transcripts === undefined || this.#itemsLeft > 0 || this.#transcript + 1 < transcripts.length) return;
    this.#session = undefined;
    this.#sessions += 1;
    yield { kind: "sessionEnd" };
  }

  #end({ sha256, sessions }: Fields): void {
    this.#assertComplete();
    this.#ended = true;
    if (this.#hadFaults) return;
    // A tool that changes a file leaves these out.
    if (sha256 !== undefined && sha256 !== this.#hash.digest("hex"))
      throw this.#fault(
        "checksum",
        "has the checksum of another file: a line in front of it was changed or lost",
      );
    if (sessions !== undefined && sessions !== this.#sessions)
      throw this.#fault(
        "checksum",
        `counts ${JSON.stringify(sessions)} sessions, and there are ${this.#sessions}`,
      );
  }

  #assertComplete(): void {
    if (this.#session === undefined || this.#skipping) return;
    this.isAtNext = true;
    throw this.#fault(
      "line",
      `comes before session ${JSON.stringify(this.#session.key)} has all that line ${this.#session.line} says`,
    );
  }

  #expanding<R>(work: () => R, key?: string): R {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof SharedValueFault)) throw error;
      throw this.#fault("line", error.message, this.#line, key);
    }
  }

  #fault(reason: string, what: string, line = this.#line, key?: string): SessionStoreError {
    return new SessionStoreError(
      "export_invalid",
      `line ${line} ${what}. Get the file once more from where it was made, or take what can be read of it (--salvage).`,
      { data: { reason, line, ...(key !== undefined && { key }) } },
    );
  }
}
