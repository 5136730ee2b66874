/**
 * Goal: a store is looked after when it is time, on both backends of a store: what is too old or too much goes, what is alive
 * stays, and the report says what happened.
 * Method: stores on the simulated disk with a clock of the test's; a legacy file stood in for by an object, for the real one is
 * tested with the whole.
 */
import { afterEach, describe, expect, it } from "vitest";
import { FileSessions } from "../../../src/openclaw/maintenance/file-sessions.js";
import {
  configureSessionMaintenance,
  resolveMaintenanceConfig,
} from "../../../src/openclaw/maintenance/config.js";
import type { SessionEntry } from "../../../src/openclaw/entry/session-entry.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { FILE } from "../../legacy/legacy-machine.js";
import { DAY, Gateway, HOUR, START } from "./maintained-gateway.js";

afterEach(() => configureSessionMaintenance(undefined));

describe.each(["directory", "legacy"] as const)("%s", (backend) => {
  it("enforces both limits and archives transcripts; the active session stays", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ active: 99, old1: 31, old2: 40, a: 1, b: 2, c: 3, d: 4 });
    const config = { pruneAfter: "30d", maxEntries: 4 };
    const report = await gateway.maintain(config, { activeSessionKey: " ACTIVE " });
    expect(gateway.errors).toEqual([]);
    expect(await gateway.keys()).toEqual(["a", "active", "b", "c"]);
    expect(report).toMatchObject({ mode: "enforce", beforeCount: 7, afterCount: 4, pruned: 2, capped: 1 });
    expect(report?.removed.map(({ key, reason }) => `${key} ${reason}`).sort()).toEqual([
      "d capped",
      "old1 pruned",
      "old2 pruned",
    ]);
    expect(gateway.transcripts()).toEqual(["id-a.jsonl", "id-active.jsonl", "id-b.jsonl", "id-c.jsonl"]);
    expect(report?.archived).toHaveLength(3);
    expect(gateway.reports).toEqual([report]);
    expect(gateway.machine.names().filter((name) => name.includes(".jsonl.deleted."))).toHaveLength(3);
  });

  it("a small store is pruned too: the age does not wait for the number", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31, fresh: 1 });
    expect(await gateway.maintain({ maxEntries: 500 })).toMatchObject({ pruned: 1, capped: 0 });
    expect(await gateway.keys()).toEqual(["fresh"]);
  });

  it("sessions without a time hide nothing behind them, and are capped first", async () => {
    const gateway = await Gateway.start(backend);
    for (let index = 0; index < 450; index++) await gateway.put(`none-${index}`, { sessionId: `n${index}` });
    await gateway.putAged({ old: 31, fresh: 1 });
    const report = await gateway.maintain({ maxEntries: 450 });
    expect(report).toMatchObject({ pruned: 1, capped: 1, afterCount: 450 });
    expect(await gateway.keys()).toContain("fresh");
    expect(await gateway.keys()).not.toContain("old");
  });

  it("never removes a running session, nor one that the owner named", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ keep: 99, named: 99, fresh: 0 });
    const updatedAt = gateway.runtime.now() - 2 * HOUR;
    await gateway.put("running", { sessionId: "r", updatedAt, status: "running" });
    await gateway.put("done", { sessionId: "d", updatedAt, status: "done" });
    const config = { pruneAfter: "1h", maxEntries: 1, preserveKeys: ["KEEP"] };
    const report = await gateway.maintain(config, { preserveKeys: ["named"] });
    expect(report?.removed.map(({ key }) => key).sort()).toEqual(["done", "fresh"]);
    expect(await gateway.keys()).toEqual(["keep", "named", "running"]);
  });

  it("keeps a transcript that another session refers to", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31, fork: 0 });
    await gateway.put("fork", {
      sessionId: "f",
      sessionFile: "id-old.jsonl",
      updatedAt: gateway.runtime.now(),
    });
    expect(await gateway.maintain({})).toMatchObject({ pruned: 1, archived: [] });
    expect(gateway.transcripts()).toContain("id-old.jsonl");
  });

  it("runs at the first write, after 100 more but not twice a second, after 30 seconds, and when it must", async () => {
    const gateway = await Gateway.start(backend);
    const due = async (force = false): Promise<boolean> =>
      (await gateway.maintain({}, { force })) !== undefined;
    expect(await due()).toBe(true);
    gateway.runtime.advance(1000);
    for (let write = 1; write < 100; write++) expect(await due()).toBe(false);
    expect(await due()).toBe(true);
    for (let write = 1; write < 1000; write++) expect(await due()).toBe(false);
    gateway.runtime.advance(1000);
    expect(await due()).toBe(true);
    expect(await due()).toBe(false);
    gateway.runtime.advance(30_000);
    expect(await due()).toBe(true);
    expect(await due()).toBe(false);
    expect(await due(true)).toBe(true);
  });

  it("does nothing unasked", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 99 });
    expect(await gateway.maintain(undefined)).toBeUndefined();
    expect(await gateway.keys()).toEqual(["old"]);
    configureSessionMaintenance({});
    expect(await gateway.maintain(undefined)).toMatchObject({ pruned: 1 });
  });
});

