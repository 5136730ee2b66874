/**
 * Goal: a legacy file on its way into a store is never without a durable name, is never taken from a place where it counts, and
 * becomes one backup; a damaged one goes back as it was, unless there is a newer one.
 * Method: one absorption on the simulated disk, with others acting inside its calls, at the very place where it hurts.
 */
import { describe, expect, it } from "vitest";
import { absorbLegacyFiles } from "../../../src/legacy/merging/absorb.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { Journal } from "../../../src/legacy/base/journal.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { LegacyWork } from "../../../src/legacy/run/work.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  LegacyMachine,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const SOURCE: Sessions = { a: { updatedAt: 10, v: "source" }, b: { v: "source" } };
const DAMAGED = pretty(SOURCE).slice(0, -3);
const MERGING = `${FILE}.merging-2026-01-01T00-00-00.000Z`;

async function withStore(): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SOURCE));
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  return machine;
}

function absorb(host: LegacyHost): Promise<unknown> {
  return absorbLegacyFiles(new LegacyWork(host, FILE, {}), new Journal(), DIRECTORY);
}

/** Does something once, inside the first call that `isIt` recognises, before that takes effect. */
function atCall(
  { fs }: ReturnType<LegacyMachine["process"]>,
  isIt: (call: SimulatedCall) => boolean,
  act: () => void,
): { readonly done: boolean } {
  const state = { done: false };
  fs.onCall = (call) => {
    if (state.done || !isIt(call)) return;
    state.done = true;
    act();
  };
  return state;
}

const asideIsRenamed = ({ name, args }: SimulatedCall): boolean => name === "rename" && args[0] === FILE;
const asideIsOpened = ({ name, args }: SimulatedCall): boolean =>
  name === "open" && String(args[0]).includes(".merging-");

function write(machine: LegacyMachine, sessions: unknown): void {
  machine.disk.removeRaw(FILE); // by rename, as old gateways do: another file
  machine.disk.writeRaw(FILE, pretty(sessions));
}

const fileOf = (machine: LegacyMachine): string | undefined => machine.disk.readRaw(FILE)?.toString();
const asideOf = (machine: LegacyMachine): string[] => machine.files(`${FILE}.merging-`);
const backupsOf = (machine: LegacyMachine): string[] => machine.files(`${FILE}.saved-`);

describe("a legacy file that counts", () => {
  it("is not touched where there is no store", async () => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, pretty(SOURCE));
    const host = machine.process();
    const touched = atCall(
      host,
      ({ name }) => ["link", "rename", "unlink"].includes(name),
      () => {},
    );
    await expect(absorb(host)).rejects.toMatchObject({ code: "store_not_found" });
    expect(touched.done).toBe(false);
    expect(fileOf(machine)).toBe(pretty(SOURCE));
  });

  it.each([
    ["known", SOURCE],
    ["foreign", { ...SOURCE, c: {} }],
  ])("gets its name back when the store goes while it is aside: a %s one", async (_name, sessions) => {
    const machine = await withStore();
    write(machine, sessions);
    const host = machine.process();
    const gone = atCall(host, asideIsOpened, () => machine.disk.removeRaw(DIRECTORY));
    await expect(absorb(host)).rejects.toMatchObject({ code: "store_not_found" });
    expect(gone.done).toBe(true);
    expect([fileOf(machine), asideOf(machine)]).toEqual([pretty(sessions), []]);
  });

  it("is read from its other name, and gets its own back, when a killed run left it aside and the store is gone", async () => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(`${MERGING}-aaaa`, pretty(SOURCE));
    const report = await migrateOn(machine.process(), FILE);
    expect(report).toMatchObject({ outcome: "migrated", entries: { kept: 2 } });
    expectSameSessions(await machine.sessions(), SOURCE);
    expect([asideOf(machine), backupsOf(machine)]).toEqual([[], [pretty(SOURCE)]]);
  });
});

