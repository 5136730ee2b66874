/**
 * Goal: no session vanishes without a word, and every damaged one has a way out: what is missing or damaged is named by
 * listings and refused by reads, a whole put or a delete ends it, and the damaged bytes are kept.
 * Method: files of checkpointed sessions are damaged or taken away; fresh stores read and write the folder.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../../../src/format/crc32.js";
import { folderNameForKey } from "../../../../src/format/session-key.js";
import { nodeFileSystem } from "../../../../src/fs/node-file-system.js";
import { codeOf, failureOf, useSandbox, type Entry, type Sandbox, type Store } from "../sandbox.js";

const holder = useSandbox();

const KEY = "agent:main:main";
const ENTRY: Entry = { sessionId: "s-1", updatedAt: 5 };
const NEW: Entry = { sessionId: "s-2", updatedAt: 6 };
const OTHERS: Record<string, Entry> = { a: { updatedAt: 1 }, z: { updatedAt: 9 } };

const DAMAGES: Record<string, (box: Sandbox, key: string) => void> = {
  "no file": (box, key) => rmSync(box.entryFile(key)),
  "no folder": (box, key) => rmSync(box.folderOf(key), { recursive: true }),
  "damaged bytes": (box, key) => writeFileSync(box.entryFile(key), "damage"),
  "cut short": (box, key) => truncateSync(box.entryFile(key), readFileSync(box.entryFile(key)).length - 3),
};

async function checkpointed(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ ...OTHERS, [KEY]: ENTRY });
  return box;
}

function kept(box: Sandbox): string[] {
  return readdirSync(box.at(".store", "quarantine"));
}

/** The next process finds the sessions in their files alone. */
async function settled(box: Sandbox, store: Store): Promise<Store> {
  await store.checkpoint();
  return box.reopen();
}

