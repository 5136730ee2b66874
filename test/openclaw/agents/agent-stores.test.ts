/**
 * Goal: every agent's store is found once, under the right agent, migrated or not, and none that nobody meant.
 * Method: state directories on the simulated disk with templates, symlinks, odd names and stores that are gone.
 */
import { describe, expect, it, onTestFinished, test } from "vitest";
import { normalizeAgentId, type AgentStoreConfig } from "../../../src/openclaw/agents/agent-config.js";
import {
  findAgentStores,
  resolveAllAgentSessionStoreTargets,
  resolveAllAgentSessionStoreTargetsSync,
  resolveSessionStoreTargets,
} from "../../../src/openclaw/agents/agent-stores.js";
import { configureSessionStores } from "../../../src/openclaw/base/settings.js";
import { migrateToDirectoryOn } from "../../../src/openclaw/directory/migration.js";
import { LegacyMachine } from "../../legacy/legacy-machine.js";

const ROOT = "/home/state";
const agent = (name: string): string => `${ROOT}/agents/${name}/sessions/sessions.json`;
const SESSION = '{"a":{"sessionId":"a","updatedAt":1}}';

async function targets(machine: LegacyMachine, config: AgentStoreConfig = {}): Promise<string[]> {
  const found = findAgentStores(machine.process(), config, { stateDir: ROOT });
  return found.targets.map(({ agentId, storePath }) => `${agentId} ${storePath}`);
}

function machineWith(...paths: string[]): LegacyMachine {
  const machine = new LegacyMachine();
  for (const path of paths) machine.disk.writeRaw(path, SESSION);
  return machine;
}

describe("below the state directory", () => {
  it("finds files, migrated stores, and agents that are not configured", async () => {
    const machine = machineWith(agent("main"), agent("work"));
    await migrateToDirectoryOn(machine.process(), agent("work"));
    machine.disk.makeDirectory(`${ROOT}/agents/fresh/sessions`);
    expect(await targets(machine, { agents: { list: [{ id: "main" }, { id: "fresh" }] } })).toEqual([
      `main ${agent("main")}`,
      `work ${agent("work")}`,
    ]);
  });

  it("lists a store once, under its own agent, and none that a symlink leads out to", async () => {
    const machine = machineWith(agent("good"), "/srv/outside/sessions/sessions.json");
    machine.disk.symlink(`${ROOT}/agents/alias`, `${ROOT}/agents/good`);
    machine.disk.symlink(`${ROOT}/agents/outside`, "/srv/outside");
    expect(await targets(machine)).toEqual([`good ${agent("good")}`]);
  });

  it("leaves a folder alone whose name is no agent's, and says so", async () => {
    const machine = machineWith(agent("main"), agent("!!!"), agent("-main-"), agent("Work"));
    const warnings: string[] = [];
    configureSessionStores({ onWarning: ({ message }) => warnings.push(message) });
    onTestFinished(() => configureSessionStores({ onWarning: undefined }));
    expect(await targets(machine)).toEqual([`main ${agent("main")}`, `work ${agent("Work")}`]);
    expect(warnings).toEqual([
      expect.stringContaining(agent("!!!")),
      expect.stringContaining(agent("-main-")),
    ]);
  });

  it("has nothing where nothing is", async () => {
    expect(await targets(new LegacyMachine())).toEqual([]);
  });

  it("does not take a folder of whose name nothing is left for the default agent's", async () => {
    expect(await targets(machineWith(agent("###"), agent("Main")))).toEqual([`main ${agent("Main")}`]);
  });
});

