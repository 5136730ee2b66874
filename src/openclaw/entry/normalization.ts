/**
 * How an entry reads that an older gateway, or a tool, has written: old field names by their new ones, a model without
 * blanks, and both notations of where replies go in agreement.
 *
 * An entry that is in order is returned as it is, which is nearly always. Reading never writes: what was put in order here
 * gets into the store with the next change of that session.
 */
import { copyEntry, sameJson } from "./copy.js";
import { normalizeSessionDeliveryFields, textOf, threadOf } from "./delivery-context.js";
import type { SessionEntry } from "./session-entry.js";

/** Old name, new name. `room` is dropped even if the new name is there, the others are kept then. */
const RENAMED = [
  ["provider", "channel"],
  ["lastProvider", "lastChannel"],
  ["room", "groupChannel"],
] as const;

const DELIVERY_FIELDS = [
  "deliveryContext",
  "lastChannel",
  "lastTo",
  "lastAccountId",
  "lastThreadId",
] as const;

const known = new WeakMap<object, Readonly<SessionEntry>>();

/** The entry in order; the same object for the same shared entry, which nobody changes. */
export function normalizeEntry(shared: Readonly<SessionEntry>): Readonly<SessionEntry> {
  let normalized = known.get(shared);
  if (normalized === undefined) {
    normalized = putInOrder(shared);
    known.set(shared, normalized);
  }
  return normalized;
}

/** The same for an entry that somebody may go on to change: nothing is remembered. */
export function putInOrder(entry: Readonly<SessionEntry>): Readonly<SessionEntry> {
  return isInOrder(entry) ? entry : inOrder(entry);
}

function isInOrder(entry: Readonly<SessionEntry>): boolean {
  if (RENAMED.some(([old]) => Object.hasOwn(entry, old))) return false;
  return correctionsOf(entry).size === 0;
}

function inOrder(shared: Readonly<SessionEntry>): SessionEntry {
  const entry = copyEntry(shared);
  for (const [old, name] of RENAMED) {
    const value = entry[old];
    if (typeof entry[name] !== "string" && typeof value === "string") entry[name] = value;
    else if (old !== "room") continue;
    delete entry[old];
  }
  for (const [name, value] of correctionsOf(entry)) {
    if (value === undefined) delete entry[name];
    else entry[name] = value;
  }
  return entry;
}

/** Fields that should have another value, undefined for none. */
function correctionsOf(entry: Readonly<SessionEntry>): Map<string, unknown> {
  const wanted = normalizeSessionDeliveryFields({
    channel: entry.channel,
    lastChannel: entry.lastChannel,
    lastTo: entry.lastTo,
    lastAccountId: entry.lastAccountId,
    lastThreadId: threadOf(entry),
    deliveryContext: entry.deliveryContext,
  });
  const corrections = new Map<string, unknown>();
  for (const name of DELIVERY_FIELDS) {
    if (!sameJson(entry[name], wanted[name])) corrections.set(name, wanted[name]);
  }
  const model = textOf(entry.model);
  // A provider without a model says nothing.
  const modelProvider = model === undefined ? undefined : textOf(entry.modelProvider);
  if (entry.model !== model) corrections.set("model", model);
  if (entry.modelProvider !== modelProvider) corrections.set("modelProvider", modelProvider);
  return corrections;
}
