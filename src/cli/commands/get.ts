/** `sessiondir get`: one session's entry, or one field of it, as JSON. */
import type { Command } from "commander";
import { CliError } from "../failure.js";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import { acceptKey } from "../session-key-argument.js";
import { resolveStore } from "../store-target.js";
import { jsonText } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly field?: string;
}

export function addGet(program: Command, invocation: Invocation): void {
  const command = program
    .command("get")
    .description("print a session's entry as JSON; with --json also its revision and time of change")
    .argument("<key>", "the session's key");
  addStoreOptions(command)
    .option(
      "--field <path>",
      "only this field; a dot leads into objects and arrays (usage.total, messages.0)",
    )
    .action((key: string, options: Options) => get(invocation, key, options));
  addExamples(
    command,
    "get agent:main:main --store sessions.d",
    "get agent:main:main --store sessions.d --field skillsSnapshot.prompt",
    "get agent:main:main --store sessions.d --json | jq .revision",
  );
}

async function get(invocation: Invocation, key: string, options: Options): Promise<void> {
  await acceptKey(key);
  const path = await resolveStore(options, key);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, {}, async (store) => {
    const record = await store.read(key);
    if (record === undefined) {
      const { missingSession } = await import("../plan-write.js");
      throw await missingSession(store, path, key);
    }
    const { field } = options;
    const value = field === undefined ? record.entry : fieldOf(record.entry, field, key);
    const { terminal } = invocation;
    if (!terminal.json) return terminal.line(jsonText(value, 2));
    const { revision, modifiedAt } = record;
    const head = { store: path, key, revision, modifiedAt };
    return terminal.result(field === undefined ? { ...head, entry: value } : { ...head, field, value });
  });
}

/** Follows own fields only: what every object inherits is no data. */
function fieldOf(entry: object, path: string, key: string): unknown {
  let value: unknown = entry;
  let walked = "";
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) {
      throw noField(value, name, walked, key);
    }
    value = (value as Record<string, unknown>)[name];
    walked = walked === "" ? name : `${walked}.${name}`;
  }
  return value;
}

const NAMES_SHOWN_MAX = 20;

function noField(value: unknown, name: string, walked: string, key: string): CliError {
  const where =
    walked === "" ? `session ${JSON.stringify(key)}` : `${walked} of session ${JSON.stringify(key)}`;
  const names = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ") + (names.length > NAMES_SHOWN_MAX ? ", …" : "");
  const advice = names.length === 0 ? "It has no fields." : `It has ${shown}.`;
  return new CliError("field_not_found", `${where} has no field ${JSON.stringify(name)}. ${advice}`, {
    data: { key, field: name },
  });
}
