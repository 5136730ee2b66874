/**
 * Paths inside of entries after a move: what begins with one folder begins with another one.
 *
 * Whole components only: `/home/a` is no beginning of `/home/ab`. The first rule that fits a field decides, so that two rules can
 * exchange two folders. What is not a string, or begins with something else, stays as it is. Nothing that was read is changed.
 */

export interface RewriteRule {
  /** Names from the entry down to the field: `["sessionFile"]`. In an array a name is the number of an item, from 0. At least one. */
  readonly field: readonly string[];
  /** The folder or file as it was called. */
  readonly from: string;
  /** What it is called now. */
  readonly to: string;
}

export interface Rewritten {
  readonly entry: object;
  /** How many fields changed. */
  readonly fields: number;
}

const INDEX = /^(?:0|[1-9]\d{0,8})$/;

/** @throws `TypeError` for what is no rule. */
export function checkRules(rules: readonly RewriteRule[] = []): readonly RewriteRule[] {
  for (const { field, from, to } of rules) {
    if (!Array.isArray(field) || field.length === 0 || field.some((name) => typeof name !== "string"))
      throw new TypeError("a rule to rewrite needs a field: the names that lead to it, at least one");
    if (typeof from !== "string" || typeof to !== "string" || withoutEnd(from) === "" || to === "")
      throw new TypeError(
        `the rule for ${field.join(".")} needs two paths that are not empty, and the first one cannot be the root folder`,
      );
  }
  return rules;
}

/** The entry with paths as the rules say; the same object if nothing changes. */
export function rewriteEntry(entry: object, rules: readonly RewriteRule[]): Rewritten {
  let current: unknown = entry;
  let fields = 0;
  const decided = new Set<string>();
  for (const { field, from, to } of rules) {
    const place = JSON.stringify(field);
    if (decided.has(place)) continue;
    const next = changed(current, field, (value) => {
      if (isAt(value, from)) decided.add(place);
      return rewritePath(value, from, to);
    });
    if (next !== current) fields += 1;
    current = next;
  }
  return { entry: current as object, fields };
}

/**
 * The path in its new place; the same if it is in another one, or in the new place already: where that is below the old one, the same
 * work may be done again.
 */
export function rewritePath(path: string, from: string, to: string): string {
  if (!isAt(path, from) || (isAt(to, from) && isAt(path, to))) return path;
  const rest = path.slice(withoutEnd(from).length);
  const end = withoutEnd(to);
  return rest === "" ? end || to : end + rest;
}

/** Whether a path is a folder or file, or in it. */
function isAt(path: string, place: string): boolean {
  const start = withoutEnd(place);
  return path.startsWith(start) && /^(?:[/\\]|$)/.test(path.slice(start.length));
}

function withoutEnd(path: string): string {
  return path.replace(/[/\\]+$/, "");
}

/** The value with another text at a place; the same value where there is none, or none that changes. */
function changed(value: unknown, path: readonly string[], change: (text: string) => string): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return typeof value === "string" ? change(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (!INDEX.test(name) || Number(name) >= value.length) return value;
    const before: unknown = value[Number(name)];
    const after = changed(before, rest, change);
    return after === before ? value : value.with(Number(name), after);
  }
  if (!Object.hasOwn(value, name)) return value;
  const before: unknown = (value as Record<string, unknown>)[name];
  const after = changed(before, rest, change);
  if (after === before) return value;
  // fromEntries defines fields instead of assigning them: "__proto__" is a field like any other.
  return Object.fromEntries(Object.entries(value).map(([key, old]) => [key, key === name ? after : old]));
}
