/**
 * Whether what was read looks like sessions at all. Nearly any JSON file has some object in it, and a file that was named by
 * mistake must not be taken apart and moved away.
 *
 * A `sessions.json` is an object of objects, and each of those says when it was used or which conversation it is.
 */
import { entriesOf } from "../../plural.js";
import { SessionStoreError } from "../../errors.js";
import type { EntryRules } from "../reading/check-entry.js";
import type { Refusals } from "../base/tally.js";
import type { LegacyWork } from "./work.js";

export function noteResemblance(
  found: { like: number; unlike: number },
  entry: object,
  rules: EntryRules,
): void {
  const known = Object.hasOwn(entry, "sessionId") || Object.hasOwn(entry, "updatedAt");
  if (known || rules.updatedAt(entry) !== 0) found.like++;
  else if (Object.keys(entry).length > 0) found.unlike++;
}

/** @throws `legacy_invalid` with `data.reason` "not_sessions", unless everything is to be taken. */
export function assertSessions(
  work: LegacyWork,
  path: string,
  {
    read,
    refusals,
    like,
    unlike,
  }: { readonly read: number; readonly refusals: Refusals; readonly like: number; readonly unlike: number },
): void {
  const { count: refused } = refusals;
  const taken = read - refused;
  if (work.force || taken === 0 || (refused <= taken && unlike <= like)) return;
  const [strange] = refusals.named;
  const found = [`objects: ${taken} of ${entriesOf(read)}`];
  if (unlike > 0) found.push(`with neither a sessionId nor an updatedAt: ${unlike}`);
  if (refused > 0) found.push(`refused: ${refused}${strange ? ` (${strange.message})` : ""}`);
  throw new SessionStoreError(
    "legacy_invalid",
    `${path} does not look like sessions (${found.join("; ")}). If they are sessions, say so: ` +
      `${work.command("migrate")} --force, or force: true in the library.`,
    { data: { path, reason: "not_sessions", read, kept: taken, refused, unlike } },
  );
}
