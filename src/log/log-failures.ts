/** What a process says of a log that it cannot use, or must not. */
import { SessionStoreError } from "../errors.js";
import type { Segment } from "./segment.js";

/** Others went on without what this process has read behind an offset. */
export function contradicted({ path, number, ledger }: Segment, offset: number): SessionStoreError {
  const from = (ledger.firstRevision ?? 0) + offset;
  const keys = [...ledger.changed]
    .filter(([, revision]) => revision === 0 || revision >= from)
    .map(([key]) => key)
    .join(", ");
  return new SessionStoreError(
    "log_damaged",
    `${path} was damaged, and another process took that for what a power cut leaves: it went on without what this process has ` +
      `read behind byte ${offset}. Compare these sessions with what you know of them, then open the store again: ${keys}`,
    { data: { path, segment: number, offset, keys } },
  );
}

/** What this process wrote stands where it reads nothing any more. */
export function cutOff({ path, number, cutAt }: Segment): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${path} is shorter than what this process has read of it: something cut it off. The next commit ends it, and goes on in a ` +
      "segment behind it with all that this process knows.",
    { data: { path, segment: number, offset: cutAt } },
  );
}

/** Nothing of a segment can be decided, and no process can go on behind it. */
export function damaged(segment: Segment, why: string): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${segment.path} is damaged: ${why}. Restore this file from a backup.`,
    { data: { path: segment.path, segment: segment.number } },
  );
}

/** Listing the log and opening what was listed do not come to agree. */
export function unstable(path: string): SessionStoreError {
  return new SessionStoreError("log_damaged", `${path} changes faster than it can be listed`, {
    data: { path },
  });
}
