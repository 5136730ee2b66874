/**
 * "It is not there" as an answer.
 *
 * Every process may remove what another one is about to look at, so a call that finds nothing has not failed: it has
 * told something. What it told is decided here, once. Any other failure says nothing about what is there, and passes.
 *
 *  - **missing** (ENOENT): the name is not there, or a folder on the way to it is not.
 *  - **absent**: missing, or nothing can be there, because the path leads through a file (ENOTDIR).
 */
import { errnoOf } from "../errors.js";

/** Whether a call failed because what it was for is not there. */
export function isMissing(error: unknown): boolean {
  return errnoOf(error) === "ENOENT";
}

/** The same, also where a file stands in place of a folder on the way. */
export function isAbsent(error: unknown): boolean {
  return isMissing(error) || errnoOf(error) === "ENOTDIR";
}

/** What a call gives, or undefined where something that it needs is missing. Any other failure is thrown. */
export function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What a call gives, or undefined where what it is for is absent. Any other failure is thrown. */
export function unlessAbsent<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Waits for a call that removes or moves something; that another process was faster is as good. */
export async function ignoreMissing(call: Promise<void>): Promise<void> {
  await wasThere(call);
}

/** The same. @returns False if it was missing, so that nothing was done. */
export async function wasThere(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Waits for a call that makes something; that there is one by that name is as good, and the caller looks at what it is. */
export async function ignoreExisting(call: Promise<void>): Promise<void> {
  await call.catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
}
