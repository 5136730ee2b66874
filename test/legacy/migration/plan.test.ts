/**
 * Goal: a dry run refuses what the run itself refuses of the place, in the same words, before it promises anything.
 * Method: every place where no store can be, on the simulated disk; the dry run and the inspection beside the run.
 */
import { describe, expect, it } from "vitest";
import { inspectOn } from "../../../src/legacy/inspect.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import type { MigrationReport } from "../../../src/legacy/base/types.js";
import { DIRECTORY, FILE, LegacyMachine, pretty, someSessions } from "../legacy-machine.js";

type Place = (machine: LegacyMachine) => void;

const occupied: Place = ({ disk }) => disk.writeRaw(`${DIRECTORY}/holiday.jpg`, "");

/** What stands in the way, and what everybody says of it. */
const BLOCKED: readonly (readonly [string, Place, code: string])[] = [
  ["holds other things", occupied, "not_a_store"],
  ["is a file", ({ disk }) => disk.writeRaw(DIRECTORY, "x"), "not_a_store"],
  ["is a device", ({ disk }) => disk.makeSpecial(DIRECTORY), "not_a_store"],
  ["is a link that leads nowhere", ({ disk }) => disk.symlink(DIRECTORY, "/elsewhere"), "not_a_store"],
  [
    "would lie in a folder that others may change",
    ({ disk }) => disk.setStatus("/home/sessions", { mode: 0o777 }),
    "path_untrusted",
  ],
];

function machineWith(place: Place, files: Readonly<Record<string, unknown>> = {}): LegacyMachine {
  const machine = new LegacyMachine();
  for (const [path, sessions] of Object.entries({ [FILE]: someSessions(), ...files }))
    if (sessions !== undefined) machine.disk.writeRaw(path, pretty(sessions));
  place(machine);
  return machine;
}

/** What a report says of how it ended. A run may speak of the folder that it has just made, where its plan speaks of the one around it. */
function ending({ outcome, error, entries, next }: MigrationReport): unknown {
  const text = JSON.stringify({ outcome, error, entries, next });
  return JSON.parse(text.replaceAll(/\/sessions\.d\.building-\w+/g, ""));
}

async function compare(machine: LegacyMachine, code: string, host: () => LegacyHost): Promise<void> {
  const before = machine.disk.tree();
  const planned = await migrateOn(host(), FILE, { dryRun: true });
  const inspected = await inspectOn(host(), FILE);
  expect(machine.disk.tree()).toEqual(before);
  const done = await migrateOn(host(), FILE);
  expect(done.error?.code).toBe(code);
  expect(ending(planned)).toEqual(ending(done));
  expect(inspected.outcome).toBe(done.outcome);
  expect(inspected.error?.code).toBe(code);
}

describe("NAME.d", () => {
  it.each(BLOCKED)("%s", async (_how, place, code) => {
    const machine = machineWith(place);
    await compare(machine, code, () => machine.process());
  });

  it("would lie on a network file system", async () => {
    const machine = machineWith(() => {});
    await compare(machine, "file_system_unsupported", () => {
      const { runtime } = machine.process();
      return { runtime, fs: machine.disk.mount("on NFS", { fileSystemType: 0x6969n }) };
    });
  });

  it("holds other things, and a killed run left the file under another name", async () => {
    const aside = `${FILE}.merging-2026-11-21T00-00-00.000Z-00000000`;
    const machine = machineWith(occupied, { [FILE]: undefined, [aside]: someSessions() });
    const before = machine.disk.tree();
    const planned = await migrateOn(machine.process(), FILE, { dryRun: true });
    expect(machine.disk.tree()).toEqual(before);
    expect(planned).toMatchObject({ outcome: "skipped_invalid", error: { code: "not_a_store" } });
    const done = await migrateOn(machine.process(), FILE);
    expect(ending(done)).toEqual(ending(planned));
  });

  it("is an empty folder, which is no obstacle", async () => {
    const machine = machineWith(({ disk }) => disk.makeDirectory(DIRECTORY));
    expect(await migrateOn(machine.process(), FILE, { dryRun: true })).toMatchObject({ outcome: "migrated" });
    expect(await migrateOn(machine.process(), FILE)).toMatchObject({ outcome: "migrated" });
  });

  it("is in a folder that its group may change, and the group is trusted", async () => {
    const machine = machineWith(({ disk }) => disk.setStatus("/home/sessions", { mode: 0o770 }));
    const options = { trust: "group", dryRun: true } as const;
    expect(await migrateOn(machine.process(), FILE, options)).toMatchObject({ outcome: "migrated" });
    expect(await migrateOn(machine.process(), FILE, { dryRun: true })).toMatchObject({ outcome: "failed" });
  });
});
