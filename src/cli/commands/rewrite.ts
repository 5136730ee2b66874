/** `sessiondir rewrite`: paths inside of entries after a move, in place. */
import type { Command } from "commander";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import { ruleOf } from "../rewrite-option.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly prefix?: string;
  readonly dryRun?: boolean;
}

const QUIET_MS = 1000;

export function addRewrite(program: Command, invocation: Invocation): void {
  const command = program
    .command("rewrite")
    .description("after a move: what is at or below the path FROM in a field is at TO")
    .argument("<field>", "the path to the field, as for get --field")
    .argument("<from>", "a folder or file as it was called")
    .argument("<to>", "what it is called now")
    .argument("[keys...]", "these sessions (default: all)")
    .option("--prefix <text>", "sessions whose keys start with this");
  addStoreOptions(command)
    .option("--dry-run", "say what would be done and do nothing")
    .action((field: string, from: string, to: string, keys: readonly string[], options: Options) =>
      rewrite(invocation, { field, from, to }, keys, options),
    );
  addExamples(
    command,
    "rewrite sessionFile /home/old/.openclaw /home/new/.openclaw --store sessions.d --dry-run",
    "rewrite sessionFile /home/old /home/new --prefix agent:main: --store sessions.d",
  );
}

async function rewrite(
  invocation: Invocation,
  { field, from, to }: { readonly field: string; readonly from: string; readonly to: string },
  keys: readonly string[],
  options: Options,
): Promise<void> {
  const { prefix, dryRun = false } = options;
  const rules = [await ruleOf(field, from, to, "the field")];
  const { acceptKey } = await import("../accept-key.js");
  for (const key of keys) await acceptKey(key);
  const path = await resolveStore(invocation, options, { ...(keys[0] !== undefined && { key: keys[0] }) });
  const { withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const { rewritePaths } = await import("../../care/moving/rewrite.js");
  const { Progress } = await import("../progress.js");
  const { countOf, tellLeftOut } = await import("../moving-text.js");
  const { terminal, signal } = invocation;
  await withStore(invocation, path, { write: !dryRun, cacheBytes: MODEST_CACHE_BYTES }, async (store) => {
    const progress = new Progress(invocation, QUIET_MS);
    const total = keys.length + (keys.length > 0 && prefix === undefined ? 0 : await store.count({ prefix }));
    const doing = `rewriting ${field} in ${path}`;
    invocation.doing = doing;
    const report = await rewritePaths(store, rules, {
      ...(keys.length > 0 && { keys }),
      prefix,
      dryRun,
      signal,
      onProgress: (done) => progress.show({ doing, done, total, unit: "sessions" }),
    });
    progress.end();
    tellLeftOut(invocation, path, report);
    if (terminal.json) return terminal.result({ store: path, field, from, to, ...report });
    const { sessions, changed, fields } = report;
    const text = `${visible(field)} in ${countOf(changed, "session")} of ${countOf(sessions, "session")} (${countOf(fields, "path")})`;
    await (dryRun ? terminal.line(`would rewrite ${text}`) : terminal.done(`rewrote ${text}`));
  });
}
