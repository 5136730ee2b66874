/**
 * Finds the members of a JSON object in bytes that come in pieces, without parsing them.
 *
 * A `sessions.json` may have 500 MB, so nothing may hold all of it: the scanner walks once over the bytes, tells where
 * each member of the outermost object lies (and each big member of those), and whoever listens parses those few bytes
 * with JSON.parse while they are at hand. State between two pieces is a handful of numbers.
 *
 * Why not a streaming parser from the registry: one that emits every token cannot keep up with native code. On a
 * store of 67 MB and 460 sessions (Node 20, one core): JSON.parse 115 ms, JSON.stringify 190 ms, this scanner with
 * JSON.parse of what it finds 150 ms; @streamparser/json 735 ms, stream-json 1,495 ms. A migration reads its source
 * twice and may take three times JSON.parse + JSON.stringify, so either of them alone would use up the budget.
 *
 * What is checked here is only what decides where members begin and end: quotes, escapes, nesting, and the commas and
 * colons of the outermost object. Everything inside a member is checked by JSON.parse of its bytes. Positions are
 * offsets in the whole input.
 */

/** Hears of members; positions are offsets in the whole input, ends exclusive. Names include their quotes. */
export interface ScanListener {
  /** A member of the outermost object is complete. `levels` is how deep its value nests, 0 for a scalar. */
  member(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, levels: number): void;
  /** A member of such a member, of at least `fieldBytesMin` bytes. Comes before the member that it is in. */
  field?(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void;
}

export interface ScanFault {
  readonly reason: "empty" | "truncated" | "array" | "not_an_object" | "syntax" | "trailing";
  /** Byte of the input at which it shows. */
  readonly offset: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const SPACE = 0x20;
/** Longer strings are searched by native code, whose call costs as much as looking at so many bytes. */
const LOOKED_AT_MAX = 24;

/** Where a level of members stands. */
const enum Phase {
  NameOrEnd,
  Colon,
  Value,
  InValue,
  Name,
}

export class JsonScanner {
  fault: ScanFault | undefined;
  /** First byte that belongs to the member which is not complete yet; what is before it may be forgotten. */
  retained = 0;
  /** The outermost object is complete. */
  done = false;
  #depth = 0;
  #deepest = 0;
  #inString = false;
  #escaped = false;
  /** The string that is being read is a name of this level; 0 for any other string. */
  #namesLevel = 0;
  /** Index 1: the outermost object; 2: the member that is being read, if it is an object. */
  readonly #phase = [Phase.NameOrEnd, Phase.NameOrEnd, Phase.NameOrEnd];
  readonly #nameStart = [0, 0, 0];
  readonly #nameEnd = [0, 0, 0];
  readonly #valueStart = [0, 0, 0];
  #memberIsObject = false;

  constructor(
    private readonly listener: ScanListener,
    private readonly fieldBytesMin = Number.POSITIVE_INFINITY,
  ) {}