describe.each(Object.keys(DAMAGES))("a session with %s", (kind) => {
  const missing = kind.startsWith("no ");

  /** @returns Also the revision that the store and its damaged session had before. */
  async function damaged(): Promise<{ box: Sandbox; store: Store; before: number }> {
    const box = await checkpointed();
    const before = box.revisionOf(KEY);
    DAMAGES[kind]!(box, KEY);
    return { box, store: await box.open(), before };
  }

  it("is refused by every call that needs its state, with the file and the ways out", async () => {
    const { box, store, before } = await damaged();
    const calls: Record<string, () => unknown> = {
      get: () => store.get(KEY),
      getSync: () => store.getSync(KEY),
      read: () => store.read(KEY),
      update: () => store.update(KEY, () => NEW),
      patch: () => store.patch(KEY, NEW),
      "put if new": () => store.put(KEY, NEW, { ifRevision: 0 }),
      "put if unchanged": () => store.put(KEY, NEW, { ifRevision: before }),
      "delete if unchanged": () => store.delete(KEY, { ifRevision: before }),
      "transact, get": () => store.transact((tx) => tx.get(KEY)),
      "transact, patch": () => store.transact((tx) => tx.patch(KEY, NEW)),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await failureOf(call);
      expect(error.code, name).toBe("entry_corrupt");
      expect(error.data, name).toMatchObject({ key: KEY, path: box.entryFile(KEY), missing });
      expect(error.message, name).toMatch(/backup.*put.*delete/);
    }
    expect(await store.revision()).toBe(before);
    expect(await store.get("a")).toEqual(OTHERS["a"]);
  });

  it.each([{}, { orderBy: "updatedAt", descending: true, limit: 3 }] as const)(
    "is named by listing %o, in the answer each time and as a warning once",
    async (query) => {
      const { box, store } = await damaged();
      for (let time = 0; time < 2; time++) {
        const { sessions, damaged: named } = await store.list(query);
        expect(sessions.map(({ key }) => key).sort()).toEqual(["a", "z"]);
        expect(named).toMatchObject([{ key: KEY, path: box.entryFile(KEY), missing }]);
        expect(named![0]!.reason).not.toBe("");
      }
      expect(store.listSync(query).damaged).toHaveLength(1);
      expect((await store.list({ prefix: "a" })).damaged).toHaveLength(1);
      expect((await store.list({ prefix: "z" })).damaged).toBeUndefined();
      expect(box.warned("entry_corrupt")).toHaveLength(1);
      expect(box.warned("entry_corrupt")[0]!.data).toMatchObject({ key: KEY, missing });
      expect(await store.count()).toBe(3);
      expect((await failureOf(() => store.get(KEY))).data).toMatchObject({ missing }); // now by the index
    },
  );

  it("is replaced by a whole put, above every revision that was", async () => {
    const { box, store, before } = await damaged();
    const { revision } = await store.put(KEY, NEW);
    expect(revision).toBeGreaterThan(before);
    expect(await store.get(KEY)).toEqual(NEW);
    const next = await settled(box, store);
    expect(await next.read(KEY)).toMatchObject({ revision, entry: NEW });
    const { sessions, damaged: named } = await next.list();
    expect(sessions).toHaveLength(3);
    expect(named).toBeUndefined();
    expect(kept(box)).toHaveLength(missing ? 0 : 1);
  });

  it("is deleted for good", async () => {
    const { box, store } = await damaged();
    expect(await store.delete(KEY)).toBe(true);
    expect(await store.delete(KEY)).toBe(false);
    expect(await store.get(KEY)).toBeUndefined();
    const next = await settled(box, store);
    expect(await next.get(KEY)).toBeUndefined();
    expect(await next.count()).toBe(2);
    expect((await next.list()).damaged).toBeUndefined();
    expect(existsSync(box.folderOf(KEY))).toBe(false);
    await next.put(KEY, NEW, { ifRevision: 0 });
    expect(kept(box)).toHaveLength(missing ? 0 : 1);
  });

  it("is put, or deleted, in a transaction with others", async () => {
    const { box, store } = await damaged();
    await store.transact(async (tx) => {
      await tx.put(KEY, NEW);
      await tx.patch("a", { touched: true });
    });
    expect(await store.get(KEY)).toEqual(NEW);
    const next = await settled(box, store);
    DAMAGES[kind]!(box, KEY);
    expect(await next.transact((tx) => tx.delete(KEY))).toBe(true);
    expect(await next.get(KEY)).toBeUndefined();
  });

  it("is still known when the store has moved on through checkpoints", async () => {
    const { box, store } = await damaged();
    for (let round = 0; round < 3; round++) {
      await store.put("a", { round });
      await store.checkpoint();
    }
    const next = await box.reopen();
    expect(await codeOf(() => next.get(KEY))).toBe("entry_corrupt");
    expect((await next.list()).damaged).toMatchObject([{ key: KEY, missing }]);
  });

  it("counts again when its file is restored", async () => {
    const box = await checkpointed();
    const good = readFileSync(box.entryFile(KEY));
    DAMAGES[kind]!(box, KEY);
    const store = await box.open();
    expect((await store.list()).damaged).toHaveLength(1);
    mkdirSync(box.folderOf(KEY), { recursive: true, mode: 0o700 });
    writeFileSync(box.entryFile(KEY), good);
    expect(await store.get(KEY)).toEqual(ENTRY);
    expect((await store.list()).sessions).toHaveLength(3);
    expect((await store.list()).damaged).toBeUndefined();
  });
});

