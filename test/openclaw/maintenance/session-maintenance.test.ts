/**
 * Goal: a store is looked after when it is time, on both backends of a store: what is too old or too much goes, what is alive
 * stays, and the report says what happened.
 * Method: stores on the simulated disk with a clock of the test's; other processes that touch sessions in between; a legacy
 * file stood in for by an object, for the real one is tested with the whole.
 */
import { afterEach, describe, expect, it } from "vitest";
import { DirectorySessions } from "../../../src/openclaw/maintenance/directory-sessions.js";
import { FileSessions } from "../../../src/openclaw/maintenance/file-sessions.js";
import type { MaintainedStore } from "../../../src/openclaw/maintenance/maintained-store.js";
import type { SessionMaintenanceWarning } from "../../../src/openclaw/maintenance/policy.js";
import {
  SessionMaintenance,
  type MaintainOptions,
  type SessionMaintenanceReport,
} from "../../../src/openclaw/maintenance/session-maintenance.js";
import {
  configureSessionMaintenance,
  resolveMaintenanceConfig,
  type SessionMaintenanceConfig,
} from "../../../src/openclaw/maintenance/config.js";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { DIRECTORY, FILE, killAtEveryChange, LegacyMachine } from "../../legacy/legacy-machine.js";

/** In milliseconds since 1970. */
const START = 1_795_200_000_000;
const DAY = 86_400_000;
const HOUR = 3_600_000;

/** One gateway process and its store, on one of the two backends. */
class Gateway {
  readonly reports: SessionMaintenanceReport[] = [];
  readonly warnings: SessionMaintenanceWarning[] = [];
  readonly errors: unknown[] = [];

  private constructor(
    readonly machine: LegacyMachine,
    readonly fs: SimulatedFileSystem,
    readonly runtime: ManualRuntime,
    readonly maintenance: SessionMaintenance,
    readonly target: MaintainedStore,
    readonly put: (key: string, entry: Partial<SessionEntry>) => Promise<void>,
    readonly keys: () => Promise<string[]>,
    readonly store: DirectorySessionStore<SessionEntry> | undefined,
    /** What a legacy file has. */
    readonly sessions: Readonly<SessionStoreRecord> = {},
  ) {}

  static async start(backend: "directory" | "legacy", machine = new LegacyMachine()): Promise<Gateway> {
    const host = machine.process();
    const maintenance = new SessionMaintenance(host);
    if (backend === "directory") {
      const { fs, runtime } = host;
      const store = await openDirectoryStoreOn<SessionEntry>(fs, runtime, DIRECTORY, { durability: "os" });
      const keys = async (): Promise<string[]> => (await store.list()).sessions.map(({ key }) => key);
      const put = async (key: string, entry: Partial<SessionEntry>): Promise<void> =>
        void (await store.put(key, entry as SessionEntry));
      const target = new DirectorySessions(store);
      return new Gateway(machine, fs, runtime, maintenance, target, put, keys, store);
    }
    const sessions = Object.create(null) as SessionStoreRecord;
    const target = new FileSessions({
      update: (change) => change(sessions),
      read: () => Promise.resolve({ ...sessions }),
      version: () => Promise.resolve({}),
    });
    const put = (key: string, entry: Partial<SessionEntry>): Promise<void> => {
      sessions[key] = entry as SessionEntry;
      return Promise.resolve();
    };
    const keys = (): Promise<string[]> => Promise.resolve(Object.keys(sessions).sort());
    return new Gateway(machine, host.fs, host.runtime, maintenance, target, put, keys, undefined, sessions);
  }

  /** @param ages In days, by key. */
  async putAged(ages: Readonly<Record<string, number>>): Promise<void> {
    for (const [key, days] of Object.entries(ages)) {
      await this.put(key, { sessionId: `id-${key}`, updatedAt: this.runtime.now() - days * DAY });
      this.machine.disk.writeRaw(`/home/sessions/id-${key}.jsonl`, key);
    }
  }

