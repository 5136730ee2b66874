/**
 * Goal: a store opened with `readOnly` never changes a byte, whatever state the folder is in, and yet sees every
 * commit of others at once.
 * Method: the whole tree with contents, modes and times of change is compared before and after every operation; a
 * simulated disk counts the calls that could write.
 */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStoreOn, openSessionStore } from "../../../../src/store/open.js";
import { ManualRuntime } from "../../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import {
  BIG,
  codeOf,
  failureOf,
  logLine,
  snapshot,
  useSandbox,
  type Entry,
  type Sandbox,
  type Store,
} from "../sandbox.js";

const holder = useSandbox();

async function readEverything(store: Store): Promise<void> {
  for (const { key, entry } of (await store.list()).sessions) {
    JSON.stringify(entry);
    JSON.stringify(await store.get(key));
    JSON.stringify(store.getSync(key));
  }
  store.listSync({ orderBy: "updatedAt" });
  await store.count();
  await store.stats();
  await store.revision();
  const changes = store.watch({ since: await store.revision() })[Symbol.asyncIterator]();
  await changes.return?.();
}

const WRITES: Record<string, (store: Store) => Promise<unknown>> = {
  put: (store) => store.put("a", {}),
  "put of nothing new": (store) => store.put("b", { updatedAt: 2 }),
  patch: (store) => store.patch("a", { x: 1 }),
  update: (store) => store.update("a", () => ({})),
  "update that changes nothing": (store) => store.update("a", (entry) => entry),
  delete: (store) => store.delete("a"),
  "delete of nothing": (store) => store.delete("missing"),
  "transact with a write": (store) => store.transact((tx) => tx.put("a", {})),
  flush: (store) => store.flush(),
  checkpoint: (store) => store.checkpoint(),
};

/** States of the folder that a writer would tidy up. */
const STATES: Record<string, (box: Sandbox) => void> = {
  "as it should be": () => {},
  "with a log that has not been flushed": (box) =>
    rmSync(box.folderOf("hot"), { recursive: true, force: true }),
  "with a sealed segment": (box) => appendFileSync(box.segment(), logLine({ seal: 4 })),
  "with a torn tail": (box) => appendFileSync(box.segment(), "0123 torn"),
  "with a hole": (box) => appendFileSync(box.segment(), Buffer.alloc(100)),
  "with a damaged file": (box) => writeFileSync(box.entryFile("b"), "damage"),
  "with a file ahead of the log": (box) => box.writeEntry(box.entryFile("b"), "b", 99, { updatedAt: 2 }),
  "without catalog": (box) => {
    for (const name of readdirSync(box.at(".store"))) {
      if (name.startsWith("catalog-")) rmSync(box.at(".store", name));
    }
  },
  "with a catalog ahead of the log": (box) => writeFileSync(box.at(".store", "catalog-99"), "x"),
  "without staging folder": (box) => {
    rmSync(box.at(".store", "stage"), { recursive: true });
    mkdirSync(box.at(".store", "stage"), { mode: 0o700 });
  },
  "without empty folders": (box) => {
    for (const name of ["stage", "trash", "quarantine"]) rmSync(box.at(".store", name), { recursive: true });
  },
  "with leftovers of dead processes": (box) => {
    mkdirSync(box.at(".store.building-00ff"));
    mkdirSync(box.at("empty-session"));
    mkdirSync(box.at(".store", "stage", "1-00ff"));
  },
  "with a blob in the trash": (box) => {
    const [blob] = box.blobs();
    renameSync(blob!, box.at(".store", "trash", `${basename(blob!, ".json")}.00ff00ff`));
  },
  "with old segments below a gap": (box) => writeFileSync(box.at(".store", "log", "00000001.jsonl"), "old"),
};

async function filled(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ a: { updatedAt: 1, big: BIG }, b: { updatedAt: 2 } });
  await box.filled({ a: { updatedAt: 3, big: BIG } });
  const store = await box.open();
  await store.put("hot", { updatedAt: 4 });
  await store.close();
  return box;
}

describe.each(Object.keys(STATES))("a store %s", (state) => {
  it("is read without a byte changing, and every write is refused", async () => {
    const box = await filled();
    STATES[state]!(box);
    const before = snapshot(box.path);
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    await readEverything(store);
    expect(await store.get("hot")).toEqual({ updatedAt: 4 });
    expect((await store.get("a"))?.["big"]).toBe(BIG);
    for (const [name, write] of Object.entries(WRITES)) {
      const error = await failureOf(() => write(store));
      expect(error.code, name).toBe("read_only");
      expect(error.message).toMatch(/readOnly/);
    }
    await store.close();
    expect(snapshot(box.path)).toEqual(before);
  });
});

