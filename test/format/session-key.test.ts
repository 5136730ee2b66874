/**
 * Goal: keys and folder names are one to one, on case-insensitive file systems too, and no key, however hostile,
 * gets a name that a file system treats specially. Method: a table of hostile keys, and properties over any text.
 */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/format/limits.js";
import {
  assertSessionKey,
  folderNameForKey,
  isHashedFolderName,
  keyFromFolderName,
} from "../../src/format/session-key.js";

const hostileKeys = [
  ".", "..", "...", "/", "\\", "a/b", "../../etc/passwd", "\0", "a\0b", "CON", "con", "Con", "con.txt", "con.", "con.tar.gz",
  "prn", "aux", "nul", "NUL", "com0", "com1", "COM9", "com10", "lpt1", "lpt9.log", "conin$", "console", "aux2", "a.", "a..",
  ".a", ".store", "A", "a", "Agent:Main", "agent:main", "agent:main:main", "é", "e\u0301", "__proto__", "constructor",
  "prototype", "😀", "👩‍👩‍👧", "\u2028", "%3A", "%3a", "%", "%%", ":", "~", "a~b", " ", "a ", " a", "\n", "\u007f", "\ufeff",
  "*", "?", "\"", "<", ">", "|", "x".repeat(200), "x".repeat(201), "x".repeat(202), "X".repeat(67), "X".repeat(66),
  ".".repeat(300), "con." + "x".repeat(300), "😀".repeat(250), "é".repeat(500), "x".repeat(118) + ":".repeat(60),
  "x".repeat(119) + ":".repeat(60), "x".repeat(120) + ":".repeat(60), "x".repeat(117) + ":".repeat(60),
]; // prettier-ignore