describe("what a damaged file had", () => {
  it.each(["put", "delete", "put by another process that dies"])("is kept before %s", async (way) => {
    const box = await checkpointed();
    writeFileSync(box.entryFile(KEY), "precious damage");
    let store = await box.open();
    if (way === "delete") await store.delete(KEY);
    else await store.put(KEY, NEW);
    // The log alone has the put: who opens the store next knows nothing of the damage.
    if (way.includes("dies")) store = await box.reopen();
    await store.checkpoint();
    const [name] = kept(box);
    expect(name).toMatch(new RegExp(`^${folderNameForKey(KEY)}\\.[0-9a-f]{8}\\.json$`));
    const path = box.at(".store", "quarantine", name!);
    expect(readFileSync(path, "utf8")).toBe("precious damage");
    if (way.includes("dies")) return; // its close wrote the file, and warned
    expect(box.warned("entry_quarantined")).toHaveLength(1);
    expect(box.warned("entry_quarantined")[0]!.data).toMatchObject({ key: KEY, kept: path });
    expect(box.warned("entry_quarantined")[0]!.message).toContain(path);
  });

  it("is kept once, however often the flush has to be repeated", async () => {
    const box = await checkpointed();
    for (let time = 0; time < 3; time++) {
      writeFileSync(box.entryFile(KEY), "the same damage");
      const store = await box.reopen();
      await store.put(KEY, NEW);
      await store.checkpoint();
    }
    expect(kept(box)).toHaveLength(1);
  });

  it.each(["", "\0\0\0\0"])("is not kept if it says nothing: %j", async (content) => {
    const box = await checkpointed();
    writeFileSync(box.entryFile(KEY), content);
    const store = await box.open();
    await store.put(KEY, NEW);
    await store.checkpoint();
    expect(kept(box)).toEqual([]);
    expect(readFileSync(box.entryFile(KEY), "utf8")).toContain("s-2");
  });

  it("is not kept if the log says it as well: a torn file of a session that the log has", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put(KEY, ENTRY);
    await store.flush();
    truncateSync(box.entryFile(KEY), 100);
    const next = await box.reopen();
    await next.checkpoint();
    expect(kept(box)).toEqual([]);
    expect(await (await box.reopen()).get(KEY)).toEqual(ENTRY);
  });

  it("a file in the wrong place is kept, too", async () => {
    const box = await checkpointed();
    writeFileSync(box.entryFile(KEY), readFileSync(box.entryFile("a")));
    const store = await box.open();
    expect(await store.delete(KEY)).toBe(true);
    await store.checkpoint();
    expect(kept(box)).toHaveLength(1);
  });

  it("a link is replaced, and what it leads to is left alone", async () => {
    const box = await checkpointed();
    mkdirSync(box.outside(), { mode: 0o700 });
    writeFileSync(box.outside("theirs"), "theirs");
    rmSync(box.entryFile(KEY));
    symlinkSync(box.outside("theirs"), box.entryFile(KEY));
    const store = await box.open();
    expect((await store.list()).damaged).toMatchObject([{ key: KEY, missing: false }]);
    await store.put(KEY, NEW);
    await store.checkpoint();
    expect(readFileSync(box.outside("theirs"), "utf8")).toBe("theirs");
    expect(await (await box.reopen()).get(KEY)).toEqual(NEW);
    expect(kept(box)).toEqual([]);
  });

  it("of a file that is larger than any entry, the beginning is kept", async () => {
    const box = await checkpointed();
    const good = readFileSync(box.entryFile(KEY));
    truncateSync(box.entryFile(KEY), 1024 ** 3);
    const store = await box.open();
    await store.put(KEY, NEW);
    await store.checkpoint();
    const [name] = kept(box);
    expect(readFileSync(box.at(".store", "quarantine", name!)).equals(good)).toBe(true);
    expect(await (await box.reopen()).get(KEY)).toEqual(NEW);
  });
});

describe("damaged sessions that no catalog has", () => {
  async function withoutCatalog(): Promise<Sandbox> {
    const box = await checkpointed();
    for (const name of readdirSync(box.at(".store")))
      if (name.startsWith("catalog-")) rmSync(box.at(".store", name));
    writeFileSync(box.entryFile(KEY), "damage");
    return box;
  }

  it("are named by every listing, also by the next process, which finds an incomplete catalog", async () => {
    const box = await withoutCatalog();
    const store = await box.open();
    for (let time = 0; time < 2; time++) {
      expect((await store.list()).damaged).toMatchObject([{ key: KEY, missing: false }]);
    }
    await store.put("a", { updatedAt: 2 });
    const next = await settled(box, store); // its catalog was made without the damaged session
    for (const query of [{ orderBy: "updatedAt", descending: true, limit: 2 } as const, {}]) {
      expect((await next.list(query)).damaged).toMatchObject([{ key: KEY, missing: false }]);
    }
    expect(box.warned("entry_corrupt").map(({ data }) => data["key"])).toEqual([KEY]);
  });

  it("are there again once their files are mended, written or gone", async () => {
    const box = await checkpointed();
    const good = readFileSync(box.entryFile(KEY));
    await withoutCatalog();
    const store = await box.reopen();
    expect((await store.list()).damaged).toHaveLength(1);
    writeFileSync(box.entryFile(KEY), good);
    await store.list(); // finds it mended
    expect((await store.list()).sessions).toHaveLength(3);
    expect((await store.list()).damaged).toBeUndefined();
    expect(await store.count()).toBe(3);
  });

  it("are deleted like others", async () => {
    const box = await withoutCatalog();
    const store = await box.open();
    expect((await store.list()).damaged).toHaveLength(1);
    expect(await store.delete(KEY)).toBe(true);
    await store.flush();
    expect((await store.list()).damaged).toBeUndefined();
  });

  it("a damaged file whose key only it could tell is named by its path", async () => {
    const long = "x".repeat(300);
    const { box } = holder;
    await box.filled({ [long]: ENTRY });
    for (const name of readdirSync(box.at(".store")))
      if (name.startsWith("catalog-")) rmSync(box.at(".store", name));
    writeFileSync(box.entryFile(long), "damage");
    const store = await box.open();
    const { damaged } = await store.list();
    expect(damaged).toHaveLength(1);
    expect(damaged![0]).toMatchObject({ key: undefined, path: box.entryFile(long) });
  });
});

