/**
 * Changes of single values inside of an entry, as new top-level fields for the store's `patch`.
 *
 * An object or array on the way is copied, one that is missing is made: `usage.total=9` makes `usage` if there is none.
 * What is there and can hold no field, a string for one, is never replaced on the way: that would lose it.
 */
import { isDeepStrictEqual } from "node:util";
import { SessionStoreError } from "../errors.js";
import { CliError } from "./failure.js";
import { formatFieldPath, hasStep, type FieldPath, type FieldStep } from "./field-path.js";
import type { Entry } from "./open-store.js";

export interface FieldChange {
  readonly path: FieldPath;
  /** Undefined removes the field. */
  readonly value: unknown;
}

export interface ChangedFields {
  /** New values of top-level fields; undefined removes one. */
  readonly fields: Entry;
  /** What really changes, as paths. */
  readonly set: readonly string[];
  readonly unset: readonly string[];
}

/** @throws `field_not_found` when a path leads into something that can hold no field. */
export function changeFields(
  entry: Readonly<Entry>,
  changes: readonly FieldChange[],
  key: string,
): ChangedFields {
  // Only fields that are named are looked at: reading a big shared value may mean loading it.
  const roots = new Map<string, unknown>();
  const set: string[] = [];
  const unset: string[] = [];
  for (const { path, value } of changes) {
    const [{ name }, ...rest] = path;
    const known = roots.has(name);
    try {
      const before = known ? roots.get(name) : Object.hasOwn(entry, name) ? entry[name] : undefined;
      const after = withValue(before, rest, value, { path, key });
      if (isDeepStrictEqual(before, after)) continue;
      roots.set(name, after);
    } catch (error) {
      // To write such a field as a whole, or to remove it, is the way out, and needs nothing of what it was.
      if (rest.length > 0 || !isUnreadable(error)) throw error;
      roots.set(name, value);
    }
    (value === undefined ? unset : set).push(formatFieldPath(path));
  }
  return { fields: Object.fromEntries(roots), set, unset };
}

function isUnreadable(error: unknown): boolean {
  return error instanceof SessionStoreError && ["blob_missing", "blob_corrupt"].includes(error.code);
}

interface Place {
  readonly path: FieldPath;
  readonly key: string;
}

/** A copy of `holder` in which the value at the end of `steps` is this one; `undefined` takes it away. */
function withValue(holder: unknown, steps: readonly FieldStep[], value: unknown, place: Place): unknown {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (value === undefined && !hasStep(holder, step)) return holder; // there is nothing to remove
  const made = holder ?? (holder === null ? null : step.isIndex ? [] : {});
  if (Array.isArray(made)) return withItem(made as unknown[], step, rest, value, place);
  if (typeof made !== "object" || made === null || step.isIndex) throw noPlace(made, steps, place);
  const inner = withValue(hasStep(made, step) ? made[step.name] : undefined, rest, value, place);
  const fields = Object.entries(made).filter(([name]) => name !== step.name || inner !== undefined);
  const at = fields.findIndex(([name]) => name === step.name);
  if (at >= 0) fields[at] = [step.name, inner];
  else if (inner !== undefined) fields.push([step.name, inner]);
  return Object.fromEntries(fields); // own fields, `__proto__` too
}

/** The item after the last may be set too: it makes the array one longer. */
function withItem(
  items: readonly unknown[],
  step: FieldStep,
  rest: readonly FieldStep[],
  value: unknown,
  place: Place,
): unknown[] {
  const index = Number(step.name);
  if (!/^\d+$/.test(step.name) || index > items.length) throw noPlace(items, [step, ...rest], place);
  const inner = withValue(items[index], rest, value, place);
  return inner === undefined
    ? items.toSpliced(index, 1)
    : [...items.slice(0, index), inner, ...items.slice(index + 1)];
}

function noPlace(holder: unknown, steps: readonly FieldStep[], { path, key }: Place): CliError {
  const holderPath = formatFieldPath(path.slice(0, path.length - steps.length));
  const [step] = steps;
  const kind = Array.isArray(holder)
    ? `an array of ${holder.length}: its next item is [${holder.length}]`
    : holder === null
      ? "null, not an object"
      : typeof holder === "object"
        ? "an object, not an array"
        : `a ${typeof holder}, not an object`;
  return new CliError(
    "field_not_found",
    `${holderPath} of session ${JSON.stringify(key)} is ${kind}, so ${JSON.stringify(step?.name ?? "")} cannot be ` +
      `changed in it. Nothing was written: set ${holderPath} as a whole.`,
    { data: { key, field: formatFieldPath(path) } },
  );
}
