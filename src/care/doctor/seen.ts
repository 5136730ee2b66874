/** What the looks at a store's files need to know of it. */
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import type { Runtime } from "../../runtime.js";

export interface Seen {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  readonly layout: Layout;
  /** Undefined where `format.json` does not say one. */
  readonly storeId: string | undefined;
  /** Names that may be folders of sessions, whatever they are. */
  readonly candidates: readonly string[];
  readonly signal: AbortSignal | undefined;
  /** Whether the content of something is in the sample. */
  isSampled(name: string): boolean;
}
