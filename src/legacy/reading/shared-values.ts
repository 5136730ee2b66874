/**
 * Parses the values of a legacy store so that what many sessions have in common is parsed once.
 *
 * Most bytes of a real `sessions.json` are a few big values that are written out again in every session. Their text is
 * recognised by comparing it with earlier text of the same length: the same bytes give the same object. So a reading
 * costs little more than scanning, whoever compares two readings can compare each shared object once, and a store that
 * is being filled can be given its own object for the next session, which it then need not look into.
 *
 * Invariant: what comes out is deeply equal to JSON.parse of the text, order of fields and repeated names included, apart
 * from numbers that JSON cannot write (odd-numbers.ts).
 * Memory is bounded: when there is too much text, all of it is forgotten.
 */
import { randomBytes } from "node:crypto";
import { setField } from "../../format/stored-value.js";
import { JsonScanner } from "./json-scanner.js";
import { parseJson, type OddNumber } from "./odd-numbers.js";

/** Shorter values are not worth it. The store's own limit for sharing is the same. */
export const SHARED_BYTES_MIN = 4096;
/** Text of the values that are remembered: what a store has in common is a few of them. */
const REMEMBERED_BYTES_MAX = 24 * 1024 * 1024;
/** Different texts of one length: each costs a comparison, which mostly ends early. */
const SAME_LENGTH_MAX = 16;

/** A big member of an object: offsets in the buffer that holds the object. */
export interface BigMember {
  readonly nameStart: number;
  readonly nameEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** A value that other sessions may have too. */
export interface SharedValue {
  value: unknown;
  readonly text: Buffer;
}

/** A value that was seen for the first time, and where it is in its entry. */
export interface FirstSight {
  readonly shared: SharedValue;
  readonly path: readonly string[];
}

/** What is to be known of an entry beside its value. */
export interface Findings {
  readonly firsts: FirstSight[];
  /** Those of a shared value are told where it was seen for the first time. */
  readonly odd: OddNumber[];
}

export class SharedValues {
  /** Length of all text that was really parsed. */
  parsedBytes = 0;
  /** By length of their text. */
  readonly #known = new Map<number, readonly SharedValue[]>();
  #bytes = 0;
  /** No text that was not written by us can be parsed into this. */
  readonly #nonce = randomBytes(9).toString("base64url");

  /**
   * Parses one object or scalar.
   * @param text The bytes of the whole value; may be overwritten afterwards.
   * @param big Its members of SHARED_BYTES_MIN or more, in order; only for an object.
   * @param found Takes what was seen for the first time.
   * @throws SyntaxError
   */
  parse(text: Buffer, big: readonly BigMember[], found: Findings): unknown {
    return this.#object(text, big, [], found);
  }

  #object(text: Buffer, big: readonly BigMember[], path: readonly string[], found: Findings): unknown {
    this.parsedBytes += text.length;
    if (big.length === 0) return this.#plain(text.toString(), path, found);
    let rest = "";
    let at = 0;
    for (const [index, { valueStart, valueEnd }] of big.entries()) {
      rest += `${text.toString("utf8", at, valueStart)}"${this.#nonce}${index}"`;
      at = valueEnd;
      this.parsedBytes -= valueEnd - valueStart;
    }
    const value = this.#plain(rest + text.toString("utf8", at), path, found) as Record<string, unknown>;
    for (const [index, { nameStart, nameEnd, valueStart, valueEnd }] of big.entries()) {
      const name = JSON.parse(text.toString("utf8", nameStart, nameEnd)) as string;
      const part = this.#shared(text.subarray(valueStart, valueEnd), [...path, name], found);
      // Of a name that is there twice, the last one counts: then another value stands there.
      if (value[name] === `${this.#nonce}${index}`) setField(value, name, part);
    }
    return value;
  }

  #plain(text: string, path: readonly string[], found: Findings): unknown {
    const { value, odd } = parseJson(text);
    for (const number of odd) found.odd.push({ ...number, path: [...path, ...number.path] });
    return value;
  }

  #shared(text: Buffer, path: readonly string[], found: Findings): unknown {
    const known = this.#known.get(text.length)?.find((candidate) => candidate.text.equals(text));
    if (known !== undefined) return known.value;
    const value = this.#object(text, bigMembers(text), path, found);
    const shared = { value, text: Buffer.from(text) };
    this.#remember(shared);
    found.firsts.push({ shared, path });
    return value;
  }

  #remember(shared: SharedValue): void {
    const { length } = shared.text;
    if (this.#bytes + length > REMEMBERED_BYTES_MAX) {
      this.#known.clear(); // what is really shared is met again at once
      this.#bytes = 0;
    }
    this.#bytes += length;
    const same = this.#known.get(length) ?? [];
    this.#known.set(length, [shared, ...same].slice(0, SAME_LENGTH_MAX));
  }
}

/** The big members of the text of an object; none for anything else, or for text that is not JSON. */
function bigMembers(text: Buffer): BigMember[] {
  const found: BigMember[] = [];
  const scanner = new JsonScanner({
    member(nameStart, nameEnd, valueStart, valueEnd) {
      if (valueEnd - valueStart >= SHARED_BYTES_MIN) found.push({ nameStart, nameEnd, valueStart, valueEnd });
    },
  });
  const complete = scanner.scan(text, 0, 0) && scanner.end(text.length);
  return complete ? found : [];
}