describe("configured", () => {
  it("one path: the default agent's, also before it is there", async () => {
    const config = {
      session: { store: "/srv/one.json" },
      agents: { list: [{ id: "a" }, { id: "B", default: true }] },
    };
    expect(await targets(new LegacyMachine(), config)).toEqual(["b /srv/one.json"]);
  });

  it("a template: every agent that has a store, configured ones first, each by its own id", async () => {
    const machine = machineWith("/srv/sessions-x.json", "/srv/sessions-a.json", agent("main"));
    await migrateToDirectoryOn(machine.process(), "/srv/sessions-x.json");
    const config = {
      session: { store: "/srv/sessions-{agentId}.json" },
      agents: { list: [{ id: "x" }, { id: "none" }] },
    };
    expect(await targets(machine, config)).toEqual([
      "x /srv/sessions-x.json",
      "a /srv/sessions-a.json",
      `main ${agent("main")}`,
    ]);
  });

  it("a template that names the agent twice, below a symlink", async () => {
    const machine = machineWith("/srv/real/y/sessions-y.json", "/srv/real/y/sessions-z.json");
    machine.disk.symlink("/srv/linked", "/srv/real");
    const config = { session: { store: "/srv/linked/{agentId}/sessions-{agentId}.json" } };
    expect(await targets(machine, config)).toEqual(["y /srv/real/y/sessions-y.json"]);
  });

  it("the template of the default place finds what is found anyway, once", async () => {
    const machine = machineWith(agent("main"), agent("work"));
    const config = { session: { store: `${ROOT}/agents/{agentId}/sessions/sessions.json` } };
    expect(await targets(machine, config)).toEqual([`main ${agent("main")}`, `work ${agent("work")}`]);
  });
});

test.each([
  ["Main", "main"],
  ["  ", "main"],
  ["Bob Smith!", "bob-smith"],
  ["../../etc", "etc"],
  ["x".repeat(80), "x".repeat(64)],
])("the agent %j is %j", (id, normalized) => {
  expect(normalizeAgentId(id)).toBe(normalized);
});

it("looks where the environment says", async () => {
  const found = await resolveAllAgentSessionStoreTargets(
    {},
    { env: { OPENCLAW_STATE_DIR: "/nowhere/at/all" } },
  );
  expect(found).toEqual([]);
});

it("answers at once, as a gateway asks", () => {
  const params = { env: { HOME: "/nowhere", OPENCLAW_HOME: "~/gateway" } };
  expect(resolveAllAgentSessionStoreTargetsSync({}, params)).toEqual([]);
  expect(resolveSessionStoreTargets({}, {}, params)).toEqual([
    { agentId: "main", storePath: "/nowhere/gateway/.openclaw/agents/main/sessions/sessions.json" },
  ]);
});

it("a folder that cannot be searched costs its own store, and is told", () => {
  const machine = machineWith(agent("good"), agent("locked"));
  const host = machine.process();
  const { lstat } = host.fs;
  host.fs.lstat = (path) => {
    if (path.includes("/locked/sessions/")) throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    return lstat.call(host.fs, path);
  };
  const { targets: found, failures } = findAgentStores(host, {}, { stateDir: ROOT });
  expect(found).toEqual([{ agentId: "good", storePath: agent("good") }]);
  expect(failures).toMatchObject([{ agentId: "locked", error: { code: "EACCES" } }]);
});

describe("what a command is about", () => {
  const params = { stateDir: ROOT };
  const config = { agents: { list: [{ id: "a" }, { id: "B", default: true }] } };
  const path = (name: string) => ({ agentId: name, storePath: agent(name) });

  it("the default agent, one agent, all of them, or one path", () => {
    expect(resolveSessionStoreTargets(config, {}, params)).toEqual([path("b")]);
    expect(resolveSessionStoreTargets(config, { agent: " A " }, params)).toEqual([path("a")]);
    expect(resolveSessionStoreTargets(config, { allAgents: true }, params)).toEqual([path("a"), path("b")]);
    const template = { store: "/srv/{agentId}.json" };
    expect(resolveSessionStoreTargets(config, template, params)).toEqual([
      { agentId: "b", storePath: "/srv/b.json" },
    ]);
    const shared = { ...config, session: { store: "/srv/one.json" } };
    expect(resolveSessionStoreTargets(shared, { allAgents: true }, params)).toEqual([
      { agentId: "a", storePath: "/srv/one.json" },
    ]);
  });

  it.each([[{ agent: "a", allAgents: true }], [{ store: "x.json", agent: "a" }], [{ agent: "nobody" }]])(
    "refuses %j",
    (selection) => {
      expect(() => resolveSessionStoreTargets(config, selection, params)).toThrow(/--agent|Unknown agent/);
    },
  );
});
