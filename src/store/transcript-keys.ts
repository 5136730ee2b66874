/**
 * Sessions that may have transcripts and no record, which no listing knows: whoever moves all of a store asks for them. No method of the
 * store, because an answer that only says "may" is no interface for everybody.
 */
import type { EngineCalls } from "./engine-calls.js";

const callsOf = new WeakMap<object, EngineCalls>();

export function knowStore(store: object, calls: EngineCalls): void {
  callsOf.set(store, calls);
}

/** Each session that has a transcript is among them. Of what is no store of this package, nothing is known: then there are none. */
export async function keysThatMayHaveTranscripts(store: object): Promise<readonly string[]> {
  return (await callsOf.get(store)?.transcriptKeys()) ?? [];
}
