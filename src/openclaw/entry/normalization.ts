/**
 * How an entry reads that an older gateway, or a tool, has written: old field names by their new ones, a model without
 * blanks, both notations of where replies go in agreement, and nothing in it that a gateway computes anew for each run.
 *
 * An entry that is in order is returned as it is, which is nearly always. Reading never writes: what was put in order here
 * gets into the store with the next change of that session.
 */
import { equalJson } from "../../format/equal-json.js";
import { sessionStoreSettings } from "../base/settings.js";
import { copyEntry, peek } from "./copy.js";
import { normalizeSessionDeliveryFields, textOf, threadOf } from "./delivery-context.js";
import type { SessionEntry, SessionSkillSnapshot, SessionStoreRecord } from "./session-entry.js";

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

/**
 * Puts every entry of a whole-store object in order, in place.
 * @returns Whether one was changed.
 */
export function normalizeSessionStore(store: SessionStoreRecord): boolean {
  let changed = false;
  for (const [key, entry] of Object.entries(store) as [string, unknown][]) {
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) continue;
    const normalized = putInOrder(entry as SessionEntry);
    if (normalized === entry) continue;
    store[key] = normalized;
    changed = true;
  }
  return changed;
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
    if (!equalJson(entry[name], wanted[name])) corrections.set(name, wanted[name]);
  }
  const model = textOf(entry.model);
  // A provider without a model says nothing.
  const modelProvider = model === undefined ? undefined : textOf(entry.modelProvider);
  if (entry.model !== model) corrections.set("model", model);
  if (entry.modelProvider !== modelProvider) corrections.set("modelProvider", modelProvider);
  const skills = skillsToStore(peek(entry, "skillsSnapshot"));
  if (skills !== undefined) corrections.set("skillsSnapshot", skills);
  return corrections;
}

/**
 * Skills without `resolvedSkills`, which a gateway has in memory only: whole skill files, the same in every session.
 * @returns Undefined where nothing is to be left out.
 */
function skillsToStore(snapshot: unknown): SessionSkillSnapshot | undefined {
  if (typeof snapshot !== "object" || snapshot === null || !Object.hasOwn(snapshot, "resolvedSkills"))
    return undefined;
  if (sessionStoreSettings().release === "2026.4") return undefined;
  const { resolvedSkills: _, ...stored } = snapshot as SessionSkillSnapshot;
  return stored;
}
