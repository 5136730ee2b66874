/** `sessiondir ls`: the sessions of a store, one line each. */
import type { Command } from "commander";
import type { SessionRecord } from "../../store/types.js";
import { asUsage, usageError } from "../failure.js";
import { formatAge, formatCount, formatTime, tableLines } from "../figures.js";
import {
  addExamples,
  addStoreOptions,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Entry } from "../open-store.js";
import { factsOf } from "../session-facts.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions {
  readonly prefix?: string;
  readonly order: "key" | "updatedAt";
  readonly descending?: true;
  readonly limit?: number;
  readonly cursor?: string;
}

export function addLs(program: Command, invocation: Invocation): void {
  const command = program
    .command("ls")
    .description("list sessions: key, last use, revision, channel, model, tokens");
  addStoreOptions(command)
    .option("--prefix <text>", "only keys that start with this")
    .option("--order <field>", "key or updatedAt", parseOrder, "key")
    .option("--descending", "in reverse order")
    .option("--limit <count>", "at most so many", wholeNumber("--limit", 1))
    .option("--cursor <cursor>", "go on where an earlier ls with the same order and prefix stopped")
    .action((options: Options) => ls(invocation, options));
  addExamples(
    command,
    "ls --store sessions.d",
    "ls --state-dir ~/.openclaw --prefix agent:main:telegram: --order updatedAt --descending --limit 20",
    "ls --store sessions.d --json | jq '.sessions[] | select(.tokens > 100000).key'",
  );
}

function parseOrder(text: string): "key" | "updatedAt" {
  if (text === "key" || text === "updatedAt") return text;
  throw usageError(`--order must be key or updatedAt, not ${JSON.stringify(text)}`);
}

async function ls(invocation: Invocation, options: Options): Promise<void> {
  const path = await resolveStore(options);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, {}, async (store) => {
    const { prefix, order: orderBy, descending, limit, cursor } = options;
    const found = await asUsage(() => store.list({ prefix, orderBy, descending, limit, cursor }));
    invocation.signal.throwIfAborted();
    if (invocation.terminal.json) await printJson(invocation, path, found.sessions, found.cursor);
    else await printTable(invocation, path, found.sessions, found.cursor);
  });
}

/** One session at a time, so that a hundred thousand need no room. */
async function printJson(
  { terminal, signal }: Invocation,
  path: string,
  sessions: readonly SessionRecord<Entry>[],
  cursor: string | undefined,
): Promise<void> {
  const { jsonText } = await import("../visible-text.js");
  await terminal.write(`{"store":${jsonText(path)},"sessions":[`);
  for (const [index, record] of sessions.entries()) {
    signal.throwIfAborted();
    const { key, revision, modifiedAt } = record;
    const row = { key, revision, modifiedAt, ...factsOf(record) };
    await terminal.write(`${index === 0 ? "" : ","}\n${jsonText(row)}`);
  }
  await terminal.line(cursor === undefined ? "]}" : `],"cursor":${jsonText(cursor)}}`);
}

const COLUMNS = [
  { title: "KEY" },
  { title: "UPDATED" },
  { title: "AGE", right: true },
  { title: "REVISION", right: true },
  { title: "CHANNEL" },
  { title: "MODEL" },
  { title: "TOKENS", right: true },
];

async function printTable(
  { terminal, signal }: Invocation,
  path: string,
  sessions: readonly SessionRecord<Entry>[],
  cursor: string | undefined,
): Promise<void> {
  const now = Date.now();
  const rows = sessions.map((record) => {
    const { updatedAt, channel = "-", model = "-", tokens } = factsOf(record);
    const time = updatedAt === undefined ? undefined : formatTime(updatedAt);
    return [
      record.key,
      time ?? "-",
      time === undefined || updatedAt === undefined ? "-" : formatAge(now - updatedAt),
      String(record.revision),
      channel,
      model,
      tokens === undefined ? "-" : formatCount(tokens),
    ];
  });
  if (rows.length === 0) {
    terminal.say(`no sessions in ${path} match`);
    return;
  }
  for (const [index, line] of tableLines(COLUMNS, rows).entries()) {
    signal.throwIfAborted();
    await terminal.line(index === 0 ? terminal.colors.bold(line) : line);
  }
  if (cursor !== undefined) terminal.say(`there are more: the same command with --cursor ${cursor}`);
}
