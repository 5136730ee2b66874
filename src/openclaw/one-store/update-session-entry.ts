/**
 * Changing one session, the frequent case: nothing else is read, compared or written, however large the store is.
 *
 * All three functions read, compute and commit with nobody in between; where another process was faster they compute again.
 */
import { isPromiseLike } from "../../store/engine-calls.js";
import {
  deliveryContextFromSession,
  deliveryFieldsOf,
  mergeDeliveryContext,
  normalizeDeliveryContext,
} from "../entry/delivery-context.js";
import { copyEntry } from "../entry/copy.js";
import { mergeSessionEntry, mergeSessionEntryPreserveActivity } from "../entry/merge.js";
import { normalizeEntry } from "../entry/normalization.js";
import {
  deriveSessionMetaPatch,
  type GroupKeyResolution,
  type MessageContext,
} from "../entry/inbound-metadata.js";
import type { DeliveryContext, SessionEntry } from "../entry/session-entry.js";
import { resolveSessionStoreEntry } from "./load-session-store.js";
import { foldedAlias, normalizeStoreSessionKey } from "../base/session-key.js";
import { updateStore } from "../access/store-access.js";
import type { Compute, StoreBackend } from "../backend/store-backend.js";

/** What all functions here are told. */
interface OneSession {
  /** `…/sessions.json`, before and after the migration. */
  readonly storePath: string;
  /** In any case. @throws `TypeError` if there is nothing but space in it. */
  readonly sessionKey: string;
}

interface RouteParams extends OneSession {
  readonly channel?: string | undefined;
  readonly to?: string | undefined;
  readonly accountId?: string | undefined;
  readonly threadId?: string | number | undefined;
  readonly deliveryContext?: DeliveryContext | undefined;
  readonly ctx?: MessageContext | undefined;
  readonly groupResolution?: GroupKeyResolution | null | undefined;
  readonly createIfMissing?: boolean | undefined;
}

/**
 * Patches an existing session. `update` gets a copy of the entry and returns the fields to set, or null to leave everything
 * as it is; a field that is undefined is removed. The session counts as used: `updatedAt` becomes now, and never goes back.
 * **`update` is called again** on the fresh entry when another process was faster.
 * @returns The entry afterwards, a copy; null if there is no such session.
 * @throws `conflict` after 100 attempts; `legacy_locked`, `legacy_invalid`, `legacy_changing` on a `sessions.json`; what writing
 *   throws; whatever `update` throws, with nothing written.
 * @example
 * await updateSessionStoreEntry({ storePath, sessionKey, update: async (entry) => ({ totalTokens: (entry.totalTokens ?? 0) + 12 }) });
 */
export async function updateSessionStoreEntry(
  params: OneSession & {
    readonly update: (
      entry: SessionEntry,
    ) => Partial<SessionEntry> | null | undefined | Promise<Partial<SessionEntry> | null | undefined>;
    /** Do not look after the store this time. Default false. */
    readonly skipMaintenance?: boolean | undefined;
    /** Taken for OpenClaw's callers: there is no cache to own. */
    readonly takeCacheOwnership?: boolean | undefined;
  },
): Promise<SessionEntry | null> {
  const entry = await updateOne(params, (existing) => {
    if (existing === undefined) return undefined;
    const merged = (patch: Partial<SessionEntry> | null | undefined): SessionEntry | undefined =>
      patch === null || patch === undefined ? undefined : mergeSessionEntry(existing, patch);
    const patch = params.update(copyEntry(existing));
    return isPromiseLike(patch) ? patch.then(merged) : merged(patch);
  });
  return entry ?? null;
}

/**
 * Notes what an inbound message says about its session: origin, group, display name. That is no use of the session: `updatedAt`
 * stays, unless the session is new.
 * @param params.createIfMissing Default true.
 * @returns The entry afterwards, a copy; null if there is no such session.
 * @throws As {@link updateSessionStoreEntry}.
 */
export async function recordSessionMetaFromInbound(
  params: OneSession & {
    readonly ctx: MessageContext;
    readonly groupResolution?: GroupKeyResolution | null | undefined;
    readonly createIfMissing?: boolean | undefined;
  },
): Promise<SessionEntry | null> {
  const { ctx, groupResolution, createIfMissing = true } = params;
  const entry = await updateOne(params, (existing, sessionKey) => {
    if (existing === undefined && !createIfMissing) return undefined;
    const patch = deriveSessionMetaPatch({ ctx, sessionKey, existing, groupResolution });
    return patch === null ? undefined : mergeSessionEntryPreserveActivity(existing, patch);
  });
  return entry ?? null;
}

