/**
 * Goal: a session that the store cannot read costs only itself. Rollback and mirror name it and keep the last copy that can be
 * found; a dry run and an inspection say the same; a foreign file that has a version of it heals it.
 * Method: a checkpointed store on the simulated disk whose files are damaged in every way that concerns one session.
 */
import { describe, expect, it } from "vitest";
import { startMirrorOn } from "../../../src/legacy/back/mirror.js";
import { rollbackOn } from "../../../src/legacy/back/rollback.js";
import { inspectOn } from "../../../src/legacy/inspect.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import type { LegacyWarning } from "../../../src/legacy/base/types.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import {
  DIRECTORY,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const BIG = { text: "x".repeat(6000) };
const SESSIONS: Sessions = {
  bad: { updatedAt: 1, n: 0, big: BIG },
  good: { updatedAt: 2, n: 0 },
};
const META = `${DIRECTORY}/bad/meta.json`;

/** A store whose `good` has changed since the migration, and nothing of it in the log. */
async function checkpointed(options: { readonly mirror?: boolean } = {}): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  expect((await migrateOn(machine.process(), FILE, options)).outcome).toBe("migrated");
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<Record<string, unknown>>(fs, runtime, DIRECTORY);
  await store.patch("good", { n: 1 });
  await store.checkpoint();
  await store.close();
  return machine;
}

const DAMAGE: readonly (readonly [string, (machine: LegacyMachine) => void])[] = [
  ["an entry file that is cut off", ({ disk }) => disk.writeRaw(META, disk.readRaw(META)!.subarray(0, 30))],
  [
    "an entry file that is cut off, in a store that has lost its catalog",
    ({ disk }) => {
      disk.writeRaw(META, "{");
      for (const path of Object.keys(disk.tree(`${DIRECTORY}/.store`)))
        if (path.includes("/catalog-")) disk.removeRaw(path);
    },
  ],
  ["an entry file that somebody removed", ({ disk }) => disk.removeRaw(META)],
  ["an entry file of zeros", ({ disk }) => disk.writeRaw(META, "\0\0\0\0")],
  [
    "a big value that is gone",
    ({ disk }) => {
      const blobs = Object.keys(disk.tree("/home/sessions")).filter((path) =>
        /\/blobs\/.*\.json$/.test(path),
      );
      expect(blobs.length).toBeGreaterThan(0);
      for (const path of blobs) disk.removeRaw(path);
    },
  ],
];

const sessionsIn = (machine: LegacyMachine): Sessions =>
  JSON.parse(machine.disk.readRaw(FILE)?.toString() ?? "null") as Sessions;

const EXPECTED: Sessions = { bad: SESSIONS["bad"]!, good: { updatedAt: 2, n: 1 } };

describe.each(DAMAGE)("%s", (_name, damage) => {
  it("a rollback keeps the copy of the newest backup and names the session; the dry run and inspect say the same", async () => {
    const machine = await checkpointed();
    damage(machine);
    const dry = await rollbackOn(machine.process(), FILE, { dryRun: true });
    const inspection = await inspectOn(machine.process(), FILE);
    expect(inspection).toMatchObject({ sessions: 1, damaged: 1 });
    const report = await rollbackOn(machine.process(), FILE);
    for (const { outcome, entries, refusals, warnings } of [dry, report]) {
      expect(outcome).toBe("rolled_back");
      expect(entries).toMatchObject({ read: 2, kept: 1, refused: 1 });
      expect(refusals).toMatchObject([{ key: "bad", reason: "session_damaged" }]);
      expect(refusals[0]?.message).toContain(`${FILE}.saved-`);
      expect(warnings.map(({ code }) => code)).toContain("sessions_damaged");
    }
    expect(inspection.refusals).toEqual(dry.refusals);
    expect(sessionsIn(machine)).toEqual(EXPECTED);
    expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
    expect(await machine.sessions()).toEqual(EXPECTED);
  });

  it("a mirror keeps the copy that its file has, says so once, and again only when it changes", async () => {
    const machine = await checkpointed({ mirror: true });
    for (const name of machine.names().filter((name) => name.includes(".saved-")))
      machine.disk.removeRaw(`/home/sessions/${name}`);
    damage(machine);
    const warnings: LegacyWarning[] = [];
    const mirror = await startMirrorOn(machine.process(), FILE, {
      onWarning: (warning) => warnings.push(warning),
    });
    expect(await mirror.flush()).toMatchObject({ written: 1, damaged: 1 });
    expect(sessionsIn(machine)).toEqual(EXPECTED);
    expect(warnings).toMatchObject([{ code: "sessions_damaged", data: { keys: "bad", older: 1 } }]);
    const { fs, runtime } = machine.process();
    const store = await openDirectoryStoreOn<Record<string, unknown>>(fs, runtime, DIRECTORY);
    await store.patch("good", { n: 2 });
    expect(await mirror.flush()).toMatchObject({ written: 2, damaged: 1 });
    expect(sessionsIn(machine)).toEqual({ ...EXPECTED, good: { updatedAt: 2, n: 2 } });
    expect(warnings).toHaveLength(1);
    await store.put("bad", { updatedAt: 9 });
    expect(await mirror.flush()).toMatchObject({ written: 3, damaged: 0 });
    expect(sessionsIn(machine)["bad"]).toEqual({ updatedAt: 9 });
    await store.close();
    await mirror.stop();
  });

  it("what an old gateway wrote of it since heals it, and the others are merged", async () => {
    const machine = await checkpointed();
    damage(machine);
    const foreign = { bad: { updatedAt: 5, by: "old" }, good: { updatedAt: 6, by: "old" } };
    machine.disk.writeRaw(FILE, pretty(foreign));
    expect(await migrateOn(machine.process(), FILE)).toMatchObject({
      outcome: "merged",
      entries: { kept: 2 },
    });
    const { fs, runtime } = machine.process();
    await (await openDirectoryStoreOn(fs, runtime, DIRECTORY)).checkpoint(); // a lost catalog is made anew by that
    expect(await machine.sessions()).toEqual(foreign);
  });
});

it("of a session of which nothing is left anywhere the report says so, and the others are written", async () => {
  const machine = await checkpointed();
  for (const name of machine.names().filter((name) => name.includes(".saved-")))
    machine.disk.removeRaw(`/home/sessions/${name}`);
  machine.disk.writeRaw(META, "{");
  const report = await rollbackOn(machine.process(), FILE);
  expect(report).toMatchObject({ outcome: "rolled_back", entries: { read: 2, kept: 1, refused: 1 } });
  expect(report.refusals[0]?.message).toContain("No older copy was found");
  expect(sessionsIn(machine)).toEqual({ good: { updatedAt: 2, n: 1 } });
});

it("a rollback that is killed at any call never removes the last copy", async () => {
  await killAtEveryChange(
    async () => {
      const machine = await checkpointed();
      machine.disk.writeRaw(META, "{");
      return machine;
    },
    (host) => rollbackOn(host, FILE),
    async (machine, at) => {
      const report = await rollbackOn(machine.process(), FILE);
      expect(report.outcome, at).toMatch(/^(rolled_back|already_legacy)$/);
      expect(sessionsIn(machine), at).toEqual(EXPECTED);
    },
  );
}, 120_000);
