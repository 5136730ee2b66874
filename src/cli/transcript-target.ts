/** Which transcript a command is about, and what is said where there is none. */
import type { Command } from "commander";
import { isSessionDamaged } from "../errors.js";
import { assertTranscriptName } from "../format/transcript-name.js";
import { acceptKey } from "./accept-key.js";
import { asUsage, CliError } from "./failure.js";
import { addStoreOptions, type Invocation, type StoreOptions } from "./invocation.js";
import type { Store } from "./open-store.js";
import { resolveStore } from "./store-target.js";

export interface TranscriptOptions extends StoreOptions {
  readonly name?: string;
}

/** What a command on one transcript begins with. */
export interface TranscriptTarget {
  /** Of the store. */
  readonly path: string;
  readonly key: string;
  readonly transcript: string;
}

const MAIN = "main";

/** `<key>` and the store's options. */
export function addKeyOfTranscripts(command: Command): Command {
  return addStoreOptions(command.argument("<key>", "the session's key"));
}

/** The same and `--name`. */
export function addTranscriptOptions(command: Command): Command {
  return addKeyOfTranscripts(command).option("--name <name>", `which transcript (default: ${MAIN})`);
}

/** @throws a usage error for what is no key or no name; `key_too_long`, `transcript_name_too_long`. */
export async function transcriptTarget(
  invocation: Invocation,
  key: string,
  options: TranscriptOptions,
): Promise<TranscriptTarget> {
  await acceptKey(key);
  const { name: transcript = MAIN } = options;
  await asUsage(() => assertTranscriptName(transcript, key));
  return { path: await resolveStore(invocation, options, { key }), key, transcript };
}

/** How messages call it. */
export function nameOf({ key, transcript }: Pick<TranscriptTarget, "key" | "transcript">): string {
  return `transcript ${JSON.stringify(transcript)} of session ${JSON.stringify(key)}`;
}

/** Whether the session has a record or transcripts, whatever state they are in. */
export async function isSession(store: Store, key: string): Promise<boolean> {
  try {
    return (await store.read(key)) !== undefined || (await store.transcripts(key)).length > 0;
  } catch (error) {
    if (isSessionDamaged(error)) return true;
    throw error;
  }
}

/** The error for a transcript that is not there, with those that are. */
export async function missingTranscript(
  store: Store,
  { path, key, transcript }: TranscriptTarget,
): Promise<CliError> {
  if (!(await isSession(store, key))) {
    const { missingSession } = await import("./plan-write.js");
    return missingSession(store, path, key);
  }
  const names = await store.transcripts(key);
  const { shellQuoted } = await import("../legacy/base/paths.js");
  const advice =
    names.length === 0
      ? `It has none; begin one: sessiondir transcript append ${shellQuoted(key)}`
      : `It has ${names.map((name) => JSON.stringify(name)).join(", ")}: see sessiondir transcript ls ${shellQuoted(key)}`;
  return new CliError(
    "not_found",
    `session ${JSON.stringify(key)} has no transcript ${JSON.stringify(transcript)}. ${advice}`,
    { data: { key, transcript, path } },
  );
}
