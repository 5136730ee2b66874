/**
 * How much the long tests do. `.ci/run`, the nightly runs and the mutants set SESSIONDIR_THOROUGH=1: every moment of an operation, all
 * of the kills and the schedules. `npm test`, which a person waits for, does a part of each, and the names of the tests say which.
 */
export const THOROUGH = process.env["SESSIONDIR_THOROUGH"] === "1";

/** How far the moments that are tried are apart: 1, which is each of them, or so many. */
export function stride(count: number): number {
  return THOROUGH ? 1 : count;
}

/** As in "each call", or "one call of 3 (SESSIONDIR_THOROUGH=1: each)". */
export function each(moment: string, count: number): string {
  return THOROUGH ? `each ${moment}` : `one ${moment} of ${count} (SESSIONDIR_THOROUGH=1: each)`;
}

/** So many, or fewer. */
export function many(all: number, few: number): number {
  return THOROUGH ? all : few;
}
