/** A gateway process whose sessions are looked after, on one of the two backends of a store. */
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import {
  resolveMaintenanceConfig,
  type SessionMaintenanceConfig,
} from "../../../src/openclaw/maintenance/config.js";
import { DirectorySessions } from "../../../src/openclaw/maintenance/directory-sessions.js";
import { FileSessions } from "../../../src/openclaw/maintenance/file-sessions.js";
import type { MaintainedStore } from "../../../src/openclaw/maintenance/maintained-store.js";
import type { SessionMaintenanceWarning } from "../../../src/openclaw/maintenance/policy.js";
import {
  SessionMaintenance,
  type MaintainOptions,
  type SessionMaintenanceReport,
} from "../../../src/openclaw/maintenance/session-maintenance.js";
import type { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { DIRECTORY, FILE, LegacyMachine } from "../../legacy/legacy-machine.js";

/** In milliseconds since 1970. */
export const START = 1_795_200_000_000;
export const DAY = 86_400_000;
export const HOUR = 3_600_000;

/** One gateway process and its store, on one of the two backends. */
export class Gateway {
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