describe("sessions that never were", () => {
  it("are not there, whatever other sessions are called", async () => {
    const { box } = holder;
    const keys = ["foo[", "bar", '",5,0],["', "a".repeat(64), '["x",', "x", "é\n"];
    await box.filled(Object.fromEntries(keys.map((key) => [key, { key }])));
    const store = await box.open();
    for (const key of [",5,0],[", "foo", "ba", "r", "é", "\n", "x,", "rows", "blobs"])
      expect(await store.get(key), key).toBeUndefined();
    for (const key of keys) rmSync(join(box.folderOf(key), "meta.json"));
    const next = await box.reopen();
    for (const key of keys) expect(await codeOf(() => next.get(key)), key).toBe("entry_corrupt");
  });

  it("cost nothing more in a store whose log still has everything", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", ENTRY);
    const { readdir } = nodeFileSystem;
    let calls = 0;
    nodeFileSystem.readdir = (path) => (calls++, readdir(path));
    try {
      expect(store.getSync("never")).toBeUndefined();
    } finally {
      nodeFileSystem.readdir = readdir;
    }
    expect(calls).toBe(0);
  });

  it("that are many get an index in the background, which answers from then on", async () => {
    const { box } = holder;
    const store = await box.open();
    const label = "x".repeat(900);
    for (let n = 0; n < 2000; n++) await store.put(`${label} ${n}`, {});
    await store.checkpoint();
    const next = await box.reopen();
    for (let n = 0; n < 40; n++) expect(await next.get(`never ${n}`)).toBeUndefined();
    rmSync(box.folderOf(`${label} 7`), { recursive: true });
    await new Promise((resolve) => setImmediate(resolve));
    expect(await codeOf(() => next.get(`${label} 7`))).toBe("entry_corrupt");
    expect(await next.count()).toBe(2000);
  });
});

describe("a damaged file whose name in the quarantine is taken", () => {
  const TAKEN: Record<string, (path: string, bytes: Buffer) => void> = {
    "other bytes of the same length": (path, bytes) =>
      writeFileSync(path, bytes.toString().replace("a", "b")),
    "half a copy": (path, bytes) => writeFileSync(path, bytes.subarray(0, 40)),
    "a copy with more behind it": (path, bytes) => writeFileSync(path, Buffer.concat([bytes, bytes])),
    "a folder": (path) => mkdirSync(path),
    "a link": (path) => symlinkSync("nowhere", path),
  };

  it.each(Object.keys(TAKEN))("by %s is kept under another name, once", async (kind) => {
    const box = await checkpointed();
    const path = box.entryFile(KEY);
    const bytes = Buffer.from(readFileSync(path, "utf8").replace("s-1", "s-?"));
    writeFileSync(path, bytes);
    const name = `${folderNameForKey(KEY)}.${crc32Hex(bytes)}`;
    TAKEN[kind]!(box.at(".store", "quarantine", `${name}.json`), bytes);
    for (const entry of [NEW, { ...NEW, n: 1 }]) {
      const store = await box.open();
      await store.put(KEY, entry);
      await store.checkpoint();
      await store.close();
      writeFileSync(path, bytes);
    }
    expect(kept(box).toSorted()).toEqual([`${name}.2.json`, `${name}.json`]);
    expect(readFileSync(box.at(".store", "quarantine", `${name}.2.json`))).toEqual(bytes);
  });
});
