/**
 * Goal: backups that are made beside writers verify, restore, and are a prefix of the log; the writers hardly notice; one that is
 * killed costs nothing but itself.
 * Method: the built program, in processes of its own, beside four writers that number their commits; what each restored store
 * shows is compared with the revisions that the store itself gives in the end. SESSIONDIR_BACKUP_SECONDS says how long.
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { createBackup, listBackups, restoreBackup, verifyBackups } from "../../src/backup/index.js";
import { examineStore } from "../../src/doctor/index.js";
import { openDirectoryStore, type SessionStore } from "../../src/index.js";
import { many } from "../support/thoroughness.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder, temporaryFolderForMany } from "./support/temporary-folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const SECONDS = Number(process.env["SESSIONDIR_BACKUP_SECONDS"] ?? many(20, 6));
const WRITERS = 4;
const SESSIONS = Number(process.env["SESSIONDIR_BACKUP_SESSIONS"] ?? many(30_000, 10_000));

type Entry = Record<string, unknown>;

function keysOf(slot: number): readonly [string, string] {
  return [`writer:${slot}:a`, `writer:${slot}:b`];
}

async function startWriters(path: string, options: object): Promise<Child[]> {
  const writers = Array.from({ length: WRITERS }, (_, slot) =>
    start("numbering", { path, slot, pauseMs: 5, options }),
  );
  for (const writer of writers) await writer.next("ready");
  return writers;
}

/** @returns When each commit began, and how long it took: milliseconds. */
async function stopWriters(writers: readonly Child[]): Promise<[at: number, ms: number][]> {
  for (const writer of writers) writer.say({ event: "stop" });
  const endings = await Promise.all(writers.map((writer) => writer.next("ended")));
  return endings.flatMap((ending) => ending["times"] as [number, number][]);
}

/** Revisions of each writer's commits, in order. */
async function revisionsIn(path: string): Promise<number[][]> {
  const store = await openDirectoryStore<Entry>(path, { readOnly: true });
  const all: number[][] = [];
  for (let slot = 0; slot < WRITERS; slot++) {
    const revisions: number[] = [];
    for await (const { revision } of store.iterateItems(keysOf(slot)[0])) revisions.push(revision);
    all.push(revisions);
  }
  await store.close();
  return all;
}

/** Exactly the commits up to the store's revision, each whole. */
async function expectPrefix(path: string, revisions: readonly (readonly number[])[]): Promise<number> {
  const store = await openDirectoryStore<Entry>(path, { readOnly: true });
  const { revision } = await store.stats();
  let commits = 0;
  for (const [slot, all] of revisions.entries()) {
    const expected = all.filter((one) => one <= revision).length;
    commits += expected;
    for (const key of keysOf(slot)) {
      const entry = await store.get(key);
      expect(entry?.["n"] ?? 0, `${key} at ${revision}`).toBe(expected);
      if (expected > 0) expect(entry?.["shared"]).toBe("s".repeat(5000) + String(expected % 5));
      let n = 0;
      for await (const { item } of store.iterateItems<{ n: number }>(key)) expect(item.n).toBe(++n);
      expect(n, `${key} at ${revision}`).toBe(expected);
    }
  }
  await store.close();
  return commits;
}

function p99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

it(
  `a backup every second for ${SECONDS} s beside ${WRITERS} writers`,
  async () => {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    const backups = join(folder, "backups");
    await (await openDirectoryStore(path)).close();
    // Small segments, so that many are sealed and checkpointed beside the backups.
    const writers = await startWriters(path, { segmentBytes: 256 * 1024, flushDelayMs: 100 });
    await setTimeout(SECONDS * 1000);
    const began = Date.now();
    const args = [
      "backup",
      "run",
      "--store",
      path,
      "--backups",
      backups,
      "--every",
      "1s",
      "--times",
      String(SECONDS),
      "--json",
    ];
    const ended = await runProgram(args);
    const stopped = Date.now();
    const times = await stopWriters(writers);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const made = ended.stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { backup?: { name: string } }).backup?.name);
    expect(made.filter((name) => name !== undefined)).toHaveLength(SECONDS);

    const report = await verifyBackups(backups);
    expect(report.good).toBe(true);
    const revisions = await revisionsIn(path);
    const seen = new Set<number>();
    for (const name of made) {
      const to = join(folder, "restored", String(name));
      await restoreBackup(backups, to, { name });
      const { verdict, findings } = await examineStore(to, { level: "deep", settleMs: 0 });
      expect(findings.filter(({ severity }) => severity !== "note")).toEqual([]);
      expect(verdict).toBe("healthy");
      seen.add(await expectPrefix(to, revisions));
    }
    expect(seen.size).toBeGreaterThan(SECONDS / 2);

    const without = times.filter(([at]) => at < began).map(([, ms]) => ms);
    const beside = times.filter(([at]) => at >= began && at < stopped).map(([, ms]) => ms);
    expect(beside.length).toBeGreaterThan(50);
    if (process.env["SESSIONDIR_BACKUP_FIGURES"] !== undefined) {
      const figures = {
        without: p99(without),
        beside: p99(beside),
        commits: [without.length, beside.length],
      };
      process.stderr.write(`${JSON.stringify(figures)}\n`);
    }
  },
  SECONDS * 10_000 + 60_000,
);

