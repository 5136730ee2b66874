/** What the calls of this room have in common. */
import type { RewriteRule } from "./rewrite-rule.js";
import type { SessionStore } from "../../store/types.js";

/** Any store: entries come and go as they are. A store both takes and gives its entries, so no other type stands for all of them. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyStore = SessionStore<any>;

/** Which sessions. With both, those of either; with neither, all. */
export interface Selection {
  /** Of these sessions. A key that is not there is told in the report. */
  readonly keys?: readonly string[] | undefined;
  /** Of sessions whose keys start with this. */
  readonly prefix?: string | undefined;
}

export interface WorkOptions {
  /** Paths that are rewritten on the way. Default: none. */
  readonly rewrite?: readonly RewriteRule[] | undefined;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}
