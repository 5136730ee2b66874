/** From what engines say of transcripts to what callers are told, and the conflicts of the conditions that callers make. */
import type { EnginePage, EngineTranscript } from "../engine/contract.js";
import { SessionStoreError } from "../errors.js";
import type { ChangeArguments } from "./transcript-arguments.js";
import type { Item, Page, TranscriptInfo } from "./transcript-types.js";

export function toInfo(found: EngineTranscript | undefined): TranscriptInfo | undefined {
  if (found === undefined) return undefined;
  const { last, length, since, cut } = found;
  return { last, length, revision: since, cut };
}

export function toPage<I>({ items, more, transcript }: EnginePage, backwards: boolean): Page<I> {
  const { last = 0, length = 0 } = transcript ?? {};
  const latest = items.at(-1);
  const page = { items: items as readonly Item<I>[], last, length };
  return more && latest !== undefined ? { ...page, next: latest.seq + (backwards ? -1 : 1) } : page;
}

/** @throws `conflict` where the transcript is not as the caller says. */
export function requireConditions(
  method: string,
  { key, name, conditions }: ChangeArguments,
  found: { readonly last: number; readonly length: number } | undefined,
): void {
  const { last = 0, length = 0 } = found ?? {};
  const { ifLast, ifLength } = conditions;
  if (ifLast !== undefined && ifLast !== last) {
    throw conflict(method, key, name, `its last item is number ${last} and not ${ifLast}`, {
      expected: ifLast,
      actual: last,
    });
  }
  if (ifLength !== undefined && ifLength !== length) {
    throw conflict(method, key, name, `it has ${length} items and not ${ifLength}`, {
      expected: ifLength,
      actual: length,
    });
  }
}

export function conflict(
  method: string,
  key: string,
  transcript: string,
  why: string,
  data: Readonly<Record<string, number>>,
): SessionStoreError {
  return new SessionStoreError(
    "conflict",
    `could not ${method} transcript ${JSON.stringify(transcript)} of session ${JSON.stringify(key)}: ${why}. Nothing was written: ` +
      "read it again and decide anew.",
    { data: { key, transcript, ...data } },
  );
}
