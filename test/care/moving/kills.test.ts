/**
 * Goal: an import and a renaming that are killed leave nothing half that counts, and the same call done again finishes them; an export is there whole,
 * or not at all. Method: the real code on a simulated disk, dead before its Nth change of it for every N; then another process looks, and
 * does it once more. A full disk likewise.
 */
import { describe, expect, it } from "vitest";
import { exportToFileOn, importFromFileOn } from "../../../src/care/moving/export-file.js";
import { SessionStoreError } from "../../../src/index.js";
import { importSessions, renameKey } from "../../../src/moving/index.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { DIRECTORY, killAtEveryChange, LegacyMachine } from "../../legacy/legacy-machine.js";
import { contentOf, exported, memoryStore, piecesOf, type Entry, type Store } from "./support/stores.js";

const FILE = "/home/sessions/moved.jsonl.gz";
/** More than one commit may have. */
const LONG = 1200;

const open = (host: LegacyHost): Promise<Store> =>
  openDirectoryStoreOn<Entry>(host.fs, host.runtime, DIRECTORY, {
    segmentBytes: 16 * 1024,
    onWarning: () => {},
  });

/** A small session, one that comes in step by step, and a big value. */
async function fill(store: Store): Promise<Store> {
  await store.put("a", { n: 1, prompt: "skill ".repeat(1000) });
  await store.append("a", ["x", "y"], { ids: ["1", "2"] });
  await store.put("long", { n: 2, prompt: "skill ".repeat(1000) });
  for (let first = 0; first < LONG; first += 400)
    await store.append(
      "long",
      Array.from({ length: 400 }, (_, index) => first + index),
      { ids: Array.from({ length: 400 }, (_, index) => `i${first + index}`) },
    );
  return store;
}

const lengthsOf = async (store: Store, key: string): Promise<number> =>
  (await store.transcript(key))?.length ?? 0;

/** A machine with an empty store, or with one that has these sessions. */
async function machineWith(work: (store: Store) => Promise<unknown>): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  const store = await open(machine.process());
  await work(store);
  await store.close();
  return machine;
}

async function on<R>(host: LegacyHost, work: (store: Store) => Promise<R>): Promise<R> {
  const store = await open(host);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

describe("killed at every change", () => {
  it("an import leaves whole sessions, and is finished by the next one", { timeout: 120_000 }, async () => {
    const from = await fill(await memoryStore());
    const { text } = await exported(from);
    const expected = await contentOf(from);
    const seen = new Set<string>();
    const changes = await killAtEveryChange(
      () => machineWith(async () => {}),
      (host) => on(host, (store) => importSessions(store, piecesOf(text, 1 << 20))),
      async (machine, at) => {
        await on(machine.process(), async (store) => {
          const [a, long] = [await store.get("a"), await store.get("long")];
          if (a !== undefined) expect(await lengthsOf(store, "a"), at).toBe(2);
          if (long !== undefined) expect(await lengthsOf(store, "long"), at).toBe(LONG);
          seen.add(`${a !== undefined} ${long !== undefined} ${(await lengthsOf(store, "long")) > 0}`);
          const { created, unchanged } = await importSessions(store, piecesOf(text));
          expect(created + unchanged, at).toBe(2);
          expect(await contentOf(store), at).toEqual(expected);
        });
      },
    );
    expect(changes).toBeGreaterThan(20);
    // Nothing yet, the small one, a part of the long one, all.
    expect([...seen].sort()).toEqual([
      "false false false",
      "true false false",
      "true false true",
      "true true true",
    ]);
  });

  it(
    "a renaming leaves the session under one key, whole, and is finished by the next one",
    { timeout: 120_000 },
    async () => {
      const from = await fill(await memoryStore());
      const { long } = await contentOf(from);
      const seen = new Set<string>();
      await killAtEveryChange(
        () => machineWith(fill),
        (host) => on(host, (store) => renameKey(store, "long", "new")),
        async (machine, at) => {
          await on(machine.process(), async (store) => {
            const [before, after] = [await store.get("long"), await store.get("new")];
            expect(
              [before, after].filter((entry) => entry !== undefined),
              at,
            ).toHaveLength(1);
            expect(await lengthsOf(store, before === undefined ? "new" : "long"), at).toBe(LONG);
            seen.add(`${after !== undefined} ${(await lengthsOf(store, "new")) > 0}`);
            if (after === undefined) await renameKey(store, "long", "new");
            const content = await contentOf(store);
            expect(Object.keys(content), at).toEqual(["a", "new"]);
            expect(content["new"], at).toEqual(long);
          });
        },
      );
      expect([...seen].sort()).toEqual(["false false", "false true", "true true"]);
    },
  );

  it(
    "an export is there whole, or not at all, and a file that was there stays until then",
    { timeout: 120_000 },
    async () => {
      const from = await fill(await memoryStore());
      const expected = await contentOf(from);
      for (const overwrite of [false, true]) {
        const prepared = async (): Promise<LegacyMachine> => {
          const machine = await machineWith(fill);
          if (overwrite)
            await on(machine.process(), async (store) => {
              await store.put("b", { old: true });
              const host = machine.process();
              await exportToFileOn(host, store, FILE, { keys: ["b"] });
              await store.delete("b");
            });
          return machine;
        };
        await killAtEveryChange(
          prepared,
          (host) => on(host, (store) => exportToFileOn(host, store, FILE, { overwrite })),
          async (machine, at) => {
            if (machine.disk.readRaw(FILE) === undefined) {
              expect(overwrite, at).toBe(false);
              return;
            }
            const to = await memoryStore();
            await importFromFileOn(machine.process(), to, FILE);
            const content = await contentOf(to);
            if (content["b"] === undefined) expect(content, at).toEqual(expected);
            else expect(overwrite && Object.keys(content).length, at).toBe(1);
          },
          "durable-only",
        );
      }
    },
  );
});

it(
  "a disk that is full at any call is told, no part is left, and the next try is complete",
  { timeout: 120_000 },
  async () => {
    const machine = await machineWith(fill);
    for (let nth = 1; ; nth++) {
      const { disk } = machine.copy();
      const fs = disk.mount("exporting");
      const host = { fs, runtime: machine.process().runtime };
      const store = await open(host);
      let count = 0;
      let failed = false;
      fs.onCall = ({ name, args }) => {
        const onFile = args.some((arg) => typeof arg === "string" && arg.startsWith(FILE));
        const needsRoom = name === "write" || (onFile && (name === "open" || name === "link"));
        if (!needsRoom || ++count !== nth) return;
        failed = true;
        throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC", syscall: name });
      };
      const outcome = await exportToFileOn(host, store, FILE).catch((error: unknown) => error);
      fs.onCall = undefined;
      if (!failed) {
        expect(outcome).toMatchObject({ sessions: 2 });
        await store.close();
        expect(nth).toBeGreaterThan(3);
        return;
      }
      expect(outcome).toBeInstanceOf(SessionStoreError);
      expect(outcome).toMatchObject({ code: "disk_full" });
      expect(disk.names("/home/sessions").filter((name) => name.startsWith("moved"))).toEqual([]);
      expect(await exportToFileOn(host, store, FILE)).toMatchObject({ sessions: 2 });
      await store.close();
    }
  },
);
