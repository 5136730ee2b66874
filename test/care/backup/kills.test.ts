/**
 * Goal: killed at any call, by a signal or a power cut, the backups that counted are good, a store that counts is whole, and the
 * next run finishes; a full disk or one that fails changes no more than that.
 * Method: the real code on the simulated disk, killed before change N for every N; the disk is then looked at as the next process
 * does.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../src/errors.js";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import type { PowerCutMode } from "../../../src/testing/simulated/disk.js";
import { THOROUGH } from "../../support/thoroughness.js";
import {
  BACKUPS,
  BackupMachine,
  commit,
  expectPrefix,
  isChange,
  RESTORED,
  revisionsOf,
  STORE,
  type Host,
} from "./backup-machine.js";

interface Scene {
  readonly machine: BackupMachine;
  readonly revisions: readonly number[];
  /** Backups that count. */
  readonly names: readonly string[];
}

/** Three backups with commits in between, the newest commits in none; the store is not open any more. */
async function scene(): Promise<Scene> {
  const machine = new BackupMachine();
  const store = await machine.open();
  const names: string[] = [];
  for (let n = 0; n < 18; n++) {
    await commit(store);
    if (n % 9 === 5) await store.checkpoint();
    if (n === 4 || n === 9 || n === 14)
      names.push((await createBackupOn(machine.process(), STORE, BACKUPS)).name);
  }
  const revisions = await revisionsOf(store);
  await store.close();
  return { machine, revisions, names };
}

/**
 * Runs work in a process that dies before its Nth change of the disk, for every N until the work runs through.
 * @returns How many changes it makes.
 */
async function killAtEveryChange(
  { machine: prepared }: Scene,
  work: (host: Host) => Promise<unknown>,
  check: (machine: BackupMachine, at: string) => Promise<void>,
  powerCut?: PowerCutMode,
): Promise<number> {
  for (let last = 1; ; last++) {
    const machine = prepared.copy();
    const host = machine.process();
    let made = 0;
    let killedAt: string | undefined;
    const killed = new Promise<void>((resolve) => {
      host.fs.onCall = (call) => {
        if (!isChange(call) || ++made !== last) return;
        killedAt = `change ${last}: ${call.name} ${call.args.filter((arg) => typeof arg === "string").join(" ")}`;
        host.fs.kill();
        resolve();
      };
    });
    const finished = work(host).then(
      () => {},
      (error: unknown) => {
        if (killedAt === undefined) throw error;
      },
    );
    await Promise.race([finished, killed.then(() => new Promise((resolve) => setImmediate(resolve)))]);
    if (powerCut !== undefined) machine.disk.powerCut(powerCut);
    await check(machine, killedAt ?? "the end");
    if (killedAt === undefined) return made;
  }
}

let looks = 0;

/** Every backup that is listed is good, whole and a prefix of the log; those of before are there. */
async function expectGood(
  { revisions }: Scene,
  machine: BackupMachine,
  expected: readonly string[],
  at: string,
): Promise<string[]> {
  const { backups } = await listBackupsOn(machine.process(), BACKUPS);
  const names = backups.map(({ name }) => name);
  for (const name of expected) expect(names, at).toContain(name);
  const report = await verifyBackupsOn(machine.process(), BACKUPS);
  expect(
    report.backups.flatMap(({ problems }) => problems),
    at,
  ).toEqual([]);
  expect(report, at).toMatchObject({ good: true, unknown: [] });
  const [newest = ""] = names;
  const to = `${RESTORED}-look-${++looks}`;
  await restoreBackupOn(machine.process(), BACKUPS, to, { name: newest });
  const restored = await machine.open(machine.process(), to);
  await expectPrefix(restored, revisions);
  await restored.close();
  return names;
}

/** Of the three kinds of power cut `random` has something of each. */
const ENDS: readonly (PowerCutMode | undefined)[] = THOROUGH
  ? [undefined, "random", "durable-only", "keep-all"]
  : [undefined, "random"];

