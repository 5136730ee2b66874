/**
 * Goal: `meta.json` gives back exactly what was stored, or says what is wrong with it, for any bytes whatever.
 * Method: round trips over any entry, damage at each byte, and forgeries with a good checksum.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../src/format/crc32.js";
import {
  composeEntryDocument,
  parseEntryDocument,
  type EntryState,
} from "../../src/format/entry-document.js";
import { STORED_DEPTH_MAX } from "../../src/format/limits.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { entry } from "./arbitraries.js";

const state: EntryState = {
  key: "agent:main:mäin",
  revision: 18231,
  modifiedAt: 1795200000000,
  stored: {
    sessionId: "0b8e…",
    updatedAt: 1795200000000,
    origin: { label: "J\ud800" },
    list: [1, null],
    none: null,
  },
};

/** A file of this text, the checksum put right. */
function forge(text: string): Buffer {
  const zero = text.replace(/"crc":"[^"]*"/, '"crc":"00000000"');
  return Buffer.from(zero.replace('"crc":"00000000"', `"crc":"${crc32Hex(zero)}"`));
}

function forged(text: string): string {
  const parsed = parseEntryDocument(forge(text));
  return parsed.ok ? "ok" : parsed.reason;
}

const header = '{"$session":{"key":"k","revision":1,"modifiedAt":2,"crc":""}';

describe("composeEntryDocument", () => {
  it("writes one field a line, readable as JSON", () => {
    const { bytes, crc } = composeEntryDocument({
      key: "k",
      revision: 1,
      modifiedAt: 2,
      stored: { a: "x", b: { c: [1, 2] }, d: null, e: -0.5, f: true },
    });
    expect(bytes.toString()).toBe(
      `{"$session":{"key":"k","revision":1,"modifiedAt":2,"crc":"${crc}"},\n` +
        `"a":"x",\n"b":{"c":[1,2]},\n"d":null,\n"e":-0.5,\n"f":true\n}\n`,
    );
    expect(crc).toBe(crc32Hex(bytes.toString().replace(crc, "00000000")));
    expect(JSON.parse(bytes.toString())).toMatchObject({ a: "x", b: { c: [1, 2] } });
  });

  it("writes an entry without fields", () => {
    const { bytes, crc } = composeEntryDocument({ key: "k", revision: 1, modifiedAt: 2, stored: {} });
    expect(bytes.toString()).toBe(`{"$session":{"key":"k","revision":1,"modifiedAt":2,"crc":"${crc}"}\n}\n`);
    expect(parseEntryDocument(bytes)).toEqual({
      ok: true,
      key: "k",
      revision: 1,
      modifiedAt: 2,
      crc,
      stored: {},
    });
  });

  it("gives the same bytes for what was parsed, whatever the entry", () => {
    fc.assert(
      fc.property(
        entry,
        fc.string({ unit: "binary", minLength: 1 }),
        fc.maxSafeNat(),
        (fields, key, revision) => {
          // `$session` itself cannot be a field: stored names that start with $ have two of them.
          const stored = Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "$session"));
          const { bytes, crc } = composeEntryDocument({
            key,
            revision,
            modifiedAt: 5,
            stored: stored as StoredObject,
          });
          const parsed = parseEntryDocument(bytes);
          expect(parsed).toMatchObject({ ok: true, key, revision, modifiedAt: 5, crc });
          if (parsed.ok) {
            expect(JSON.stringify(parsed.stored)).toBe(JSON.stringify(stored));
            expect(composeEntryDocument(parsed).bytes.equals(bytes)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("keeps __proto__ a field", () => {
    const stored = JSON.parse('{"__proto__":{"polluted":1},"constructor":2}') as StoredObject;
    const parsed = parseEntryDocument(composeEntryDocument({ ...state, stored }).bytes);
    expect(parsed.ok && Object.keys(parsed.stored)).toEqual(["__proto__", "constructor"]);
    expect(parsed.ok && Object.getPrototypeOf(parsed.stored)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("parseEntryDocument of damaged bytes", () => {
  const { bytes } = composeEntryDocument(state);

  it("notices each changed bit", () => {
    for (let position = 0; position < bytes.length; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[position] = (changed[position] ?? 0) ^ (1 << bit);
        const parsed = parseEntryDocument(changed);
        expect(parsed.ok, `bit ${bit} of byte ${position}`).toBe(false);
        if (!parsed.ok) expect(parsed.offset).toBeLessThanOrEqual(bytes.length);
      }
    }
  });

  it("notices each cut, each tail of zeros and each byte too many", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(parseEntryDocument(bytes.subarray(0, length)).ok).toBe(false);
      const zeroed = Buffer.concat([bytes.subarray(0, length), Buffer.alloc(bytes.length - length)]);
      expect(parseEntryDocument(zeroed)).toEqual({
        ok: false,
        reason: expect.stringContaining("NUL"),
        offset: length,
      });
    }
    expect(parseEntryDocument(Buffer.concat([bytes, Buffer.from("\n")])).ok).toBe(false);
    expect(parseEntryDocument(Buffer.concat([bytes, bytes])).ok).toBe(false);
  });

  it.each([
    ["nothing", Buffer.alloc(0), /empty/, 0],
    ["zeros", Buffer.alloc(100), /NUL/, 0],
    ["a newline", Buffer.from("\n"), /middle/, 1],
    ["garbage", Buffer.from("hello, world\n"), /not JSON/, 0],
    ["JSON of something else", Buffer.from('{"a":1}\n'), /checksum/, 0],
    ["a byte order mark", Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]), /byte order mark/, 0],
    ["UTF-16", Buffer.from("\ufeff{}", "utf16le"), /NUL/, 3],
    ["a cut character", Buffer.from([...Buffer.from('{"a":"é'), 0xc3, 0x22, 0x7d, 0x0a]), /UTF-8/, 9],
    ["a stray byte", Buffer.from([0x7b, 0x0a, 0xff, 0x0a]), /UTF-8/, 2],
    ["a missing comma", Buffer.from('{"é":1 "b":2}\n'), /not JSON/, 8],
  ])("says what is wrong with %s", (_, damaged, reason, offset) => {
    const parsed = parseEntryDocument(damaged);
    expect(parsed).toEqual({ ok: false, reason: expect.stringMatching(reason), offset });
  });

  it("survives any depth", () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    expect(parseEntryDocument(Buffer.from(deep)).ok).toBe(false);
    expect(parseEntryDocument(Buffer.from("[".repeat(1_000_000))).ok).toBe(false);
    expect(forged(`${header},\n"a":${deep}\n}\n`)).toMatch(/deep/);
    const nest = (levels: number): string => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
    expect(forged(`${header},\n"a":${nest(STORED_DEPTH_MAX - 1)}\n}\n`)).toBe("ok");
    expect(forged(`${header},\n"a":${nest(STORED_DEPTH_MAX)}\n}\n`)).toMatch(/deep/);
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (damaged) => {
        expect(parseEntryDocument(Buffer.from(damaged)).ok).toBe(false);
      }),
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(parseEntryDocument(Buffer.from(json)).ok).toBe(false);
      }),
    );
  });
});

