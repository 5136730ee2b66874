/**
 * A sessions folder as a gateway has it, in the system's temporary folder, on either backend; gone when the test ends, with every
 * store that the test has opened.
 */
import {
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
  existsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { migrateLegacyStore } from "../../../src/legacy/migrate.js";
import { openDirectoryStore } from "../../../src/store/open.js";
import {
  closeSessionStores,
  configureSessionStores,
  loadSessionStore,
  normalizeStoreSessionKey,
} from "../../../src/openclaw/index.js";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";

/** Both backends that a store can have: every behaviour is tested on both. */
export const BACKENDS = ["directory", "legacy file"] as const;
export type BackendKind = (typeof BACKENDS)[number];

export interface GatewayFolder {
  readonly folder: string;
  /** `…/sessions.json`. */
  readonly storePath: string;
  readonly backend: BackendKind;
  /** What lies there, read past the layer under test: by key as stored. */
  stored(): Promise<Record<string, SessionEntry>>;
  /** Changes with every write of any session. */
  version(): Promise<string>;
}

/** @param sessions What is there at first. Keys stay as they are, on both backends. */
export async function gatewayFolder(
  backend: BackendKind,
  sessions: Readonly<Record<string, unknown>> = {},
): Promise<GatewayFolder> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-openclaw-")));
  const storePath = join(folder, "sessions.json");
  configureSessionStores({ durability: "os" });
  onTestFinished(async () => {
    await closeSessionStores();
    configureSessionStores({
      migrate: undefined,
      mirror: undefined,
      durability: undefined,
      lockWaitMsMax: undefined,
      onWarning: undefined,
    });
    rmSync(folder, { recursive: true, force: true });
  });
  if (backend === "legacy file") {
    writeFileSync(storePath, JSON.stringify(sessions, null, 2));
    return {
      folder,
      storePath,
      backend,
      stored: async () => JSON.parse(readFileSync(storePath, "utf8")) as Record<string, SessionEntry>,
      version: async () => {
        const { ino, size, mtimeNs } = statSync(storePath, { bigint: true });
        return `${ino} ${size} ${mtimeNs}`;
      },
    };
  }
  await using store = await openDirectoryStore<SessionEntry>(storePath, { durability: "os" });
  for (const [key, entry] of Object.entries(sessions)) await store.put(key, entry as SessionEntry);
  return {
    folder,
    storePath,
    backend,
    stored: async () => {
      await using look = await openDirectoryStore<SessionEntry>(storePath, { readOnly: true });
      const { sessions } = await look.list();
      return Object.fromEntries(sessions.map(({ key, entry }) => [key, plain(entry)]));
    },
    version: async () => {
      await using look = await openDirectoryStore<SessionEntry>(storePath, { readOnly: true });
      return String(await look.revision());
    },
  };
}

/** What somebody else writes who knows nothing of this process: another gateway's commit. */
export async function writeElsewhere(
  { backend, storePath }: GatewayFolder,
  key: string,
  change: (entry: SessionEntry | undefined) => SessionEntry | undefined,
): Promise<void> {
  if (backend === "legacy file") {
    const sessions = JSON.parse(readFileSync(storePath, "utf8")) as SessionStoreRecord;
    const next = change(sessions[key]);
    if (next === undefined) delete sessions[key];
    else sessions[key] = next;
    writeFileSync(storePath, JSON.stringify(sessions, null, 2));
    return;
  }
  await using store = await openDirectoryStore<SessionEntry>(storePath, { durability: "os" });
  const next = change(plain(await store.get(key)));
  if (next === undefined) await store.delete(key);
  else await store.put(key, next);
}

/** Migrates as the command line does: without any lock. */
export async function migrate({ storePath }: GatewayFolder): Promise<void> {
  const { outcome, error } = await migrateLegacyStore(storePath, { normalizeKey: normalizeStoreSessionKey });
  if (outcome !== "migrated") throw new Error(`${outcome}: ${error?.message ?? ""}`);
}

/** An entry of a test. */
export function session(updatedAt: number, fields: Partial<SessionEntry> = {}): SessionEntry {
  return { sessionId: `id-${updatedAt}`, updatedAt, ...fields };
}

/** What is in the store, as an ordinary object. */
export function loaded(storePath: string): SessionStoreRecord {
  return plain(loadSessionStore(storePath));
}

export function hasFile({ folder }: GatewayFolder, name: string): boolean {
  return existsSync(join(folder, name));
}

export function plain<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