  maintain(
    config: SessionMaintenanceConfig | undefined,
    options: Partial<MaintainOptions> = {},
  ): Promise<SessionMaintenanceReport | undefined> {
    return this.maintenance.maintain(this.target, {
      storePath: FILE,
      config: config && resolveMaintenanceConfig(config),
      onMaintenanceApplied: (report) => void this.reports.push(report),
      onWarn: (warning) => void this.warnings.push(warning),
      onError: (error) => void this.errors.push(error),
      ...options,
    });
  }

  transcripts(): string[] {
    return this.machine
      .names()
      .filter((name) => name.endsWith(".jsonl"))
      .sort();
  }
}

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

  it("warn: removes nothing, and says what would be, and of the active session", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ active: 31, old: 40, a: 1, b: 2 });
    const config = { mode: "warn", maxEntries: 2 } as const;
    const report = await gateway.maintain(config, { activeSessionKey: "active" });
    expect(report).toMatchObject({
      mode: "warn",
      beforeCount: 4,
      afterCount: 4,
      pruned: 0,
      capped: 0,
      stale: 2,
      removed: [],
    });
    expect(gateway.warnings).toEqual([
      {
        activeSessionKey: "active",
        activeUpdatedAt: gateway.runtime.now() - 31 * DAY,
        totalEntries: 4,
        pruneAfterMs: 30 * DAY,
        maxEntries: 2,
        wouldPrune: true,
        wouldCap: true,
      },
    ]);
    expect(await gateway.keys()).toHaveLength(4);
    expect(gateway.transcripts()).toHaveLength(4);
    await gateway.maintain(config, { activeSessionKey: "a", force: true });
    expect(gateway.warnings).toHaveLength(1);
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

  it("a clock that jumps ahead removes nothing by age, until it has been put right or an hour has passed", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ a: 1, b: 2, old: 31 });
    const right = gateway.runtime.now();
    gateway.runtime.setNow(right + 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.advance(HOUR / 2);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.setNow(right + HOUR / 2);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 1, clockUnsteady: false });
    gateway.runtime.setNow(right - 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: false });
    gateway.runtime.setNow(right + 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.advance(HOUR);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 2 });
  });

  it("a number that is no limit is a TypeError, before anything happens", async () => {
    const gateway = await Gateway.start(backend);
    const config = { ...resolveMaintenanceConfig({}), maxEntries: NaN };
    expect(() => gateway.maintain(undefined, { config })).toThrow(TypeError);
  });

  it("what goes wrong fails no write: it is told, and the next run tries again", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31 });
    const onMaintenanceApplied = (): never => {
      throw new Error("the gateway's own mistake");
    };
    expect(await gateway.maintain({}, { onMaintenanceApplied })).toBeUndefined();
    expect(gateway.errors).toMatchObject([{ message: "the gateway's own mistake" }]);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ beforeCount: 0 });
  });

  it("a transcript that cannot be renamed is told, and the sessions that went are reported all the same", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31 });
    gateway.fs.onCall = (call) => {
      if (call.name === "rename" && String(call.args[0]).endsWith(".jsonl"))
        throw systemError("EACCES", call);
    };
    expect(await gateway.maintain({})).toMatchObject({ pruned: 1, archived: [] });
    expect(gateway.errors).toMatchObject([{ code: "EACCES" }]);
    expect(gateway.transcripts()).toEqual(["id-old.jsonl"]);
  });

  it("calls at the same time take turns", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old1: 31, old2: 32 });
    const [first, second, third] = await Promise.all([
      gateway.maintain({}),
      gateway.maintain({}, { force: true }),
      gateway.maintain({}),
    ]);
    expect([first?.pruned, second?.pruned, third]).toEqual([2, 0, undefined]);
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

