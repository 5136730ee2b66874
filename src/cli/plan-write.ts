/**
 * What a command that writes one session is going to do, decided once for the dry run and the real one.
 *
 * The real run plans on the state that it read and writes on the condition that it still is that state; if another
 * process was faster, it plans again. So what it says is what it did, and a dry run says the same of the same state.
 */
import { plural } from "../plural.js";
import { isSessionDamaged, SessionStoreError } from "../errors.js";
import { shellQuoted } from "../legacy/base/paths.js";
import type { SessionRecord } from "../store/types.js";
import { foundElsewhere } from "./agent-stores.js";
import { isLogDamaged } from "./damaged-log.js";
import { CliError, EXIT } from "./failure.js";
import { formatCount } from "./figures.js";
import type { Invocation } from "./invocation.js";
import { nearestKeys } from "./nearest-keys.js";
import type { Entry, Store } from "./open-store.js";
import { transcriptsBeside } from "./transcripts-beside.js";
import { visible } from "./visible-text.js";

export type WriteAction = "create" | "replace" | "patch" | "delete" | "unchanged";

export interface WritePlan {
  readonly action: WriteAction;
  /** Fields that get another value, and fields that go away; for `patch`. */
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
}

/** The documented shape of `put`, `patch` and `rm` with `--json`. */
export interface WriteResult extends WritePlan {
  readonly store: string;
  readonly key: string;
  readonly dryRun: boolean;
  /** Revision before; 0: there was no such session. */
  readonly previousRevision: number;
  /** Revision after; absent in a dry run and for a session that is gone. */
  readonly revision?: number;
  /** The store did not exist; absent if it did. */
  readonly storeCreated?: true;
  /** The session was there and could not be read; its previous revision is then given as 0. */
  readonly damaged?: true;
  /** Of `delete`: names of the transcripts that go with it, if there are any. */
  readonly transcripts?: readonly string[];
}

export interface Write {
  /** Of the store, for commands that messages name. */
  readonly path: string;
  readonly key: string;
  readonly ifRevision: number | undefined;
  readonly dryRun: boolean;
  readonly plan: (current: SessionRecord<Entry> | undefined) => WritePlan;
  /** What to do with a session that is there and cannot be read. Default: fail, with the ways out. */
  readonly planDamaged?: WritePlan;
  /** The same where only its file is damaged, for a command that would build on what was in there. Default: fail. */
  readonly overDamagedFile?: {
    readonly plan: () => WritePlan;
    readonly apply: () => Promise<SessionRecord<Entry>>;
  };
  /** The error when there is no session; a command without it makes one. */
  readonly missing?: () => Promise<CliError>;
  /** Does it, provided that the session still has this revision; undefined: whatever it has. */
  readonly apply: (base: number | undefined) => Promise<SessionRecord<Entry> | undefined>;
}

type State =
  | { readonly damage?: undefined; readonly record: SessionRecord<Entry> | undefined }
  | { readonly damage: SessionStoreError };

type Outcome = Omit<WriteResult, "store" | "storeCreated">;

/** How often other processes may be faster; the store itself gives up after as many attempts. */
const ATTEMPTS_MAX = 100;

