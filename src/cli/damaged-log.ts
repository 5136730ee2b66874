/** What a damaged log hides, said to people. Sessions whose own files are damaged have a warning of the store already. */
import { basename } from "node:path";
import { ENTRY_FILE } from "../format/layout.js";
import { shellQuoted } from "../legacy/base/paths.js";
import type { DamagedSession } from "../store/types.js";
import { needsPerson, type Invocation } from "./invocation.js";
import type { Store } from "./open-store.js";

/** Whether sessions, or changes of them, may be in bytes of the log that cannot be read. Costs as much as a listing. */
export async function isLogDamaged(store: Store): Promise<boolean> {
  const { damagedSegments = [] } = (await store.stats()).directory ?? {};
  return damagedSegments.length > 0;
}

/** Names the sessions that a listing leaves out because of the log. */
export function warnOfHidden(
  invocation: Invocation,
  store: string,
  damaged: readonly DamagedSession[] | undefined,
): void {
  for (const { key, path, reason } of damaged ?? []) {
    if (basename(path) === ENTRY_FILE) continue;
    needsPerson(invocation);
    const message =
      `session ${JSON.stringify(key)} cannot be read and is left out: ${reason}. ` +
      `See what mending would do: sessiondir mend --dry-run --store ${shellQuoted(store)}`;
    invocation.terminal.warn("session_damaged", message, { key, path, reason });
  }
}