it("while a session cannot be read, every transcript may be its own, and none is put aside", async () => {
  const gateway = await Gateway.start("directory");
  await gateway.putAged({ old: 31 });
  const { store } = gateway;
  if (store === undefined) throw new Error("no store");
  const list = store.list.bind(store);
  const damaged = [{ key: "broken", path: "/broken/meta.json", reason: "it is torn", missing: false }];
  store.list = async (query) => ({ ...(await list(query)), damaged });
  expect(await gateway.maintain({})).toMatchObject({ pruned: 1, archived: [] });
  expect(gateway.transcripts()).toEqual(["id-old.jsonl"]);
});

it("takes no lock of a legacy file while there is nothing to remove", async () => {
  const gateway = await Gateway.start("legacy");
  await gateway.putAged({ a: 1, b: 2 });
  const { sessions } = gateway;
  const locked = new FileSessions({
    update: () => Promise.reject(new Error("locked")),
    read: () => Promise.resolve({ ...sessions }),
    version: () => Promise.resolve({}),
  });
  const options = { storePath: FILE, config: resolveMaintenanceConfig({}), force: true };
  const onError = (error: unknown): void => void gateway.errors.push(error);
  expect(await gateway.maintenance.maintain(locked, { ...options, onError })).toMatchObject({ pruned: 0 });
  await gateway.putAged({ old: 31 });
  expect(await gateway.maintenance.maintain(locked, { ...options, onError })).toBeUndefined();
  expect(gateway.errors).toMatchObject([{ message: "locked" }]);
});

it("a store of which nothing was asked is not even looked at", async () => {
  const untouchable = new FileSessions({
    update: () => Promise.reject(new Error("updated")),
    read: () => Promise.reject(new Error("read")),
    version: () => Promise.reject(new Error("version")),
  });
  const { maintenance } = await Gateway.start("legacy");
  expect(await maintenance.maintain(untouchable, { storePath: "/nowhere/sessions.json" })).toBeUndefined();
});

it("both backends remove the same sessions, for the same reasons, and report alike", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const sessions: Record<string, Partial<SessionEntry>> = {};
    for (let index = 0; index < 30; index++) {
      const updatedAt = START - Math.floor(random() * 60 * DAY) - index;
      const entry = { sessionId: `id-${index}`, updatedAt };
      const kind = Math.floor(random() * 5);
      if (kind === 0) sessions[`agent:a:telegram:group:${index}`] = entry;
      else if (kind === 1) sessions[`s${index}`] = { ...entry, status: "running", startedAt: START };
      else if (kind === 2) sessions[`s${index}`] = { ...entry, updatedAt: 0 };
      else sessions[`s${index}`] = entry;
    }
    const config = { maxEntries: 1 + Math.floor(random() * 30), preserveKeys: ["s3", "S7"] };
    const told: unknown[] = [];
    for (const backend of ["directory", "legacy"] as const) {
      for (const mode of ["warn", "enforce"] as const) {
        const gateway = await Gateway.start(backend);
        gateway.runtime.setNow(START);
        // In the order of a directory, for of two that are as old each backend takes the one that it lists first.
        for (const key of Object.keys(sessions).sort().reverse()) await gateway.put(key, sessions[key]!);
        const report = await gateway.maintain({ ...config, mode }, { activeSessionKey: "s5" });
        const removed = report?.removed.map(({ key, reason }) => `${key} ${reason}`).sort();
        told.push({ ...report, removed, warnings: gateway.warnings, keys: (await gateway.keys()).sort() });
      }
    }
    const [warned, enforced, warnedFile, enforcedFile] = told;
    expect(warnedFile, `seed ${seed}, warn`).toEqual(warned);
    expect(enforcedFile, `seed ${seed}, enforce`).toEqual(enforced);
  }
});
