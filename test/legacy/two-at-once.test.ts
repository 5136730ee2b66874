/**
 * Goal: two processes that migrate, roll back or mirror at the same time cost nothing, whatever they do to each other; both
 * say what is true. (A second rollback once opened a new, empty store where the first had just taken one away, and put
 * its nothing over the legacy file; a second migration took the first one's store for an older layout, and replaced it.)
 * Method: the real code on the simulated disk. The first process is suspended before its Nth call, for every N; the
 * second one does all of its work; the first one wakes up.
 */
import { describe, expect, it } from "vitest";
import type { LegacyHost } from "../../src/legacy/base/host.js";
import { migrateOn } from "../../src/legacy/migrate.js";
import { startMirrorOn } from "../../src/legacy/back/mirror.js";
import { rollbackOn } from "../../src/legacy/back/rollback.js";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { parkFrom } from "../support/processes.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  LegacyMachine,
  pretty,
  type Sessions,
} from "./legacy-machine.js";

type Work = (host: LegacyHost) => Promise<string>;

const SESSIONS: Sessions = { "agent:a": { updatedAt: 1, v: 1 }, "agent:b": { updatedAt: 2, v: 2 } };

const said = ({ outcome, error }: { outcome: string; error?: { message: string } }): string =>
  error === undefined ? outcome : `${outcome}: ${error.message}`;
const migrate: Work = async (host) => said(await migrateOn(host, FILE));
const rollBack: Work = async (host) => said(await rollbackOn(host, FILE));
const mirror: Work = async (host) => {
  try {
    const running = await startMirrorOn(host, FILE);
    await running.stop();
    return "mirrored";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

function withFile(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  return machine;
}

function withFolders(): LegacyMachine {
  const machine = new LegacyMachine();
  for (const [key, entry] of Object.entries(SESSIONS)) {
    machine.disk.writeRaw(
      `${DIRECTORY}/${key.replaceAll(":", "--")}/meta.json`,
      JSON.stringify({ ...entry, sessionKey: key }),
    );
  }
  return machine;
}

async function withStore(): Promise<LegacyMachine> {
  const machine = withFile();
  const host = machine.process();
  expect(await migrate(host)).toBe("migrated");
  const store = await openDirectoryStoreOn<object>(host.fs, host.runtime, DIRECTORY);
  await store.put("agent:late", { updatedAt: 3 });
  await store.close();
  return machine;
}

const LATE: Sessions = { ...SESSIONS, "agent:late": { updatedAt: 3 } };
const IN_FOLDERS: Sessions = Object.fromEntries(
  Object.entries(SESSIONS).map(([key, entry]) => [key, { ...entry, sessionKey: key }]),
);

/** What the side says that counts. */
async function counting(machine: LegacyMachine): Promise<Sessions> {
  const stored = await machine.sessions();
  return stored ?? (JSON.parse(machine.disk.readRaw(FILE)?.toString() ?? "{}") as Sessions);
}

describe.each<[string, () => LegacyMachine | Promise<LegacyMachine>, Work, Work, Sessions, RegExp]>([
  ["two migrations of a file", withFile, migrate, migrate, SESSIONS, /^(migrated|merged|already_directory)$/],
  [
    "two migrations of an older layout",
    withFolders,
    migrate,
    migrate,
    IN_FOLDERS,
    /^(migrated|merged|already_directory)$/,
  ],
  ["two rollbacks", withStore, rollBack, rollBack, LATE, /^(rolled_back|already_legacy)$/],
  [
    "a rollback during a migration",
    withStore,
    migrate,
    rollBack,
    LATE,
    /^(migrated|merged|already_directory|rolled_back)$/,
  ],
  [
    "a migration during a rollback",
    withStore,
    rollBack,
    migrate,
    LATE,
    /^(migrated|merged|already_directory|rolled_back|already_legacy)$/,
  ],
  [
    "a rollback while a mirror starts",
    withStore,
    mirror,
    rollBack,
    LATE,
    /^(mirrored|store_not_found|closed|rolled_back)$/,
  ],
  [
    "a mirror during a rollback",
    withStore,
    rollBack,
    mirror,
    LATE,
    /^(rolled_back|already_legacy|mirrored|store_not_found)$/,
  ],
])("%s", (_, prepare, first, second, expected, good) => {
  it("lose nothing, wherever the first one is suspended", async () => {
    for (let at = 1; ; at++) {
      const machine = await prepare();
      const host = machine.process();
      const parking = parkFrom(host.fs, at);
      const working = first(host);
      await new Promise((resolve) => setImmediate(resolve));
      for (let turn = 0; turn < 2000 && parking.at === undefined; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (await settled(working)) break;
      }
      const suspended = parking.at;
      const where = `suspended before call ${at}: ${suspended?.name} ${String(suspended?.args[0])}`;
      const outcomes = [await second(machine.process())];
      expectSameSessions(await counting(machine), expected);
      parking.release();
      outcomes.push(await working);
      for (const outcome of outcomes) expect(outcome, where).toMatch(good);
      const now = await counting(machine);
      expect(Object.keys(now).sort(), where).toEqual(Object.keys(expected).sort());
      expectSameSessions(now, expected);
      if (suspended === undefined) break;
    }
  }, 120_000);
});

async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}
