/**
 * Session keys that a command was given, one or many: as arguments, or one a line on standard input, for which `-` stands.
 *
 * Of one key a failure is the command's. Of several, each is done by itself: what is about one session is said, the others are done
 * all the same, and the exit code tells of it.
 */
import { isUtf8 } from "node:buffer";
import { acceptKey } from "./accept-key.js";
import { EXIT, reportOf, usageError } from "./failure.js";
import { needsPerson, type Invocation, type StoreOptions } from "./invocation.js";
import { linesIn } from "./json-lines.js";
import { standardInput } from "./read-input.js";
import { resolveStore } from "./store-target.js";

/** What stands for standard input. */
const STANDARD_INPUT = "-";
/** As many as a store has ever been tried with. */
const KEYS_MAX = 1_000_000;

/** What is about one session, and says nothing about the next one. */
const OF_ONE_SESSION: ReadonlySet<string> = new Set([
  "blob_corrupt",
  "blob_missing",
  "conflict",
  "entry_corrupt",
  "field_not_found",
  "not_found",
  "session_damaged",
  "transcript_damaged",
]);

/** Each key once, in their order; none if standard input has none. @throws a usage error for what is no key. */
export async function readKeys(invocation: Invocation, given: readonly string[]): Promise<string[]> {
  const keys = new Set<string>();
  for (const argument of given) {
    if (argument === STANDARD_INPUT) await readLines(invocation, keys);
    else keys.add(argument);
  }
  for (const key of keys) await acceptKey(key);
  if (keys.size === 0)
    invocation.terminal.say("there is no key on standard input, so there is nothing to do");
  return [...keys];
}

async function readLines(invocation: Invocation, keys: Set<string>): Promise<void> {
  for await (const lines of linesIn(standardInput(invocation)))
    for (const { number, bytes } of lines) {
      const where = `line ${number} of standard input`;
      if (bytes === undefined || !isUtf8(bytes))
        throw usageError(`${where} is no key: one key a line, in UTF-8`);
      const key = bytes.toString().replace(/\r$/, "");
      if (key === "") continue;
      if (keys.size >= KEYS_MAX) throw usageError(`${where}: more than ${KEYS_MAX} keys; give them in parts`);
      keys.add(key);
    }
}

/** The store that has these sessions. @throws a usage error if the keys are of agents with a store each. */
export async function storeOfKeys(
  invocation: Invocation,
  options: StoreOptions,
  keys: readonly string[],
): Promise<string> {
  const [first = ""] = keys;
  const path = await resolveStore(invocation, options, { key: first });
  const agentOf = (key: string): string | undefined => /^agent:([^:]+):/.exec(key)?.[1];
  const seen = new Set([agentOf(first)]);
  for (const key of options.store === undefined ? keys : []) {
    const agent = agentOf(key);
    if (seen.has(agent)) continue;
    seen.add(agent);
    const other = await resolveStore(invocation, options, { key });
    if (other === path) continue;
    throw usageError(
      `${JSON.stringify(first)} is a session of ${path}, and ${JSON.stringify(key)} one of ${other}: ` +
        "one command is on one store. Run it for each, or say which with --store",
    );
  }
  return path;
}

/** Does something with each session. @throws what fails of a single one, and what would fail of every other as well. */
export async function forEachKey(
  invocation: Invocation,
  keys: readonly string[],
  work: (key: string) => Promise<void>,
): Promise<void> {
  const { terminal, signal } = invocation;
  for (const key of keys) {
    signal.throwIfAborted();
    try {
      await work(key);
    } catch (error) {
      const { code, message, data, exitCode } = reportOf(error);
      if (keys.length === 1 || !OF_ONE_SESSION.has(code)) throw error;
      terminal.fail(code, message, { ...data, key }, exitCode);
      if (exitCode === EXIT.needsPerson) needsPerson(invocation);
      else invocation.exitCode = EXIT.failure;
    }
  }
}

/** For an option that is about one session. */
export function requireOneKey(keys: readonly string[], option: string, why: string): void {
  if (keys.length > 1) throw usageError(`${option} ${why}: give one key with it, not ${keys.length}`);
}
