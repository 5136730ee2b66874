/**
 * Goal: a program that knows nothing of the store sees the sessions after `mirror: true`, or the report says loudly that it
 * sees none; whatever becomes of the copy, the migration counts.
 * Method: migrations on the simulated disk with and without, killed at every fifth call, and on a disk that fills up.
 */
import { expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import {
  DIRECTORY,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const SESSIONS: Sessions = { a: { updatedAt: 1 }, b: { updatedAt: 2 } };

function withLegacyFile(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  return machine;
}

it("the file is there again, byte for byte, and the next command keeps it in step", async () => {
  const machine = withLegacyFile();
  const dry = await migrateOn(machine.process(), FILE, { mirror: true, dryRun: true });
  expect(dry).toMatchObject({ outcome: "migrated", mirror: FILE });
  const report = await migrateOn(machine.process(), FILE, { mirror: true });
  expect(report).toMatchObject({
    outcome: "migrated",
    mirror: FILE,
    warnings: [],
    next: `sessiondir mirror --store ${FILE}`,
  });
  expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(SESSIONS));
  expect(await machine.sessions()).toEqual(SESSIONS);
  const again = await migrateOn(machine.process(), FILE, { mirror: true });
  expect(again).toMatchObject({ outcome: "merged", entries: { kept: 0 } });
  expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(SESSIONS));
});

it("without it, the report says once what other programs will see", async () => {
  const machine = withLegacyFile();
  const { warnings } = await migrateOn(machine.process(), FILE);
  expect(warnings).toMatchObject([{ code: "file_moved", data: { path: FILE } }]);
  expect(warnings[0]?.message).toContain(`sessiondir mirror --store ${FILE}`);
  expect((await migrateOn(machine.process(), FILE)).warnings).toEqual([]);
});

it("a disk that is full for the copy fails the copy, and not the migration", async () => {
  const machine = withLegacyFile();
  const host = machine.process();
  host.fs.onCall = ({ name, args }) => {
    if (name === "open" && String(args[0]).includes(".writing-"))
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "open" });
  };
  const report = await migrateOn(host, FILE, { mirror: true });
  expect(report).toMatchObject({
    outcome: "migrated",
    warnings: [{ code: "mirror_failed", data: { code: "disk_full" } }],
  });
  expect(report).not.toHaveProperty("mirror");
  expect(report.warnings[0]?.message).not.toMatch(/nothing was changed/i);
  expect(await machine.sessions()).toEqual(SESSIONS);
});

it("killed at any call, the next run finishes and the copy is there", async () => {
  await killAtEveryChange(
    withLegacyFile,
    (host) => migrateOn(host, FILE, { mirror: true }),
    async (machine, at) => {
      const report = await migrateOn(machine.process(), FILE, { mirror: true });
      expect(report.mirror, `${at}: ${JSON.stringify(report)}`).toBe(FILE);
      expect(machine.disk.readRaw(FILE)?.toString(), at).toBe(pretty(SESSIONS));
      expect(await machine.sessions(DIRECTORY), at).toEqual(SESSIONS);
    },
  );
}, 120_000);