it(`${SESSIONS} sessions: a backup after 1 % changed writes at most 3 % of the bytes`, async () => {
  const folder = temporaryFolderForMany();
  const path = join(folder, "sessions.d");
  const backups = join(folder, "backups");
  const put = async (
    store: SessionStore<Entry>,
    from: number,
    step: number,
    version: number,
  ): Promise<void> => {
    const some: Promise<unknown>[] = [];
    for (let n = from; n < SESSIONS; n += step) {
      const entry = { sessionId: `id-${n}`, updatedAt: 1_795_000_000_000 + n, version };
      some.push(
        store.put(`agent:main:telegram:direct:${n}`, { ...entry, text: `${n}${version} `.repeat(50) }),
      );
      if (some.length === 500) await Promise.all(some.splice(0));
    }
    await Promise.all(some);
  };
  const store = await openDirectoryStore<Entry>(path, { durability: "os" });
  await put(store, 0, 1, 0);
  await store.checkpoint();
  const first = await createBackup(path, backups);
  expect(first.sessions).toBe(SESSIONS);
  const before = bytesIn(backups);
  await put(store, 0, 100, 1);
  await createBackup(path, backups);
  const changed = bytesIn(backups);
  expect(changed - before).toBeLessThanOrEqual(first.bytes * 0.03);
  await put(store, 50, 100, 1);
  await store.checkpoint();
  await store.close();
  await createBackup(path, backups);
  expect(bytesIn(backups) - changed).toBeLessThanOrEqual(first.bytes * 0.03);
  if (process.env["SESSIONDIR_BACKUP_FIGURES"] !== undefined) {
    const shares = [changed - before, bytesIn(backups) - changed].map((bytes) => bytes / first.bytes);
    process.stderr.write(`${JSON.stringify({ bytes: first.bytes, shares })}\n`);
  }
}, 900_000);

function bytesIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function runProgram(args: readonly string[], killAfterMs?: number): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
  if (killAfterMs !== undefined) {
    await setTimeout(killAfterMs);
    child.kill("SIGKILL");
  }
  return { code: await closed, stdout, stderr };
}

it("killed at any moment, the backups before it stay good, and the next one is made", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "sessions.d");
  const backups = join(folder, "backups");
  const store = await openDirectoryStore<Entry>(path, { segmentBytes: 64 * 1024 });
  let n = 0;
  const write = async (): Promise<void> => {
    for (let index = 0; index < 40; index++)
      await store.transact(async (transaction) => {
        n++;
        for (const key of keysOf(0)) {
          await transaction.put(key, { n, shared: "s".repeat(5000) + String(n % 5) });
          await transaction.append(key, [{ n }]);
          await transaction.put(`${key}:${index}`, { n, text: "t".repeat(2000) });
        }
      });
  };
  await write();
  const first = await createBackup(path, backups);
  const args = ["backup", "create", "--store", path, "--backups", backups];
  let killed = 0;
  const whole = performance.now();
  expect(spawnSync(process.execPath, [MAIN, ...args]).status).toBe(0);
  const tookMs = performance.now() - whole;
  const rounds = many(40, 10);
  for (let round = 0; round < rounds; round++) {
    await write();
    const { code } = await runProgram(args, (tookMs * (round + 1)) / rounds);
    if (code === null) killed++;
  }
  await store.close();
  expect(killed).toBeGreaterThan(rounds / 4);
  const last = await createBackup(path, backups);
  const { backups: listed, attempts } = await listBackups(backups);
  expect(listed.map(({ name }) => name)).toEqual(expect.arrayContaining([first.name, last.name]));
  expect(
    attempts.filter(({ what, outcome }) => what === "create" && outcome === "done").length,
  ).toBeLessThanOrEqual(listed.length);
  expect((await verifyBackups(backups)).good).toBe(true);
  const revisions = await revisionsIn(path);
  for (const { name } of listed) {
    const to = join(folder, "restored", name);
    await restoreBackup(backups, to, { name });
    await expectPrefix(to, [revisions[0] ?? []]);
  }
});
