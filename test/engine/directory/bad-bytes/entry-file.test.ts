/**
 * Goal: a damaged `meta.json` costs its own session only. It is noticed with file and place, never taken for
 * another state, and repaired by a put, or from the log while the log has it (faults 19 and 20).
 * Method: every damage is put into the file of one of three checkpointed sessions; fresh stores read the folder.
 */
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../../../src/format/crc32.js";
import { BIG, failureOf, useSandbox, type Entry, type Sandbox, type Store } from "../sandbox.js";

const holder = useSandbox();

const KEY = "agent:main:main";
const ENTRY: Entry = { sessionId: "s-1", updatedAt: 5, label: "grüße ✓" };
const OTHERS: Record<string, Entry> = { a: { updatedAt: 1 }, z: { updatedAt: 9 } };

/** Three sessions in their files; the log has none of them. */
async function checkpointed(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ ...OTHERS, [KEY]: ENTRY });
  return box;
}

/** The file with a checksum that holds, so that only what it says can be wrong. */
function withChecksum(text: string): Buffer {
  const zeroed = text.replace(/"crc":"[0-9a-f]{8}"/, '"crc":"00000000"');
  return Buffer.from(zeroed.replace('"crc":"00000000"', `"crc":"${crc32Hex(Buffer.from(zeroed))}"`));
}

/** The session is refused with its file and a place in it; everything else goes on. */
async function expectIsolated(box: Sandbox, store: Store): Promise<void> {
  const file = box.entryFile(KEY);
  const error = await failureOf(() => store.get(KEY));
  expect(error.code).toBe("entry_corrupt");
  expect(error.data).toMatchObject({ key: KEY, path: file });
  expect(error.message).toContain(file);
  expect(error.message).toContain(`byte ${error.data["offset"]}`);
  expect(error.message).toMatch(/[Pp]ut the session again/);
  expect(await store.get("a")).toEqual(OTHERS["a"]);
  expect(await store.get("z")).toEqual(OTHERS["z"]);
  for (let time = 0; time < 3; time++) {
    const { sessions } = await store.list();
    expect(sessions.map(({ key }) => key)).toEqual(["a", "z"]);
    expect(await store.count({ prefix: "a" })).toBeGreaterThan(0);
  }
  expect(box.warned("entry_corrupt")).toHaveLength(1);
  expect(box.warned("entry_corrupt")[0]?.message).toContain(file);
}

const DAMAGES: Record<string, (good: Buffer) => Buffer> = {
  empty: () => Buffer.alloc(0),
  "one newline": () => Buffer.from("\n"),
  zeroed: (good) => Buffer.alloc(good.length),
  "zeroed in its second half": (good) =>
    Buffer.concat([good.subarray(0, 60), Buffer.alloc(good.length - 60)]),
  garbage: (good) => Buffer.from(good.map((byte, index) => (byte * 31 + index * 7) & 255)),
  "a byte order mark": (good) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), good]),
  "invalid UTF-8": (good) => {
    const bad = Buffer.from(good);
    bad[bad.indexOf(0xc3) + 1] = 0x28;
    return bad;
  },
  "a lone surrogate in UTF-8": (good) =>
    Buffer.concat([good.subarray(0, 100), Buffer.from([0xed, 0xa0, 0x80]), good.subarray(100)]),
  "trailing garbage": (good) => Buffer.concat([good, Buffer.from("{}\n")]),
  "itself twice": (good) => Buffer.concat([good, good]),
  "Windows line ends": (good) => Buffer.from(good.toString().replaceAll("\n", "\r\n")),
  "pretty-printed": (good) => Buffer.from(JSON.stringify(JSON.parse(good.toString()), null, 2)),
  "edited by hand": (good) => Buffer.from(good.toString().replace("s-1", "s-2")),
  "an array": () => Buffer.from("[]\n"),
  "a duplicate name under a valid checksum": (good) =>
    withChecksum(good.toString().replace('"sessionId":"s-1"', '"sessionId":"x",\n"sessionId":"s-1"')),
  "a duplicate $session under a valid checksum": (good) =>
    withChecksum(good.toString().replace('"updatedAt"', '"$session":{},\n"updatedAt"')),
  "a lone surrogate in the key": (good) => withChecksum(good.toString().replace(KEY, "\\ud800")),
  "an empty key": (good) => withChecksum(good.toString().replace(KEY, "")),
  "a negative revision": (good) => withChecksum(good.toString().replace(/"revision":\d+/, '"revision":-1')),
  "a fractional revision": (good) =>
    withChecksum(good.toString().replace(/"revision":\d+/, '"revision":1.5')),
  "a revision as text": (good) => withChecksum(good.toString().replace(/"revision":\d+/, '"revision":"3"')),
  "an unknown member of $session": (good) =>
    withChecksum(good.toString().replace('"crc"', '"extra":1,"crc"')),
  "no $session": () => Buffer.from('{"sessionId":"s-1"}\n'),
  "nesting of 100,000 levels": (good) =>
    withChecksum(good.toString().replace('"s-1"', "[".repeat(100_000) + "]".repeat(100_000))),
};

