/**
 * All stores of a state directory: each migrated by itself, one after the other, and one bad store never stops the
 * others.
 *
 * Where they are: `agents/<agent>/sessions/sessions.json`, and every path that the caller's configuration names. A path may
 * be a template with `{agentId}`, as in `…/{agentId}/sessions.json` or `…/sessions-{agentId}.json`: it stands for every
 * agent that has such a file, or such a store. Many names may lead to one store; symlinks are followed as everywhere
 * (src/store/legacy-place.ts), and it is done once. What leads out of the state directory through a symlink was not named by
 * anybody, so it is left alone, with a warning.
 *
 * A folder that cannot be read is named, and the others go on.
 *
 * Reads only; what migrates a store is the caller's (migrate.ts).
 */
import { dirname, join, resolve, sep } from "node:path";
import { asStoreError, errnoOf, SessionStoreError } from "../errors.js";
import { namesIn, statusOf } from "../fs/status.js";
import { findLegacyPlace } from "../store/legacy-place.js";
import { homeDirectory, withHome } from "../home.js";
import { AGENT, agentsFolderIn, agentTemplate, fileOfAgent } from "./base/agent-places.js";
import type { LegacyHost } from "./base/host.js";
import { LegacyPaths, shellQuoted } from "./base/paths.js";
import type { LegacyWarning, MigrationOptions, MigrationOutcome, MigrationReport } from "./base/types.js";

export interface StateDirectoryOptions extends MigrationOptions {
  /** Default: `$OPENCLAW_STATE_DIR`, then `.openclaw` in `$OPENCLAW_HOME` or the home directory. */
  readonly stateDirectory?: string | undefined;
  /** Store paths from the configuration, `{agentId}` and a leading `~` included. They may be anywhere. Default: none. */
  readonly storePaths?: readonly string[] | undefined;
  /** Hears of each store as it is done. */
  readonly onReport?: ((report: MigrationReport) => void) | undefined;
}

export interface StateDirectoryReport {
  readonly stateDirectory: string;
  /** One for each store, in the order of their paths. */
  readonly reports: readonly MigrationReport[];
  readonly counts: Readonly<Record<"inspected" | Exclude<MigrationOutcome, "merged">, number>>;
  /** What needs a person, one line each; and `older_place`, which is only good to know. */
  readonly warnings: readonly LegacyWarning[];
  /**
   * `session-store migration summary: inspected=3 migrated=1 already_directory=0 skipped_empty=0 skipped_invalid=1
   * missing=0 failed=1`, in one line. A merged store counts as migrated.
   */
  readonly summary: string;
  readonly exitCode: 0 | 1 | 3;
}

/** Migrates one store, by its legacy file. */
export type MigrateStore = (
  host: LegacyHost,
  file: string,
  options: MigrationOptions,
) => Promise<MigrationReport>;

/** Every store of a state directory, each migrated as the layer above does it. */
export async function migrateEachStore(
  host: LegacyHost,
  options: StateDirectoryOptions,
  migrateStore: MigrateStore,
): Promise<StateDirectoryReport> {
  const stateDirectory = resolve(
    withHome(
      options.stateDirectory ?? process.env["OPENCLAW_STATE_DIR"] ?? join(homeDirectory(), ".openclaw"),
    ),
  );
  const { targets, warnings } = await findStores(host, stateDirectory, options.storePaths ?? []);
  const { stateDirectory: _, storePaths: __, onReport, ...migrate } = options;
  const reports: MigrationReport[] = [];
  for (const target of targets) {
    const report = await migrateStore(host, target, migrate);
    reports.push(report);
    onReport?.(report);
  }
  for (const report of reports) warnings.push(...linesForPeople(report));
  const counts = countOutcomes(reports);
  const summary = `session-store migration summary: ${Object.entries(counts)
    .map(([name, count]) => `${name}=${count}`)
    .join(" ")}`;
  const person = warnings.some(({ code }) => code !== "older_place");
  const exitCode = counts.failed > 0 ? 1 : person ? 3 : 0;
  return { stateDirectory, reports, counts, warnings, summary, exitCode };
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
  const search = new Search(host);
  const agents = await search.namesIn(agentsFolderIn(stateDirectory));
  await search.addAgents(stateDirectory, agents);
  for (const given of storePaths) await search.addNamed(resolve(withHome(given)), agents);
  await search.noteOlderPlaces(stateDirectory);
  return { targets: search.targets, warnings: search.warnings };
}

/** What OpenClaw was called before, as its state directories were. It reads them where there is no newer one. */
const OLDER_PLACES = [".clawdbot", ".moltbot", ".moldbot"];

/** Where a legacy file really is, or would be. */
interface Target {
  readonly file: string;
  /** Real path of the store, if there is one, otherwise of the file: what tells one store from another. */
  readonly real: string;
  readonly isThere: boolean;
}

class Search {
  readonly warnings: LegacyWarning[] = [];
  /** Legacy file by what it really is. */
  readonly #found = new Map<string, string>();

  constructor(private readonly host: LegacyHost) {}