/**
 * Notes where replies to a session go from now on, and with `ctx` what {@link recordSessionMetaFromInbound} notes. What is not
 * given stays as it was, for the same channel; a new channel or address without a thread clears the thread. Not a use of the
 * session: `updatedAt` stays, unless the session is new. A session that is not there is made.
 * @param params.deliveryContext Where it goes; before `channel`, `to`, `accountId` and `threadId`, which say the same.
 * @param params.createIfMissing Default true.
 * @returns The entry afterwards, a copy; null if there is no such session and none was to be made.
 * @throws As {@link updateSessionStoreEntry}.
 * @example
 * await updateLastRoute({ storePath, sessionKey, channel: "telegram", to: "123" });
 */
export function updateLastRoute(
  params: RouteParams & { readonly createIfMissing?: true | undefined },
): Promise<SessionEntry>;
export function updateLastRoute(params: RouteParams): Promise<SessionEntry | null>;
export async function updateLastRoute(params: RouteParams): Promise<SessionEntry | null> {
  const { ctx, groupResolution, createIfMissing = true } = params;
  const entry = await updateOne(params, (existing, sessionKey) => {
    if (existing === undefined && !createIfMissing) return undefined;
    const route = nextRoute(existing, params);
    const meta =
      ctx === undefined ? null : deriveSessionMetaPatch({ ctx, sessionKey, existing, groupResolution });
    // A field that is undefined is removed: there is no thread any more.
    const fields = deliveryFieldsOf(route) as Partial<SessionEntry>;
    return mergeSessionEntryPreserveActivity(existing, { ...fields, ...meta });
  });
  return entry ?? null;
}

function nextRoute(
  existing: Readonly<SessionEntry> | undefined,
  params: RouteParams,
): DeliveryContext | undefined {
  const { channel, to, accountId, threadId } = params;
  const explicit = normalizeDeliveryContext(params.deliveryContext);
  const inline = normalizeDeliveryContext({ channel, to, accountId, threadId });
  const given = mergeDeliveryContext(explicit, inline);
  const before = deliveryContextFromSession(existing);
  const isNewRoute = given?.channel !== undefined || given?.to !== undefined;
  const namesThread = explicit?.threadId !== undefined || inline?.threadId !== undefined;
  if (before === undefined || !isNewRoute || namesThread) return mergeDeliveryContext(given, before);
  const { threadId: _, ...withoutThread } = before;
  return mergeDeliveryContext(given, withoutThread);
}

async function updateOne(
  { storePath, sessionKey, skipMaintenance }: OneSession & { readonly skipMaintenance?: boolean | undefined },
  compute: (existing: Readonly<SessionEntry> | undefined, key: string) => ReturnType<Compute>,
): Promise<SessionEntry | undefined> {
  const key = normalizeStoreSessionKey(sessionKey);
  if (key === "") throw new TypeError("sessionKey must have more than space in it");
  const { entry } = await updateStore(
    storePath,
    (backend) =>
      foldedAlias(key) === undefined
        ? backend.updateOne(key, (existing) => compute(existing, key))
        : updateWithAlias(backend, key, compute),
    { activeSessionKey: key, skipMaintenance },
  );
  return entry === undefined ? undefined : copyEntry(normalizeEntry(entry));
}

/** A session whose key has case in it may be stored under the folded one; what is written is under its own key. */
async function updateWithAlias(
  backend: StoreBackend,
  key: string,
  compute: (existing: Readonly<SessionEntry> | undefined, key: string) => ReturnType<Compute>,
): ReturnType<StoreBackend["updateOne"]> {
  const { result, wrote } = await backend.updateAll(async (view) => {
    const { existing, legacyKeys } = resolveSessionStoreEntry({ store: view.store, sessionKey: key });
    const next = await compute(existing, key);
    if (next === undefined) return existing;
    view.set(key, next);
    for (const legacyKey of legacyKeys) view.delete(legacyKey);
    return view.get(key);
  }, {});
  return { entry: result, wrote };
}
