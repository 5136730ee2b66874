/** A file system of which a test makes some calls itself: it counts them, holds them back, or answers something else. */
import type { FileSystem } from "../../src/fs/file-system.js";

export interface Interceptions extends Partial<Omit<FileSystem, "later">> {
  readonly later?: Partial<FileSystem["later"]>;
}

/** The file system with these calls in place of its own; whoever wants the real one has `fs`. */
export function interceptCalls(fs: FileSystem, instead: Interceptions): FileSystem {
  const own: Record<PropertyKey, unknown> = { ...instead, later: { ...fs.later, ...instead.later } };
  return new Proxy(fs, {
    get(target, name) {
      if (Object.hasOwn(own, name)) return own[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}