  get targets(): string[] {
    return [...this.#found.values()].sort();
  }

  async addAgents(stateDirectory: string, agents: readonly string[]): Promise<void> {
    const root = realPath(this.host, stateDirectory) ?? stateDirectory;
    const inside = root.endsWith(sep) ? root : root + sep;
    for (const agent of agents) {
      const path = fileOfAgent(agentsFolderIn(stateDirectory), agent);
      const target = await this.#look(path);
      if (target?.isThere !== true) continue;
      const { file, real } = target;
      if (real.startsWith(inside) && file.startsWith(inside)) {
        this.#add(target);
        continue;
      }
      const message = `${path} leads to ${real}, outside the state directory: it was left alone. If it is yours, name it as a store path.`;
      this.warnings.push({ code: "link_outside", message, data: { path, real } });
    }
  }

  async addNamed(given: string, agents: readonly string[]): Promise<void> {
    for (const path of await this.#expanded(given, agents)) {
      const target = await this.#look(path);
      // A path that was named counts even if nothing is there: then it is missing, and the report says so.
      if (target !== undefined && (target.isThere || path === given)) this.#add(target);
    }
  }

  /** Says where sessions may be that nobody asks for any more. */
  async noteOlderPlaces(stateDirectory: string): Promise<void> {
    const real = realPath(this.host, stateDirectory);
    for (const folder of new Set([dirname(stateDirectory), homeDirectory()])) {
      for (const name of OLDER_PLACES) {
        const path = join(folder, name);
        const itself = realPath(this.host, path);
        if (itself === undefined || itself === real || !(await this.#hasSessions(path))) continue;
        const message =
          `${path} has sessions as well: it is where OpenClaw kept its state when it had another name. Nothing was done with ` +
          `it. If they are yours, run: sessiondir inspect --state-dir ${shellQuoted(path)}`;
        this.warnings.push({ code: "older_place", message, data: { path } });
      }
    }
  }

  /** Names in a folder; of one that cannot be read, none, with a warning. */
  async namesIn(path: string): Promise<string[]> {
    return (await this.#unlessUnreadable(path, () => namesIn(this.host.fs, path))) ?? [];
  }

  #add({ file, real }: Target): void {
    // Where a store is reached by a link as well, it is done where it really is.
    if (!this.#found.has(real) || new LegacyPaths(file).directory === real) this.#found.set(real, file);
  }

  /** The paths that a template stands for: one for each agent, and one for each file that fits. */
  async #expanded(path: string, agents: readonly string[]): Promise<string[]> {
    if (!path.includes(AGENT)) return [path];
    const { folder, agentsIn } = agentTemplate(path);
    const found = agentsIn(await this.namesIn(folder));
    for (const agent of agents) found.add(agent);
    return [...found].map((agent) => path.replaceAll(AGENT, agent)).sort();
  }

  /** Undefined where a folder on the way cannot be searched, which is said. */
  #look(path: string): Promise<Target | undefined> {
    const { fs } = this.host;
    return this.#unlessUnreadable(path, async () => {
      const { folder, name, identity } = findLegacyPlace(fs, new LegacyPaths(path).file);
      const { file, directory } = new LegacyPaths(join(folder, `${name}.json`));
      const real = identity === undefined ? file : (realPath(this.host, directory) ?? directory);
      const isThere =
        identity !== undefined ||
        (await statusOf(fs, file)) !== undefined ||
        (await statusOf(fs, directory)) !== undefined;
      return { file, real, isThere };
    });
  }

  async #hasSessions(stateDirectory: string): Promise<boolean> {
    const { fs } = this.host;
    for (const name of ["agents", "sessions"]) {
      try {
        if ((await namesIn(fs, join(stateDirectory, name))).length > 0) return true;
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
        return true; // it is there, and not ours to read
      }
    }
    return false;
  }

  async #unlessUnreadable<R>(path: string, look: () => Promise<R>): Promise<R | undefined> {
    try {
      return await look();
    } catch (thrown) {
      const error = asStoreError(thrown, `look for sessions at ${path}`);
      if (!(error instanceof SessionStoreError)) throw error;
      const message = `${path} cannot be looked at, and the others went on: ${error.message}`;
      this.warnings.push({ code: "folder_unreadable", message, data: { ...error.data, path } });
      return undefined;
    }
  }
}

function realPath({ fs }: LegacyHost, path: string): string | undefined {
  try {
    return fs.realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // a link that leads nowhere
  }
}

function countOutcomes(reports: readonly MigrationReport[]): StateDirectoryReport["counts"] {
  const counts = {
    inspected: reports.length,
    migrated: 0,
    already_directory: 0,
    skipped_empty: 0,
    skipped_invalid: 0,
    missing: 0,
    failed: 0,
  };
  for (const { outcome } of reports) counts[outcome === "merged" ? "migrated" : outcome]++;
  return counts;
}

/** What a person has to look at; what is only good to know stays in the report. */
const FOR_PEOPLE: ReadonlySet<LegacyWarning["code"]> = new Set([
  "entries_refused",
  "source_zero_bytes",
  "source_still_written",
  "key_ambiguous",
  "number_not_finite",
  "mirror_failed",
  "sessions_damaged",
]);

function linesForPeople({ path, outcome, error, warnings, next }: MigrationReport): LegacyWarning[] {
  const lines = warnings.filter(({ code }) => FOR_PEOPLE.has(code));
  if (outcome === "skipped_invalid" || outcome === "failed") {
    const then = next === undefined ? "" : ` Next: ${next}`;
    const message = `${path}: ${error?.message ?? "none of its entries is a session."}${then}`;
    lines.unshift({ code: "source_unreadable", message, data: { path, ...error?.data } });
  }
  return lines;
}
