/** Stores for the command line to work on, in folders that are removed with the test. */
import { chmodSync, chownSync, lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openSessionStore } from "../../../src/index.js";

export type Sessions = Readonly<Record<string, Record<string, unknown>>>;

export const NOW = Date.now();
const HOUR_MS = 3_600_000;

/** Shared by two sessions, and big enough to be stored once. */
export const SNAPSHOT = { prompt: "skill ".repeat(2000), version: 3 };

export const MAIN_KEY = "agent:main:main";
export const JAMES_KEY = "agent:main:telegram:direct:james";
export const CRON_KEY = "agent:ops:cron:nightly:run:1";

export const SESSIONS: Sessions = {
  [MAIN_KEY]: {
    sessionId: "s-1",
    updatedAt: NOW - HOUR_MS * 3,
    lastChannel: "webchat",
    model: "large",
    totalTokens: 123_456,
    usage: { total: 7, parts: [{ name: "first" }] },
    skillsSnapshot: SNAPSHOT,
  },
  [JAMES_KEY]: {
    sessionId: "s-2",
    updatedAt: NOW - HOUR_MS * 100,
    inputTokens: 10,
    outputTokens: 5,
    skillsSnapshot: SNAPSHOT,
  },
  [CRON_KEY]: { sessionId: "s-3" },
};

/** An empty folder. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-cli-"));
  onTestFinished(() => {
    makeWritable(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A store with these sessions, in the order given. */
export async function makeStore(
  sessions: Sessions = SESSIONS,
  path = join(emptyFolder(), "sessions.d"),
): Promise<string> {
  const store = await openSessionStore<Record<string, unknown>>(path);
  for (const [key, entry] of Object.entries(sessions)) await store.put(key, entry);
  await store.close();
  return path;
}

/** One session as a later reader sees it. */
export async function read(path: string, key: string): Promise<Record<string, unknown> | undefined> {
  const store = await openSessionStore<Record<string, unknown>>(path, { readOnly: true });
  try {
    const entry = await store.get(key);
    return entry && (JSON.parse(JSON.stringify(entry)) as Record<string, unknown>);
  } finally {
    await store.close();
  }
}

/** Revision of one session, or of the store's last commit. */
export async function revisionOf(path: string, key?: string): Promise<number> {
  const store = await openSessionStore(path, { readOnly: true });
  try {
    return key === undefined ? await store.revision() : ((await store.read(key))?.revision ?? 0);
  } finally {
    await store.close();
  }
}

/** Every path below a folder, with size and modes: equal before and after if nothing was touched. */
export function traces(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => {
      const { size, mode, mtimeMs } = lstatSync(join(folder, name));
      return `${name} ${size} ${mode} ${mtimeMs}`;
    })
    .sort();
}

/** Nobody can change a folder and what is in it; owned by `user` if given. */
export function makeReadOnly(folder: string, user?: number): void {
  for (const path of [
    folder,
    ...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  ]) {
    if (user !== undefined) chownSync(path, user, user);
    chmodSync(path, lstatSync(path).isDirectory() ? 0o500 : 0o400);
  }
}

function makeWritable(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(folder, entry.name));
  }
}
