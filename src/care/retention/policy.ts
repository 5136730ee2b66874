/**
 * Reads a policy, strictly: whatever cannot be understood is refused, with its place and with what was probably meant. A limit that is
 * silently not there removes nothing, and a wrong one removes too much. No value means "everything": 0 is refused.
 */
import { resolve } from "node:path";
import { parseByteCount, parseTimeSpan } from "../../measures.js";
import { globOf } from "./glob.js";
import type { RetentionMode, RetentionPolicy, RetentionSession } from "./policy-types.js";

export interface Rule {
  readonly name: string;
  matches(session: RetentionSession): boolean;
  readonly keep: boolean;
  /** As it was written, and in milliseconds. */
  readonly olderThan: { readonly text: string; readonly ms: number } | undefined;
  readonly maxCount: number | undefined;
  readonly keepNewest: number;
  readonly ttl: { readonly text: string; readonly path: readonly string[] } | undefined;
}

/** A policy that was read. */
export interface Policy {
  readonly mode: RetentionMode;
  isKept(key: string): boolean;
  readonly rules: readonly Rule[];
  readonly store: { readonly maxBytes: number; readonly targetBytes: number } | undefined;
  readonly archive: {
    /** Absolute. */
    readonly folder: string | undefined;
    readonly olderThanMs: number | undefined;
    readonly maxBytes: number | undefined;
  };
  readonly maxShare: number;
}

/** What is wrong with a policy. */
export class PolicyFault extends TypeError {
  override readonly name = "PolicyFault";
  /** @param member Its place, as in `rules[0].olderThan`. */
  constructor(
    readonly member: string,
    what: string,
  ) {
    super(`${member} ${what}`);
  }
}

/** More is no policy of a person's. */
const RULES_MAX = 1000;
const KEYS_MAX = 100_000;
const MAX_SHARE = 0.5;
const HIGH_WATER = 0.8;

type Fields = Readonly<Record<string, unknown>>;

const POLICY_NAMES = ["version", "mode", "keep", "rules", "store", "archive", "maxShare", "$schema"];
const RULE_NAMES = ["name", "keys", "match", "keep", "olderThan", "maxCount", "keepNewest", "ttl"];
/** Names that people know from other programs. */
const MEANT: Readonly<Record<string, string>> = {
  maxage: "olderThan",
  age: "olderThan",
  pruneafter: "olderThan",
  maxentries: "maxCount",
  max: "maxCount",
  keeplast: "keepNewest",
  keys: "keys",
  key: "keys",
  pattern: "keys",
  prefix: "keys",
  expires: "ttl",
  preservekeys: "keep",
  maxdiskbytes: "maxBytes",
  highwaterbytes: "highWater",
  path: "folder",
  dir: "folder",
};

/**
 * @param folder What a relative archive folder is relative to.
 * @throws {@link PolicyFault}, a `TypeError`.
 */
export function checkPolicy(given: RetentionPolicy, folder = process.cwd()): Policy {
  const policy = object(given, "the policy");
  known(policy, "", POLICY_NAMES);
  const { version, mode = "off", maxShare = MAX_SHARE } = policy;
  if (version !== 1) throw fault("version", "must be 1", version);
  if (mode !== "off" && mode !== "warn" && mode !== "enforce")
    throw fault("mode", `must be "off", "warn" or "enforce"`, mode);
  if (typeof maxShare !== "number" || !(maxShare >= 0 && maxShare <= 1))
    throw fault("maxShare", "must be a number from 0 to 1", maxShare);
  return {
    mode,
    isKept: anyOf(keys(policy["keep"] ?? [], "keep")),
    rules: rules(policy["rules"] ?? []),
    store: store(policy["store"]),
    archive: archive(policy["archive"] ?? {}, folder),
    maxShare,
  };
}

/** The same policy, in which these sessions are kept too. */
export function keeping(policy: Policy, kept: readonly string[]): Policy {
  if (kept.length === 0) return policy;
  const isKept = anyOf(keys(kept, "keep"));
  return { ...policy, isKept: (key) => isKept(key) || policy.isKept(key) };
}

function rules(given: unknown): Rule[] {
  if (!Array.isArray(given) || given.length > RULES_MAX)
    throw fault("rules", `must be a list of at most ${RULES_MAX}`, given);
  const names = new Set<string>();
  return given.map((one: unknown, index) => {
    const at = `rules[${index}]`;
    const checked = rule(object(one, at), at);
    if (names.has(checked.name)) throw fault(`${at}.name`, "must be its own,", checked.name);
    names.add(checked.name);
    return checked;
  });
}

function rule(fields: Fields, at: string): Rule {
  known(fields, `${at}.`, RULE_NAMES);
  const { name, match, keep, olderThan, maxCount, ttl } = fields;
  if (typeof name !== "string" || name === "") throw fault(`${at}.name`, "must be a text", name);
  if (match !== undefined && typeof match !== "function")
    throw fault(`${at}.match`, "must be a function, which only code can give,", match);
  if (keep !== undefined && keep !== true) throw fault(`${at}.keep`, "must be true, or not be there,", keep);
  const keepNewest = fields["keepNewest"] === undefined ? 0 : count(fields["keepNewest"], `${at}.keepNewest`);
  const limits = [olderThan, maxCount, ttl].filter((limit) => limit !== undefined);
  if (keep !== true && limits.length === 0)
    throw new PolicyFault(at, "has no limit: give it olderThan, maxCount or ttl, or keep: true.");
  if (keep === true && (limits.length > 0 || keepNewest > 0))
    throw new PolicyFault(at, "keeps its sessions for ever, and has a limit: take one of them away.");
  const max = maxCount === undefined ? undefined : count(maxCount, `${at}.maxCount`);
  if (max !== undefined && keepNewest > max)
    throw new PolicyFault(`${at}.keepNewest`, `keeps ${keepNewest} sessions, and maxCount allows ${max}.`);
  const hasKey = fields["keys"] === undefined ? () => true : anyOf(keys(fields["keys"], `${at}.keys`));
  return {
    name,
    matches: (session) => hasKey(session.key) && (match === undefined || matches(match, session, at)),
    keep: keep === true,
    olderThan: olderThan === undefined ? undefined : timeSpan(olderThan, `${at}.olderThan`),
    maxCount: max,
    keepNewest,
    ttl: ttl === undefined ? undefined : ttlOf(object(ttl, `${at}.ttl`), `${at}.ttl`),
  };
}

