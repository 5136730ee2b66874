/**
 * What an inbound message says about its session: where it comes from, and which group it belongs to.
 *
 * Pure. A gateway with channel plugins knows more about group keys than what can be read from a message; it passes what
 * it found as `groupResolution`.
 */
import { channelOf, textOf } from "./delivery-context.js";
import type { SessionChatType, SessionEntry, SessionOrigin } from "./session-entry.js";

/** The fields of a gateway's message context that matter here. */
export interface MessageContext {
  From?: string | undefined;
  To?: string | undefined;
  Provider?: string | undefined;
  Surface?: string | undefined;
  ChatType?: string | undefined;
  AccountId?: string | undefined;
  MessageThreadId?: string | number | null | undefined;
  OriginatingChannel?: string | undefined;
  OriginatingTo?: string | undefined;
  NativeChannelId?: string | undefined;
  NativeDirectUserId?: string | undefined;
  ConversationLabel?: string | undefined;
  ThreadLabel?: string | undefined;
  SenderName?: string | undefined;
  GroupSubject?: string | undefined;
  GroupChannel?: string | undefined;
  GroupSpace?: string | undefined;
  [field: string]: unknown;
}

/** Which group a message belongs to. */
export interface GroupKeyResolution {
  readonly key: string;
  readonly channel?: string | undefined;
  readonly id?: string | undefined;
  readonly chatType?: SessionChatType | undefined;
}

/** Channels whose addresses begin with their own name. */
const CHANNELS: ReadonlySet<string> = new Set(
  (
    "bluebubbles discord feishu googlechat imessage irc line matrix mattermost msteams nextcloud-talk nostr qqbot signal " +
    "slack synology-chat telegram tlon twitch webchat whatsapp zalo zalouser"
  ).split(" "),
);

/** An address that only groups of WhatsApp have, whoever says so. */
const WHATSAPP_GROUP = /@g\.us$/i;

const ID_CHARS_MAX = 14;

/**
 * Fields to set in the session's entry.
 * @returns Null if the message says nothing about it.
 */
export function deriveSessionMetaPatch(params: {
  readonly ctx: MessageContext;
  readonly sessionKey: string;
  readonly existing?: Readonly<SessionEntry> | undefined;
  readonly groupResolution?: GroupKeyResolution | null | undefined;
}): Partial<SessionEntry> | null {
  const { ctx, existing } = params;
  const group = groupPatch(params);
  const origin = mergedOrigin(existing?.origin, originOf(ctx));
  if (group === null && origin === undefined) return null;
  return { ...group, ...(origin === undefined ? undefined : { origin }) };
}

/** The origin of a session as it is now, to be kept while the entry is replaced. @returns A copy; undefined for none. */
export function snapshotSessionOrigin(
  entry?: Readonly<Pick<SessionEntry, "origin">>,
): SessionOrigin | undefined {
  return entry?.origin === undefined ? undefined : { ...entry.origin };
}

/** @returns Null for a message that belongs to no group. */
export function resolveGroupSessionKey(ctx: MessageContext): GroupKeyResolution | null {
  const from = textOf(ctx.From) ?? "";
  const type = chatTypeOf(ctx.ChatType);
  const isWhatsApp = WHATSAPP_GROUP.test(from);
  const inGroup = type === "group" || type === "channel" || isWhatsApp || /:(group|channel):/.test(from);
  if (!inGroup) return null;
  const parts = from.split(":").filter((part) => part !== "");
  const [head = "", second = ""] = parts.map((part) => part.trim().toLowerCase());
  const isNamed = CHANNELS.has(head);
  const channel = isNamed ? head : (channelOf(ctx.Provider) ?? (isWhatsApp ? "whatsapp" : undefined));
  if (channel === undefined) return null;
  const saysKind = second === "group" || second === "channel";
  const kind = saysKind ? second : from.includes(":channel:") || type === "channel" ? "channel" : "group";
  const rest = isNamed ? parts.slice(saysKind ? 2 : 1).join(":") : from;
  const id = rest.trim().toLowerCase();
  return id === "" ? null : { key: `${channel}:${kind}:${id}`, channel, id, chatType: kind };
}