describe("a damaged meta.json of a checkpointed session", () => {
  it.each(Object.keys(DAMAGES))("%s: is refused by itself, and a put heals it", async (name) => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const good = readFileSync(file);
    const bad = DAMAGES[name]!(good);
    expect(bad.equals(good)).toBe(false);
    writeFileSync(file, bad);

    const store = await box.open();
    await expectIsolated(box, store);
    expect(readFileSync(file).equals(bad), "reading changed the file").toBe(true);

    await store.put(KEY, { healed: name });
    expect(await store.get(KEY)).toEqual({ healed: name });
    expect((await store.list()).sessions).toHaveLength(3);
    await store.checkpoint();
    const again = await box.reopen();
    expect(await again.get(KEY)).toEqual({ healed: name });
    expect(await again.count()).toBe(3);
    expect(box.warnings).toEqual([]);
  });

  it("cut at each byte: refused each time, with a place inside the file", async () => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const good = readFileSync(file);
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    expect(await store.get(KEY)).toEqual(ENTRY);
    for (let bytes = good.length - 1; bytes >= 0; bytes--) {
      truncateSync(file, bytes);
      const error = await failureOf(() => store.get(KEY));
      expect(error.code, `${bytes} bytes`).toBe("entry_corrupt");
      expect(error.data["offset"]).toBeLessThanOrEqual(bytes);
    }
  });

  it("a flipped bit at each byte: refused each time, never another state", async () => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const good = readFileSync(file);
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    for (let index = 0; index < good.length; index++) {
      const bad = Buffer.from(good);
      bad[index] = bad[index]! ^ (1 << (index % 8));
      writeFileSync(file, bad);
      const error = await failureOf(() => store.get(KEY));
      expect(error.code, `byte ${index}`).toBe("entry_corrupt");
    }
    writeFileSync(file, good);
    expect(await store.get(KEY)).toEqual(ENTRY);
  });

  it("names the byte where it shows", async () => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const good = readFileSync(file);
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    const holed = Buffer.from(good);
    holed[77] = 0;
    writeFileSync(file, holed);
    expect((await failureOf(() => store.get(KEY))).data["offset"]).toBe(77);
    const broken = Buffer.from(good);
    broken[90] = 0xff;
    writeFileSync(file, broken);
    expect((await failureOf(() => store.get(KEY))).data["offset"]).toBe(90);
  });

  it("keeps text with lone surrogates, which JSON can escape", async () => {
    const { box } = holder;
    await box.filled({ [KEY]: { text: "\ud800 half", "\udc00": 1 } });
    const store = await box.open();
    expect(await store.get(KEY)).toEqual({ text: "\ud800 half", "\udc00": 1 });
  });

  it("refuses every way to build on it, and writes nothing", async () => {
    const box = await checkpointed();
    writeFileSync(box.entryFile(KEY), "damage");
    const store = await box.open();
    const before = await store.revision();
    const builds: Record<string, () => Promise<unknown>> = {
      read: () => store.read(KEY),
      update: () => store.update(KEY, () => ({ wrong: true })),
      patch: () => store.patch(KEY, { wrong: true }),
      "delete of a revision": () => store.delete(KEY, { ifRevision: before }),
      "put if absent": () => store.put(KEY, { wrong: true }, { ifRevision: 0 }),
      transact: () => store.transact(async (tx) => tx.put("b", { copied: await tx.get(KEY) })),
    };
    for (const [name, build] of Object.entries(builds)) {
      expect((await failureOf(build)).code, name).toBe("entry_corrupt");
    }
    expect(await store.revision()).toBe(before);
    expect(await store.get("b")).toBeUndefined();
    expect(() => store.getSync(KEY)).toThrow(expect.objectContaining({ code: "entry_corrupt" }));
  });

  it("is healed by the right file coming back, without opening the store again", async () => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const good = readFileSync(file);
    writeFileSync(file, "damage");
    const store = await box.open();
    await expectIsolated(box, store);
    writeFileSync(file, good);
    expect(await store.get(KEY)).toEqual(ENTRY);
    expect((await store.list()).sessions).toHaveLength(3);
  });

  it("is left out when the catalog has to be made from the files, and counts again once healed", async () => {
    const box = await checkpointed();
    writeFileSync(box.entryFile(KEY), "damage");
    for (const name of ["catalog-1", "catalog-2"]) rmSync(box.at(".store", name), { force: true });
    const store = await box.open();
    expect(await store.count()).toBe(2);
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "z"]);
    expect(box.warned("catalog_rebuilt")).toHaveLength(1);
    expect(box.warned("entry_corrupt")).toHaveLength(1);
    await store.put(KEY, ENTRY);
    expect(await store.count()).toBe(3);
  });
});

