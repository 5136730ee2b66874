/**
 * What both backends of a store can do: the directory, and the legacy file that was not migrated yet. The public functions
 * are written once, over this.
 */
import type { SessionEntry } from "../entry/session-entry.js";
import type { ChangeRules } from "./change.js";
import type { StoreView } from "./view.js";
import type { StoreSnapshot } from "./snapshot.js";

export interface UpdateRules extends ChangeRules {
  /**
   * What must not have changed meanwhile. "touched" (default): every entry that the mutator read or wrote. "written": only what
   * it wrote.
   */
  readonly compared?: "touched" | "written";
}

/**
 * The entry that is to be, from the one that is, which is shared; undefined leaves it as it is. Called again on fresh
 * state.
 */
export type Compute = (
  existing: Readonly<SessionEntry> | undefined,
) => SessionEntry | undefined | Promise<SessionEntry | undefined>;

export interface StoreBackend {
  /** Every commit that was made before the call, at once. */
  snapshot(options?: { readonly skipCache?: boolean }): StoreSnapshot;
  /** One session by its canonical key, at once: shared, frozen or not to be changed. */
  readOne(key: string): Readonly<SessionEntry> | undefined;
  /**
   * Runs a mutator on a view of everything that was committed before it began, and commits what it changed, all or nothing.
   * Mutators of one process take turns. Run again when somebody else was faster.
   * @returns What the mutator returned, and whether something was written.
   */
  updateAll<R>(
    mutate: (view: StoreView) => R | Promise<R>,
    rules: UpdateRules,
  ): Promise<{ readonly result: R; readonly wrote: boolean }>;
  /** The same for one session by its canonical key. @returns The entry afterwards. */
  updateOne(
    key: string,
    compute: Compute,
  ): Promise<{ readonly entry: Readonly<SessionEntry> | undefined; readonly wrote: boolean }>;
}

/** Thrown by a backend that found that the store has the other backend by now: nothing was changed, look again. */
export class StoreMovedSignal extends Error {}

/** Thrown by the legacy backend when there is something to write and the store is to be migrated first. */
export class MigrationSignal extends Error {}
