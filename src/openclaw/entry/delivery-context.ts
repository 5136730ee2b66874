/**
 * Where replies go, in its two notations: `deliveryContext`, and the older `lastChannel`, `lastTo`, `lastAccountId`,
 * `lastThreadId`. Both are kept and always say the same; where they differ the older ones win, for that is what tools
 * that only know those have changed.
 */
import type { DeliveryContext, SessionOrigin } from "./session-entry.js";

/** What the delivery fields of a session are computed from. */
export interface DeliverySource {
  channel?: string | undefined;
  lastChannel?: string | undefined;
  lastTo?: string | undefined;
  lastAccountId?: string | undefined;
  lastThreadId?: string | number | undefined;
  deliveryContext?: DeliveryContext | undefined;
  origin?: SessionOrigin | undefined;
}

/** All five fields of a session that say where replies go. */
export interface DeliveryFields {
  deliveryContext: DeliveryContext | undefined;
  lastChannel: string | undefined;
  lastTo: string | undefined;
  lastAccountId: string | undefined;
  lastThreadId: string | number | undefined;
}

const ACCOUNT_ID_CHARS_MAX = 64;

/** Other names that channels go by. */
const CHANNEL_ALIASES: ReadonlyMap<string, string> = new Map([["imsg", "imessage"]]);

/** A channel's id: lower-case, and the one that it is stored under. */
export function channelOf(value: unknown): string | undefined {
  const channel = textOf(value)?.toLowerCase();
  return channel === undefined ? undefined : (CHANNEL_ALIASES.get(channel) ?? channel);
}

/** Trimmed, with the channel in lower case and a whole thread number; undefined when nothing is left. */
export function normalizeDeliveryContext(
  context: DeliveryContext | null | undefined,
): DeliveryContext | undefined {
  if (context === undefined || context === null) return undefined;
  const channel = channelOf(context.channel);
  const to = textOf(context.to);
  const accountId = accountIdOf(context.accountId);
  const threadId = threadIdOf(context.threadId);
  if (channel === undefined && to === undefined && accountId === undefined && threadId === undefined)
    return undefined;
  return {
    ...(channel === undefined ? undefined : { channel }),
    ...(to === undefined ? undefined : { to }),
    ...(accountId === undefined ? undefined : { accountId }),
    ...(threadId === undefined ? undefined : { threadId }),
  };
}

/** What `primary` leaves open comes from `fallback`, unless that is about another channel. */
export function mergeDeliveryContext(
  primary: DeliveryContext | undefined,
  fallback: DeliveryContext | undefined,
): DeliveryContext | undefined {
  const first = normalizeDeliveryContext(primary);
  const second = normalizeDeliveryContext(fallback);
  if (first === undefined) return second;
  if (second === undefined) return first;
  const conflict =
    first.channel !== undefined && second.channel !== undefined && first.channel !== second.channel;
  if (conflict) return first;
  return normalizeDeliveryContext({
    channel: first.channel ?? second.channel,
    to: first.to ?? second.to,
    accountId: first.accountId ?? second.accountId,
    threadId: first.threadId ?? second.threadId,
  });
}

/** Both notations, made one. */
export function normalizeSessionDeliveryFields(source: DeliverySource = {}): DeliveryFields {
  const older = normalizeDeliveryContext({
    channel: source.lastChannel ?? source.channel,
    to: source.lastTo,
    accountId: source.lastAccountId,
    threadId: source.lastThreadId,
  });
  return deliveryFieldsOf(mergeDeliveryContext(older, source.deliveryContext));
}

/** The five fields that say this route. */
export function deliveryFieldsOf(context: DeliveryContext | undefined): DeliveryFields {
  return {
    deliveryContext: context,
    lastChannel: context?.channel,
    lastTo: context?.to,
    lastAccountId: context?.accountId,
    lastThreadId: context?.threadId,
  };
}

/** The thread that a session is in; where nothing else says so, the one that it began in. */
export function threadOf({
  lastThreadId,
  deliveryContext,
  origin,
}: Readonly<DeliverySource>): string | number | undefined {
  return lastThreadId ?? deliveryContext?.threadId ?? origin?.threadId;
}

/** Where replies to a session go, its origin included for what is not known otherwise. */
export function deliveryContextFromSession(
  entry: Readonly<DeliverySource> | undefined,
): DeliveryContext | undefined {
  if (entry === undefined) return undefined;
  const { origin } = entry;
  return normalizeSessionDeliveryFields({
    channel: entry.channel ?? origin?.provider,
    lastChannel: entry.lastChannel,
    lastTo: entry.lastTo,
    lastAccountId: entry.lastAccountId ?? origin?.accountId,
    lastThreadId: threadOf(entry),
    deliveryContext: entry.deliveryContext,
  }).deliveryContext;
}

/** A string of something but space, trimmed. */
export function textOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text === "" ? undefined : text;
}

function threadIdOf(value: unknown): string | number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? Math.trunc(value) : undefined;
  return textOf(value);
}

/** Lower case, with every other character as a dash: account ids are also names of folders in a gateway. */
function accountIdOf(value: unknown): string | undefined {
  const dashed = textOf(value)
    ?.toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-");
  if (dashed === undefined) return undefined;
  const id = dashed.replace(/^-+|-+$/g, "").slice(0, ACCOUNT_ID_CHARS_MAX);
  return id === "" || id === "__proto__" || id === "constructor" || id === "prototype" ? undefined : id;
}
