/**
 * What a command that writes one session is going to do, decided once for the dry run and the real one.
 *
 * The real run plans on the state that it read and writes on the condition that it still is that state; if somebody was
 * faster, it plans again. So what it says is what it did, and a dry run says the same of the same state.
 */
import { SessionStoreError } from "../errors.js";
import { shellQuoted } from "../legacy/paths.js";
import type { SessionRecord } from "../store/types.js";
import { CliError } from "./failure.js";
import { formatCount } from "./figures.js";
import type { Invocation } from "./invocation.js";
import { nearestKeys } from "./nearest.js";
import type { Entry, Store } from "./open-store.js";
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
}

export interface Write {
  readonly key: string;
  readonly ifRevision: number | undefined;
  readonly dryRun: boolean;
  readonly plan: (current: SessionRecord<Entry> | undefined) => WritePlan;
  /** Does it, provided that the session still has this revision. */
  readonly apply: (base: number) => Promise<SessionRecord<Entry> | undefined>;
}

type Outcome = Omit<WriteResult, "store" | "storeCreated">;

/** Others may be faster so often; the store itself gives up after as many. */
const ATTEMPTS_MAX = 100;

/** Plans, and unless it is a dry run does, one write. */
export async function planAndWrite(store: Store, signal: AbortSignal, write: Write): Promise<Outcome> {
  const { key, ifRevision, dryRun } = write;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const current = await store.read(key);
    const previousRevision = current?.revision ?? 0;
    assertRevision(key, ifRevision, previousRevision);
    const plan = write.plan(current);
    if (dryRun) return { key, dryRun, ...plan, previousRevision };
    const done = { key, dryRun, ...plan, previousRevision };
    if (plan.action === "unchanged") return { ...done, revision: previousRevision };
    try {
      const record = await write.apply(previousRevision);
      return record === undefined ? done : { ...done, revision: record.revision };
    } catch (error) {
      const overtaken = error instanceof SessionStoreError && ["conflict", "not_found"].includes(error.code);
      if (!overtaken || ifRevision !== undefined || attempt === ATTEMPTS_MAX) throw error;
    }
  }
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
  const near = await nearestKeys(store, key);
  const count = await store.count();
  const advice =
    near.length > 0
      ? `Did you mean ${near.map((candidate) => JSON.stringify(candidate)).join(" or ")}?`
      : `List its ${formatCount(count)} sessions: sessiondir ls --store ${shellQuoted(path)}`;
  return new CliError("not_found", `there is no session ${JSON.stringify(key)} in ${path}. ${advice}`, {
    data: { key, path },
  });
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
  const { action, key, dryRun, previousRevision, revision, storeCreated } = result;
  const name = visible(key);
  const fields = [
    ...(result.set ?? []).map((field) => `set ${visible(field)}`),
    ...(result.unset ?? []).map((field) => `unset ${visible(field)}`),
  ];
  const details = fields.length === 0 ? "" : `: ${fields.join(", ")}`;
  const where = storeCreated === true ? ` in a new store ${visible(result.store)}` : "";
  if (dryRun) {
    const verb = action === "unchanged" ? "leave unchanged" : action;
    const now = previousRevision === 0 ? "" : `, now at revision ${previousRevision}`;
    return terminal.line(`would ${verb} ${name}${where}${now}${details}`);
  }
  const after = revision === undefined ? `, was at revision ${previousRevision}` : `, revision ${revision}`;
  return terminal.line(`${DONE[action]} ${name}${where}${after}${details}`);
}