/** A promise is true whatever it becomes: a rule that answers with one would match everything. */
function matches(match: unknown, session: RetentionSession, at: string): boolean {
  const answer: unknown = (match as (session: RetentionSession) => unknown)(session);
  if (typeof answer !== "boolean") throw fault(`${at}.match`, "must return true or false,", answer);
  return answer;
}

function ttlOf(fields: Fields, at: string): NonNullable<Rule["ttl"]> {
  known(fields, `${at}.`, ["field"]);
  const { field } = fields;
  const path = typeof field === "string" ? field.split(".") : [];
  if (typeof field !== "string" || path.some((step) => step === ""))
    throw fault(`${at}.field`, "must name a field, as in expiresAt or meta.expiresAt,", field);
  return { text: field, path };
}

function store(given: unknown): Policy["store"] {
  if (given === undefined) return undefined;
  const fields = object(given, "store");
  known(fields, "store.", ["maxBytes", "highWater"]);
  const { highWater = HIGH_WATER } = fields;
  if (typeof highWater !== "number" || !(highWater > 0 && highWater <= 1))
    throw fault("store.highWater", "must be above 0 and at most 1", highWater);
  const maxBytes = byteCount(fields["maxBytes"], "store.maxBytes");
  return { maxBytes, targetBytes: Math.floor(maxBytes * highWater) };
}

function archive(given: unknown, base: string): Policy["archive"] {
  const fields = object(given, "archive");
  known(fields, "archive.", ["folder", "olderThan", "maxBytes"]);
  const { folder, olderThan, maxBytes } = fields;
  if (folder !== undefined && (typeof folder !== "string" || folder === ""))
    throw fault("archive.folder", "must be the path of a folder", folder);
  return {
    folder: folder === undefined ? undefined : resolve(base, folder),
    olderThanMs: olderThan === undefined ? undefined : timeSpan(olderThan, "archive.olderThan").ms,
    maxBytes: maxBytes === undefined ? undefined : byteCount(maxBytes, "archive.maxBytes"),
  };
}

function timeSpan(value: unknown, at: string): { readonly text: string; readonly ms: number } {
  const ms = typeof value === "string" ? parseTimeSpan(value) : undefined;
  if (ms === undefined || ms <= 0)
    throw fault(at, 'must be a number above 0 with s, m, h, d or w behind it, as in "7d",', value);
  return { text: value as string, ms };
}

function byteCount(value: unknown, at: string): number {
  const bytes = typeof value === "string" ? parseByteCount(value) : value;
  if (typeof bytes !== "number" || !Number.isFinite(bytes) || bytes < 1)
    throw fault(at, 'must be a number of bytes above 0, or a size as in "2GB",', value);
  return Math.floor(bytes);
}

function count(value: unknown, at: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1)
    throw fault(at, "must be a whole number of at least 1", value);
  return value;
}

function keys(given: unknown, at: string): readonly string[] {
  const list: readonly unknown[] = typeof given === "string" ? [given] : Array.isArray(given) ? given : [];
  const isList = list.length > 0 || Array.isArray(given);
  if (!isList || list.length > KEYS_MAX || list.some((key) => typeof key !== "string" || key === ""))
    throw fault(at, `must be a key or a list of at most ${KEYS_MAX}, * for any text,`, given);
  if (list.length === 0 && at !== "keep")
    throw new PolicyFault(at, "is empty: the rule would match nothing.");
  return list as readonly string[];
}

function anyOf(patterns: readonly string[]): (key: string) => boolean {
  const plain = new Set(patterns.filter((pattern) => !pattern.includes("*")));
  const globs = patterns.filter((pattern) => pattern.includes("*")).map(globOf);
  return (key) => plain.has(key) || globs.some((glob) => glob(key));
}

function object(value: unknown, at: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw fault(at, "must be an object", value);
}

function known(fields: Fields, at: string, names: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (names.includes(name)) continue;
    const meant = nearest(name, names);
    const guess = meant === undefined ? `There are ${names.join(", ")}.` : `Did you mean ${meant}?`;
    throw new PolicyFault(`${at}${name}`, `is no member of a policy. ${guess}`);
  }
}

/** What a name was probably meant to be. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const lower = name.toLowerCase().replaceAll(/[-_]/g, "");
  const known = Object.hasOwn(MEANT, lower) ? MEANT[lower] : undefined;
  if (known !== undefined && names.includes(known)) return known;
  const [best] = names
    .map((each) => ({ each, distance: distanceOf(lower, each.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.max(1, best.each.length / 3) ? best.each : undefined;
}

/** Characters to add, leave out or change. */
function distanceOf(a: string, b: string): number {
  if (a.length > 50) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

function fault(at: string, what: string, value: unknown): PolicyFault {
  const shown = JSON.stringify(value) ?? typeof value;
  return new PolicyFault(at, `${what} and is ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}.`);
}
