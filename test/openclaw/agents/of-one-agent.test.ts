/**
 * Goal: what a gateway asks about one agent is answered from that agent's stores, migrated or not: where replies to a session
 * go, and that its sessions are gone when it is.
 * Method: state directories in the temporary folder, on both backends.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  closeSessionStores,
  configureSessionStores,
  extractDeliveryInfo,
  loadSessionStore,
  migrateSessionStoreToDirectory,
  purgeAgentSessionStoreEntries,
} from "../../../src/openclaw/index.js";
import { BACKENDS } from "../support/gateway-folder.js";

async function stateDirectory(backend: string, stores: Record<string, object>): Promise<string> {
  const stateDir = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-agents-")));
  onTestFinished(async () => {
    await closeSessionStores();
    configureSessionStores({ onWarning: undefined });
    rmSync(stateDir, { recursive: true });
  });
  for (const [name, sessions] of Object.entries(stores)) {
    const path = join(stateDir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(sessions));
    if (backend === "directory") await migrateSessionStoreToDirectory(path);
  }
  return stateDir;
}

const sessionsOf = (agent: string): string => `agents/${agent}/sessions/sessions.json`;
const entry = (fields: object = {}) => ({ sessionId: "s", updatedAt: 1, ...fields });

describe.each(BACKENDS)("in a %s", (backend) => {
  it("a session has its route, a thread or topic without one that of its conversation", async () => {
    const room = { lastChannel: "slack", lastTo: "C1", lastAccountId: "one" };
    const stateDir = await stateDirectory(backend, {
      [sessionsOf("work")]: {
        "agent:work:slack:channel:c1": entry(room),
        "agent:work:slack:channel:c1:thread:1.5": entry({ lastThreadId: "1.5" }),
        "agent:work:telegram:group:-1": entry({ lastChannel: "telegram", lastTo: "-1", lastThreadId: 7 }),
        "agent:work:nowhere": entry({ lastChannel: "slack" }),
      },
      [sessionsOf("main")]: { "agent:main:main": entry({ lastChannel: "telegram", lastTo: "5" }) },
    });
    const ask = (key: string | undefined) => extractDeliveryInfo(key, { stateDir });
    const route = { channel: "slack", to: "C1", accountId: "one" };
    expect(ask("agent:work:slack:channel:c1")).toEqual({ deliveryContext: route, threadId: undefined });
    expect(ask("Agent:Work:Slack:Channel:C1:Thread:1.5")).toEqual({
      deliveryContext: route,
      threadId: "1.5",
    });
    expect(ask("agent:work:telegram:group:-1:topic:9")).toEqual({
      deliveryContext: { channel: "telegram", to: "-1", threadId: "7" },
      threadId: "9",
    });
    expect(ask("main").deliveryContext).toEqual({ channel: "telegram", to: "5" });
    for (const key of ["agent:work:nowhere", "agent:none:x", "  ", undefined])
      expect(ask(key)).toEqual({ deliveryContext: undefined, threadId: undefined });
  });

  it("a deleted agent's sessions go, of a store that it shares no others", async () => {
    const stateDir = await stateDirectory(backend, {
      "one.json": { "agent:work:a": entry(), "agent:main:a": entry(), a: entry(), global: entry() },
      [sessionsOf("work")]: { a: entry(), "agent:work:b": entry(), global: entry() },
    });
    const store = join(stateDir, "one.json");
    const config = { session: { store }, agents: { list: [{ id: "main" }, { id: "work" }] } };
    await purgeAgentSessionStoreEntries(config, "Work", { stateDir });
    expect(Object.keys(loadSessionStore(store)).sort()).toEqual(["a", "agent:main:a", "global"]);
    await purgeAgentSessionStoreEntries({}, "work", { stateDir });
    expect(Object.keys(loadSessionStore(join(stateDir, sessionsOf("work"))))).toEqual(["global"]);
  });
});

it("a store that cannot be purged is a warning", async () => {
  const stateDir = await stateDirectory("legacy file", {});
  const path = join(stateDir, sessionsOf("work"));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "{");
  const warnings: string[] = [];
  configureSessionStores({ onWarning: ({ message }) => warnings.push(message) });
  await purgeAgentSessionStoreEntries({}, "work", { stateDir });
  expect(warnings).toEqual([expect.stringContaining(path)]);
});