it("damage keeps shared values from being removed, and no longer than until it is mended", async () => {
  const { box } = holder;
  await box.filled({ a: { big: BIG }, b: { big: `${BIG} b` } });
  writeFileSync(box.entryFile("a"), "damage");
  for (const name of readdirSync(box.at(".store"))) {
    if (name.startsWith("catalog-")) rmSync(box.at(".store", name));
  }
  const store = await box.open();
  await store.delete("b");
  for (let round = 0; round < 3; round++) {
    await store.put("c", { round });
    await store.checkpoint();
  }
  expect(box.blobs()).toHaveLength(2); // nobody can tell what the damaged session refers to
  await store.put("a", { healed: true });
  for (let round = 0; round < 4; round++) {
    await store.put("c", { round });
    await store.checkpoint();
  }
  expect(box.blobs()).toEqual([]);
});

describe("damage that the log can still repair", () => {
  it.each(["empty", "zeroed", "edited by hand", "of another session", "missing", "older"])(
    "%s: readers never see it, and a checkpoint writes the file anew",
    async (kind) => {
      const { box } = holder;
      const store = await box.open();
      await store.put("a", { from: "a" });
      await store.put(KEY, { version: 1 });
      await store.flush();
      const older = readFileSync(box.entryFile(KEY));
      await store.put(KEY, ENTRY);
      await store.flush();
      const file = box.entryFile(KEY);
      const good = readFileSync(file);
      const damage: Record<string, () => void> = {
        empty: () => truncateSync(file, 0),
        zeroed: () => writeFileSync(file, Buffer.alloc(good.length)),
        "edited by hand": () => writeFileSync(file, good.toString().replace("s-1", "s-2")),
        "of another session": () => cpSync(box.entryFile("a"), file),
        missing: () => rmSync(box.folderOf(KEY), { recursive: true }),
        older: () => writeFileSync(file, older),
      };
      damage[kind]!();
      expect(await store.get(KEY)).toEqual(ENTRY);
      expect((await store.list()).sessions).toHaveLength(2);
      await store.checkpoint();
      expect(readFileSync(file).equals(good)).toBe(true);
      expect(await (await box.reopen()).get(KEY)).toEqual(ENTRY);
      expect(box.warnings).toEqual([]);
    },
  );

  it.each(["damaged", "of the same revision but another history"])(
    "%s: the next process's flush writes it anew",
    async (kind) => {
      const { box } = holder;
      const store = await box.open();
      const { revision } = await store.put(KEY, ENTRY);
      await store.flush();
      const file = box.entryFile(KEY);
      const good = readFileSync(file);
      if (kind === "damaged") writeFileSync(file, "damage");
      else box.writeEntry(file, KEY, revision, { forked: true });
      const next = await box.reopen();
      expect(await next.get(KEY)).toEqual(ENTRY);
      await next.flush();
      expect(readFileSync(file).equals(good)).toBe(true);
    },
  );
});

