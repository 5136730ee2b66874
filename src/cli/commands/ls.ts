/** `sessiondir ls`: the sessions of a store, one line each. */
import type { Command } from "commander";
import { asUsage, usageError } from "../failure.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  wholeNumber,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { byteCount, timeSpan } from "../measures.js";
import type { FilterOptions } from "../session-filter.js";
import { resolveStore } from "../store-target.js";

interface Options extends StoreOptions, FilterOptions {
  readonly allAgents?: true;
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
  addStoreOptions(addStoreArgument(command))
    .option("--all-agents", "of all agents in the state directory; each row says whose it is")
    .option("--prefix <text>", "only keys that start with this")
    .option("--order <field>", "key or updatedAt", parseOrder, "key")
    .option("--descending", "in reverse order")
    .option(
      "--where <condition>",
      "only where a field is so: channel=telegram, usage.total>1000, error; = != < <= > >=; may be repeated",
      (condition: string, all: readonly string[] | undefined) => [...(all ?? []), condition],
    )
    .option("--older-than <time>", "only those not used for so long: 90m, 12h, 30d", timeSpan("--older-than"))
    .option(
      "--larger-than <size>",
      "only those whose entry has more bytes: 500kB, 1MB",
      byteCount("--larger-than"),
    )
    .option("--grep <text>", "only those with this text in their key, entry or transcripts")
    .option("--limit <count>", "at most so many", wholeNumber("--limit", 1))
    .option("--cursor <cursor>", "go on where an earlier ls that asked for the same stopped")
    .action((store: string | undefined, options: Options) => {
      const all = withStoreArgument(options, store);
      return all.allAgents === true ? lsAllAgents(invocation, all) : ls(invocation, all);
    });
  addExamples(
    command,
    "ls sessions.d",
    "ls --state-dir ~/.openclaw --all-agents",
    "ls --state-dir ~/.openclaw --prefix agent:main:telegram: --order updatedAt --descending --limit 20",
    "ls sessions.d --where channel=telegram --where 'tokens>100000' --older-than 30d",
    "ls --store sessions.d --json | jq '.sessions[] | select(.tokens > 100000).key'",
  );
}

function parseOrder(text: string): "key" | "updatedAt" {
  if (text === "key" || text === "updatedAt") return text;
  throw usageError(`--order must be key or updatedAt, not ${JSON.stringify(text)}`);
}

async function ls(invocation: Invocation, options: Options): Promise<void> {
  const path = await resolveStore(invocation, options, { allAgents: true });
  const { withStore } = await import("../open-store.js");
  const { printListing } = await import("../listing.js");
  const { isLogDamaged, warnOfHidden } = await import("../damaged-log.js");
  const { SessionFilter } = await import("../session-filter.js");
  const filter = SessionFilter.of(invocation, options);
  await withStore(invocation, path, {}, async (store) => {
    const { prefix, order: orderBy, descending, limit, cursor } = options;
    invocation.doing = `listing the sessions of ${path}`;
    // From before the listing: a watch since this revision misses nothing.
    const revision = await store.revision();
    const query = { prefix, orderBy, descending, limit, cursor };
    const found = await asUsage(() => filter?.list(store, query) ?? store.list(query));
    const { cursor: next, damaged } = found;
    warnOfHidden(invocation, path, damaged);
    await printListing(invocation, {
      head: { store: path, revision },
      rows: found.sessions.map((record) => ({ record })),
      tail: { ...(damaged !== undefined && { damaged }), ...(next !== undefined && { cursor: next }) },
      where: path,
      hidesSome: async () => damaged !== undefined || isLogDamaged(store),
    });
    if (next !== undefined) invocation.terminal.say(`there are more: the same command with --cursor ${next}`);
  });
}

async function lsAllAgents(invocation: Invocation, options: Options): Promise<void> {
  const { store, agent, cursor } = options;
  if (store !== undefined)
    throw usageError("--all-agents belongs to --state-dir; --store is one store already");
  if (agent !== undefined) throw usageError("--all-agents and --agent contradict each other; give one");
  if (cursor !== undefined)
    throw usageError("--cursor is of one store: give it with --agent in place of --all-agents");
  const { listAllAgents } = await import("../list-all-agents.js");
  await listAllAgents(invocation, options);
}