/** Plans, and unless it is a dry run does, one write. */
export async function planAndWrite(store: Store, signal: AbortSignal, write: Write): Promise<Outcome> {
  const { key, ifRevision, dryRun } = write;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const state = await stateOf(store, key);
    if (state.damage !== undefined) return writeDamaged(write, state.damage);
    const { record: current } = state;
    const previousRevision = current?.revision ?? 0;
    const isMissing = current === undefined && write.missing !== undefined;
    if ((isMissing || (ifRevision ?? previousRevision) !== previousRevision) && (await isLogDamaged(store))) {
      const outcome = await writeHidden(write);
      if (outcome !== undefined) return outcome;
    }
    if (isMissing) throw await write.missing();
    assertRevision(key, ifRevision, previousRevision);
    const plan = write.plan(current);
    if (dryRun) return { key, dryRun, ...plan, previousRevision };
    const done = { key, dryRun, ...plan, previousRevision };
    if (plan.action === "unchanged") return { ...done, revision: previousRevision };
    try {
      const record = await write.apply(previousRevision);
      return record === undefined ? done : { ...done, revision: record.revision };
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
      if (error.code === "log_damaged" && write.planDamaged !== undefined && ifRevision === undefined) {
        const record = await write.apply(undefined); // it may have changed behind the damage, and goes as a whole
        return record === undefined ? done : { ...done, revision: record.revision };
      }
      const overtaken = ["conflict", "not_found"].includes(error.code);
      if (!overtaken || ifRevision !== undefined || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function stateOf(store: Store, key: string): Promise<State> {
  try {
    return { record: await store.read(key) };
  } catch (error) {
    if (isSessionDamaged(error)) return { damage: error };
    throw error;
  }
}

/** Nothing of the session can be read, so there is no condition to write on: it is replaced, or removed, as it is. */
async function writeDamaged(write: Write, damage: SessionStoreError): Promise<Outcome> {
  const { path, key, dryRun, ifRevision, planDamaged, overDamagedFile } = write;
  const over = damage.code === "entry_corrupt" ? overDamagedFile : undefined;
  const plan = ifRevision === undefined ? (planDamaged ?? over?.plan()) : undefined;
  if (plan === undefined)
    throw withWaysOut(
      damage,
      { path, key },
      ifRevision === undefined ? "" : " Its revision cannot be known: leave --if-revision out.",
    );
  const done = { key, dryRun, ...plan, previousRevision: 0, damaged: true } as const;
  if (dryRun) return done;
  const record = await (over ?? write).apply(undefined);
  return record === undefined ? done : { ...done, revision: record.revision };
}

/** The error of a session that cannot be read, and what a person can do with it. */
export function withWaysOut(
  { code, message, data }: SessionStoreError,
  { path, key }: { readonly path: string; readonly key: string },
  why = "",
): CliError {
  const target = `${shellQuoted(key)} --store ${shellQuoted(path)}`;
  return new CliError(
    code,
    `${message}${why} Ways out: sessiondir put ${target} replaces it as a whole, sessiondir rm ${target} removes it.`,
    { exitCode: EXIT.needsPerson, data },
  );
}

/**
 * A damaged log may hide the session, or a change of it: only the store knows, and it refuses or does what is asked.
 * @returns Undefined when nothing is hidden: the session is as it was read.
 */
async function writeHidden(write: Write): Promise<Outcome | undefined> {
  const { path, key, dryRun, ifRevision, planDamaged } = write;
  const isPossible = planDamaged !== undefined && ifRevision === undefined;
  if (dryRun && !isPossible) throw maybeHidden(path, key);
  try {
    const record = dryRun ? undefined : await write.apply(ifRevision);
    if (planDamaged === undefined) return undefined; // it was not there when it was read, and now nothing was changed
    const damaged = isPossible && ({ damaged: true } as const);
    const done = { key, dryRun, ...planDamaged, previousRevision: ifRevision ?? 0, ...damaged };
    return record === undefined ? done : { ...done, revision: record.revision };
  } catch (error) {
    const isKnown = error instanceof SessionStoreError && ["conflict", "not_found"].includes(error.code);
    if (!isKnown) throw error;
    return undefined;
  }
}

/** A dry run cannot have the store refuse it. */
function maybeHidden(path: string, key: string): CliError {
  const message =
    `the log is damaged, and session ${JSON.stringify(key)}, or a change of it, may be behind that: then this is refused. ` +
    `See what mending would do: sessiondir mend --dry-run --store ${shellQuoted(path)}`;
  return new CliError("log_damaged", message, { exitCode: EXIT.needsPerson, data: { key } });
}

function assertRevision(key: string, expected: number | undefined, actual: number): void {
  if (expected === undefined || expected === actual) return;
  throw new SessionStoreError(
    "conflict",
    `session ${JSON.stringify(key)} has revision ${actual}${actual === 0 ? " (it does not exist)" : ""}, not ` +
      `${expected}. Nothing was written: get it, look, and decide anew.`,
    { data: { key, expected, actual } },
  );
}

/** The error for a key that is not there, with the keys that may have been meant. */
export async function missingSession(store: Store, path: string, key: string): Promise<CliError> {
  const elsewhere = await foundElsewhere(path, key);
  const near = elsewhere === undefined ? await nearestKeys(store, key) : [];
  const count = await store.count();
  const advice =
    elsewhere ??
    (near.length > 0
      ? `Did you mean ${near.map((candidate) => JSON.stringify(candidate)).join(" or ")}?`
      : `List its ${plural(count, "session", "sessions", formatCount(count))}: sessiondir ls --store ${shellQuoted(path)}`);
  return new CliError("not_found", `there is no session ${JSON.stringify(key)} in ${path}. ${advice}`, {
    data: { key, path },
  });
}

/** The same for a command on the record: there may be transcripts all the same. */
export async function missingRecord(store: Store, path: string, key: string): Promise<CliError> {
  const names = await transcriptsBeside(store, key);
  if (names.length === 0) return missingSession(store, path, key);
  const message =
    `session ${JSON.stringify(key)} has no record in ${path}, only transcripts: ` +
    `sessiondir transcript ls ${shellQuoted(key)}`;
  return new CliError("not_found", message, { data: { key, path } });
}

const DONE: Readonly<Record<WriteAction, string>> = {
  create: "created",
  replace: "replaced",
  patch: "patched",
  delete: "deleted",
  unchanged: "unchanged",
};

/** Prints a result: one line for people, or its JSON. */
export async function printWrite({ terminal }: Invocation, result: WriteResult): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { action, key, dryRun, previousRevision, revision, storeCreated, damaged } = result;
  const name = visible(key);
  const fields = [
    ...(result.set ?? []).map((field) => `set ${visible(field)}`),
    ...(result.unset ?? []).map((field) => `unset ${visible(field)}`),
  ];
  const details = fields.length === 0 ? "" : `: ${fields.join(", ")}`;
  const was = damaged === true ? ", which was damaged" : "";
  const { transcripts = [] } = result;
  const along =
    transcripts.length === 0
      ? ""
      : `, with ${plural(transcripts.length, "transcript")} (${transcripts.map(visible).join(", ")})`;
  const where = storeCreated === true ? ` in a new store ${visible(result.store)}` : "";
  if (dryRun) {
    const verb = action === "unchanged" ? "leave unchanged" : action;
    const now = previousRevision === 0 ? "" : `, now at revision ${previousRevision}`;
    return terminal.line(`would ${verb} ${name}${was}${where}${now}${along}${details}`);
  }
  const isNew = damaged === true || (action === "delete" && previousRevision === 0);
  const before = isNew ? "" : `, was at revision ${previousRevision}`;
  const after = revision === undefined ? before : `, revision ${revision}`;
  return terminal.done(`${DONE[action]} ${name}${was}${where}${after}${along}${details}`);
}
