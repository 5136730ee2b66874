/**
 * Goal: every store of a state directory is found once, none outside of it unless it was named, and one bad store never
 * stops the others.
 * Method: a whole state directory on the simulated disk, with templates, symlinks and damage.
 */
import { expect, it } from "vitest";
import { migrateStateDirectoryOn } from "../../src/legacy/state-directory.js";
import { LegacyMachine } from "./legacy-machine.js";

const ROOT = "/home/state";
const agent = (name: string): string => `${ROOT}/agents/${name}/sessions/sessions.json`;

function machineWithAgents(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(agent("good"), '{"a":{"updatedAt":1}}');
  machine.disk.writeRaw(agent("bad"), '{"a":');
  machine.disk.writeRaw(agent("empty"), "{}");
  machine.disk.makeDirectory(`${ROOT}/agents/fresh/sessions`);
  return machine;
}

it("migrates what can be, and says in one line how it went", async () => {
  const machine = machineWithAgents();
  const seen: string[] = [];
  const options = { stateDirectory: ROOT, onReceipt: ({ path }: { path: string }) => seen.push(path) };
  const dry = await migrateStateDirectoryOn(machine.process(), { ...options, dryRun: true });
  const result = await migrateStateDirectoryOn(machine.process(), options);
  expect(result.summary).toBe(
    "session-store migration summary: inspected=3 migrated=1 already_directory=0 skipped_empty=1 skipped_invalid=1 missing=0 failed=0",
  );
  expect(dry.summary).toBe(result.summary);
  expect(seen).toEqual([
    agent("bad"),
    agent("empty"),
    agent("good"),
    agent("bad"),
    agent("empty"),
    agent("good"),
  ]);
  expect(result.warnings).toHaveLength(1);
  expect(result.warnings[0]).toMatchObject({ data: { path: agent("bad"), offset: 5 } });
  expect(result.exitCode).toBe(3);
  const again = await migrateStateDirectoryOn(machine.process(), options);
  expect(again.counts).toMatchObject({
    inspected: 3,
    already_directory: 1,
    skipped_empty: 1,
    skipped_invalid: 1,
  });
});

it("configured paths and templates, before and after the migration; a named path that is not there is missing", async () => {
  const machine = machineWithAgents();
  machine.disk.writeRaw("/srv/stores/sessions-x.json", '{"x":{}}');
  machine.disk.writeRaw("/srv/stores/sessions-y.json", '{"y":{}}');
  machine.disk.writeRaw("/srv/stores/z/sessions.json", '{"z":{}}');
  const options = {
    stateDirectory: ROOT,
    storePaths: [
      "/srv/stores/sessions-{agentId}.json",
      "/srv/stores/{agentId}/sessions.json",
      "/srv/stores/none.json",
    ],
  };
  const first = await migrateStateDirectoryOn(machine.process(), options);
  expect(first.counts).toMatchObject({ inspected: 7, migrated: 4, missing: 1 });
  const second = await migrateStateDirectoryOn(machine.process(), options);
  expect(second.counts).toMatchObject({ inspected: 7, already_directory: 4, missing: 1 });
});

it("each store once, however many symlinks lead to it, and none outside that nobody named", async () => {
  const machine = machineWithAgents();
  machine.disk.symlink(`${ROOT}/agents/alias`, `${ROOT}/agents/good`);
  machine.disk.makeDirectory(`${ROOT}/agents/linked/sessions`);
  machine.disk.symlink(agent("linked"), agent("good"));
  machine.disk.writeRaw("/srv/outside/sessions/sessions.json", '{"o":{}}');
  machine.disk.symlink(`${ROOT}/agents/outside`, "/srv/outside");
  const result = await migrateStateDirectoryOn(machine.process(), { stateDirectory: ROOT });
  expect(result.counts).toMatchObject({ inspected: 3, migrated: 1 });
  expect(result.warnings.map(({ code }) => code)).toContain("link_outside");
  expect(machine.disk.readRaw("/srv/outside/sessions/sessions.json")).toBeDefined();
  const named = await migrateStateDirectoryOn(machine.process(), {
    stateDirectory: ROOT,
    storePaths: ["/srv/outside/sessions/sessions.json"],
  });
  expect(named.counts).toMatchObject({ inspected: 4, migrated: 1, already_directory: 1 });
});

it("a state directory that is not there has no stores", async () => {
  const result = await migrateStateDirectoryOn(new LegacyMachine().process(), { stateDirectory: "/nowhere" });
  expect(result).toMatchObject({ counts: { inspected: 0 }, exitCode: 0, warnings: [] });
});
