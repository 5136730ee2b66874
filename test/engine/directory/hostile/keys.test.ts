/**
 * Goal: any key is either kept exactly or refused with a `TypeError`; no two share a folder, none leaves the
 * store's folder, whatever the file system makes of names (fault 27).
 * Method: keys that are special to file systems, shells, JavaScript and Unicode go through files, log, catalog and
 * a fresh process; then the names on the disk are looked at.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, useSandbox, type Entry } from "../sandbox.js";

const holder = useSandbox();

const SPECIAL = [
  ".",
  "..",
  "...",
  "../outside",
  "../../etc/passwd",
  "/",
  "//",
  "/etc/passwd",
  "\\",
  "..\\..\\x",
  "C:\\x",
  "a/b",
  "a\\b",
  "a:b",
  "\0",
  "a\0b",
  "\n",
  " ",
  " a",
  "a ",
  "\t",
  "\u007f",
  "\u001b[31m",
  "<script>",
  "'; rm -rf /",
  "$(id)",
  "*",
  "?",
  "~",
  "~root",
  "-rf",
  "%",
  "%2E",
  "%2e",
  "%2F",
  "%00",
  ".store",
  ".STORE",
  ".store.building-00ff",
  "meta.json",
  "a.",
  "a..",
  "a. ",
  ".a",
  "CON",
  "con",
  "Con",
  "con.txt",
  "CON.",
  "nul",
  "NUL.json",
  "com1",
  "lpt9",
  "aux",
  "prn",
  "clock$",
  "A",
  "a",
  "AGENT:main",
  "agent:MAIN",
  "agent:main",
  "é",
  "e\u0301",
  "Å",
  "\u212b",
  "A\u030a",
  "ſ",
  "s",
  "K",
  "\u212a",
  "ı",
  "İ",
  "ß",
  "ss",
  "👩‍👩‍👧‍👦",
  "👩👩👧👦",
  "\u200d",
  "\ufeff",
  "\u202e",
  "\ufffd",
  "日本",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "0",
  "-0",
  "00",
  "1e3",
];

/** Keys of which the encoded name is just short enough, or is cut in front of, in or behind an escape. */
const LONG = [
  ...[199, 200, 201, 255, 256, 1023, 1024].map((length) => "x".repeat(length)),
  ...[200, 1024].map((length) => `${"x".repeat(length - 1)}y`),
  ...[0, 1, 2].map((shift) => `${"x".repeat(shift)}${"/".repeat(300)}`),
  ...[0, 1, 2].map((shift) => `${"x".repeat(shift)}${"/".repeat(300)}!`),
  "X".repeat(67),
  "X".repeat(66),
  "é".repeat(512),
  "👍".repeat(256),
  `${"x".repeat(120)}~${"0".repeat(64)}`,
  `${"x".repeat(120)}~${"1".repeat(64)}`,
];

const KEYS = [...SPECIAL, ...LONG];

const entryOf = (key: string): Entry => ({ is: key, at: KEYS.indexOf(key) });

describe("every key that is accepted", () => {
  it("is a session of its own, in the log, in its file and in listings", async () => {
    const { box } = holder;
    expect(new Set(KEYS).size).toBe(KEYS.length);
    const store = await box.open();
    for (const key of KEYS) await store.put(key, entryOf(key), { ifRevision: 0 });
    for (const key of KEYS) expect(await store.get(key), JSON.stringify(key)).toEqual(entryOf(key));
    await store.checkpoint();
    const again = await box.reopen({ cacheBytes: 0 });
    for (const key of KEYS) expect(await again.get(key), JSON.stringify(key)).toEqual(entryOf(key));
    const { sessions } = await again.list();
    expect(sessions.map(({ key }) => key)).toEqual(KEYS.toSorted((a, b) => (a < b ? -1 : 1)));
    for (const { key, entry } of sessions) expect(entry).toEqual(entryOf(key));
    for (const key of KEYS) {
      const sessionsOfKey = (await again.list({ prefix: key })).sessions;
      expect(sessionsOfKey[0]?.key).toBe(key);
      expect(await again.count({ prefix: key })).toBe(KEYS.filter((other) => other.startsWith(key)).length);
    }
    // Without its catalog the store finds them by their folders.
    for (const key of KEYS.slice(0, 40)) await again.delete(key);
    await again.checkpoint();
    const last = await box.reopen();
    expect(await last.count()).toBe(KEYS.length - 40);
    for (const [index, key] of KEYS.entries()) {
      expect(await last.get(key)).toEqual(index < 40 ? undefined : entryOf(key));
    }
    expect(box.warnings).toEqual([]);
  });

  it("has a folder of its own inside the store, on file systems that fold names, too", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const key of KEYS) await store.put(key, entryOf(key));
    await store.checkpoint();
    const names = readdirSync(box.path).filter((name) => name !== ".store");
    expect(names).toHaveLength(KEYS.length);
    expect(readdirSync(box.root)).toEqual(["sessions.d"]);
    for (const name of names) {
      expect(name).toMatch(/^[a-z0-9\-_=+@,.%~A-F]+$/);
      expect(name).not.toMatch(/^\.|\.$/);
      expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
      expect(name.normalize("NFD")).toBe(name);
      const document = JSON.parse(readFileSync(box.at(name, "meta.json"), "utf8")) as { is: string };
      expect(KEYS).toContain(document.is);
    }
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(KEYS.length);
    expect(existsSync(box.at("..", "outside"))).toBe(false);
  });
});

const WRONG: readonly unknown[] = [
  "",
  "\ud800",
  "a\udc00b",
  undefined,
  null,
  0,
  1n,
  {},
  [],
  ["a"],
  Symbol("a"),
];

it.each(WRONG.map((key) => [typeof key, key] as const))(
  "a key that is none (%s): a TypeError",
  async (_type, key) => {
    const { box } = holder;
    const store = await box.open();
    const wrong = key as string;
    const calls: Record<string, () => unknown> = {
      get: () => store.get(wrong),
      getSync: () => store.getSync(wrong),
      read: () => store.read(wrong),
      put: () => store.put(wrong, {}),
      patch: () => store.patch(wrong, {}),
      update: () => store.update(wrong, () => ({})),
      delete: () => store.delete(wrong),
      transact: () => store.transact((tx) => tx.put(wrong, {})),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect((async () => call())(), name).rejects.toBeInstanceOf(TypeError);
    }
    expect(await store.revision()).toBe(0);
  },
);

it.each([1025, 4096, 1_000_000])("a key of %i bytes: key_too_long", async (bytes) => {
  const { box } = holder;
  const store = await box.open();
  for (const key of ["x".repeat(bytes), `${"é".repeat(Math.floor(bytes / 2))}${bytes % 2 ? "x" : ""}`]) {
    expect(Buffer.byteLength(key)).toBe(bytes);
    expect(await codeOf(() => store.put(key, {}))).toBe("key_too_long");
    expect(await codeOf(() => store.get(key))).toBe("key_too_long");
  }
});

it("keys of 4 KiB work where the limit is raised", async () => {
  const { box } = holder;
  const keys = ["x".repeat(4096), `${"x".repeat(4095)}y`, "é".repeat(2048)];
  const store = await box.open({ limits: { keyBytesMax: 4096 } });
  for (const key of keys) await store.put(key, { length: key.length, end: key.at(-1) });
  await store.checkpoint();
  const again = await box.reopen({ limits: { keyBytesMax: 4096 } });
  for (const key of keys) expect(await again.get(key)).toEqual({ length: key.length, end: key.at(-1) });
  expect(await again.count()).toBe(3);
});
