/**
 * All stores of a state directory: each migrated by itself, one after the other, and one bad store never stops the
 * others.
 *
 * Where they are: `agents/<agent>/sessions/sessions.json`, and every path that the caller's configuration names. A path may
 * be a template with `{agentId}`, as in `…/{agentId}/sessions.json` or `…/sessions-{agentId}.json`: it stands for every
 * agent that has such a file, or such a store. Many names may lead to one store; it is known by the real path of its folder
 * and done once. What leads out of the state directory through a symlink was not named by anybody, so it is left alone,
 * with a warning.
 *
 * Reads only, apart from what migrating each store does; see migrate.ts.
 */
import { homedir } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import { errnoOf } from "../errors.js";
import { STORE_FOLDER } from "../format/layout.js";
import { namesIn, statusOf, systemHost, type LegacyHost } from "./host.js";
import { migrateOn } from "./migration/migrate.js";
import { LegacyPaths } from "./paths.js";
import type { ChangingOptions, LegacyWarning, MigrationOutcome, MigrationReceipt } from "./types.js";

export interface StateDirectoryOptions extends ChangingOptions {
  /** Default: `$OPENCLAW_STATE_DIR`, then `~/.openclaw`. */
  readonly stateDirectory?: string | undefined;
  /** Store paths from the configuration, `{agentId}` and a leading `~` included. They may be anywhere. Default: none. */
  readonly storePaths?: readonly string[] | undefined;
  /** Hears of each store as it is done. */
  readonly onReceipt?: ((receipt: MigrationReceipt) => void) | undefined;
}

export interface StateDirectoryReceipt {
  readonly stateDirectory: string;
  /** One for each store, in the order of their paths. */
  readonly receipts: readonly MigrationReceipt[];
  readonly counts: Readonly<Record<"inspected" | Exclude<MigrationOutcome, "merged">, number>>;
  /** What needs a person: one line each. */
  readonly warnings: readonly LegacyWarning[];
  /**
   * `session-store migration summary: inspected=3 migrated=1 already_directory=0 skipped_empty=0 skipped_invalid=1
   * missing=0 failed=1`, in one line. A merged store counts as migrated.
   */
  readonly summary: string;
  readonly exitCode: 0 | 1 | 3;
}

/**
 * Migrates every store of a state directory.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 * @example
 * const { summary, warnings } = await migrateStateDirectory({ dryRun: true });
 */
export function migrateStateDirectory(options: StateDirectoryOptions = {}): Promise<StateDirectoryReceipt> {
  return migrateStateDirectoryOn(systemHost, options);
}

/**
 * The same on a host of the caller's.
 * @param migrateStore Migrates one store; for layers above that have more to see to.
 */
export async function migrateStateDirectoryOn(
  host: LegacyHost,
  options: StateDirectoryOptions = {},
  migrateStore: typeof migrateOn = migrateOn,
): Promise<StateDirectoryReceipt> {
  const stateDirectory = resolve(
    withHome(options.stateDirectory ?? process.env["OPENCLAW_STATE_DIR"] ?? join(homedir(), ".openclaw")),
  );
  const { targets, warnings } = await findStores(host, stateDirectory, options.storePaths ?? []);
  const { stateDirectory: _, storePaths: __, onReceipt, ...migrate } = options;
  const receipts: MigrationReceipt[] = [];
  for (const target of targets) {
    const receipt = await migrateStore(host, target, migrate);
    receipts.push(receipt);
    onReceipt?.(receipt);
  }
  for (const receipt of receipts) warnings.push(...linesForPeople(receipt));
  const counts = countOutcomes(receipts);
  const summary = `session-store migration summary: ${Object.entries(counts)
    .map(([name, count]) => `${name}=${count}`)
    .join(" ")}`;
  const exitCode = counts.failed > 0 ? 1 : warnings.length > 0 ? 3 : 0;
  return { stateDirectory, receipts, counts, warnings, summary, exitCode };
}

interface Found {
  readonly targets: readonly string[];
  readonly warnings: LegacyWarning[];
}

