/**
 * Whether two values have the same JSON, the order of fields aside: the one equality of the store.
 *
 * It may say "different" of two values with one JSON (a `toJSON` is not called, an undefined item is not null), and never
 * "same" of two with different ones: where it decides whether to write, it may only err towards writing. (Migration asks
 * something else, where the first difference is and in which order fields stand: `legacy/reading/equality.ts`.)
 *
 * Entries may nest as deep as `depthMax` says, and it goes no deeper than the shallower of the two.
 */

type Fields = Readonly<Record<string, unknown>>;

/** Values that are one object are equal without being looked into. */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (!isContainer(left) || !isContainer(right)) return Number.isNaN(left) && Number.isNaN(right);
  if (Array.isArray(left)) return Array.isArray(right) && equalItems(left, right);
  return !Array.isArray(right) && equalFields(left, right);
}

function equalItems(left: readonly unknown[], right: readonly unknown[]): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (!equalJson(left[index], right[index])) return false;
  return true;
}

/** A field that is undefined is as good as none. */
function equalFields(left: Fields, right: Fields): boolean {
  if (typeof left["toJSON"] === "function" || typeof right["toJSON"] === "function") return false;
  let common = 0;
  for (const name of Object.keys(left)) {
    const value = left[name];
    if (value === undefined) continue;
    if (!Object.hasOwn(right, name) || !equalJson(value, right[name])) return false;
    common++;
  }
  const names = Object.keys(right);
  return names.length === common || names.filter((name) => right[name] !== undefined).length === common;
}

function isContainer(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
