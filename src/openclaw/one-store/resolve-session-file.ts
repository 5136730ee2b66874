/** Which file a session's transcript is in, noted in its entry: the two must not part. */
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { errnoOf } from "../../errors.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import type { SessionMaintenanceLimits } from "../maintenance/config.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { updateSessionStore } from "./update-session-store.js";

/** What an id may be that is a part of a file name. */
const SESSION_ID = /^[a-z0-9][a-z0-9._-]{0,127}$/i;

/**
 * Finds the transcript of a session: the file that its entry names, if the entry is of this session id; then
 * `fallbackSessionFile`; then `<sessionId>.jsonl`. A name that leads out of the sessions folder is not taken. What the entry
 * did not say already is stored, and in any case it is set in the caller's `sessionStore`.
 * @param params.sessionsDir Default: the folder of the store.
 * @returns Path of the transcript, and the entry.
 * @throws `TypeError` for a session id that cannot be a file's name; as `updateSessionStore`.
 */
export async function resolveAndPersistSessionFile(params: {
  readonly sessionId: string;
  readonly sessionKey: string;
  readonly sessionStore: SessionStoreRecord;
  readonly storePath: string;
  readonly sessionEntry?: SessionEntry | undefined;
  readonly agentId?: string | undefined;
  readonly sessionsDir?: string | undefined;
  readonly fallbackSessionFile?: string | undefined;
  readonly activeSessionKey?: string | undefined;
  readonly maintenanceConfig?: SessionMaintenanceLimits | undefined;
}): Promise<{ sessionFile: string; sessionEntry: SessionEntry }> {
  const { sessionKey, sessionStore, storePath, activeSessionKey, maintenanceConfig } = params;
  const sessionId = params.sessionId.trim();
  if (!SESSION_ID.test(sessionId))
    throw new TypeError(`${JSON.stringify(sessionId)} cannot be a session's id`);
  const before = params.sessionEntry ?? sessionStore[sessionKey];
  const isSame = before?.sessionId === sessionId;
  const now = Date.now();
  const folder = resolve(params.sessionsDir ?? dirname(storePath));
  const named = (isSame ? before.sessionFile?.trim() : undefined) || params.fallbackSessionFile?.trim();
  const sessionFile = transcriptIn(folder, named) ?? join(folder, `${sessionId}.jsonl`);
  const sessionStartedAt = isSame ? (before.sessionStartedAt ?? now) : now;
  const fields = { sessionId, updatedAt: now, sessionStartedAt, sessionFile };
  const sessionEntry: SessionEntry = { ...before, ...fields };
  sessionStore[sessionKey] = sessionEntry;
  if (isSame && before.sessionFile === sessionFile) return { sessionFile, sessionEntry };
  await updateSessionStore(
    storePath,
    (store) => {
      const key = normalizeStoreSessionKey(sessionKey);
      store[key] = { ...store[key], ...sessionEntry };
    },
    { activeSessionKey, maintenanceConfig },
  );
  return { sessionFile, sessionEntry };
}

/** A path in the folder, whichever way it is written; undefined for one that leads elsewhere. */
function transcriptIn(folder: string, name: string | undefined): string | undefined {
  if (!name) return undefined;
  const path = resolve(folder, name);
  const base = realPath(folder);
  const inside = relative(
    base,
    isAbsolute(name) ? join(realPath(dirname(path)), basename(path)) : resolve(base, name),
  );
  if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    return undefined;
  return join(folder, inside);
}

function realPath(path: string): string {
  try {
    return nodeFileSystem.realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return path;
  }
}
