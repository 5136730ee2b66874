/** `sessiondir rename-key`: another key for a session, or another beginning for the keys of many. */
import type { Command } from "commander";
import type { RenameReport } from "../../care/moving/rename-key.js";
import { addExamples, addStoreOptions, type Invocation, type StoreOptions } from "../invocation.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly prefix?: true;
  readonly replace?: true;
  readonly dryRun?: boolean;
}

export function addRenameKey(program: Command, invocation: Invocation): void {
  const command = program
    .command("rename-key")
    .description("give a session another key; its transcripts come along")
    .argument("<key>", "the session's key")
    .argument("<new-key>", "its new key")
    .option("--prefix", "the two are beginnings: rename every session whose key starts with the first")
    .option("--replace", "replace a session that has the new key");
  addStoreOptions(command)
    .option("--dry-run", "say what would be done and do nothing")
    .action((key: string, newKey: string, options: Options) => rename(invocation, key, newKey, options));
  addExamples(
    command,
    "rename-key agent:main:main agent:main:archive --store sessions.d",
    "rename-key --prefix agent:old: agent:new: --store sessions.d --dry-run",
  );
}

async function rename(invocation: Invocation, key: string, newKey: string, options: Options): Promise<void> {
  const { acceptKey } = await import("../accept-key.js");
  for (const one of [key, newKey]) await acceptKey(one);
  const { prefix = false, replace = false, dryRun = false } = options;
  const path = await resolveStore(invocation, options, { key });
  const { withStore } = await import("../open-store.js");
  const { collectEarly, MODEST_CACHE_BYTES } = await import("../modest-memory.js");
  collectEarly();
  const { asUsage } = await import("../failure.js");
  const { terminal, signal } = invocation;
  const mode = { write: !dryRun, cacheBytes: MODEST_CACHE_BYTES, ...(!prefix && { key }) };
  await withStore(invocation, path, mode, async (store) => {
    invocation.doing = `renaming ${key}`;
    const given = { replace, dryRun, signal };
    if (!prefix) {
      const { renameKey } = await import("../../care/moving/rename-key.js");
      const { missingSession } = await import("../plan-write.js");
      const { isSession } = await import("../transcript-target.js");
      if (!(await isSession(store, key))) throw await missingSession(store, path, key);
      const report = await asUsage(() => renameKey(store, key, newKey, given));
      return print(invocation, path, dryRun, [report]);
    }
    const { renamePrefix } = await import("../../care/moving/rename-prefix.js");
    const renamed: RenameReport[] = [];
    await asUsage(() =>
      renamePrefix(store, key, newKey, {
        ...given,
        onRenamed: (report) => {
          renamed.push(report);
          invocation.doing = `renaming ${report.from}`;
        },
      }),
    );
    if (renamed.length === 0) terminal.say(`no session of ${path} has a key that starts with ${key}`);
    return print(invocation, path, dryRun, renamed);
  });
}

async function print(
  { terminal }: Invocation,
  store: string,
  dryRun: boolean,
  renamed: readonly RenameReport[],
): Promise<void> {
  if (terminal.json) {
    const rows = renamed.map(({ dryRun: _dryRun, ...row }) => row);
    return terminal.result({ store, dryRun, renamed: rows });
  }
  const { countOf } = await import("../moving-text.js");
  for (const { from, to, transcripts, items, replaced } of renamed) {
    const along =
      transcripts.length === 0
        ? ""
        : `, with ${countOf(transcripts.length, "transcript")} (${countOf(items, "item")})`;
    const over = replaced ? ", which is replaced" : "";
    const text = `${visible(from)} to ${visible(to)}${over}${along}`;
    await (dryRun ? terminal.line(`would rename ${text}`) : terminal.done(`renamed ${text}`));
  }
}
