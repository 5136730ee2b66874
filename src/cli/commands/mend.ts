/**
 * `sessiondir mend`: decides, of a log with bytes that cannot be read, what became of each session, while no other process
 * uses the store: one that had read those bytes would know better, and mends the log by itself. Stopped before the log is
 * mended, the next mend comes to the same; stopped behind that, what it guessed is listed in the quarantine.
 */
import type { Command } from "commander";
import type { StoreWarning } from "../../errors.js";
import { plural } from "../../plural.js";
import type { DamagedSession } from "../../store/types.js";
import { formatCount } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Store } from "../open-store.js";
import { requireDirectory } from "../server-target.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly dryRun?: boolean;
}

/** A segment with bytes that cannot be read. */
interface DamagedSegment {
  readonly segment: number;
  readonly path: string;
  /** Of the first of these bytes. */
  readonly offset: number;
  readonly reason: string;
  /** Where it is kept, once it is mended. */
  kept?: string;
}

/** A session whose latest state cannot be proved. */
interface Guess {
  readonly key: string;
  /** The damaged segment. */
  readonly path: string;
  /** What was kept; 0 if the session is deleted or nothing of it is left. Not in a dry run. */
  readonly revision?: number;
  /** Revisions of all states that were found, oldest first; 0 for a deletion. Not in a dry run. */
  readonly candidates?: readonly number[];
}

/** The documented shape of `mend --json`. */
interface MendResult {
  readonly store: string;
  readonly dryRun: boolean;
  readonly damaged: readonly DamagedSegment[];
  readonly guessed: readonly Guess[];
}

/** For the help, and for whoever runs it. */
const ALONE = "stop all other processes of the store first";

export function addMend(program: Command, invocation: Invocation): void {
  const command = program.command("mend").description(`mend a damaged log; ${ALONE}`);
  addStoreOptions(addStoreArgument(command))
    .option(
      "--dry-run",
      "say what is damaged and which sessions are in doubt, and do nothing; beside other processes, too",
    )
    .action((store: string | undefined, options: Options) =>
      mend(invocation, withStoreArgument(options, store)),
    );
  addExamples(command, "mend --store sessions.d --dry-run", "mend --store sessions.d");
}

async function mend(invocation: Invocation, options: Options): Promise<void> {
  const path = requireDirectory(
    await resolveStore(invocation, options),
    "mend",
    "the server mends its own log",
  );
  const { withStore } = await import("../open-store.js");
  const { terminal } = invocation;
  const { dryRun = false } = options;
  if (!dryRun) terminal.say(`mending ${path}: no other process may have it open meanwhile`);
  const findings = new Findings();
  const tells = (warning: StoreWarning): boolean => findings.add(warning);
  const mode = { write: !dryRun, soleProcess: !dryRun, tells };
  const result = await withStore(invocation, path, mode, async (store) => ({
    store: path,
    dryRun,
    ...(dryRun ? await findings.planned(store) : findings.mended()),
  }));
  // What a power cut left looks like damage at first, and no session is in doubt because of it.
  for (const { code, message, data } of findings.harmless(result)) terminal.warn(code, message, data);
  if (result.guessed.length > 0) needsPerson(invocation);
  if (terminal.json) return terminal.result(result);
  for (const line of linesOf(result)) await terminal.line(line);
}

/** What opening a store, and mending it, told of its log. */
class Findings {
  readonly #gaps: StoreWarning[] = [];
  readonly #kept = new Map<unknown, string>();
  readonly #guessed: Guess[] = [];

  /** @returns Whether it is about the damage. */
  add(warning: StoreWarning): boolean {
    const { code, data } = warning;
    if (code === "log_gap") this.#gaps.push(warning);
    else if (code === "log_mended") this.#kept.set(data["segment"], String(data["kept"]));
    else if (code === "session_guessed") this.#guessed.push(guessOf(data));
    else return false;
    return true;
  }

  mended(): Pick<MendResult, "damaged" | "guessed"> {
    const damaged = this.#gaps.map(segmentOf).flatMap((segment) => {
      const kept = this.#kept.get(segment.segment);
      return kept === undefined ? [] : [{ ...segment, kept }];
    });
    return { damaged, guessed: this.#guessed };
  }

  /** What mending would find, by the same rules. */
  async planned(store: Store): Promise<Pick<MendResult, "damaged" | "guessed">> {
    const { damagedSegments = [] } = (await store.stats()).directory ?? {};
    const damaged = this.#gaps.map(segmentOf).filter(({ segment }) => damagedSegments.includes(segment));
    const paths = new Set(damaged.map(({ path }) => path));
    const inDoubt = ({ key, path }: DamagedSession): Guess[] =>
      key !== undefined && paths.has(path) ? [{ key, path }] : [];
    const { damaged: sessions = [] } = await store.list({ limit: 1 });
    return { damaged, guessed: sessions.flatMap(inDoubt) };
  }

  /** Bytes that cannot be read, and put nothing in doubt. */
  harmless({ damaged }: MendResult): StoreWarning[] {
    const segments = new Set<unknown>(damaged.map(({ segment }) => segment));
    return this.#gaps.filter(({ data }) => !segments.has(data["segment"]));
  }
}

function segmentOf({ data }: StoreWarning): DamagedSegment {
  const { segment, path, offset, reason } = data;
  return { segment: Number(segment), path: String(path), offset: Number(offset), reason: String(reason) };
}

function guessOf(data: StoreWarning["data"]): Guess {
  const candidates = String(data["candidates"]);
  return {
    key: String(data["key"]),
    path: String(data["path"]),
    revision: Number(data["revision"]),
    candidates: candidates === "" ? [] : candidates.split(", ").map(Number),
  };
}

function* linesOf({ store, dryRun, damaged, guessed }: MendResult): Generator<string> {
  if (damaged.length === 0) {
    yield `nothing to mend: no session of ${visible(store)} is in doubt because of its log`;
    return;
  }
  const count = plural(guessed.length, "session", "sessions", formatCount(guessed.length));
  const outcome = guessed.length === 0 ? "every session that is left is proved" : `${count} cannot be proved`;
  yield `${dryRun ? "would mend" : "mended"} the log of ${visible(store)}: ${outcome}`;
  for (const { path, offset, reason, kept } of damaged) {
    const where = kept === undefined ? "" : `, kept as ${visible(kept)}`;
    yield `damaged  ${visible(path)} at byte ${offset} (${visible(reason)})${where}`;
  }
  yield "not known: sessions of which these bytes had everything, for their names were there, too";
  for (const guess of guessed)
    yield `${dryRun ? "in doubt" : "guessed "} ${visible(guess.key)}${choiceOf(guess)}`;
}

function choiceOf({ revision, candidates = [] }: Guess): string {
  if (revision === undefined) return "";
  if (candidates.length === 0) return ": nothing of it is left";
  const choice = revision === 0 ? "it is deleted" : `revision ${revision} was kept`;
  return `: ${choice}; found were ${candidates.map((one) => (one === 0 ? "its deletion" : one)).join(", ")}`;
}
