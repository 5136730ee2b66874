/**
 * Makes new inputs out of old ones: bits flipped, pieces cut, copied, moved and taken from other inputs, and words put
 * in that mean something to JSON, to JavaScript or to the format.
 */

const TOKENS: readonly string[] = [
  ["{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n", "\r\n", "\u0000", "\ufeff", "//", "/*", "'"],
  ["null", "true", "-0", "1e999", "-1e-999", "9007199254740993", "4294967296", "1".repeat(400)],
  ["NaN", "Infinity", "undefined", '"\\ud800"', '"\\u0000"', '"\\u005f_proto__"', "\u2028", "é", "🙂"],
  [
    '"__proto__":{"polluted":1}',
    '"constructor":{"prototype":{"polluted":1}}',
    '"toString":1',
    '"length":1e9',
  ],
  [
    '"$session":',
    '"$blob":"sha256:',
    '"$$a":1',
    '"nested":1',
    '"bytes":-1',
    '"ops":[',
    '"seal":8',
    '"d":1',
    '"b":0',
  ],
  ['"p":{', '"u":["a"]', '"k":"', '"segment":7', '"rows":[', '"blobs":[', '"end":6', '"crc":"00000000"'],
  ["%2F", "%", "~", "..", ".", "/", "con", "A"],
].flat();
const DEEP = ["[", '{"a":', '[{"":'];

export type Random = () => number;

/** A new input of at most `bytesMax` bytes. */
export function mutate(random: Random, corpus: readonly Buffer[], bytesMax: number): Buffer {
  const pick = (count: number): number => Math.trunc(random() * count);
  let bytes: Buffer = Buffer.from(corpus[pick(corpus.length)] ?? Buffer.alloc(0));
  // Few changes reach far into a parser, many reach its odd corners.
  for (let changes = 1 + pick(random() < 0.8 ? 3 : 12); changes > 0; changes--) {
    bytes = change(bytes, corpus, pick).subarray(0, bytesMax);
  }
  return bytes;
}

function change(bytes: Buffer, corpus: readonly Buffer[], pick: (count: number) => number): Buffer {
  const at = pick(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + pick(pick(4) === 0 ? bytes.length : 16));
  const piece = bytes.subarray(at, end);
  const insert = (middle: Buffer | string, behind = at): Buffer =>
    Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(behind)]);
  switch (pick(11)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << pick(8));
      return flipped;
    }
    case 1:
      return insert(Buffer.of(pick(256)), Math.min(bytes.length, at + pick(2)));
    case 2:
      return insert("", end);
    case 3:
      return insert(Buffer.concat([piece, piece]), end);
    case 4:
      return bytes.subarray(0, at);
    case 5: {
      const other = corpus[pick(corpus.length)] ?? bytes;
      const from = pick(other.length + 1);
      return insert(other.subarray(from, from + pick(other.length - from + 1)), pick(2) === 0 ? at : end);
    }
    case 6: {
      const target = pick(bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, target), piece, bytes.subarray(target)]);
    }
    case 7: {
      const text = bytes.toString("latin1");
      const digits = [...text.matchAll(/-?\d+/g)][pick(8)];
      const number = ["0", "-1", "1.5", "1e3", String(2 ** 53), String(pick(20))][pick(6)] ?? "0";
      if (digits === undefined) return insert(number);
      return Buffer.from(
        text.slice(0, digits.index) + number + text.slice(digits.index + digits[0].length),
        "latin1",
      );
    }
    case 8:
      return pick(8) === 0 ? insert((DEEP[pick(3)] ?? "[").repeat(1 + pick(5000))) : insert(piece, at);
    default:
      return insert(TOKENS[pick(TOKENS.length)] ?? "", pick(2) === 0 ? at : end);
  }
}
