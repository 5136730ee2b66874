/**
 * Goal: a copy of a store that was made while it was in use is a store that goes on: nothing in it was never
 * written, revisions that somebody saw do not come again for the same session, and it stays usable (fault 24).
 * Method: a scripted history with flushes, seals and checkpoints is photographed after every step. Then copies are
 * put together from different moments (log, catalogs and session folders, in every order), as tools do that read
 * a tree while it changes. Each is opened, read, written, checkpointed and opened again.
 */
import { appendFileSync, cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { BIG, codeOf, logLine, useSandbox, type Sandbox, type Store } from "../sandbox.js";
import { each, stride } from "../../../support/thoroughness.js";

const holder = useSandbox();

const KEYS = ["a", "b", "c", "d"];

/** What the sessions were after each step; the store's folder as of then is in `<root>/photos/<step>`. */
interface History {
  readonly box: Sandbox;
  readonly steps: number;
  /** Every content that a session ever had, as JSON; "undefined" for none. */
  readonly contents: ReadonlyMap<string, ReadonlySet<string>>;
}

async function history(): Promise<History> {
  const { box } = holder;
  const contents = new Map(KEYS.map((key) => [key, new Set(["undefined"])]));
  const store = await box.open();
  let version = 0;
  const put = async (key: string): Promise<void> => {
    version += 1;
    const entry = { key, version, updatedAt: version, big: `${BIG}${version % 2}` };
    contents.get(key)!.add(JSON.stringify(entry));
    await store.put(key, entry);
  };
  const script: readonly (() => unknown)[] = [
    () => put("a"),
    () => put("b"),
    () => store.flush(),
    () => put("a"),
    () => store.checkpoint(),
    () => put("c"),
    () => put("a"),
    () => store.flush(),
    () => store.delete("b"),
    () => appendFileSync(box.segment(), logLine({ seal: 3 })),
    () => put("d"),
    () => put("a"),
    () => store.checkpoint(),
    () => put("b"),
    () => store.checkpoint(),
  ];
  for (const [step, run] of script.entries()) {
    await run();
    cpSync(box.path, join(box.root, "photos", String(step)), { recursive: true });
  }
  await store.close();
  return { box, steps: script.length, contents };
}

/** Puts a copy together in the sandbox's place: the log as of one step, the rest of `.store` and the sessions of others. */
function compose(box: Sandbox, log: number, catalogs: number, sessions: number): void {
  const photo = (step: number, ...names: string[]): string =>
    join(box.root, "photos", String(step), ...names);
  rmSync(box.path, { recursive: true, force: true });
  mkdirSync(box.at(".store"), { recursive: true, mode: 0o700 });
  for (const name of readdirSync(photo(log, ".store"))) {
    const from = ["log", "stage", "durable"].includes(name)
      ? log
      : name.startsWith("catalog-")
        ? undefined
        : sessions;
    if (from !== undefined) cpSync(photo(from, ".store", name), box.at(".store", name), { recursive: true });
  }
  for (const name of readdirSync(photo(catalogs, ".store"))) {
    if (name.startsWith("catalog-")) cpSync(photo(catalogs, ".store", name), box.at(".store", name));
  }
  for (const name of readdirSync(photo(sessions))) {
    if (name !== ".store") cpSync(photo(sessions, name), box.at(name), { recursive: true });
  }
}

/** Reads a session; damage that the store reports counts as "unreadable". */
async function look(store: Store, key: string): Promise<{ content: string; revision: number } | undefined> {
  try {
    const record = await store.read(key);
    return {
      content: record === undefined ? "undefined" : JSON.stringify(record.entry),
      revision: record?.revision ?? 0,
    };
  } catch (error) {
    if (error instanceof SessionStoreError && ["entry_corrupt", "blob_missing"].includes(error.code)) {
      return undefined;
    }
    throw error;
  }
}

async function exercise({ box, contents }: History, label: string, listFirst: boolean): Promise<void> {
  const store = await box.reopen();
  const seen = new Map<string, number>();
  if (listFirst) {
    for (const { key, revision } of (await store.list()).sessions) seen.set(key, revision);
  }
  for (const key of KEYS) {
    const before = await look(store, key);
    if (before === undefined) continue;
    expect(contents.get(key), `${label}: ${key} was never so`).toContain(before.content);
    seen.set(key, Math.max(before.revision, seen.get(key) ?? 0));
  }
  for (const [index, key] of KEYS.entries()) {
    const entry = { key, rewritten: label };
    const readable = (await look(store, key)) !== undefined;
    const written =
      index % 2 === 0 && readable ? await store.update(key, () => entry) : await store.put(key, entry);
    expect(written!.revision, `${label}: ${key}`).toBeGreaterThan(seen.get(key) ?? 0);
  }
  if (listFirst) await store.checkpoint();
  const again = await box.reopen();
  for (const key of KEYS) expect(await again.get(key), label).toEqual({ key, rewritten: label });
  await again.checkpoint();
  expect((await again.list()).sessions.map(({ key }) => key)).toEqual(KEYS);
  expect(await again.count()).toBe(KEYS.length);
  expect(box.segments()).toHaveLength(1);
}

/** Of the moments that files and catalogs are copied at. */
const STRIDE = 3;

/** Copies of the log of one moment with session folders of another, and catalogs of either. */
async function exerciseMixed(past: History, log: number, sessions: number): Promise<void> {
  for (const catalogs of [log, sessions]) {
    compose(past.box, log, catalogs, sessions);
    await exercise(past, `log ${log}, catalogs ${catalogs}, sessions ${sessions}`, sessions % 2 === 0);
  }
}

describe("a copy", () => {
  it("of one moment is the store of that moment", async () => {
    const past = await history();
    for (let step = 0; step < past.steps; step++) {
      compose(past.box, step, step, step);
      await exercise(past, `step ${step}`, step % 2 === 0);
    }
  });

  describe(`of two moments, at ${each("moment", STRIDE)}`, { timeout: 120_000 }, () => {
    it("with files and catalogs that are ahead of the log", async () => {
      const past = await history();
      for (let log = 0; log < past.steps; log++)
        for (let sessions = log + 1; sessions < past.steps; sessions += stride(STRIDE))
          await exerciseMixed(past, log, sessions);
    });

    it("with a log that is ahead of files and catalogs", async () => {
      const past = await history();
      for (let log = 1; log < past.steps; log++)
        for (let sessions = (log - 1) % stride(STRIDE); sessions < log; sessions += stride(STRIDE))
          await exerciseMixed(past, log, sessions);
    });
  });
});

describe("a file that is ahead of the log", () => {
  const AHEAD = 4000;

  /** `a` is at revision {@link AHEAD} in its file, and the log, which does not mention it, is far behind. */
  async function ahead(): Promise<Sandbox> {
    const { box } = holder;
    await box.filled({ a: { version: 1 }, b: { version: 1 } });
    box.writeEntry(box.entryFile("a"), "a", AHEAD, { version: 40 });
    return box;
  }

  const WRITES: Record<string, (store: Store) => Promise<number>> = {
    update: async (store) => (await store.update("a", () => ({ version: 41 })))!.revision,
    patch: async (store) => (await store.patch("a", { version: 41 })).revision,
    "put of a revision": async (store) =>
      (await store.put("a", { version: 41 }, { ifRevision: AHEAD })).revision,
    "put after a get": async (store) => {
      await store.get("a");
      return (await store.put("a", { version: 41 })).revision;
    },
    "put after a list": async (store) => {
      await store.list();
      return (await store.put("a", { version: 41 })).revision;
    },
    transact: async (store) => {
      await store.transact(async (tx) => {
        await tx.get("a");
        await tx.put("a", { version: 41 });
      });
      return store.revision();
    },
    "delete and put": async (store) => {
      await store.delete("a");
      return (await store.put("a", { version: 41 })).revision;
    },
  };

  it.each(Object.keys(WRITES))("%s: takes a revision above it", async (name) => {
    const box = await ahead();
    const store = await box.open();
    const revision = await WRITES[name]!(store);
    expect(revision).toBeGreaterThan(AHEAD);
    expect(await store.get("a")).toEqual({ version: 41 });
    expect((await store.put("b", {})).revision).toBeGreaterThan(revision);
    const again = await box.reopen();
    expect(await again.get("a")).toEqual({ version: 41 });
    await again.checkpoint();
    expect(await (await box.reopen()).read("a")).toMatchObject({ entry: { version: 41 } });
  });

  it("that only a listing has met, without room to remember it: a put takes a revision above it", async () => {
    const box = await ahead();
    for (const name of readdirSync(box.at(".store"))) {
      if (name.startsWith("catalog-")) rmSync(box.at(".store", name));
    }
    const store = await box.open({ cacheBytes: 0 });
    expect((await store.list()).sessions.map(({ revision }) => revision)).toEqual([
      AHEAD,
      box.revisionOf("b"),
    ]);
    expect((await store.put("a", { version: 41 })).revision).toBeGreaterThan(AHEAD);
  });

  it("is what readers get, and reading changes nothing", async () => {
    const box = await ahead();
    const store = await box.open();
    expect(await store.read("a")).toMatchObject({ revision: AHEAD, entry: { version: 40 } });
    const own = box.revisionOf("b");
    expect((await store.list()).sessions.map(({ revision }) => revision)).toEqual([AHEAD, own]);
    expect(await store.revision()).toBe(own);
    expect(box.segments()).toHaveLength(1);
  });

  it("a commit that another process made of the same session wins", async () => {
    const box = await ahead();
    const store = await box.open();
    const other = await box.open();
    await other.update("a", () => ({ version: 41 }));
    expect(await store.get("a")).toEqual({ version: 41 });
    expect(await codeOf(() => store.put("a", {}, { ifRevision: AHEAD }))).toBe("conflict");
  });
});

describe("a catalog that is ahead of the log", () => {
  it("is removed by the next writer, and ignored by readers", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 } });
    const [catalog] = readdirSync(box.at(".store")).filter((name) => name.startsWith("catalog-"));
    cpSync(box.at(".store", catalog!), box.at(".store", "catalog-9"));
    const reader = await box.open({ readOnly: true });
    expect((await reader.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
    expect(await reader.count()).toBe(1);
    expect(readdirSync(box.at(".store"))).toContain("catalog-9");
    const store = await box.reopen();
    expect(readdirSync(box.at(".store"))).not.toContain("catalog-9");
    expect(box.warned("catalog_rebuilt")).toHaveLength(1);
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
  });

  it("does not end a listing when it appears under an open store", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 } });
    const store = await box.open();
    const [catalog] = readdirSync(box.at(".store")).filter((name) => name.startsWith("catalog-"));
    cpSync(box.at(".store", catalog!), box.at(".store", "catalog-9"));
    rmSync(box.at(".store", catalog!));
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
    await store.put("b", {});
    await store.checkpoint();
    expect((await (await box.reopen()).list()).sessions.map(({ key }) => key)).toEqual(["a", "b"]);
  });
});