describe("a valid file in the wrong place", () => {
  it("another session's file is not this session", async () => {
    const box = await checkpointed();
    cpSync(box.entryFile("a"), box.entryFile(KEY));
    const store = await box.open();
    await expectIsolated(box, store);
    expect((await failureOf(() => store.get(KEY))).message).toContain('"a"');
  });

  it("two sessions' files that were swapped are both refused, and both heal", async () => {
    const box = await checkpointed();
    renameSync(box.folderOf("a"), box.at("moved"));
    renameSync(box.folderOf("z"), box.folderOf("a"));
    renameSync(box.at("moved"), box.folderOf("z"));
    const store = await box.open();
    for (const key of ["a", "z"]) expect((await failureOf(() => store.get(key))).code).toBe("entry_corrupt");
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual([KEY]);
    for (const key of ["a", "z"]) await store.put(key, OTHERS[key]!);
    await store.checkpoint();
    const next = await box.reopen();
    expect((await next.list()).sessions.map(({ entry }) => entry)).toEqual([OTHERS["a"], ENTRY, OTHERS["z"]]);
  });

  it("a copied folder is no session, whatever it is called", async () => {
    const box = await checkpointed();
    cpSync(box.folderOf("a"), box.at("a copy"), { recursive: true });
    cpSync(box.folderOf("a"), box.folderOf("b"), { recursive: true });
    const store = await box.open();
    expect(await store.count()).toBe(3);
    expect((await failureOf(() => store.get("b"))).code).toBe("entry_corrupt");
    await store.checkpoint();
    expect(existsSync(box.at("a copy", "meta.json"))).toBe(true);
    expect(existsSync(box.entryFile("b"))).toBe(true);
  });

  it("an older version put back is noticed by listings, and by gets from then on", async () => {
    const { box } = holder;
    await box.filled({ ...OTHERS, [KEY]: { version: 1 } });
    const old = readFileSync(box.entryFile(KEY));
    await box.filled({ [KEY]: { version: 2 } });
    writeFileSync(box.entryFile(KEY), old);
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "z"]);
    expect(box.warned("entry_corrupt")).toHaveLength(1);
    expect((await failureOf(() => store.get(KEY))).code).toBe("entry_corrupt");
    await store.put(KEY, { version: 1 });
    expect((await store.list()).sessions).toHaveLength(3);
  });

  it("an older version that was read before the first listing is dropped by it", async () => {
    const { box } = holder;
    await box.filled({ ...OTHERS, [KEY]: { version: 1 } });
    const old = readFileSync(box.entryFile(KEY));
    await box.filled({ [KEY]: { version: 2 } });
    writeFileSync(box.entryFile(KEY), old);
    const store = await box.open();
    await store.get(KEY); // nothing but the catalog knows better, and it was not read yet
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "z"]);
    expect((await failureOf(() => store.get(KEY))).code).toBe("entry_corrupt");
  });
});
