/**
 * Looks at paths that are guesses: of a path that no system call takes, too long or leading in a circle, nothing is there
 * either.
 */
import { errnoOf } from "../errors.js";
import { nodeFileSystem as fs } from "../fs/node-file-system.js";
import * as status from "../fs/status.js";

/** Names in a folder in order; none where there is no folder. */
export function namesIn(path: string): string[] {
  return orNothing(() => status.namesInNow(fs, path)) ?? [];
}

export function exists(path: string): boolean {
  return orNothing(() => status.existsNow(fs, path)) ?? false;
}

const IMPOSSIBLE: ReadonlySet<string> = new Set(["ELOOP", "ENAMETOOLONG"]);

function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (IMPOSSIBLE.has(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