/** Every store once: legacy file paths in real folders. */
export async function findStores(
  host: LegacyHost,
  stateDirectory: string,
  storePaths: readonly string[],
): Promise<Found> {
  const warnings: LegacyWarning[] = [];
  const targets = new Map<string, string>();
  const root = realPath(host, stateDirectory);
  const agents = await namesIn(host.fs, join(stateDirectory, "agents"));
  for (const agent of agents) {
    const path = join(stateDirectory, "agents", agent, "sessions", "sessions.json");
    const real = await realTarget(host, path);
    if (real === undefined) continue;
    if (root !== undefined && real.startsWith(root.endsWith(sep) ? root : root + sep))
      targets.set(real, path);
    else {
      const message = `${path} leads to ${real}, outside the state directory: it was left alone. If it is yours, name it as a store path.`;
      warnings.push({ code: "link_outside", message, data: { path, real } });
    }
  }
  for (const given of storePaths) {
    for (const path of await expanded(host, resolve(withHome(given)), agents)) {
      // A path that was named counts even if nothing is there: then it is missing, and the receipt says so.
      targets.set((await realTarget(host, path)) ?? path, path);
    }
  }
  return { targets: [...targets.keys()].sort(), warnings };
}

const AGENT = "{agentId}";

/** The paths that a template stands for: one for each agent, and one for each file that fits. */
async function expanded(host: LegacyHost, path: string, agents: readonly string[]): Promise<string[]> {
  if (!path.includes(AGENT)) return [path];
  const parts = path.split(sep);
  const index = parts.findIndex((part) => part.includes(AGENT));
  const folder = parts.slice(0, index).join(sep) || sep;
  const [before = "", after = ""] = (parts[index] ?? "").split(AGENT);
  const found = new Set<string>();
  for (const name of await namesIn(host.fs, folder)) {
    // The store of sessions-main.json is sessions-main.d: after a migration only that is there.
    for (const ending of new Set([after, after.replace(/\.json$/, ".d")])) {
      if (!name.startsWith(before) || !name.endsWith(ending) || name.length <= before.length + ending.length)
        continue;
      found.add(name.slice(before.length, name.length - ending.length));
    }
  }
  for (const agent of agents) found.add(agent);
  const paths = [...found].map((agent) => path.replaceAll(AGENT, agent));
  const present = await Promise.all(paths.map((candidate) => realTarget(host, candidate)));
  return paths.filter((_, at) => present[at] !== undefined).sort();
}

/** The legacy file's path in the real folder that holds it; undefined when neither it nor its store is there. */
async function realTarget(host: LegacyHost, path: string): Promise<string | undefined> {
  const { file, directory } = new LegacyPaths(path);
  const status = await statusOf(host.fs, file);
  const isStore = (await statusOf(host.fs, directory)) !== undefined;
  if (status === undefined && !isStore) return undefined;
  // A store directory, or a legacy file, that is itself a symlink: its target is what would be migrated.
  const link = status?.kind === "symlink" ? linkedFile(host, file) : undefined;
  if (link?.endsWith(".json") === true) return link;
  const linked = isStore ? realPath(host, directory) : undefined;
  if (status === undefined && linked !== undefined && linked.endsWith(".d")) {
    const store = await statusOf(host.fs, join(linked, STORE_FOLDER));
    if (store !== undefined) return new LegacyPaths(linked).file;
  }
  const folder = realPath(host, dirname(file));
  return folder === undefined ? undefined : join(folder, basename(file));
}

/** Where a link leads; after a migration the file itself is not there any more. */
function linkedFile(host: LegacyHost, path: string): string | undefined {
  const real = realPath(host, path);
  if (real !== undefined) return real;
  const target = resolve(dirname(path), host.fs.readlink(path));
  const folder = realPath(host, dirname(target));
  return folder === undefined ? undefined : join(folder, basename(target));
}

function realPath({ fs }: LegacyHost, path: string): string | undefined {
  try {
    return fs.realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // a link that leads nowhere
  }
}

function withHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function countOutcomes(receipts: readonly MigrationReceipt[]): StateDirectoryReceipt["counts"] {
  const counts = {
    inspected: receipts.length,
    migrated: 0,
    already_directory: 0,
    skipped_empty: 0,
    skipped_invalid: 0,
    missing: 0,
    failed: 0,
  };
  for (const { outcome } of receipts) counts[outcome === "merged" ? "migrated" : outcome]++;
  return counts;
}

/** What a person has to look at; what is only good to know stays in the receipt. */
const FOR_PEOPLE: ReadonlySet<LegacyWarning["code"]> = new Set([
  "entries_refused",
  "source_zero_bytes",
  "source_still_written",
  "key_ambiguous",
]);

function linesForPeople({ path, outcome, error, warnings, next }: MigrationReceipt): LegacyWarning[] {
  const lines = warnings.filter(({ code }) => FOR_PEOPLE.has(code));
  if (outcome === "skipped_invalid" || outcome === "failed") {
    const then = next === undefined ? "" : ` Next: ${next}`;
    const message = `${path}: ${error?.message ?? "none of its entries is a session."}${then}`;
    lines.unshift({ code: "source_unreadable", message, data: { path, ...error?.data } });
  }
  return lines;
}
