/**
 * Goal: one object with every agent's sessions; a store that fails is reported and costs only its own.
 * Method: stores on the simulated disk, read by a plain reader; the reader of the library is tested with the whole.
 */
import { expect, it } from "vitest";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { closeSessionStores } from "../../../src/openclaw/access/open-stores.js";
import { migrateSessionStoreToDirectory } from "../../../src/openclaw/directory/migration.js";
import {
  combineStoresOn,
  loadCombinedSessionStoreForGateway,
  type CombinedSessionStore,
} from "../../../src/openclaw/agents/combined-store.js";
import type { AgentStoreConfig } from "../../../src/openclaw/agents/agent-config.js";
import type { SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import { LegacyMachine } from "../../legacy/legacy-machine.js";

const ROOT = "/home/state";
const agent = (name: string): string => `${ROOT}/agents/${name}/sessions/sessions.json`;

function combine(
  files: Record<string, string>,
  config: AgentStoreConfig = {},
): CombinedSessionStore & { readonly loaded: ReadonlyMap<string, SessionStoreRecord> } {
  const machine = new LegacyMachine();
  for (const [path, text] of Object.entries(files)) machine.disk.writeRaw(path, text);
  const loaded = new Map<string, SessionStoreRecord>();
  const combined = combineStoresOn(machine.process(), config, { stateDir: ROOT }, (path) => {
    const store = JSON.parse(String(machine.disk.readRaw(path))) as SessionStoreRecord;
    loaded.set(path, store);
    return store;
  });
  return { ...combined, loaded };
}

it("keys name their agent, and entries are shared, not copied", async () => {
  const { store, storePath, failures, loaded } = combine({
    [agent("main")]: '{"Main":{"sessionId":"m"},"agent:main:x":{"sessionId":"x"},"global":{"sessionId":"g"}}',
    [agent("work")]: '{"main":{"sessionId":"w","spawnedBy":"Boss"},"__proto__":{"sessionId":"p"},"  ":{}}',
  });
  expect(Object.keys(store).sort()).toEqual([
    "agent:main:main",
    "agent:main:x",
    "agent:work:__proto__",
    "agent:work:main",
    "global",
  ]);
  expect(store["agent:work:main"]).toEqual({ sessionId: "w", spawnedBy: "agent:work:boss" });
  expect(store["agent:main:x"]).toBe(loaded.get(agent("main"))?.["agent:main:x"]);
  expect({ storePath, failures }).toEqual({ storePath: "(multiple)", failures: [] });
});

it("of two entries with one key the newer counts, and fills up from the older", async () => {
  const newer = '{"agent:main:main":{"sessionId":"new","updatedAt":20}}';
  const older = '{"agent:main:main":{"sessionId":"old","updatedAt":10,"label":"kept"}}';
  for (const [first, second] of [
    [newer, older],
    [older, newer],
  ] as const) {
    const { store } = combine({ [agent("a")]: first, [agent("b")]: second });
    expect(store).toEqual({ "agent:main:main": { sessionId: "new", updatedAt: 20, label: "kept" } });
  }
});

it("a store that cannot be read is reported, the others are there", async () => {
  const { store, targets, failures, storePath } = combine({
    [agent("bad")]: '{"half":',
    [agent("good")]: '{"main":{"sessionId":"g"}}',
  });
  expect(Object.keys(store)).toEqual(["agent:good:main"]);
  expect(targets).toEqual([{ agentId: "good", storePath: agent("good") }]);
  expect(failures).toMatchObject([{ agentId: "bad", storePath: agent("bad") }]);
  expect(failures[0]?.error).toBeInstanceOf(SyntaxError);
  expect(storePath).toBe("(multiple)");
});

it("one configured store has its path", async () => {
  const files = { "/srv/one.json": '{"main":{"sessionId":"o"}}' };
  const { store, storePath } = combine(files, { session: { store: "/srv/one.json" } });
  expect(storePath).toBe("/srv/one.json");
  expect(Object.keys(store)).toEqual(["agent:main:main"]);
});

it("an agent's main session has one name", () => {
  const files = {
    [agent("ops")]:
      '{"main":{"sessionId":"m","updatedAt":2},"agent:ops:home":{"sessionId":"h","updatedAt":1,"label":"x"}}',
    [agent("b")]: '{"agent:b:child":{"sessionId":"c","spawnedBy":"main"}}',
  };
  const config = { session: { mainKey: "Home" }, agents: { list: [{ id: "ops" }, { id: "b" }] } };
  const { store } = combine(files, config);
  expect(store["agent:ops:home"]).toEqual({ sessionId: "m", updatedAt: 2, label: "x" });
  expect(store["agent:b:child"]?.spawnedBy).toBe("agent:b:home");
  const once = { [agent("ops")]: '{"agent:main:main":{"sessionId":"old"},"agent:main:x":{"sessionId":"x"}}' };
  expect(Object.keys(combine(once, config).store)).toEqual(["agent:ops:home", "agent:main:x"]);
  const global = { ...config, session: { scope: "global" as const } };
  expect(Object.keys(combine(once, { ...global, agents: { list: [{ id: "main" }] } }).store)).toContain(
    "global",
  );
});

it("a template has its own name, and one path has its sessions alone", () => {
  const files = { "/srv/main.json": '{"a":{"sessionId":"a"}}', [agent("main")]: '{"b":{"sessionId":"b"}}' };
  const template = combine(files, { session: { store: "/srv/{agentId}.json" } });
  expect(template.storePath).toBe("/srv/{agentId}.json");
  expect(Object.keys(template.store)).toEqual(["agent:main:a", "agent:main:b"]);
  const one = combine(files, { session: { store: "/srv/main.json" } });
  expect(Object.keys(one.store)).toEqual(["agent:main:a"]);
});

it("real stores: one migrated, one not, one damaged; entries are the caller's own", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "sessiondir-combined-"));
  try {
    const files = {
      directory: '{"Main":{"sessionId":"d","updatedAt":1}}',
      file: '{"Main":{"sessionId":"f","updatedAt":1}}',
      damaged: '{"Main":',
    };
    for (const [name, text] of Object.entries(files)) {
      const path = join(stateDir, "agents", name, "sessions", "sessions.json");
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      if (name === "directory") await migrateSessionStoreToDirectory(path);
    }
    const { store, failures } = loadCombinedSessionStoreForGateway({}, { stateDir });
    expect(Object.keys(store).sort()).toEqual(["agent:directory:main", "agent:file:main"]);
    expect(failures).toMatchObject([{ agentId: "damaged", error: { code: "legacy_invalid" } }]);
    store["agent:directory:main"]!.label = "mine";
    const again = loadCombinedSessionStoreForGateway({}, { stateDir });
    expect(again.store["agent:directory:main"]).toEqual({ sessionId: "d", updatedAt: 1 });
  } finally {
    await closeSessionStores();
    rmSync(stateDir, { recursive: true });
  }
});
