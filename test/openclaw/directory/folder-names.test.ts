/**
 * Goal: names and keys turn into each other without ever meeting, by OpenClaw's function names.
 * Method: the keys of real stores, keys made to collide under the encodings that came before, and random ones.
 */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  decodeDirectorySessionStoreEntryFileName,
  desanitizeSessionKey,
  encodeDirectorySessionStoreKey,
  isHashedSessionFolderName,
  sanitizeSessionKey,
} from "../../../src/openclaw/directory/folder-names.js";

const KEYS = [
  "agent:main:main",
  "agent:main:telegram:group:-1003718841002:topic:5",
  "agent:main:direct:+15551234567",
  "agent:main:100%done",
  "agent:main:path/with/slashes",
  "agent:main:path\\with\\backslashes",
  "agent:main:a--b",
  "agent:main:a:b",
  "../../etc/passwd",
  "..",
  "__proto__",
  "Agent:Main:Main",
  "con",
  "é:🙂",
];

test.each(KEYS)("%s comes back", (key) => {
  const name = sanitizeSessionKey(key);
  expect(name).toMatch(/^[a-z0-9%_=+@,A-F-][a-z0-9%._=+@,A-F-]*$/);
  expect(desanitizeSessionKey(name)).toBe(key);
  expect(decodeDirectorySessionStoreEntryFileName(name)).toBe(key);
});

it("no two keys share a name, also where case does not count", () => {
  const names = KEYS.map((key) => sanitizeSessionKey(key).toLowerCase());
  expect(new Set(names).size).toBe(KEYS.length);
});

it("random keys come back, or are hashed", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 100, unit: "grapheme" }), (key) => {
      const name = sanitizeSessionKey(key);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
      expect(desanitizeSessionKey(name)).toBe(isHashedSessionFolderName(name) ? undefined : key);
    }),
  );
});

describe("the name in the store", () => {
  it("is that of the key as it is stored: trimmed, lower-case", () => {
    expect(encodeDirectorySessionStoreKey(" Agent:Main:MAIN ")).toBe("agent%3Amain%3Amain");
    expect(decodeDirectorySessionStoreEntryFileName("agent%3Amain%3Amain/meta.json")).toBe("agent:main:main");
  });

  it("of a long key is hashed, and only its file knows the key", () => {
    const name = encodeDirectorySessionStoreKey(`agent:${"x".repeat(300)}`);
    expect(isHashedSessionFolderName(name)).toBe(true);
    expect(decodeDirectorySessionStoreEntryFileName(name)).toBeNull();
    expect(desanitizeSessionKey(name)).toBeUndefined();
  });

  test.each([".store", ".", "..", "a:b", "A", "a/b", "", "meta.json/x", "%61"])(
    "%j is no session",
    (name) => {
      expect(decodeDirectorySessionStoreEntryFileName(name)).toBeNull();
    },
  );

  test.each(["", "   ", "\ud800", 7, undefined])("%j is no key", (key) => {
    expect(() => encodeDirectorySessionStoreKey(key as string)).toThrow(TypeError);
  });
});
