/**
 * Goal: the mirrored file follows the store, whoever dies or sleeps, however many processes mirror; what somebody else
 * wrote into it is merged and never lost.
 * Method: mirrors as processes of a simulated machine; killed at every call, parked at every call while others go on, ten
 * of them while four write.
 */
import { afterEach, describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../src/errors.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { startMirrorOn, type Mirror, type MirrorOptions } from "../../../src/legacy/back/mirror.js";
import { rollbackOn } from "../../../src/legacy/back/rollback.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import {
  DIRECTORY,
  failCall,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  parkedAt,
  pretty,
  type Sessions,
} from "../legacy-machine.js";
import type { LegacyWarning } from "../../../src/legacy/base/types.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";

type Entry = Record<string, unknown>;
const SOURCE: Sessions = { b: { updatedAt: 1, n: 0 }, a: { updatedAt: 1, n: 0 } };

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function migrated(): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SOURCE));
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  return machine;
}

async function openStore(machine: LegacyMachine): Promise<DirectorySessionStore<Entry>> {
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<Entry>(fs, runtime, DIRECTORY);
  open.push(() => store.close());
  return store;
}

async function mirrorOn(machine: LegacyMachine, options: MirrorOptions = {}): Promise<Mirror> {
  const mirror = await startMirrorOn(machine.process(), FILE, options);
  open.push(() => mirror.stop());
  return mirror;
}

const textIn = (machine: LegacyMachine): string | undefined => machine.disk.readRaw(FILE)?.toString();
const sessionsIn = (machine: LegacyMachine): Sessions => JSON.parse(textIn(machine) ?? "null") as Sessions;

it("writes what the store has, in the order of the last file, and again only if something changed", async () => {
  const machine = await migrated();
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  expect(textIn(machine)).toBe(pretty(SOURCE));
  const { written } = await mirror.flush();
  expect(written).toBe(1);
  const store = await openStore(machine);
  await store.patch("a", { n: 1 });
  await store.put("0", { new: true });
  expect((await mirror.flush()).written).toBe(2);
  expect(textIn(machine)).toBe(
    '{\n  "b": {\n    "updatedAt": 1,\n    "n": 0\n  },\n  "a": {\n    "updatedAt": 1,\n    "n": 1\n  },\n  "0": {\n    "new": true\n  }\n}',
  );
});

it("writes nothing because items were appended, and what a record changed behind them", async () => {
  const machine = await migrated();
  const store = await openStore(machine);
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  const other = await mirrorOn(machine); // has not seen the file, nor anything of the log in front of it
  for (let n = 1; n <= 5; n++) {
    const { revision } = await store.append("a", [{ n }]);
    for (const each of [mirror, other]) expect((await each.flush()).revision).toBe(revision);
  }
  await store.transact((tx) => tx.truncate("a", { length: 1 }));
  await store.removeTranscript("a");
  await mirror.flush();
  expect([mirror.state.written, other.state.written]).toEqual([1, 0]);
  await store.transact(async (tx) => {
    await tx.append("a", [{ n: 6 }]);
    await tx.patch("a", { n: 6 });
  });
  await store.append("a", [{ n: 7 }]);
  expect(await mirror.flush()).toMatchObject({ written: 2, revision: await store.revision() });
  expect(sessionsIn(machine)).toEqual({ ...SOURCE, a: { updatedAt: 1, n: 6 } });
});

it("collects changes and writes them in the background", async () => {
  const machine = await migrated();
  const host = machine.process();
  const mirror = await startMirrorOn(host, FILE, { debounceMs: 5000 });
  open.push(() => mirror.stop());
  const store = await openStore(machine);
  for (let n = 1; n <= 50; n++) await store.patch("a", { n });
  expect(textIn(machine)).toBeUndefined();
  host.runtime.advance(5000);
  await expect.poll(() => sessionsIn(machine)?.["a"]?.["n"]).toBe(50);
  expect(mirror.state.written).toBe(1);
});