describe("parseEntryDocument of forgeries with a good checksum", () => {
  it("accepts what the store would have written", () => {
    expect(forged(`${header},\n"a":1\n}\n`)).toBe("ok");
  });

  it.each([
    ["an array", `[{"crc":""}\n]\n`],
    ["no session field", `{"x":{"crc":""}\n}\n`],
    ["a session that is a string", `{"$session":"x","crc":""}\n}\n`],
    ["an empty key", `{"$session":{"key":"","revision":1,"modifiedAt":2,"crc":""}\n}\n`],
    ["a key of half a character", `{"$session":{"key":"\\ud800","revision":1,"modifiedAt":2,"crc":""}\n}\n`],
    ["a negative revision", `{"$session":{"key":"k","revision":-1,"modifiedAt":2,"crc":""}\n}\n`],
    ["a fraction of time", `{"$session":{"key":"k","revision":1,"modifiedAt":2.5,"crc":""}\n}\n`],
    ["a missing time", `{"$session":{"key":"k","revision":1,"crc":""}\n}\n`],
    ["a member too many", `{"$session":{"key":"k","revision":1,"modifiedAt":2,"x":1,"crc":""}\n}\n`],
    ["a name twice", `${header},\n"a":1,\n"a":2\n}\n`],
    ["a nested name twice", `${header},\n"a":{"b":1,"b":2}\n}\n`],
    ["a second session", `${header},\n"$session":{}\n}\n`],
    ["spaces", `${header},\n"a": 1\n}\n`],
    ["fields on one line", `${header},\n"a":1,"b":2\n}\n`],
    ["another spelling of a number", `${header},\n"a":1.0\n}\n`],
    ["another spelling of a string", `${header},\n"a":"\\u0041"\n}\n`],
    ["no final newline", `${header},\n"a":1\n}`],
    ["a newline more", `${header},\n"a":1\n}\n\n`],
  ])("refuses %s", (_, text) => {
    expect(forged(text)).not.toBe("ok");
  });

  it("refuses bytes that are not UTF-8, which would be read as another text", () => {
    const bytes = Buffer.from(
      `${header},\n"a":"x\xff"\n}\n`.replace(`"crc":""`, `"crc":"00000000"`),
      "latin1",
    );
    bytes.write(crc32Hex(bytes), bytes.indexOf("00000000"), "latin1");
    expect(parseEntryDocument(bytes)).toEqual({
      ok: false,
      reason: "it is not UTF-8",
      offset: bytes.indexOf(0xff),
    });
  });
});
