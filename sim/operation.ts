/**
 * One operation of a simulated process: what it knows of the world, and when it ended honestly.
 *
 *   I1  what was acknowledged as durable is promised: the oracle looks for it after every power cut
 *   I2  an operation that succeeded counts exactly once; one that failed, and does not say that it may count, does not
 */
import { SessionStoreError } from "../src/errors.js";
import type { Fields, Oracle } from "./oracle.js";
import type { SimulatedProcess, Store } from "./process.js";
import { Violation } from "./violation.js";

/** The part of the world that operations need. */
export interface Scene {
  readonly oracle: Oracle;
  readonly blobs: boolean;
  /** Sessions whose file was damaged: nothing is said about them, but that they harm no other. */
  readonly damaged: ReadonlySet<string>;
  /** Bytes of the log were damaged: who has not read them may say so, and nothing else. */
  readonly logDamaged: boolean;
  /** A number that no other operation of this schedule has. */
  nextToken(): string;
  committed(): void;
  /** For promises that no operation awaits. */
  failed(error: unknown): void;
}

export interface Running {
  readonly scene: Scene;
  readonly process: SimulatedProcess;
  readonly store: Store;
  readonly key: string;
  readonly variant: number;
  readonly token: string;
}

/** Codes that an operation may end in when nothing was made to fail. */
const ORDINARY: ReadonlySet<string> = new Set(["conflict", "not_found", "closed"]);
/** Codes that a failing disk explains. */
const EXPLAINED: ReadonlySet<string> = new Set([
  "io_error",
  "disk_full",
  "durability_unknown",
  "commit_unknown",
]);

/** Codes that a damaged log explains. */
export const LOUD: ReadonlySet<string> = new Set([
  "log_damaged",
  "session_damaged",
  "commit_unknown",
  "revision_unknown",
  "revision_too_old",
]);

/** Whether an error is one that this process may end in now. */
export function assertExplained(scene: Scene, process: SimulatedProcess, error: unknown, what: string): void {
  if (error instanceof Violation) throw error;
  if (error instanceof SessionStoreError) {
    if (ORDINARY.has(error.code)) return;
    if (process.faulty && EXPLAINED.has(error.code)) return;
    if ((error.code === "entry_corrupt" || error.code === "transcript_damaged") && scene.damaged.size > 0)
      return;
    if (scene.logDamaged && LOUD.has(error.code)) return;
    // Of a commit that was appended: the sync looks whether the log is in its place, and may be the first to meet the damage.
    if (scene.logDamaged && error.data["written"] === true && LOUD.has(String(error.data["reason"]))) return;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.stack}` : "";
  throw new Violation(`${process.name} ${what} ended in: ${text}${cause}`);
}

export function assertHonest(running: Running, error: unknown): void {
  const { scene, process, token } = running;
  assertExplained(scene, process, error, token);
  if (!(error instanceof SessionStoreError)) return;
  scene.oracle.readOn();
  const counts = scene.oracle.tokens.has(token);
  const mayCount =
    error.code === "commit_unknown" ||
    (error.code === "durability_unknown" && error.data["written"] !== false);
  if (counts && !mayCount) throw new Violation(`${token} counts, but its caller was told ${error.message}`);
}

/** Does something that carries a token, which must count, once, when the call succeeds. */
export async function acknowledge(running: Running, work: () => Promise<unknown>): Promise<void> {
  const { scene, process, token } = running;
  await work();
  if (process.dead) return;
  scene.oracle.readOn();
  const revision = scene.oracle.tokens.get(token);
  if (revision === undefined) throw new Violation(`${token} was acknowledged and does not count`);
  scene.committed();
  promise(running, revision);
}

/** After a power cut it must be there. */
export function promise({ scene: { oracle }, process }: Running, revision: number): void {
  if (process.options.durability === "disk") oracle.promised = Math.max(oracle.promised, revision);
}

/** What an update leaves of an entry. */
export function keep(entry: Fields | undefined): Fields {
  if (entry === undefined) return {};
  const { big: _big, bigOf: _bigOf, prev: _prev, filler: _filler, ...rest } = entry;
  return rest;
}

/** When the question was asked. */
export function now({ scene: { oracle }, process }: Running): number {
  oracle.readOn();
  return process.asOf ?? oracle.history.length - 1;
}