it("merges what somebody else wrote, and writes the union", async () => {
  const machine = await migrated();
  const warnings: string[] = [];
  const mirror = await mirrorOn(machine, { onWarning: ({ code }) => warnings.push(code) });
  await mirror.flush();
  const store = await openStore(machine);
  await store.patch("a", { n: 5, updatedAt: 50 });
  await store.put("mine", { updatedAt: 1 });
  machine.disk.writeRaw(
    FILE,
    pretty({ a: { updatedAt: 1, n: 0 }, b: { updatedAt: 60, n: 6 }, theirs: { n: 1 } }),
  );
  await mirror.flush();
  const expected = {
    a: { updatedAt: 50, n: 5 },
    b: { updatedAt: 60, n: 6 },
    mine: { updatedAt: 1 },
    theirs: { n: 1 },
  };
  expect(sessionsIn(machine)).toEqual(expected);
  expect(await machine.sessions()).toEqual(expected);
  expect(mirror.state.merged).toBe(1);
  expect(warnings).toContain("foreign_merged");
});

it("does not bring back what was deleted in the store, even if an old gateway still writes it", async () => {
  const machine = await migrated();
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  const old = sessionsIn(machine);
  const store = await openStore(machine);
  await store.delete("b");
  await mirror.flush();
  machine.disk.writeRaw(FILE, pretty({ ...old, a: { updatedAt: 9, n: 9 } }));
  await mirror.flush();
  expect(sessionsIn(machine)).toEqual({ a: { updatedAt: 9, n: 9 } });
});

it("leaves a foreign file alone that it cannot read, and says so", async () => {
  const machine = await migrated();
  const mirror = await mirrorOn(machine);
  machine.disk.writeRaw(FILE, "{ half");
  await expect(mirror.flush()).rejects.toMatchObject({ code: "legacy_invalid" });
  expect(textIn(machine)).toBe("{ half");
});

it("keeps a foreign file of which it must refuse something, and says where", async () => {
  const machine = await migrated();
  const warnings: LegacyWarning[] = [];
  const mirror = await mirrorOn(machine, { onWarning: (warning) => warnings.push(warning) });
  await mirror.flush();
  const foreign = pretty({ ...sessionsIn(machine), theirs: { updatedAt: 9 }, odd: [1] });
  machine.disk.writeRaw(FILE, foreign);
  await mirror.flush();
  expect(sessionsIn(machine)).not.toHaveProperty("odd");
  expect(machine.files(`${FILE}.saved-`)).toContain(foreign);
  const refused = warnings.filter(({ code }) => code === "entries_refused");
  expect(refused).toMatchObject([{ data: { path: FILE, refused: 1 } }]);
  expect(refused[0]?.message).toContain(String(refused[0]?.data["backup"]));
});

it("keeps such a file once, however often it has to begin anew", async () => {
  const machine = await migrated();
  const process = machine.process();
  const mirror = await startMirrorOn(process, FILE, {});
  open.push(() => mirror.stop());
  await mirror.flush();
  const foreign = pretty({ ...sessionsIn(machine), theirs: { updatedAt: 9 }, odd: [1] });
  machine.disk.writeRaw(FILE, foreign);
  const before = machine.files(`${FILE}.saved-`).length;
  let kept = false;
  process.fs.onCall = (call) => {
    kept ||= call.name === "link";
    if (kept && call.name === "write") throw systemError("EIO", call);
  };
  for (let round = 0; round < 3; round++) await expect(mirror.flush()).rejects.toThrow(/EIO/);
  process.fs.onCall = undefined;
  await mirror.flush();
  expect(sessionsIn(machine)).toHaveProperty("theirs");
  expect(machine.files(`${FILE}.saved-`)).toHaveLength(before + 1);
  expect(machine.files(`${FILE}.saved-`)).toContain(foreign);
});

it("stops writing once the store was rolled back", async () => {
  const machine = await migrated();
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  expect((await rollbackOn(machine.process(), FILE)).outcome).toBe("rolled_back");
  const late = await openStoreAt(
    machine,
    machine.names().find((name) => name.startsWith("sessions.d.saved-"))!,
  );
  await late.put("late", {});
  await expect(mirror.flush()).rejects.toMatchObject({ code: "store_not_found" });
  expect(textIn(machine)).toBe(pretty(SOURCE));
});

async function openStoreAt(machine: LegacyMachine, name: string): Promise<DirectorySessionStore<Entry>> {
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<Entry>(fs, runtime, `/home/sessions/${name}`);
  open.push(() => store.close());
  return store;
}

it("needs a store", async () => {
  await expect(startMirrorOn(new LegacyMachine().process(), FILE)).rejects.toMatchObject({
    code: "store_not_found",
  });
});