describe("several processes", () => {
  it("a session that somebody touches between the look and the removal is alive", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged({ old1: 31, old2: 32, old3: 33 });
    const other = await Gateway.start("directory", gateway.machine);
    const { store } = gateway;
    if (store === undefined) throw new Error("no store");
    const list = store.list.bind(store);
    store.list = async (query) => {
      const page = await list(query);
      if (query?.updatedBefore !== undefined)
        await other.store?.patch("old2", { updatedAt: other.runtime.now() });
      return page;
    };
    expect(await gateway.maintain({})).toMatchObject({ pruned: 2 });
    expect(await gateway.keys()).toEqual(["old2"]);
    expect(gateway.transcripts()).toEqual(["id-old2.jsonl"]);
  });

  it("that cap at the same time remove no more than one of them would", async () => {
    const gateway = await Gateway.start("directory");
    const ages = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`s${index}`, index / 100]));
    await gateway.putAged(ages);
    const others = await Promise.all([1, 2, 3].map(() => Gateway.start("directory", gateway.machine)));
    const reports = await Promise.all([gateway, ...others].map((one) => one.maintain({ maxEntries: 50 })));
    expect(reports.reduce((sum, report) => sum + (report?.capped ?? 0), 0)).toBe(250);
    expect((await gateway.keys()).sort()).toEqual(
      Array.from({ length: 50 }, (_, index) => `s${index}`).sort(),
    );
    expect(gateway.transcripts()).toHaveLength(50);
  });

  it("one that capped before the other has counted leaves nothing to remove", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`s${index}`, index])));
    const other = await Gateway.start("directory", gateway.machine);
    const { store } = gateway;
    if (store === undefined) throw new Error("no store");
    const list = store.list.bind(store);
    let meanwhile = false;
    store.list = async (query) => {
      if (!meanwhile && query?.updatedBefore === undefined && query?.orderBy === "updatedAt") {
        meanwhile = true;
        await other.maintain({ maxEntries: 10 });
      }
      return list(query);
    };
    expect(await gateway.maintain({ maxEntries: 10 })).toMatchObject({ capped: 0, afterCount: 10 });
  });

  it("a store that is closed in the middle is no error", async () => {
    const gateway = await Gateway.start("directory");
    await gateway.putAged({ old: 31 });
    const running = gateway.maintain({});
    await gateway.store?.close();
    await running;
    expect(gateway.errors).toEqual([]);
  });
});

it("killed anywhere, with the power lost too, no live session and no transcript is lost, and the next run finishes", async () => {
  const live = { sessionId: "live", updatedAt: 1_795_200_000_000 };
  const old = [1, 2, 3].map((index) => ({ sessionId: `old${index}`, updatedAt: index }));
  const run = async (host: LegacyHost): Promise<void> => {
    const store = await openDirectoryStoreOn<SessionEntry>(host.fs, host.runtime, DIRECTORY);
    const options = { storePath: FILE, config: resolveMaintenanceConfig({}), force: true };
    const sessions = new DirectorySessions(store);
    await new SessionMaintenance(host).maintain(sessions, { ...options, onError: () => {} });
    await store.close();
  };
  const transcriptsOf = (machine: LegacyMachine, id: string): string[] =>
    machine.names().filter((name) => name.startsWith(`${id}.jsonl`));
  const changes = await killAtEveryChange(
    async () => {
      const machine = new LegacyMachine();
      const { fs, runtime } = machine.process();
      const store = await openDirectoryStoreOn<SessionEntry>(fs, runtime, DIRECTORY);
      for (const entry of [live, ...old]) {
        await store.put(entry.sessionId, entry);
        machine.disk.writeRaw(`/home/sessions/${entry.sessionId}.jsonl`, entry.sessionId);
      }
      await store.close();
      return machine;
    },
    run,
    async (machine, at) => {
      const found = (await machine.sessions()) ?? {};
      expect(found["live"], at).toEqual(live);
      expect(transcriptsOf(machine, "live"), at).toEqual(["live.jsonl"]);
      for (const { sessionId } of old) {
        // A power cut may leave a file under both its names.
        const names = transcriptsOf(machine, sessionId);
        expect(names.length, `${at}: ${sessionId}`).toBeGreaterThan(0);
        if (sessionId in found) expect(names, at).toEqual([`${sessionId}.jsonl`]);
      }
      await run(machine.process());
      expect(Object.keys((await machine.sessions()) ?? {}), at).toEqual(["live"]);
    },
    "random",
  );
  expect(changes).toBeGreaterThan(20);
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