describe("killed before each change", { timeout: 120_000 }, () => {
  it.each(ENDS)("create; power cut: %s", async (powerCut) => {
    const before = await scene();
    const changes = await killAtEveryChange(
      before,
      (host) => createBackupOn(host, STORE, BACKUPS),
      async (machine, at) => {
        const names = await expectGood(before, machine, before.names, at);
        const { name, revision } = await createBackupOn(machine.process("still", 2), STORE, BACKUPS);
        expect(revision, at).toBe(before.revisions.at(-1));
        await pruneBackupsOn(machine.process("still", 2), BACKUPS, { last: 1 });
        expect(await expectGood(before, machine, [name], at)).toEqual([name]);
        expect(names.length, at).toBeLessThanOrEqual(4);
        expect(machine.disk.names(`${BACKUPS}/making`), at).toEqual([]);
        expect(machine.disk.names(`${BACKUPS}/sweeping`), at).toEqual([]);
      },
      powerCut,
    );
    expect(changes).toBeGreaterThan(30);
  });

  it.each(ENDS)("the first create; power cut: %s", async (powerCut) => {
    const machine = new BackupMachine();
    const store = await machine.open();
    for (let n = 0; n < 6; n++) await commit(store);
    const before = { machine, revisions: await revisionsOf(store), names: [] };
    await store.close();
    const changes = await killAtEveryChange(
      before,
      (host) => createBackupOn(host, STORE, BACKUPS),
      async (killed, at) => {
        const { name } = await createBackupOn(killed.process(), STORE, BACKUPS);
        await expectGood(before, killed, [name], at);
      },
      powerCut,
    );
    expect(changes).toBeGreaterThan(30);
  });

  it.each(ENDS)("prune; power cut: %s", async (powerCut) => {
    const before = await scene();
    const newest = before.names.at(-1)!;
    const changes = await killAtEveryChange(
      before,
      (host) => pruneBackupsOn(host, BACKUPS, { last: 1 }),
      async (machine, at) => {
        await expectGood(before, machine, [newest], at);
        await pruneBackupsOn(machine.process("still", 2), BACKUPS, { last: 1 });
        expect(await expectGood(before, machine, [newest], at)).toEqual([newest]);
        const objects = machine.disk.names(`${BACKUPS}/objects`).length;
        const again = await pruneBackupsOn(machine.process("still", 2), BACKUPS, { last: 1 });
        expect(again, at).toMatchObject({ removed: [], freedBytes: 0, postponed: false });
        expect(machine.disk.names(`${BACKUPS}/objects`).length).toBe(objects);
      },
      powerCut,
    );
    expect(changes).toBeGreaterThan(10);
  });

  it.each(ENDS)("restore; power cut: %s", async (powerCut) => {
    const before = await scene();
    const revision = before.revisions.filter((_, index) => index < 15).at(-1)!;
    const changes = await killAtEveryChange(
      before,
      (host) => restoreBackupOn(host, BACKUPS, RESTORED),
      async (machine, at) => {
        const there = machine.disk.names("/home/gateway").includes("restored.d");
        if (!there) await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
        const restored = await machine.open(machine.process(), RESTORED);
        expect((await restored.stats()).revision, at).toBe(revision);
        expect(await expectPrefix(restored, before.revisions), at).toBe(15);
        await commit(restored);
        await restored.checkpoint();
        await restored.close();
        await expectGood(before, machine, before.names, at);
      },
      powerCut,
    );
    expect(changes).toBeGreaterThan(30);
  });
});

describe("a disk that fails at each call", { timeout: 120_000 }, () => {
  it.each(["EIO", "ENOSPC"] as const)(
    "%s: create, restore and prune are refused, and nothing is lost",
    async (code) => {
      const before = await scene();
      const works: ((host: Host) => Promise<unknown>)[] = [
        (host) => createBackupOn(host, STORE, BACKUPS, { onWarning: () => {} }),
        (host) => restoreBackupOn(host, BACKUPS, RESTORED, { onWarning: () => {} }),
        (host) => pruneBackupsOn(host, BACKUPS, { last: 1 }, { onWarning: () => {} }),
      ];
      for (const work of works) {
        for (let nth = 1, struck = true; struck; nth++) {
          struck = false;
          const machine = before.machine.copy();
          const host = machine.process();
          let seen = 0;
          host.fs.onCall = (call) => {
            if (
              !isChange(call) ||
              (code === "ENOSPC" && ["unlink", "rmdir"].includes(call.name)) ||
              ++seen !== nth
            )
              return;
            struck = true;
            throw systemError(code, {
              name: call.name,
              args: call.args.filter((arg) => typeof arg === "string"),
            });
          };
          const failure = await work(host).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (failure !== undefined) {
            expect(failure).toBeInstanceOf(SessionStoreError);
            expect((failure as SessionStoreError).code).toBe(code === "EIO" ? "io_error" : "disk_full");
          }
          expect(host.fs.openPaths).toEqual([]);
          await expectGood(before, machine, [before.names.at(-1)!], `call ${nth}`);
        }
      }
    },
  );
});
