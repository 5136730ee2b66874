/**
 * Whether what was read looks like sessions at all. Nearly any JSON file has some object in it, and a file that was named by
 * mistake must not be taken apart and moved away.
 *
 * A `sessions.json` is an object of objects, and each of those says when it was used or which conversation it is.
 */
import { SessionStoreError } from "../errors.js";
import type { EntryRules } from "./reading/check-entry.js";
import type { LegacyWork } from "./work.js";

/** Of entries that could be kept. One without any field says neither. */
export interface Resemblance {
  like: number;
  unlike: number;
}

export function noteResemblance(found: Resemblance, entry: object, rules: EntryRules): void {
  const known = Object.hasOwn(entry, "sessionId") || Object.hasOwn(entry, "updatedAt");
  if (known || rules.updatedAt(entry) !== 0) found.like++;
  else if (Object.keys(entry).length > 0) found.unlike++;
}

/** @throws `legacy_invalid` with `data.reason` "not_sessions", unless everything is to be taken. */
export function assertSessions(
  work: LegacyWork,
  path: string,
  { resemblance: { like, unlike } }: { readonly resemblance: Resemblance },
): void {
  const { read, refused } = work.counts;
  const taken = read - refused;
  if (work.force || taken === 0 || (refused <= taken && unlike <= like)) return;
  const strange = work.refusals[0];
  const found = [`of its ${read} entries ${taken} are objects`];
  if (unlike > 0) found.push(`${unlike} of these have neither a sessionId nor an updatedAt`);
  if (refused > 0) found.push(`${refused} would be refused${strange ? ` (${strange.message})` : ""}`);
  throw new SessionStoreError(
    "legacy_invalid",
    `${path} does not look like sessions: ${found.join(", ")}. If they are sessions, say so: ` +
      `${work.command("migrate")} --force, or force: true in the library.`,
    { data: { path, reason: "not_sessions", read, kept: taken, refused, unlike } },
  );
}
