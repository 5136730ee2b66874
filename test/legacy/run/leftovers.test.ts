/**
 * Goal: what killed runs left is taken away, and what a living one is making is not; complete folders stay for the run that
 * finishes them.
 * Method: leftovers of different age beside a store on the simulated disk.
 */
import { expect, it } from "vitest";
import { removeStale, removeUnfinished } from "../../../src/legacy/run/leftovers.js";
import { Journal } from "../../../src/legacy/base/journal.js";
import { LegacyWork } from "../../../src/legacy/run/work.js";
import { DIRECTORY, FILE, LegacyMachine } from "../legacy-machine.js";

const FOLDERS = ["building", "removing"].map((kind) => `${DIRECTORY}.${kind}-aa`);

/** @param ageMs How long ago something was last made in the folders. */
function withLeftovers(ageMs: number, where = ""): { machine: LegacyMachine; work: LegacyWork } {
  const machine = new LegacyMachine();
  const host = machine.process();
  const modifiedAt = host.runtime.now() - ageMs;
  for (const folder of FOLDERS) {
    machine.disk.writeRaw(`${folder}/.store/log/1`, "");
    machine.disk.setStatus(`${folder}${where}`, { modifiedAt });
  }
  machine.disk.writeRaw(`${FILE}.writing-0000000000000001-aa`, "{");
  return { machine, work: new LegacyWork(host, FILE, {}) };
}

it.each([
  ["stay while they are new", 59_000, "", true],
  ["stay while something is made deep inside them", 0, "/.store/log", true],
  ["go when they are old", 61_000, "", false],
])("unfinished folders %s", async (_name, ageMs, where, stay) => {
  const { machine, work } = withLeftovers(ageMs, where);
  const journal = new Journal();
  await removeStale(work, journal);
  const folders = machine.names().filter((name) => name.startsWith("sessions.d."));
  expect(folders).toHaveLength(stay ? 2 : 0);
  expect(journal.warnings.map(({ code }) => code)).toEqual(stay ? [] : ["leftover_removed"]);
});

it("a folder that is complete, and whose place was made free, stays however old it is", async () => {
  const { machine, work } = withLeftovers(1e9);
  const backup = `${DIRECTORY}.saved-1`;
  machine.disk.makeDirectory(backup);
  machine.disk.writeRaw(`${FOLDERS[0]}/.store/legacy/replaces.json`, JSON.stringify({ backup }));
  await removeStale(work, new Journal());
  expect(machine.names()).toContain("sessions.d.building-aa");
});

it("everything unfinished goes when one side is authoritative, however new", async () => {
  const { machine, work } = withLeftovers(0);
  await removeUnfinished(work);
  expect(machine.names()).toEqual([]);
});

it("a folder loses its name before anything in it goes: whoever was making it must not put the rest into its place", async () => {
  const { machine } = withLeftovers(0);
  const host = machine.process();
  host.fs.log = [];
  await removeUnfinished(new LegacyWork(host, FILE, {}));
  const removals = host.fs.log.filter(({ name }) => name === "unlink" || name === "rmdir");
  expect(removals.length).toBeGreaterThan(4);
  expect(removals.filter(({ args }) => FOLDERS.some((folder) => String(args[0]).startsWith(folder)))).toEqual(
    [],
  );
});
