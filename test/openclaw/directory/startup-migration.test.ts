/**
 * Goal: a gateway's start migrates every store once and says so in one line; a bad one stops nothing; several gateways may
 * start at the same time.
 * Method: a state directory on the simulated disk, with templates, symlinks and damage; processes that start together, and one
 * that dies at every tenth call while another goes on.
 */
import { expect, it } from "vitest";
import { runStartupMigrationOn } from "../../../src/openclaw/directory/startup-migration.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { LegacyMachine } from "../../legacy/legacy-machine.js";

const ROOT = "/home/state";
const agent = (name: string): string => `${ROOT}/agents/${name}/sessions/sessions.json`;

/** A machine whose disk and processes have one clock: what is being built looks new. */
function newMachine(): LegacyMachine {
  const now = new ManualRuntime().now();
  return new LegacyMachine(1, new SimulatedDisk({ now: () => now }));
}

function machineWithAgents(): LegacyMachine {
  const machine = newMachine();
  machine.disk.writeRaw(agent("good"), '{"Agent:Good:Main":{"sessionId":"a","updatedAt":1}}');
  machine.disk.writeRaw(agent("bad"), '{"a":');
  machine.disk.writeRaw(agent("empty"), "{}");
  return machine;
}

class Log {
  readonly lines: string[] = [];
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
}

async function start(
  host: LegacyHost,
  configuredStorePath?: string,
): Promise<{ log: Log; outcomes: string[]; paths: string[] }> {
  const log = new Log();
  const results = await runStartupMigrationOn(host, { stateDir: ROOT, configuredStorePath, log });
  return {
    log,
    outcomes: results.map(({ outcome }) => outcome),
    paths: results.map(({ storePath }) => storePath),
  };
}

it("one line for all, a warning only if a person is needed", async () => {
  const machine = machineWithAgents();
  const { log, outcomes, paths } = await start(machine.process());
  expect(paths).toEqual([agent("bad"), agent("empty"), agent("good")]);
  expect(outcomes).toEqual(["skipped_invalid", "skipped_empty", "migrated"]);
  expect(log.lines).toHaveLength(1);
  expect(log.lines[0]).toMatch(
    /^warn session-store migration summary: inspected=3 migrated=1 already_directory=0 skipped_empty=1 skipped_invalid=1 missing=0 failed=0; issues: .*bad/,
  );
  // The command that it names would fold the keys as this module does.
  expect(log.lines[0]).toContain(`sessiondir inspect --store ${agent("bad")} --lowercase-keys`);
  expect(await machine.sessions(`${ROOT}/agents/good/sessions/sessions.d`)).toEqual({
    "agent:good:main": { sessionId: "a", updatedAt: 1 },
  });
  machine.disk.writeRaw(agent("bad"), "{}");
  const again = await start(machine.process(), "/srv/none.json");
  expect(again.log.lines).toEqual([
    "info session-store migration summary: inspected=4 migrated=0 already_directory=1 skipped_empty=2 skipped_invalid=0 missing=1 failed=0",
  ]);
});

it("nothing is said where there is nothing", async () => {
  const { log, outcomes } = await start(new LegacyMachine().process());
  expect({ lines: log.lines, outcomes }).toEqual({ lines: [], outcomes: [] });
});

it("templates stand for every agent; a store with many names is done once", async () => {
  const machine = machineWithAgents();
  machine.disk.writeRaw("/srv/stores/sessions-x.json", '{"x":{"updatedAt":1}}');
  machine.disk.writeRaw("/srv/stores/sessions-y.json", '{"y":{"updatedAt":1}}');
  machine.disk.symlink("/srv/linked", "/srv/stores");
  machine.disk.symlink(`${ROOT}/agents/alias`, `${ROOT}/agents/good`);
  const first = await start(machine.process(), "/srv/linked/sessions-{agentId}.json");
  expect(first.paths).toContain("/srv/stores/sessions-x.json");
  expect(first.paths).toHaveLength(5);
  expect(first.outcomes.filter((outcome) => outcome === "migrated")).toHaveLength(3);
  const second = await start(machine.process(), "/srv/stores/sessions-{agentId}.json");
  expect(second.outcomes.filter((outcome) => outcome === "already_directory")).toHaveLength(3);
});

it("four gateways that start together migrate each store once, and lose nothing", async () => {
  const machine = newMachine();
  const names = ["a", "b", "c"];
  for (const name of names)
    machine.disk.writeRaw(agent(name), `{"Agent:${name}":{"sessionId":"${name}","updatedAt":1}}`);
  const starts = await Promise.all([1, 2, 3, 4].map(() => start(machine.process())));
  for (const { outcomes } of starts)
    for (const outcome of outcomes) expect(["migrated", "already_directory"]).toContain(outcome);
  for (const name of names) {
    expect(await machine.sessions(`${ROOT}/agents/${name}/sessions/sessions.d`)).toEqual({
      [`agent:${name}`]: { sessionId: name, updatedAt: 1 },
    });
    const left = Object.keys(machine.disk.tree(`${ROOT}/agents/${name}/sessions`));
    expect(left.filter((path) => /building|removing|merging|writing/.test(path))).toEqual([]);
  }
});

it("a gateway that dies in the middle is finished by the next one", async () => {
  for (let call = 5; ; call += 10) {
    const machine = machineWithAgents();
    const victim = machine.process();
    let died = false;
    const death = new Promise<void>((resolve) => {
      victim.fs.onCall = ({ index }) => {
        if (index !== call) return;
        died = true;
        victim.fs.kill();
        resolve();
      };
    });
    await Promise.race([start(victim).catch(() => {}), death]);
    const { outcomes } = await start(machine.process());
    expect(["migrated", "already_directory"]).toContain(outcomes[2]);
    expect(await machine.sessions(`${ROOT}/agents/good/sessions/sessions.d`)).toEqual({
      "agent:good:main": { sessionId: "a", updatedAt: 1 },
    });
    if (!died) break;
  }
});
