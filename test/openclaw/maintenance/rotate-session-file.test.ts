/**
 * Goal: a backup of a large legacy file is whole or not there, the three newest stay, and nothing else is touched.
 * Method: the simulated disk: sizes around the limit, dying at every call, links, migrated stores.
 */
import { describe, expect, it } from "vitest";
import { rotateOn } from "../../../src/openclaw/maintenance/rotate-session-file.js";
import { migrateToDirectoryOn } from "../../../src/openclaw/directory/migration.js";
import { FILE, killAtEveryChange, LegacyMachine } from "../../legacy/legacy-machine.js";

const TEXT = `{"a":{"sessionId":"${"x".repeat(3_000_000)}","updatedAt":1}}`;

function machineWithFile(text = TEXT): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.freeBytes = Infinity;
  machine.disk.writeRaw(FILE, text);
  return machine;
}

it("copies what is larger than the limit, and leaves the file", async () => {
  const machine = machineWithFile();
  expect(await rotateOn(machine.process(), FILE, TEXT.length)).toBe(false);
  expect(machine.names()).toEqual(["sessions.json"]);
  expect(await rotateOn(machine.process(), FILE, TEXT.length - 1)).toBe(true);
  const [backup] = machine.names().filter((name) => name.startsWith("sessions.json.bak."));
  expect(backup).toMatch(/^sessions\.json\.bak\.\d+$/);
  expect(String(machine.disk.readRaw(`/home/sessions/${backup}`)) === TEXT).toBe(true);
  expect(String(machine.disk.readRaw(FILE)) === TEXT).toBe(true);
});

it("keeps the three newest of its own backups, and all others", async () => {
  const machine = machineWithFile("0123456789");
  const others = ["sessions.json.bak.2026-11-21T03-31-13.123Z", "sessions.json.bak.old", "other.json.bak.1"];
  for (const name of others) machine.disk.writeRaw(`/home/sessions/${name}`, "x");
  machine.disk.writeRaw("/home/sessions/sessions.json.bak.99", "x");
  machine.disk.writeRaw("/home/sessions/sessions.json.bak.100", "x");
  for (let round = 0; round < 4; round++) expect(await rotateOn(machine.process(), FILE, 5)).toBe(true);
  const names = machine.names();
  expect(names).toEqual(expect.arrayContaining(others));
  const own = names.filter((name) => /^sessions\.json\.bak\.\d+$/.test(name));
  expect(own).toHaveLength(3);
  expect(own.every((name) => Number(name.split(".").at(-1)) > 100)).toBe(true);
});

describe("nothing to do", () => {
  it.each([0, -1, Infinity])("with the limit %d", async (limit) => {
    expect(await rotateOn(machineWithFile().process(), FILE, limit)).toBe(false);
  });

  it("without a file, and for a store that is a directory", async () => {
    expect(await rotateOn(new LegacyMachine().process(), FILE, 1)).toBe(false);
    const machine = machineWithFile('{"a":{"sessionId":"a","updatedAt":1}}');
    await migrateToDirectoryOn(machine.process(), FILE);
    machine.disk.writeRaw(FILE, TEXT); // an old gateway writes it once more
    expect(await rotateOn(machine.process(), FILE, 1)).toBe(false);
  });

  it("for what is no number, but an error", async () => {
    await expect(rotateOn(machineWithFile().process(), FILE, NaN)).rejects.toThrow(TypeError);
  });
});

it("a folder in the file's place is an error, a link is followed", async () => {
  const machine = new LegacyMachine();
  machine.disk.makeDirectory(FILE);
  await expect(rotateOn(machine.process(), FILE, 1)).rejects.toMatchObject({ code: "file_unsafe" });
  const linked = machineWithFile("0123456789");
  linked.disk.symlink("/home/alias.json", FILE);
  expect(await rotateOn(linked.process(), "/home/alias.json", 5)).toBe(true);
  expect(linked.names()).toHaveLength(2);
});

it("killed anywhere, every backup is whole, and what is not complete is no backup", async () => {
  const changes = await killAtEveryChange(
    () => machineWithFile("0123456789"),
    (host) => rotateOn(host, FILE, 5),
    (machine) => {
      for (const text of machine.files("/home/sessions/sessions.json.bak.")) expect(text).toBe("0123456789");
      expect(String(machine.disk.readRaw(FILE))).toBe("0123456789");
      return Promise.resolve();
    },
    "random",
  );
  expect(changes).toBeGreaterThan(4);
});