/** A short name for a group, such as `discord:#general` or `whatsapp:g-family`. */
export function buildGroupDisplayName(params: {
  readonly provider?: string | undefined;
  readonly subject?: string | undefined;
  readonly groupChannel?: string | undefined;
  readonly space?: string | undefined;
  readonly id?: string | undefined;
  readonly key: string;
}): string {
  const provider = textOf(params.provider)?.toLowerCase() ?? "group";
  const channel = textOf(params.groupChannel);
  const space = textOf(params.space);
  const joined =
    channel !== undefined && space !== undefined
      ? `${space}${channel.startsWith("#") ? "" : "#"}${channel}`
      : (channel ?? textOf(params.subject) ?? space);
  const label = joined ?? textOf(params.id) ?? params.key;
  let token = slugOf(label) || slugOf(shortened(label));
  if (channel === undefined) token = token.replace(/^#+/, "");
  if (token !== "" && !/^[@#]/.test(token) && !token.startsWith("g-") && !token.includes("#"))
    token = `g-${token}`;
  return token === "" ? provider : `${provider}:${token}`;
}

function groupPatch({
  ctx,
  sessionKey,
  existing,
  groupResolution,
}: Parameters<typeof deriveSessionMetaPatch>[0]): Partial<SessionEntry> | null {
  const group = groupResolution ?? resolveGroupSessionKey(ctx);
  if (group?.channel === undefined || group.channel === "") return null;
  const { channel, id, chatType = "group" } = group;
  const subjectGiven = textOf(ctx.GroupSubject);
  // In a channel, the subject is often the channel's name.
  const named = chatType === "channel" && subjectGiven?.startsWith("#") === true ? subjectGiven : undefined;
  const groupChannel = textOf(ctx.GroupChannel) ?? named;
  const subject = groupChannel === undefined ? subjectGiven : undefined;
  const space = textOf(ctx.GroupSpace);
  const displayName = buildGroupDisplayName({
    provider: channel,
    subject: subject ?? existing?.subject,
    groupChannel: groupChannel ?? existing?.groupChannel,
    space: space ?? existing?.space,
    id,
    key: sessionKey,
  });
  return {
    chatType,
    channel,
    ...(id === undefined ? undefined : { groupId: id }),
    ...(subject === undefined ? undefined : { subject }),
    ...(groupChannel === undefined ? undefined : { groupChannel }),
    ...(space === undefined ? undefined : { space }),
    displayName,
  };
}

function originOf(ctx: MessageContext): SessionOrigin {
  const thread = ctx.MessageThreadId;
  const fields: SessionOrigin = {};
  const set = (name: keyof SessionOrigin & string, value: string | number | undefined): void => {
    if (value !== undefined) fields[name] = value;
  };
  set("label", labelOf(ctx));
  set("provider", channelOf(ctx.OriginatingChannel) ?? channelOf(ctx.Surface) ?? channelOf(ctx.Provider));
  set("surface", textOf(ctx.Surface)?.toLowerCase());
  set("chatType", chatTypeOf(ctx.ChatType));
  set("from", textOf(ctx.From));
  set("to", typeof ctx.OriginatingTo === "string" ? textOf(ctx.OriginatingTo) : textOf(ctx.To));
  set("nativeChannelId", textOf(ctx.NativeChannelId));
  set("nativeDirectUserId", textOf(ctx.NativeDirectUserId));
  set("accountId", textOf(ctx.AccountId));
  set("threadId", thread === null || thread === "" ? undefined : thread);
  return fields;
}

/** What is known stays; what the message says is newer. */
function mergedOrigin(
  existing: Readonly<SessionOrigin> | undefined,
  next: Readonly<SessionOrigin>,
): SessionOrigin | undefined {
  const merged = { ...existing, ...next };
  return Object.keys(merged).length === 0 ? undefined : merged;
}

/** What people call the conversation. */
function labelOf(ctx: MessageContext): string | undefined {
  const given = textOf(ctx.ConversationLabel) ?? textOf(ctx.ThreadLabel);
  if (given !== undefined) return given;
  const from = textOf(ctx.From);
  if (chatTypeOf(ctx.ChatType) === "direct") return textOf(ctx.SenderName) ?? from;
  const base = textOf(ctx.GroupChannel) ?? textOf(ctx.GroupSubject) ?? textOf(ctx.GroupSpace) ?? from;
  const id = from?.split(":").findLast((part) => part !== "");
  if (base === undefined || id === undefined || base.includes(id) || /^[#@]/.test(base)) return base;
  // Subjects are not unique; ids that look like names say nothing to people.
  const isAddress = /^\d+$/.test(id) || /^[^\s:@]+@[^\s:@]+$/.test(id);
  return isAddress && !base.toLowerCase().includes(" id:") ? `${base} id:${id}` : base;
}

function chatTypeOf(value: unknown): SessionChatType | undefined {
  const type = textOf(value)?.toLowerCase();
  if (type === "dm" || type === "direct") return "direct";
  return type === "group" || type === "channel" ? type : undefined;
}

function slugOf(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9#@._+-]+/g, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
}

function shortened(text: string): string {
  const id = text.trim();
  return id.length <= ID_CHARS_MAX ? id : `${id.slice(0, 6)}...${id.slice(-4)}`;
}
