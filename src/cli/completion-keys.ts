/**
 * Keys for completion: `sessiondir __keys PREFIX -- WORDS…`, one a line, from the store that the words so far mean. It is
 * asked while a person types, so it reads few keys, and stays silent whatever goes wrong.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Invocation, StoreOptions } from "./invocation.js";
import type { Entry, Store } from "./open-store.js";
import { isServer } from "./server-target.js";
import { resolveStore } from "./store-target.js";
import { visible } from "./visible-text.js";

export const KEYS_COMMAND = "__keys";

/**
 * From each end of the keys with the prefix. All keys in between have in common what the two ends have in common, so a
 * shell that completes as far as the choices agree is right although it does not see all of them.
 */
const KEYS_FROM_EACH_END = 100;
/** A server that is not there must not hold up a person who types. */
const ANSWER_MS_MAX = 1000;

export async function printKeys(
  invocation: Invocation,
  prefix: string,
  words: readonly string[],
): Promise<void> {
  try {
    for (const key of await keysOf(invocation, prefix, words)) await invocation.terminal.line(key);
  } catch {
    // A wrong path, no store, a damaged one: there is nothing to complete.
  }
}

async function keysOf(
  invocation: Invocation,
  prefix: string,
  words: readonly string[],
): Promise<readonly string[]> {
  const options: StoreOptions = {
    ...valueOf(words, "--store", "store"),
    ...valueOf(words, "--state-dir", "stateDir"),
    ...valueOf(words, "--agent", "agent"),
  };
  const path = await resolveStore(invocation, options, { key: prefix });
  await using store = await openToLook(invocation, path);
  const limit = KEYS_FROM_EACH_END;
  const first = await store.list({ prefix, limit });
  const last = first.cursor === undefined ? undefined : await store.list({ prefix, limit, descending: true });
  const records = [...first.sessions, ...(last?.sessions.toReversed() ?? [])];
  // What cannot be typed cannot be completed.
  return [...new Set(records.map(({ key }) => key))].filter((key) => visible(key) === key);
}

async function openToLook(invocation: Invocation, path: string): Promise<Store> {
  if (isServer(path)) {
    const { openServer } = await import("./open-server.js");
    return openServer(invocation, path, { write: false, create: false, unavailableMs: ANSWER_MS_MAX });
  }
  const { openDirectoryStore } = await import("../store/open.js");
  return openDirectoryStore<Entry>(path, { readOnly: true });
}

/** The last `--option value` or `--option=value`. */
function valueOf(words: readonly string[], option: string, name: keyof StoreOptions): StoreOptions {
  let value: string | undefined;
  for (const [index, word] of words.entries()) {
    if (word === option) value = words[index + 1];
    else if (word.startsWith(`${option}=`)) value = word.slice(option.length + 1);
  }
  if (value === undefined || value === "") return {};
  // The shell has not expanded it, because the line was never run.
  return { [name]: value.startsWith("~/") ? join(homedir(), value.slice(2)) : value };
}
