/**
 * Goal: of two migrations at the same time the one that comes late does no harm at any of its decisions: it never moves a
 * store away, keeps what was committed to it, and never puts an older state into its place.
 * Method: the first process is suspended before one call on the simulated disk; others do all of their work; it wakes up.
 */
import { describe, expect, it, vi } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  LegacyMachine,
  parkedAt,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const SESSIONS: Sessions = { "agent:a": { updatedAt: 1, sessionKey: "agent:a" } };
const WITH_LATE: Sessions = { ...SESSIONS, "agent:late": { updatedAt: 2 } };

type Process = ReturnType<LegacyMachine["process"]>;

/** The store that comes while the other process sleeps, with a commit of its own. */
async function migrateAndCommit(machine: LegacyMachine): Promise<void> {
  const { fs, runtime } = machine.process();
  for (const name of machine.names().filter((found) => found.includes(".building-")))
    machine.disk.setStatus(`/home/sessions/${name}`, { modifiedAt: runtime.now() }); // its builder lives
  runtime.advance(1000); // or two backups would have one name
  expect((await migrateOn({ fs, runtime }, FILE)).outcome).toBe("migrated");
  const store = await openDirectoryStoreOn<object>(fs, runtime, DIRECTORY);
  await store.put("agent:late", { updatedAt: 2 });
  await store.close();
}

/** A migration that sleeps before the call `isIt` while others migrate. @returns Its outcome and its calls since. */
async function overtaken(
  machine: LegacyMachine,
  isIt: (call: SimulatedCall) => boolean,
  options: { readonly dryRun?: boolean } = {},
): Promise<{ readonly outcome: string; readonly calls: readonly SimulatedCall[] }> {
  const slow: Process = machine.process();
  let running: ReturnType<typeof migrateOn> | undefined;
  const { release } = await parkedAt(slow, isIt, () => (running = migrateOn(slow, FILE, options)));
  await migrateAndCommit(machine);
  const calls: SimulatedCall[] = (slow.fs.log = []);
  release();
  const report = await running;
  expect(report?.error).toBeUndefined();
  expectSameSessions(await machine.sessions(), WITH_LATE);
  expect(machine.names().filter((name) => /building|removing|merging|writing/.test(name))).toEqual([]);
  return { outcome: report?.outcome ?? "", calls };
}

const looksForLayout = ({ name, args }: SimulatedCall): boolean =>
  name === "readdir" && args[0] === DIRECTORY;
const movesAside = ({ name, args }: SimulatedCall): boolean => name === "rename" && args[0] === DIRECTORY;
const movesIntoPlace = ({ name, args }: SimulatedCall): boolean => name === "rename" && args[1] === DIRECTORY;