it("a transaction that only reads works", async () => {
  const box = await filled();
  const store = await box.open({ readOnly: true });
  expect(await store.transact(async (tx) => [await tx.get("b"), await tx.get("missing")])).toEqual([
    { updatedAt: 2 },
    undefined,
  ]);
});

it("where there is no store none is made: store_not_found", async () => {
  const { box } = holder;
  mkdirSync(box.at("inner"), { recursive: true, mode: 0o700 });
  for (const path of [box.at("inner"), box.at("inner", "missing"), box.at("inner", "missing", "deeper")]) {
    const error = await failureOf(() =>
      openDirectoryStoreOn(new SimulatedDisk().mount("reader"), new ManualRuntime(), path, {
        readOnly: true,
      }),
    );
    expect(error.code).toBe("store_not_found");
    expect(error.message).toContain(path);
    expect(await codeOf(() => openSessionStore(path, { readOnly: true }))).toBe("store_not_found");
  }
  expect(readdirSync(box.at("inner"))).toEqual([]);
});

it("makes no call that could write, on a disk that counts them", async () => {
  const disk = new SimulatedDisk();
  const writer = await openDirectoryStoreOn<Entry>(
    disk.mount("writer"),
    new ManualRuntime({ seed: 1 }),
    "/s.d",
    {
      durability: "os",
    },
  );
  const fs = disk.mount("reader");
  const writes: SimulatedCall[] = [];
  const WRITING = new Set(["write", "mkdir", "rmdir", "unlink", "rename", "link", "fdatasync", "fsync"]);
  fs.onCall = (call) => {
    const opens = call.name === "open" && (call.args[1] === "create" || call.args[1] === "append");
    if (opens || WRITING.has(call.name)) writes.push(call);
  };
  const runtime = new ManualRuntime({ seed: 2 });
  const reader = await openDirectoryStoreOn<Entry>(fs, runtime, "/s.d", { readOnly: true, flushDelayMs: 1 });
  for (let round = 0; round < 5; round++) {
    await writer.put("a", { round, big: `${BIG}${round}` });
    expect(await reader.get("a")).toEqual({ round, big: `${BIG}${round}` });
    await writer.checkpoint();
    await readEverything(reader);
    runtime.advance(60_000);
  }
  await reader.close();
  await writer.close();
  expect(writes).toEqual([]);
  expect(fs.openPaths).toEqual([]);
});

it("follows a writer across commits, deletes, seals and checkpoints", async () => {
  const { box } = holder;
  const writer = await box.open();
  await writer.put("a", { round: -1 });
  const reader = await box.open({ readOnly: true });
  const watched: string[] = [];
  const changes = reader.watch();
  const watching = (async () => {
    for await (const change of changes) watched.push(`${change.key} ${change.revision} ${change.kind}`);
  })();
  for (let round = 0; round < 6; round++) {
    const { revision } = await writer.put("a", { round });
    expect(await reader.read("a")).toMatchObject({ revision, entry: { round } });
    expect(reader.getSync("a")).toEqual({ round });
    await writer.put(`b${round}`, { round });
    expect(await reader.count()).toBe(2);
    await writer.delete(`b${round}`);
    expect(await reader.get(`b${round}`)).toBeUndefined();
    expect((await reader.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
    if (round % 2 === 1) await writer.checkpoint();
    expect(await reader.get("a")).toEqual({ round });
  }
  await reader.close();
  await watching;
  expect(watched).toHaveLength(18);
  expect(existsSync(box.path)).toBe(true);
});

it.skipIf(process.getuid?.() === 0 || process.platform === "win32")(
  "works on a tree that the user must not write (not tested as root, who may)",
  async () => {
    const box = await filled();
    const folders = Object.keys(snapshot(box.path));
    for (const path of folders)
      chmodSync(path, path.endsWith(".json") || path.endsWith(".jsonl") ? 0o400 : 0o500);
    const store = await box.open({ readOnly: true });
    expect(await store.get("hot")).toEqual({ updatedAt: 4 });
    await store.close();
    for (const path of folders) chmodSync(path, 0o700);
  },
);
