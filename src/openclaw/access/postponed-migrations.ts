/**
 * Migrations that this process wanted and could not have: on a volume that a group may write, on a full disk, of a file
 * with nothing but nulls. Each is tried again after a while, for the reason may have gone; its owner hears each reason once.
 */
import { SessionStoreError } from "../../errors.js";
import type { Runtime } from "../../runtime.js";
import type { MaintenanceWarning } from "../base/settings.js";

/** An attempt may read, and write, all of a large store. */
const RETRY_MS = 10 * 60 * 1000;

interface Postponed {
  readonly reason: string;
  readonly until: number;
}

export class PostponedMigrations {
  /** By the legacy file's real path. */
  readonly #files = new Map<string, Postponed>();

  constructor(private readonly runtime: Pick<Runtime, "monotonic">) {}

  covers(file: string): boolean {
    const known = this.#files.get(file);
    return known !== undefined && this.runtime.monotonic() < known.until;
  }

  /** Whatever comes next is tried at once. */
  clear(): void {
    this.#files.clear();
  }

  add(file: string, error: unknown, onWarning: (warning: MaintenanceWarning) => void): void {
    const reason = error instanceof Error ? error.message : String(error);
    const isKnown = this.#files.get(file)?.reason === reason;
    this.#files.set(file, { reason, until: this.runtime.monotonic() + RETRY_MS });
    if (isKnown) return;
    const code = error instanceof SessionStoreError ? { code: error.code } : {};
    const message =
      `${file} could not be migrated to a directory store, and goes on being used as it is: ${reason} ` +
      `The migration is tried again in ${RETRY_MS / 60_000} minutes, or with: sessiondir migrate --lowercase-keys`;
    onWarning({ code: "migration_postponed", message, data: { path: file, ...code } });
  }
}