it("takes away what slower writers are making, and leaves faster ones alone", async () => {
  const machine = await migrated();
  const store = await openStore(machine);
  const revision = await store.revision();
  const writing = (by: number): string => `${FILE}.writing-${String(revision + by).padStart(16, "0")}-aa`;
  for (const by of [-1, 1]) machine.disk.writeRaw(writing(by), "{");
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  const left = machine.names().filter((name) => name.includes(".writing-"));
  expect(left.map((name) => `/home/sessions/${name}`)).toEqual([writing(1)]);
});

it("makes durable what it writes: after a power cut the store has it, and the next mirror goes on", async () => {
  const machine = await migrated();
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<Entry>(fs, runtime, DIRECTORY, { durability: "os" });
  await store.put("a", { updatedAt: 2, n: 2 });
  await (await mirrorOn(machine)).flush();
  open.length = 0; // with the power goes every process
  machine.disk.powerCut("durable-only");
  const expected = { ...SOURCE, a: { updatedAt: 2, n: 2 } };
  expect(await machine.sessions()).toEqual(expected);
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  expect(sessionsIn(machine)).toEqual(expected);
});

it("writes on where a record is of a later revision than the store, as in a copy that was made while it was used", async () => {
  const machine = await migrated();
  const records = `${DIRECTORY}/.store/legacy`;
  const [name = ""] = machine.disk.names(records);
  const record = JSON.parse(machine.disk.readRaw(`${records}/${name}`)!.toString()) as object;
  machine.disk.writeRaw(
    `${records}/${"9".padStart(16, "0")}-${"a".repeat(16)}.json`,
    JSON.stringify({ ...record, revision: 9, sha256: "a".repeat(64), complete: true }),
  );
  const mirror = await mirrorOn(machine);
  await mirror.flush();
  expect(sessionsIn(machine)).toEqual(SOURCE);
});

it("does not take a file for a foreign one that another mirror has just recorded and written", async () => {
  const machine = await migrated();
  const slow = machine.process();
  const mirror = await startMirrorOn(slow, FILE);
  open.push(() => mirror.stop());
  await mirror.flush();
  const store = await openStore(machine);
  await store.put("a", { updatedAt: 3 });
  machine.disk.removeRaw(FILE);
  machine.disk.writeRaw(FILE, pretty(SOURCE)); // known, but another file: it has to look
  let flushed: Promise<unknown> | undefined;
  const looks = ({ name, args }: SimulatedCall): boolean => name === "lstat" && args[0] === FILE;
  const { release } = await parkedAt(slow, looks, () => (flushed = mirror.flush()));
  await (await mirrorOn(machine)).flush();
  release();
  await flushed;
  expect(mirror.state).toMatchObject({ merged: 0, written: 1 });
});

describe("a mirror that is killed", () => {
  it.each([undefined, "random"] as const)(
    "at every call (power cut: %s): the file is the old one or the new one, and the next mirror goes on",
    async (powerCut) => {
      const first = pretty(SOURCE);
      const then = pretty({ ...SOURCE, a: { updatedAt: 2, n: 2 } });
      const prepare = async (): Promise<LegacyMachine> => {
        const machine = await migrated();
        const mirror = await startMirrorOn(machine.process(), FILE);
        await mirror.flush();
        await mirror.stop();
        const { fs, runtime } = machine.process();
        const store = await openDirectoryStoreOn<Entry>(fs, runtime, DIRECTORY);
        await store.put("a", { updatedAt: 2, n: 2 });
        await store.close();
        return machine;
      };
      const work = async (host: Parameters<typeof startMirrorOn>[0]): Promise<void> => {
        const mirror = await startMirrorOn(host, FILE);
        await mirror.flush();
        await mirror.stop();
      };
      await killAtEveryChange(
        prepare,
        work,
        async (machine, at) => {
          expect([first, then], at).toContain(textIn(machine));
          const host = machine.process();
          await work(host);
          expect(textIn(machine), at).toBe(then);
          expect(await machine.sessions(), at).toEqual({ ...SOURCE, a: { updatedAt: 2, n: 2 } });
        },
        powerCut,
      );
    },
    120_000,
  );
});

