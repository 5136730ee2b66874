/**
 * Whether a path's sessions are in a directory store by now, where that is, and a token that changes with it.
 *
 * Reads only, at once, and nothing is cached: a migration by another process is seen by the next call.
 */
import { createHash } from "node:crypto";
import { nodeFileSystem as fs } from "../../fs/node-file-system.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { isMissing } from "../../fs/missing.js";
import { Layout, segmentName, segmentNumber } from "../../format/layout.js";
import { resolveStoreTarget } from "../base/store-target.js";

/** Far more than a format file has. */
const FORMAT_BYTES_MAX = 64 * 1024;
/** Names and sizes are read one after the other: a segment may come or go in between. */
const ATTEMPTS_MAX = 8;

/**
 * The directory store that belongs to a legacy file, whether it is there or not: `…/NAME.d` for `…/NAME.json`, in the real
 * folder, symlinks followed.
 * @throws `TypeError` for a path that is neither.
 * @example
 * resolveSessionStoreDir("/srv/agents/main/sessions/sessions.json"); // "/srv/agents/main/sessions/sessions.d"
 */
export function resolveSessionStoreDir(storePath: string): string {
  return resolveStoreTarget(fs, storePath).directory;
}

/**
 * Whether the sessions of this path are in its directory store. If not, the legacy file is authoritative, whatever else lies there.
 * @throws `TypeError` for a path that is neither `…/NAME.json` nor `…/NAME.d`.
 */
export function isDirectorySessionStoreActive(storePath: string): boolean {
  return resolveStoreTarget(fs, storePath).identity !== undefined;
}

/**
 * A token that is another one after every commit of any process, and of every other store. It may also change when no
 * session did. For caches of a gateway's own; `loadSessionStore` needs none.
 * @returns Undefined where no directory store is active, or where it cannot be read.
 * @example
 * const seen = readDirectorySessionStoreVersion(storePath); // another string: something was committed
 */
export function readDirectorySessionStoreVersion(storePath: string): string | undefined {
  const { directory, identity } = resolveStoreTarget(fs, storePath);
  if (identity === undefined) return undefined;
  const layout = new Layout(directory);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    try {
      const format = readRegularFile(fs, layout.format, { bytesMax: FORMAT_BYTES_MAX });
      const store = createHash("sha256").update(format).digest("hex").slice(0, 16);
      // The log only grows within a segment, and the next segment has a higher number: its end names the state.
      const active = Math.max(0, ...fs.readdir(layout.log).map((name) => segmentNumber(name) ?? 0));
      const size = active === 0 ? 0 : fs.lstat(`${layout.log}/${segmentName(active)}`).size;
      return `${store}-${active}-${size}`;
    } catch (error) {
      if (!isMissing(error)) return undefined;
    }
  }
  return undefined;
}
