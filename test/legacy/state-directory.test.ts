/**
 * Goal: every store of a state directory is found once, none outside of it unless it was named, and one bad store never
 * stops the others.
 * Method: a whole state directory on the simulated disk, with templates, symlinks and damage.
 */
import { homedir } from "node:os";
import { expect, it } from "vitest";
import type { LegacyHost } from "../../src/legacy/base/host.js";
import { migrateOn } from "../../src/legacy/migrate.js";
import {
  migrateEachStore,
  type StateDirectoryOptions,
  type StateDirectoryReport,
} from "../../src/legacy/state-directory.js";
import { LegacyMachine } from "./legacy-machine.js";

/** Every store of a state directory, each by a migration of the library's. */
const migrateAll = (host: LegacyHost, options: StateDirectoryOptions = {}): Promise<StateDirectoryReport> =>
  migrateEachStore(host, options, migrateOn);

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
  const options = { stateDirectory: ROOT, onReport: ({ path }: { path: string }) => seen.push(path) };
  const dry = await migrateAll(machine.process(), { ...options, dryRun: true });
  const result = await migrateAll(machine.process(), options);
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
  const again = await migrateAll(machine.process(), options);
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
  const first = await migrateAll(machine.process(), options);
  expect(first.counts).toMatchObject({ inspected: 7, migrated: 4, missing: 1 });
  const second = await migrateAll(machine.process(), options);
  expect(second.counts).toMatchObject({ inspected: 7, already_directory: 4, missing: 1 });
});

it("each store once, however many symlinks lead to it, and none outside that nobody named", async () => {
  const machine = machineWithAgents();
  machine.disk.symlink(`${ROOT}/agents/alias`, `${ROOT}/agents/good`);
  machine.disk.makeDirectory(`${ROOT}/agents/linked/sessions`);
  machine.disk.symlink(agent("linked"), agent("good"));
  machine.disk.writeRaw("/srv/outside/sessions/sessions.json", '{"o":{}}');
  machine.disk.symlink(`${ROOT}/agents/outside`, "/srv/outside");
  const result = await migrateAll(machine.process(), { stateDirectory: ROOT });
  expect(result.counts).toMatchObject({ inspected: 3, migrated: 1 });
  expect(result.warnings.map(({ code }) => code)).toContain("link_outside");
  expect(machine.disk.readRaw("/srv/outside/sessions/sessions.json")).toBeDefined();
  const named = await migrateAll(machine.process(), {
    stateDirectory: ROOT,
    storePaths: ["/srv/outside/sessions/sessions.json"],
  });
  expect(named.counts).toMatchObject({ inspected: 4, migrated: 1, already_directory: 1 });
});

it("a state directory that is not there has no stores", async () => {
  const result = await migrateAll(new LegacyMachine().process(), { stateDirectory: "/nowhere" });
  expect(result).toMatchObject({ counts: { inspected: 0 }, exitCode: 0, warnings: [] });
});

it("an agent folder that cannot be read is named, and the others go on", async () => {
  const machine = machineWithAgents();
  const host = machine.process();
  host.fs.onCall = ({ name, args }) => {
    if (name === "realpath" && String(args[0]).includes("/agents/bad")) throw failure("EACCES", name);
  };
  const result = await migrateAll(host, { stateDirectory: ROOT });
  expect(result).toMatchObject({ counts: { inspected: 2, migrated: 1 }, exitCode: 3 });
  expect(result.warnings).toMatchObject([
    { code: "folder_unreadable", data: { path: agent("bad"), errno: "EACCES" } },
  ]);
});

it("so is the folder of all agents, and stores that were named go on", async () => {
  const machine = machineWithAgents();
  const host = machine.process();
  host.fs.onCall = ({ name, args }) => {
    if (name === "readdir" && args[0] === `${ROOT}/agents`) throw failure("EACCES", name);
  };
  const result = await migrateAll(host, { stateDirectory: ROOT, storePaths: [agent("good")] });
  expect(result).toMatchObject({ counts: { inspected: 1, migrated: 1 }, exitCode: 3 });
  expect(result.warnings[0]).toMatchObject({ code: "folder_unreadable", data: { path: `${ROOT}/agents` } });
});

it.each([
  ["beside the state directory", "/home/.clawdbot"],
  ["in the home directory", `${homedir()}/.moltbot`],
])(
  "an older place %s is mentioned if it has sessions, and does not count as trouble",
  async (_name, place) => {
    const machine = machineWithAgents();
    machine.disk.removeRaw(`${ROOT}/agents/bad`);
    machine.disk.makeDirectory(`${place}/agents`);
    expect((await migrateAll(machine.process(), { stateDirectory: ROOT })).warnings).toEqual([]);
    machine.disk.writeRaw(`${place}/agents/main/sessions/sessions.json`, "{}");
    const result = await migrateAll(machine.process(), { stateDirectory: ROOT });
    expect(result.warnings).toMatchObject([{ code: "older_place", data: { path: place } }]);
    expect(result.exitCode).toBe(0);
    const itself = await migrateAll(machine.process(), { stateDirectory: place });
    expect(itself.warnings).toEqual([]);
  },
);

function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

it("is in the home that OPENCLAW_HOME names, as for the gateway", async () => {
  const machine = new LegacyMachine();
  const { OPENCLAW_HOME } = process.env;
  process.env["OPENCLAW_HOME"] = "/home/gateway";
  try {
    const { stateDirectory } = await migrateAll(machine.process());
    expect(stateDirectory).toBe("/home/gateway/.openclaw");
    const named = await migrateAll(machine.process(), { stateDirectory: "~/state" });
    expect(named.stateDirectory).toBe("/home/gateway/state");
  } finally {
    if (OPENCLAW_HOME === undefined) delete process.env["OPENCLAW_HOME"];
    else process.env["OPENCLAW_HOME"] = OPENCLAW_HOME;
  }
});