it("a mirror whose disk is full at any call leaves the old file or the new one, and the next mirror goes on", async () => {
  const first = pretty(SOURCE);
  const then = pretty({ ...SOURCE, a: { updatedAt: 2, n: 2 } });
  let refused = 0;
  const prepared = await migrated();
  const before = await startMirrorOn(prepared.process(), FILE);
  await before.flush();
  await before.stop();
  const writer = prepared.process();
  const store = await openDirectoryStoreOn<Entry>(writer.fs, writer.runtime, DIRECTORY);
  await store.put("a", { updatedAt: 2, n: 2 });
  await store.close();
  for (let nth = 1, full = true; full; nth++) {
    const machine = prepared.copy();
    const host = machine.process();
    const failure = failCall(host.fs, nth, "ENOSPC");
    try {
      const mirror = await startMirrorOn(host, FILE);
      await mirror.flush().catch(() => void refused++);
      await mirror.stop().catch(() => void refused++);
    } catch (error) {
      expect(error, `call ${nth}`).toBeInstanceOf(SessionStoreError);
      refused++;
    }
    full = failure.struck !== undefined;
    expect([first, then], `call ${nth}`).toContain(textIn(machine));
    const after = await startMirrorOn(machine.process(), FILE);
    await after.flush();
    await after.stop();
    expect(textIn(machine), `call ${nth}`).toBe(then);
  }
  expect(refused).toBeGreaterThan(10);
}, 120_000);

it("a mirror that sleeps at any call while others go on never takes the file back", async () => {
  for (let index = 1, slept = true; slept; index++) {
    const machine = await migrated();
    const slow = machine.process();
    const mirror = await startMirrorOn(slow, FILE);
    slept = false;
    const start = slow.fs.calls;
    let wake = (): void => {};
    slow.fs.gate = (call) => {
      if (call.index < start + index || slept) return undefined;
      slept = true;
      return new Promise((resolve) => (wake = resolve));
    };
    const flushed = mirror.flush();
    await new Promise((resolve) => setImmediate(resolve));
    const store = await openStore(machine);
    await store.delete("b");
    await store.put("a", { updatedAt: 3, n: index });
    const fast = await mirrorOn(machine);
    await fast.flush();
    const newest = pretty({ a: { updatedAt: 3, n: index } });
    expect(textIn(machine)).toBe(newest);
    const seen = new Set<string | undefined>();
    slow.fs.onCall = () => void seen.add(textIn(machine));
    wake();
    slow.fs.gate = undefined;
    await flushed;
    slow.fs.onCall = undefined;
    expect(
      [...seen].filter((text) => text !== newest),
      `call ${index}`,
    ).toEqual([]);
    expect(textIn(machine)).toBe(newest);
    expect(await machine.sessions()).toEqual({ a: { updatedAt: 3, n: index } });
    await mirror.stop();
  }
}, 120_000);

it("ten mirrors while four write and an old gateway writes too: in the end the file is the store", async () => {
  const machine = await migrated();
  const hosts = Array.from({ length: 10 }, () => machine.process());
  const pump = setInterval(() => hosts.forEach(({ runtime }) => runtime.runNextTimer()), 1);
  const mirrors = await Promise.all(hosts.map((host) => startMirrorOn(host, FILE)));
  open.push(async () => void (await Promise.all(mirrors.map((mirror) => mirror.stop()))));
  const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(machine)));
  let writing = true;
  const writers = stores.map(async (store, writer) => {
    for (let n = 1; n <= 60; n++) {
      await store.put(`w${writer}`, { updatedAt: 10, n });
      if (n % 7 === 0) await store.delete(`w${writer}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const oldGateway = (async () => {
    for (let n = 1; n <= 10; n++) {
      const text = textIn(machine);
      if (text !== undefined) {
        const sessions = { ...(JSON.parse(text) as Sessions), [`old${n}`]: { updatedAt: n } };
        machine.disk.removeRaw(FILE);
        machine.disk.writeRaw(FILE, pretty(sessions));
      }
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const mirroring = mirrors.map(async (mirror) => {
    while (writing) {
      await mirror.flush().catch((error: { code?: string }) => expect(error.code).toBe("legacy_changing"));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await Promise.all([...writers, oldGateway]);
  writing = false;
  await Promise.all(mirroring);
  await Promise.all(mirrors.map((mirror) => mirror.flush()));
  clearInterval(pump);
  const stored = await machine.sessions();
  expect(sessionsIn(machine)).toEqual(stored);
  expect(stored).toMatchObject({ w0: { n: 60 }, w1: { n: 60 }, w2: { n: 60 }, w3: { n: 60 } });
}, 60_000);
