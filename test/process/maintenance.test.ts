/**
 * Goal: a session that somebody uses while others remove old ones is never lost, and gateways may all start at once.
 * Method: four real processes on a store full of old sessions, each with maintenance on; they use random ones of them, and what
 * they were promised is compared with what is there at the end.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { closeSessionStores, loadSessionStore, updateSessionStore } from "../../src/openclaw/index.js";
import { resolveMaintenanceConfig } from "../../src/openclaw/maintenance/config.js";
import { start } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const PROGRAMS = fileURLToPath(new URL("../openclaw/maintenance/programs", import.meta.url));
const PROCESSES = 4;
const OLD = Date.now() - 40 * 86_400_000;

it.each([
  ["a directory", { migrates: true, sessions: 600, rounds: 300 }],
  ["a legacy file", { migrates: false, sessions: 200, rounds: 40 }],
])("in %s", async (_, { migrates, sessions, rounds }) => {
  const stateDir = temporaryFolder();
  const storePath = join(stateDir, "agents", "main", "sessions", "sessions.json");
  mkdirSync(dirname(storePath), { recursive: true });
  const keys = Array.from({ length: sessions }, (__, index) => `agent:main:cron:${index}`);
  const entries = keys.map((key, index) => [key, { sessionId: `s${index}`, updatedAt: OLD + index }]);
  writeFileSync(storePath, JSON.stringify(Object.fromEntries(entries)));
  for (const index of keys.keys()) writeFileSync(join(dirname(storePath), `s${index}.jsonl`), "");

  const order = { stateDir, storePath, migrates, keys, rounds };
  const children = Array.from({ length: PROCESSES }, () => start("reviving", order, { programs: PROGRAMS }));
  const started = await Promise.all(children.map((child) => child.next("started")));
  const outcomes = started.flatMap((message) => message["outcomes"] as string[]);
  if (migrates) {
    expect(outcomes).toHaveLength(PROCESSES);
    expect(outcomes.filter((outcome) => outcome !== "migrated" && outcome !== "already_directory")).toEqual(
      [],
    );
  }
  for (const child of children) child.say({ event: "go" });
  const promised = new Map<string, number>();
  for (const child of children) {
    const { revived } = (await child.next("done")) as unknown as { revived: Record<string, number> };
    for (const [key, count] of Object.entries(revived)) promised.set(key, (promised.get(key) ?? 0) + count);
    await child.finished();
  }

  // What was promised is there, as often as it was; everything else was removed, at the latest by one more run.
  const maintenanceConfig = resolveMaintenanceConfig({ maxEntries: false });
  await updateSessionStore(
    storePath,
    (store) => void (store["agent:main:main"] = { sessionId: "m", updatedAt: Date.now() }),
    {
      maintenanceConfig,
      maintenanceOverride: {},
    },
  );
  const store = loadSessionStore(storePath);
  const found = Object.fromEntries(Object.entries(store).map(([key, entry]) => [key, entry["revivals"]]));
  expect(found).toEqual({ ...Object.fromEntries(promised), "agent:main:main": undefined });
  const kept = readdirSync(dirname(storePath)).filter((name) => name.endsWith(".jsonl"));
  expect(kept.sort()).toEqual([...promised.keys()].map((key) => `s${key.split(":").at(-1)}.jsonl`).sort());
  expect(promised.size).toBeGreaterThan(0);
  expect(promised.size).toBeLessThan(sessions);
  await closeSessionStores();
});
