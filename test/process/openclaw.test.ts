/**
 * Goal: gateway processes that change overlapping sessions by OpenClaw's functions lose nothing and count nothing twice: on a
 * directory, on a `sessions.json`, while it is being migrated, and when some of them are killed.
 * Method: four processes; each says what it is about to add and what it was promised. In the end the sums must agree, but for
 * at most the one update that each killed process had under way.
 */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { migrateLegacyStore } from "../../src/legacy/migrate.js";
import { closeSessionStores, loadSessionStore, normalizeStoreSessionKey } from "../../src/openclaw/index.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { until } from "./support/until.js";

const SESSIONS = 6;
const WORKERS = 4;

interface Scene {
  readonly storePath: string;
  readonly children: Child[];
}

interface Work {
  readonly updates?: number;
  readonly thinkingMsMax?: number;
  readonly closes?: boolean;
}

function scene(settings: object, work: Work): Scene {
  const storePath = join(temporaryFolder(), "sessions.json");
  const skillsSnapshot = { prompt: "skill ".repeat(2000), skills: [] };
  const sessions = Object.fromEntries(
    Array.from({ length: SESSIONS }, (_, n) => [
      `agent:main:s${n}`,
      { sessionId: `id-${n}`, updatedAt: 1, totalTokens: 0, skillsSnapshot },
    ]),
  );
  writeFileSync(storePath, JSON.stringify(sessions), { mode: 0o600 });
  const children = Array.from({ length: WORKERS }, (_, n) => startWorker(storePath, n, settings, work));
  return { storePath, children };
}

function startWorker(storePath: string, n: number, settings: object, work: Work): Child {
  const given = { durability: "os", lockWaitMsMax: 120_000, ...settings };
  return start("openclaw-updating", {
    storePath,
    name: `w${n}`,
    seed: 100 + n,
    ...work,
    sessions: SESSIONS,
    settings: given,
  });
}

/** What all were promised, and how much those that were killed had under way. */
function accountOf(children: readonly Child[]): { promised: number; open: number } {
  let promised = 0;
  let open = 0;
  for (const { messages } of children) {
    const done = messages.filter(({ event }) => event === "promised");
    const begun = messages.filter(({ event }) => event === "begins");
    promised += done.reduce((sum, { adds }) => sum + Number(adds), 0);
    for (const { adds } of begun.slice(done.length)) open += Number(adds);
  }
  return { promised, open };
}

async function countedIn(storePath: string): Promise<number> {
  const store = loadSessionStore(storePath);
  const sum = Object.values(store).reduce((total, { totalTokens = 0 }) => total + totalTokens, 0);
  await closeSessionStores();
  return sum;
}

function promisesOf(children: readonly Child[]): number {
  return children.reduce(
    (n, { messages }) => n + messages.filter(({ event }) => event === "promised").length,
    0,
  );
}

/** As the command line does it: from outside, without any lock, again if the writers were too busy. */
async function migrate(storePath: string): Promise<void> {
  await until(async () => {
    const { outcome } = await migrateLegacyStore(storePath, { normalizeKey: normalizeStoreSessionKey });
    return outcome === "migrated" || outcome === "merged" || outcome === "already_directory";
  });
}

describe("four gateway processes", () => {
  it("lose no update of a directory", async () => {
    const { storePath, children } = scene({ migrate: "on-open" }, { updates: 600 });
    await Promise.all(children.map((child) => child.finished()));
    const { promised } = accountOf(children);
    expect(promised).toBe(WORKERS * 600);
    expect(await countedIn(storePath)).toBe(promised);
    expect(existsSync(storePath)).toBe(false);
  });

  it.each([{}, { mirror: true }])("end by themselves, without closing anything: %j", async (settings) => {
    const { storePath, children } = scene(
      { migrate: "on-write", ...settings },
      { updates: 10, closes: false },
    );
    await Promise.all(children.map((child) => child.finished()));
    expect(await countedIn(storePath)).toBe(accountOf(children).promised);
  });

  it("lose no update of a sessions.json", async () => {
    const { storePath, children } = scene({}, { updates: 60 });
    await Promise.all(children.map((child) => child.finished()));
    const { promised } = accountOf(children);
    expect(promised).toBe(WORKERS * 60);
    expect(await countedIn(storePath)).toBe(promised);
    expect(readdirSync(join(storePath, ".."))).toEqual(["sessions.json"]);
  });

  it.each([1, 2, 3])("lose no update while somebody else migrates the store (%i)", async () => {
    // A migration from outside needs a moment in which nobody writes.
    const { storePath, children } = scene({}, { thinkingMsMax: 200 });
    await until(() => promisesOf(children) > 20);
    await migrate(storePath);
    const before = promisesOf(children);
    await until(() => promisesOf(children) > before + 100);
    for (const child of children) child.say({ event: "stop" });
    await Promise.all(children.map((child) => child.finished()));
    expect(await countedIn(storePath)).toBe(accountOf(children).promised);
    expect(existsSync(storePath)).toBe(false);
  });

  it("lose no update when the first write of any of them migrates the store", async () => {
    const { storePath, children } = scene({ migrate: "on-write" }, { updates: 150 });
    await Promise.all(children.map((child) => child.finished()));
    const { promised } = accountOf(children);
    expect(promised).toBe(WORKERS * 150);
    expect(await countedIn(storePath)).toBe(promised);
  });

  it("lose no update of a sessions.json when some of them are killed, and nobody waits for the dead", async () => {
    const { storePath, children } = scene({}, { updates: 60 });
    for (let kill = 0; kill < 6; kill++) {
      const goal = promisesOf(children) + 12;
      await until(() => promisesOf(children) >= goal || children.every(({ ending }) => ending !== undefined));
      const victim = children.find(({ ending }, n) => ending === undefined && n % WORKERS === kill % WORKERS);
      if (victim === undefined) continue;
      victim.signal("SIGKILL");
      await victim.ended;
      children.push(startWorker(storePath, WORKERS + kill, {}, { updates: 30 }));
    }
    const endings = await Promise.all(children.map(({ ended }) => ended));
    for (const { code, signal, stderr } of endings)
      expect([code === 0 || signal === "SIGKILL", stderr]).toEqual([true, ""]);
    const { promised, open } = accountOf(children);
    const counted = await countedIn(storePath);
    expect(counted).toBeGreaterThanOrEqual(promised);
    expect(counted).toBeLessThanOrEqual(promised + open);
  });
});
