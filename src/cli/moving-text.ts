/** What commands that move sessions say in the end, and the damage they tell of. */
import { plural } from "../plural.js";
import type { DamagedExport } from "../care/moving/export.js";
import { formatCount } from "./figures.js";
import { needsPerson, type Invocation } from "./invocation.js";

/** Most sessions, keys or lines that are named one by one. */
export const TOLD_MAX = 20;

export function countOf(count: number, singular: string): string {
  return plural(count, singular, `${singular}s`, formatCount(count));
}

/** Sessions that could not be read, and keys that are not there: the code is 3 for the first, 1 for the others. */
export function tellLeftOut(
  invocation: Invocation,
  path: string,
  { damaged, missing }: { readonly damaged: readonly DamagedExport[]; readonly missing: readonly string[] },
): void {
  const { terminal } = invocation;
  if (missing.length > 0 && invocation.exitCode === 0) invocation.exitCode = 1;
  for (const key of missing.slice(0, TOLD_MAX))
    terminal.warn("not_found", `there is no session ${JSON.stringify(key)} in ${path}: check the key.`, {
      key,
      path,
    });
  if (damaged.length > 0) needsPerson(invocation);
  for (const { key, code, message } of damaged.slice(0, TOLD_MAX))
    terminal.warn(code, `left out: ${message}`, { ...(key !== undefined && { key }), path });
  const more = Math.max(0, missing.length - TOLD_MAX) + Math.max(0, damaged.length - TOLD_MAX);
  if (more > 0) terminal.warn("left_out", `${formatCount(more)} more are left out.`, { path, more });
}
