/**
 * What the first argument of `openSessionStore` can mean.
 *
 * A legacy file `NAME.json` stands for the directory `NAME.d` beside it, so two legacy files in one folder never
 * share a store. A path is made absolute here and now: a later `process.chdir` changes nothing.
 */
import * as path from "node:path";
import { kindOf } from "./arguments.js";

export type StoreTarget =
  | { readonly kind: "memory" }
  | {
      readonly kind: "directory";
      /** Absolute path of the store directory. */
      readonly path: string;
      /** Absolute path of the legacy file, if that was given. */
      readonly legacyFile: string | undefined;
    };

/** Two letters at least before the colon: `C://` is a path. */
const URL_SCHEME = /^([a-z][a-z0-9+.-]+):\/\//i;

/** @throws `TypeError` for what is no target of this version. */
export function parseTarget(target: unknown): StoreTarget {
  if (typeof target !== "string" || target === "") {
    throw new TypeError(`target must be a path or "memory:", not ${kindOf(target)}`);
  }
  if (target === "memory:") return { kind: "memory" };
  const scheme = URL_SCHEME.exec(target)?.[1]?.toLowerCase();
  if (scheme === "postgres" || scheme === "postgresql") {
    // The URL may hold a password and is not repeated.
    throw new TypeError("target is a postgres:// URL: open it with openPostgresStore of sessiondir/postgres");
  }
  if (scheme !== undefined) {
    throw new TypeError(`target must be a path or "memory:", not a ${scheme}:// URL`);
  }
  if (target.includes("\0")) throw new TypeError("target must not contain a NUL character");
  const absolute = path.resolve(target);
  const directory = storeDirectoryOf(absolute);
  return { kind: "directory", path: directory, legacyFile: directory === absolute ? undefined : absolute };
}

/** `…/NAME.json` is the store `…/NAME.d`; any other path is a store directory itself. Always absolute. */
export function storeDirectoryOf(target: string): string {
  const absolute = path.resolve(target);
  // extname of ".json" is "": a file without a name has no sibling.
  return path.extname(absolute) === ".json" ? `${absolute.slice(0, -".json".length)}.d` : absolute;
}