describe("a store that has just come in place of an older layout", () => {
  function withFolders(): LegacyMachine {
    const machine = new LegacyMachine();
    for (const [key, entry] of Object.entries(SESSIONS))
      machine.disk.writeRaw(
        `${DIRECTORY}/${key.replaceAll(":", "--")}/meta.json`,
        JSON.stringify({ ...entry, sessionKey: key }),
      );
    return machine;
  }

  it.each([
    ["a migration", false],
    ["a plan", true],
  ])("is not taken for the layout by %s that looked right before", async (_name, dryRun) => {
    const { outcome, calls } = await overtaken(withFolders(), looksForLayout, { dryRun });
    expect(outcome).toBe("already_directory");
    expect(calls.filter(({ name }) => name === "mkdir")).toEqual([]);
  });

  it("is not moved away by a migration that was about to do so", async () => {
    const machine = withFolders();
    const hasNote = (): boolean =>
      Object.keys(machine.disk.tree("/home/sessions")).some((path) => path.endsWith("replaces.json"));
    const { outcome, calls } = await overtaken(machine, ({ name }) => name === "fsync" && hasNote());
    expect(outcome).toBe("already_directory");
    expect(calls.filter(movesAside)).toEqual([]);
  });

  /** Others put their store there between the look and the rename of `slow`, and may have removed what it has built. */
  async function replacedInTheLastMoment(
    machine: LegacyMachine,
    slow: Process,
    options: { readonly noteStays: boolean; readonly killed?: boolean },
  ): Promise<{ moved: number; back: number }> {
    const others = machine.process();
    const aside = "/home/sessions/others";
    machine.disk.writeRaw(`${aside}.json`, pretty(WITH_LATE));
    expect((await migrateOn(others, `${aside}.json`)).outcome).toBe("migrated");
    const count = { moved: 0, back: 0 };
    slow.fs.onCall = (call) => {
      if (movesIntoPlace(call)) count.back++;
      if (!movesAside(call)) return undefined;
      count.moved++;
      others.fs.rename(DIRECTORY, `${DIRECTORY}.saved-others`);
      others.fs.rename(`${aside}.d`, DIRECTORY);
      const building = machine.names().find((name) => name.includes(".building-"))!;
      if (!options.noteStays) machine.disk.removeRaw(`/home/sessions/${building}`);
      return options.killed === true ? { killAfter: true } : undefined;
    };
    return count;
  }

  it.each([true, false])(
    "is put back if it was moved after all (our note is there: %s)",
    async (noteStays) => {
      const machine = withFolders();
      const slow = machine.process();
      const count = await replacedInTheLastMoment(machine, slow, { noteStays });
      expect((await migrateOn(slow, FILE)).outcome).toBe("already_directory");
      expect(count).toEqual({ moved: 1, back: 1 });
      expectSameSessions(await machine.sessions(), WITH_LATE);
      expect(machine.names().filter((name) => /building|removing/.test(name))).toEqual([]);
    },
  );

  it("is put back by the next run if whoever moved it was killed at once", async () => {
    const machine = withFolders();
    const slow = machine.process();
    await replacedInTheLastMoment(machine, slow, { noteStays: true, killed: true });
    void migrateOn(slow, FILE).catch(() => {});
    await vi.waitUntil(() => slow.fs.killed);
    expect(await machine.sessions()).toBeUndefined();
    expect((await migrateOn(machine.process(), FILE)).outcome).toBe("already_directory");
    expectSameSessions(await machine.sessions(), WITH_LATE);
  });

  it("is merged if a new, empty store was opened in its place in that instant", async () => {
    const machine = withFolders();
    const slow = machine.process();
    await replacedInTheLastMoment(machine, slow, { noteStays: false });
    const { fs, runtime } = machine.process();
    const empty = "/home/sessions/empty.d";
    await (await openDirectoryStoreOn<object>(fs, runtime, empty)).close();
    const { onCall } = slow.fs;
    slow.fs.onCall = (call) => {
      if (movesIntoPlace(call)) fs.rename(empty, DIRECTORY);
      return onCall?.(call);
    };
    expect((await migrateOn(slow, FILE)).outcome).toBe("already_directory");
    expectSameSessions(await machine.sessions(), WITH_LATE);
  });
});

describe("a store that was built from a file", () => {
  const withFile = (): LegacyMachine => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, pretty(SESSIONS));
    return machine;
  };

  it("is not put into the place of one that has come meanwhile, and is gone", async () => {
    expect((await overtaken(withFile(), movesIntoPlace)).outcome).toBe("already_directory");
  });

  it("is taken away by whoever was faster: after a rollback it would bring back what is no longer so", async () => {
    const machine = withFile();
    const slow = machine.process();
    let running: ReturnType<typeof migrateOn> | undefined;
    const { release } = await parkedAt(slow, movesIntoPlace, () => (running = migrateOn(slow, FILE)));
    await migrateAndCommit(machine);
    expect(machine.names().filter((name) => name.includes(".building-"))).toEqual([]);
    machine.disk.removeRaw(DIRECTORY); // as after a rollback
    const newer: Sessions = { now: { updatedAt: 2e12 } };
    machine.disk.writeRaw(FILE, pretty(newer));
    release();
    expect((await running)?.outcome).toBe("migrated"); // anew, from what counts now
    expectSameSessions(await machine.sessions(), newer);
  });
});