describe("folderNameForKey", () => {
  it.each([
    ["agent:main:telegram:direct:james", "agent%3Amain%3Atelegram%3Adirect%3Ajames"],
    ["abc-1_2.=+@,", "abc-1_2.=+@,"],
    [".", "%2E"],
    ["..", "%2E%2E"],
    ["...", "%2E.%2E"],
    [".store", "%2Estore"],
    ["a.", "a%2E"],
    ["A", "%41"],
    ["con", "%63on"],
    ["con.txt", "%63on.txt"],
    ["CON", "%43%4F%4E"],
    ["lpt9.log", "%6Cpt9.log"],
    ["console", "console"],
    ["com10", "com10"],
    ["é", "%C3%A9"],
    ["😀", "%F0%9F%98%80"],
    ["%3A", "%253%41"],
    ["~", "%7E"],
    ["\0", "%00"],
  ])("writes %j as %s", (key, name) => {
    expect(folderNameForKey(key)).toBe(name);
    expect(keyFromFolderName(name)).toBe(key);
  });

  it("cuts and hashes a name of more than 200 bytes, and never tears a byte", () => {
    const key = `${"x".repeat(118)}:${"y".repeat(100)}`;
    const hash = createHash("sha256").update(key).digest("hex");
    expect(folderNameForKey(key)).toBe(`${"x".repeat(118)}~${hash}`);
    expect(folderNameForKey("z".repeat(201))).toMatch(/^z{120}~[0-9a-f]{64}$/);
    expect(folderNameForKey("z".repeat(200))).toBe("z".repeat(200));
    const fits = `${"x".repeat(117)}:${"y".repeat(100)}`;
    expect(folderNameForKey(fits)).toMatch(/^x{117}%3A~[0-9a-f]{64}$/);
  });

  it("gives hostile keys names that differ even where case is ignored", () => {
    const names = hostileKeys.map((key) => folderNameForKey(key).toLowerCase());
    expect(new Set(names).size).toBe(new Set(hostileKeys).size);
  });

  it.each(hostileKeys)("gives %j a harmless name", (key) => {
    const name = folderNameForKey(key);
    expect(name).toMatch(/^[a-z0-9\-_=+@,%][a-zA-F0-9\-_.=+@,%~]*$/);
    expect(name).not.toMatch(/\.$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
    if (isHashedFolderName(name)) expect(keyFromFolderName(name)).toBeUndefined();
    else expect(keyFromFolderName(name)).toBe(key);
  });

  const anyKey = fc
    .oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.string({ maxLength: 250 }),
      fc.constantFrom(...hostileKeys),
    )
    .filter((key) => key !== "");

  it("round-trips any key or hashes it", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const name = folderNameForKey(key);
        expect(keyFromFolderName(name)).toBe(isHashedFolderName(name) ? undefined : key);
      }),
      { numRuns: 2000 },
    );
  });

  it("never gives two keys one name, whatever the case", () => {
    const related = fc
      .tuple(anyKey, fc.constantFrom("", ".", "x", "%2E"))
      .chain(([key, more]) =>
        fc.tuple(
          fc.constant(key),
          fc.constantFrom(
            key + more,
            key.toUpperCase(),
            key.toLowerCase(),
            key.normalize("NFD"),
            folderNameForKey(key),
          ),
        ),
      );
    fc.assert(
      fc.property(fc.oneof(related, fc.tuple(anyKey, anyKey)), ([left, right]) => {
        const same = folderNameForKey(left).toLowerCase() === folderNameForKey(right).toLowerCase();
        expect(same).toBe(left === right);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("keyFromFolderName", () => {
  it.each([
    "", ".", "..", ".store", ".DS_Store", "A", "%41%", "%4", "%3a", "%61", "a%2E%2Fb%", "con", "con.txt", "a.", "%C3", "%ED%A0%80",
    "%FF", "é", "a b", "a:b", "~", "a~b", "x".repeat(201), `${"x".repeat(10)}~${"0".repeat(64)}`,
    folderNameForKey("k".repeat(300)), "%2E.",
  ])("refuses %j", (name) => {
    expect(keyFromFolderName(name)).toBeUndefined();
  }); // prettier-ignore

  it("accepts nothing but canonical names", () => {
    const pieces = fc.array(
      fc.constantFrom("a", "A", ".", "%41", "%61", "%3A", "%3a", "%2E", "%C3%A9", "con", "~", "%"),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        const name = parts.join("");
        const key = keyFromFolderName(name);
        if (key !== undefined) expect(folderNameForKey(key)).toBe(name);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("isHashedFolderName", () => {
  it("knows hashed names only", () => {
    const hash = "0123456789abcdef".repeat(4);
    expect(isHashedFolderName(folderNameForKey(":".repeat(300)))).toBe(true);
    expect(isHashedFolderName(`${"x".repeat(120)}~${hash}`)).toBe(true);
    expect(isHashedFolderName(`${"x".repeat(121)}~${hash}`)).toBe(false);
    expect(isHashedFolderName(`${"x".repeat(117)}~${hash}`)).toBe(false);
    expect(isHashedFolderName(`${"x".repeat(120)}~${hash.toUpperCase()}`)).toBe(false);
    expect(isHashedFolderName(`.${"x".repeat(119)}~${hash}`)).toBe(false);
    expect(isHashedFolderName("agent%3Amain")).toBe(false);
  });
});

describe("assertSessionKey", () => {
  it.each([undefined, null, 1, {}, [], Symbol("x"), "", "\ud800", "a\udc00b", "\udc00\ud800"])(
    "throws a TypeError for what can be no key (%#)",
    (key) => {
      expect(() => assertSessionKey(key, DEFAULT_LIMITS)).toThrow(TypeError);
    },
  );

  it.each(hostileKeys.filter((key) => Buffer.byteLength(key) <= 1024))("accepts %j", (key) => {
    expect(() => assertSessionKey(key, DEFAULT_LIMITS)).not.toThrow();
  });

  it("measures bytes and not characters", () => {
    expect(() => assertSessionKey("x".repeat(1024), DEFAULT_LIMITS)).not.toThrow();
    expect(() => assertSessionKey("é".repeat(512), DEFAULT_LIMITS)).not.toThrow();
    const long = "é".repeat(512) + "x";
    expect(() => assertSessionKey(long, DEFAULT_LIMITS)).toThrow(
      expect.objectContaining({ code: "key_too_long", data: { limit: 1024, actual: 1025, key: long } }),
    );
    expect(() => assertSessionKey("y".repeat(4096), DEFAULT_LIMITS)).toThrow(/4096 bytes/);
    expect(() => assertSessionKey("abcd", { ...DEFAULT_LIMITS, keyBytesMax: 3 })).toThrow(/4 bytes/);
  });
});