  /** Whether the bytes so far stop right after the name of a member: its bounds, for a value that is too long to keep. */
  get openMember(): { nameStart: number; nameEnd: number } | undefined {
    if (this.#depth < 1 || this.#phase[1] === Phase.NameOrEnd || this.#phase[1] === Phase.Name)
      return undefined;
    return { nameStart: this.#nameStart[1]!, nameEnd: this.#nameEnd[1]! };
  }

  /**
   * Takes the next bytes.
   * @param bytes What is at hand, up to the end of what is known.
   * @param from Index of the first byte that was not scanned yet.
   * @param base Offset of `bytes[0]` in the whole input.
   * @returns False when the input is no JSON object; `fault` says why.
   */
  scan(bytes: Buffer, from: number, base: number): boolean {
    const end = bytes.length;
    let at = from;
    while (at < end && this.fault === undefined) {
      if (this.#inString) at = this.#string(bytes, at, base);
      else if (this.#depth > 2) at = this.#inside(bytes, at);
      else at = this.#outside(bytes, at, base);
    }
    if (this.#depth < 1 || this.#phase[1] === Phase.NameOrEnd || this.#phase[1] === Phase.Name)
      this.retained = base + at;
    // A name that is not complete yet belongs to the next member.
    if (this.#inString && this.#namesLevel === 1) this.retained = this.#nameStart[1]!;
    return this.fault === undefined;
  }

  /** The input has ended. @returns Whether it was one whole object. */
  end(length: number): boolean {
    if (this.fault === undefined && !this.done) {
      const nothing = this.#depth === 0;
      this.fault = { reason: nothing ? "empty" : "truncated", offset: length };
    }
    return this.fault === undefined;
  }

  /** From inside a string to behind its quote, or to the end of what is at hand. */
  #string(bytes: Buffer, from: number, base: number): number {
    const end = bytes.length;
    let at = from;
    if (this.#escaped) {
      this.#escaped = false;
      at++;
    }
    const limit = Math.min(end, at + LOOKED_AT_MAX);
    while (at < limit) {
      const byte = bytes[at]!;
      if (byte === QUOTE) return this.#endString(at + 1, base);
      at += byte === BACKSLASH ? 2 : 1;
    }
    while (at < end) {
      const quote = bytes.indexOf(QUOTE, at);
      const stop = quote < 0 ? end : quote;
      let backslashes = 0;
      while (stop - backslashes > at && bytes[stop - backslashes - 1] === BACKSLASH) backslashes++;
      const escapes = backslashes % 2 === 1;
      if (quote < 0) {
        this.#escaped = escapes;
        return end;
      }
      if (!escapes) return this.#endString(quote + 1, base);
      at = quote + 1;
    }
    this.#escaped = at > end; // a backslash was the last byte
    return end;
  }

  #endString(at: number, base: number): number {
    this.#inString = false;
    const level = this.#namesLevel;
    if (level > 0) {
      this.#nameEnd[level] = base + at;
      this.#phase[level] = Phase.Colon;
      this.#namesLevel = 0;
    }
    return at;
  }

  /** Deep inside a value: only quotes and brackets matter. */
  #inside(bytes: Buffer, from: number): number {
    const end = bytes.length;
    let depth = this.#depth;
    let at = from;
    while (at < end && depth > 2) {
      const byte = bytes[at++]!;
      if (byte === QUOTE) {
        this.#inString = true;
        break;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (++depth > this.#deepest) this.#deepest = depth;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
    }
    this.#depth = depth;
    return at;
  }

  /** One byte, or a run of spaces, at most two levels deep. */
  #outside(bytes: Buffer, at: number, base: number): number {
    const byte = bytes[at]!;
    if (byte <= SPACE) {
      if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) this.#fail("syntax", base + at);
      return at + 1;
    }
    const level = this.#depth;
    if (level === 0) {
      this.#outermost(byte, base + at);
      return at + 1;
    }
    // In an array there are no members: everything in it is part of the value around it.
    const tracked = level === 1 || this.#memberIsObject;
    const phase = tracked ? this.#phase[level]! : Phase.InValue;
    if (phase === Phase.Value && byte !== COMMA && byte !== CLOSE_BRACE) {
      this.#valueStart[level] = base + at;
      this.#phase[level] = Phase.InValue;
    } else if (phase !== Phase.InValue && !this.#expected(phase, byte) && level === 1) {
      this.#fail("syntax", base + at);
      return at;
    }
    switch (byte) {
      case QUOTE:
        this.#inString = true;
        if (tracked && (phase === Phase.NameOrEnd || phase === Phase.Name)) {
          this.#namesLevel = level;
          this.#nameStart[level] = base + at;
          if (level === 1) this.retained = base + at;
        }
        break;
      case COLON:
        if (tracked && phase === Phase.Colon) this.#phase[level] = Phase.Value;
        break;
      case COMMA:
        if (tracked) this.#complete(level, base + at, Phase.Name);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        this.#open(byte);
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (level === 1 && byte === CLOSE_BRACKET) this.#fail("syntax", base + at);
        else this.#close(tracked, base + at);
        break;
      default:
        break;
    }
    return at + 1;
  }

  #outermost(byte: number, offset: number): void {
    if (this.done) this.#fail("trailing", offset);
    else if (byte === OPEN_BRACE) this.#depth = 1;
    else this.#fail(byte === OPEN_BRACKET ? "array" : "not_an_object", offset);
  }

  #expected(phase: Phase, byte: number): boolean {
    if (phase === Phase.Colon) return byte === COLON;
    if (phase === Phase.Value) return false; // no value at all
    return byte === QUOTE || (phase === Phase.NameOrEnd && byte === CLOSE_BRACE);
  }

  #open(byte: number): void {
    if (++this.#depth > this.#deepest) this.#deepest = this.#depth;
    if (this.#depth === 2) {
      this.#memberIsObject = byte === OPEN_BRACE;
      this.#phase[2] = Phase.NameOrEnd;
    }
  }

  #close(tracked: boolean, offset: number): void {
    const level = this.#depth;
    if (tracked) this.#complete(level, offset, Phase.NameOrEnd);
    this.#depth = level - 1;
    if (level === 1) this.done = true;
  }

  /** A member of a level ends here; `next` is what may follow. */
  #complete(level: number, end: number, next: Phase): void {
    if (this.#phase[level] === Phase.InValue) {
      const nameStart = this.#nameStart[level]!;
      const nameEnd = this.#nameEnd[level]!;
      const valueStart = this.#valueStart[level]!;
      if (level === 1) {
        this.listener.member(nameStart, nameEnd, valueStart, end, Math.max(0, this.#deepest - 1));
        this.#deepest = 1;
      } else if (end - valueStart >= this.fieldBytesMin) {
        this.listener.field?.(nameStart, nameEnd, valueStart, end);
      }
    }
    this.#phase[level] = next;
  }

  #fail(reason: ScanFault["reason"], offset: number): void {
    this.fault = { reason, offset };
  }
}
