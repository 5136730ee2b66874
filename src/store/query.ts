/**
 * From the caller's query to the engine's, and cursors.
 *
 * A cursor is a position in an order, so it means something only together with prefix, bounds and order. It
 * therefore carries a fingerprint of those, and using it with another query is a `TypeError` instead of a
 * listing with holes. It holds no server state, never expires, and survives restarts.
 */
import { createHash } from "node:crypto";
import type { EngineQuery } from "../engine/contract.js";
import {
  kindOf,
  optionalBoolean,
  optionalInteger,
  optionalOneOf,
  optionalPrefix,
  requireKnownNames,
  requireObject,
} from "./arguments.js";
import type { ListQuery } from "./types.js";

const NAMES: ReadonlySet<string> = new Set([
  "prefix",
  "updatedAfter",
  "updatedBefore",
  "orderBy",
  "descending",
  "limit",
  "cursor",
]);

const EVERYTHING: EngineQuery = {
  prefix: "",
  updatedAfter: undefined,
  updatedBefore: undefined,
  orderBy: "key",
  descending: false,
  limit: Infinity,
  after: undefined,
};

type Position = NonNullable<EngineQuery["after"]>;

/** The query with every default filled in. @throws `TypeError` that names the option. */
export function normalizeQuery(query: ListQuery | undefined): EngineQuery {
  if (query === undefined) return EVERYTHING;
  requireObject(query, "query");
  requireKnownNames(query, "query", NAMES);
  const normalized: EngineQuery = {
    prefix: optionalPrefix(query.prefix, "query.prefix"),
    updatedAfter: optionalTime(query.updatedAfter, "query.updatedAfter"),
    updatedBefore: optionalTime(query.updatedBefore, "query.updatedBefore"),
    orderBy: optionalOneOf(query.orderBy, "query.orderBy", ["key", "updatedAt"]) ?? "key",
    descending: optionalBoolean(query.descending, "query.descending") ?? false,
    limit: query.limit === Infinity ? Infinity : (optionalInteger(query.limit, "query.limit", 1) ?? Infinity),
    after: undefined,
  };
  return query.cursor === undefined
    ? normalized
    : { ...normalized, after: decodeCursor(query.cursor, normalized) };
}

function optionalTime(time: unknown, what: string): number | undefined {
  if (time === undefined) return undefined;
  if (typeof time !== "number" || Number.isNaN(time)) {
    throw new TypeError(`${what} must be a number of milliseconds, not ${kindOf(time)}`);
  }
  return time;
}

/** The opaque form of a position: base64url of `[key, updatedAt, fingerprint]`. */
export function encodeCursor(position: Position, query: EngineQuery): string {
  const parts = [position.key, position.updatedAt, fingerprintOf(query)];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

function decodeCursor(cursor: unknown, query: EngineQuery): Position {
  const parts = parseCursor(cursor);
  if (parts === undefined) {
    throw new TypeError("query.cursor must be a cursor that list returned, unchanged");
  }
  if (parts.fingerprint !== fingerprintOf(query)) {
    throw new TypeError(
      "query.cursor belongs to another query: prefix, updatedAfter, updatedBefore, orderBy and descending must " +
        "be the same on every page",
    );
  }
  return parts.position;
}

function parseCursor(cursor: unknown): { position: Position; fingerprint: string } | undefined {
  if (typeof cursor !== "string") return undefined;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts) || parts.length !== 3) return undefined;
  const [key, updatedAt, fingerprint] = parts as unknown[];
  if (typeof key !== "string" || typeof updatedAt !== "number" || typeof fingerprint !== "string") {
    return undefined;
  }
  return { position: { key, updatedAt }, fingerprint };
}

/** Everything that decides the order and the members of a listing; not the size of its pages. */
function fingerprintOf(query: EngineQuery): string {
  const { prefix, updatedAfter, updatedBefore, orderBy, descending } = query;
  // String, because JSON has no Infinity.
  const identity = JSON.stringify([prefix, String(updatedAfter), String(updatedBefore), orderBy, descending]);
  return createHash("sha256").update(identity).digest("base64url").slice(0, 12);
}