describe("a legacy file that is put aside", () => {
  it("has a second name in the version that is renamed, whatever an old gateway wrote meanwhile", async () => {
    const machine = await withStore();
    write(machine, { old: {} });
    const newer = { old: {}, newer: {} };
    const host = machine.process();
    let linked = false;
    let wrote = false;
    let asideAtRename: string[] | undefined;
    host.fs.onCall = (call) => {
      if (asideIsRenamed(call)) asideAtRename = asideOf(machine);
      if (linked && !wrote) {
        wrote = true;
        write(machine, newer);
      }
      linked ||= call.name === "link";
    };
    await absorb(host);
    expect(asideAtRename).toEqual([pretty(newer)]);
    expect(await machine.sessions()).toHaveProperty("newer");
    expect([fileOf(machine), asideOf(machine)]).toEqual([undefined, []]);
  });

  it("becomes one backup if a killed run left it under two names", async () => {
    const machine = await withStore();
    const foreign = pretty({ c: {} });
    machine.disk.writeRaw(`${MERGING}-aaaa`, foreign);
    machine.process().fs.link(`${MERGING}-aaaa`, `${MERGING}-bbbb`);
    await absorb(machine.process());
    expect(backupsOf(machine).sort()).toEqual([pretty(SOURCE), foreign].sort());
    expect(asideOf(machine)).toEqual([]);
  });

  it("by a killed run comes before the one that was written since", async () => {
    const machine = await withStore();
    machine.disk.writeRaw(`${MERGING}-aaaa`, pretty({ b: { v: "earlier", updatedAt: 1 } }));
    machine.disk.writeRaw(FILE, pretty({ b: { v: "later", updatedAt: 1 } }));
    await absorb(machine.process());
    expect((await machine.sessions())?.["b"]).toEqual({ v: "later", updatedAt: 1 });
  });

  it("is not merged if it is known, and recorded if it was not", async () => {
    const machine = await withStore();
    write(machine, SOURCE);
    expect(await absorb(machine.process())).toMatchObject({ files: 1, tally: { counts: { read: 0 } } });
    for (const read of [1, 0]) {
      write(machine, { c: {} });
      expect(await absorb(machine.process())).toMatchObject({ files: 1, tally: { counts: { read } } });
    }
  });

  it("counts with every other one that is absorbed in the same run", async () => {
    const machine = await withStore();
    machine.disk.writeRaw(`${MERGING}-aaaa`, pretty({ c: { updatedAt: 1 }, none: null }));
    machine.disk.writeRaw(FILE, pretty({ ...SOURCE, d: { updatedAt: 2 } }));
    const { entries, refusals } = await migrateOn(machine.process(), FILE);
    expect(entries).toEqual({ read: 5, kept: 2, merged: 0, unchanged: 2, refused: 1 });
    expect(refusals.map(({ key }) => key)).toEqual(["none"]);
  });
});

describe("a damaged legacy file", () => {
  it("is not merged by half, however much of it can be read", async () => {
    const machine = await withStore();
    machine.disk.freeBytes = Infinity;
    // Several pieces, and several batches before the damage.
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`more ${index}`, { text: "x".repeat(20_000) }]),
    );
    machine.disk.writeRaw(FILE, pretty(many).slice(0, -3));
    await expect(absorb(machine.process())).rejects.toMatchObject({ code: "legacy_invalid" });
    expectSameSessions(await machine.sessions(), SOURCE);
  });

  it("gets its name back, durably before it loses the other one", async () => {
    const machine = await withStore();
    machine.disk.writeRaw(FILE, DAMAGED);
    const host = machine.process();
    const { log } = Object.assign(host.fs, { log: [] as SimulatedCall[] });
    await expect(absorb(host)).rejects.toMatchObject({ code: "legacy_invalid" });
    expect([fileOf(machine), asideOf(machine)]).toEqual([DAMAGED, []]);
    const back = log.findIndex(({ name, args }) => name === "link" && args[1] === FILE);
    const next = log.slice(back + 1).filter(({ name }) => ["fsync", "unlink", "rename"].includes(name));
    expect(next.map(({ name }) => name)).toEqual(["fsync", "unlink", "fsync"]);
  });

  it("becomes a backup if there is a newer one by now", async () => {
    const machine = await withStore();
    machine.disk.writeRaw(FILE, DAMAGED);
    const host = machine.process();
    const newer = pretty({ newer: {} });
    const wrote = atCall(host, asideIsOpened, () => machine.disk.writeRaw(FILE, newer));
    await expect(absorb(host)).rejects.toMatchObject({ code: "legacy_invalid" });
    expect(wrote.done).toBe(true);
    expect([fileOf(machine), asideOf(machine)]).toEqual([newer, []]);
    expect(backupsOf(machine)).toContain(DAMAGED);
  });
});
