/**
 * What is known about a session without knowing the gateway: read from its key and from fields that gateways use.
 * Every fact may be absent, and fields of the wrong type count as absent.
 */
import type { SessionRecord } from "../store/types.js";
import type { Entry } from "./open-store.js";

export interface SessionFacts {
  /** When it was last used, in milliseconds since 1970. */
  readonly updatedAt?: number;
  /** From keys like `agent:<id>:…`. */
  readonly agent?: string;
  /** `lastChannel`, else `channel`, else the key's third part. */
  readonly channel?: string;
  readonly model?: string;
  /** `totalTokens`, else the sum of `inputTokens` and `outputTokens`. */
  readonly tokens?: number;
}

export function factsOf({ key, entry }: SessionRecord<Entry>): SessionFacts {
  const [first, agent, kind] = key.split(":");
  const ofAgent = first === "agent";
  const channel = text(entry, "lastChannel") ?? text(entry, "channel") ?? (ofAgent ? kind : undefined);
  const model = text(entry, "model");
  const updatedAt = number(entry, "updatedAt");
  const tokens =
    number(entry, "totalTokens") ?? sum(number(entry, "inputTokens"), number(entry, "outputTokens"));
  return {
    ...(updatedAt !== undefined && { updatedAt }),
    ...(ofAgent && agent !== undefined && agent !== "" && { agent }),
    ...(channel !== undefined && channel !== "" && { channel }),
    ...(model !== undefined && { model }),
    ...(tokens !== undefined && { tokens }),
  };
}

/** A short text; a longer one is no name of anything, and may be a big value that would have to be loaded. */
function text(entry: Readonly<Entry>, name: string): string | undefined {
  const value = plainField(entry, name);
  return typeof value === "string" ? value : undefined;
}

function number(entry: Readonly<Entry>, name: string): number | undefined {
  const value = plainField(entry, name);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);
}

/** An own field that is there, not one that would have to be loaded. */
function plainField(entry: Readonly<Entry>, name: string): unknown {
  return Object.getOwnPropertyDescriptor(entry, name)?.value as unknown;
}
