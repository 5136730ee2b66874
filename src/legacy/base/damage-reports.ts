/** What stores say of sessions that they have and cannot read. */
import { basename, dirname } from "node:path";
import type { StoreWarning } from "../../errors.js";
import { keyFromFolderName } from "../../format/session-key.js";

export interface DamagedSession {
  /** Undefined where only the damaged file could tell: the folder has a hash for its name. */
  readonly key: string | undefined;
  readonly path: string;
  /** What is wrong with it, as a clause. */
  readonly reason: string;
}

/** Hears from stores which sessions cannot be read. A store says so once, so what was heard is kept. */
export class DamageReports {
  readonly #heard = new Map<string, DamagedSession>();

  readonly onWarning = ({ code, message, data }: StoreWarning): void => {
    const { key, path, reason } = data;
    if (code !== "entry_corrupt" || typeof path !== "string") return;
    this.#heard.set(path, {
      key: typeof key === "string" ? key : keyFromFolderName(basename(dirname(path))),
      path,
      reason: typeof reason === "string" ? reason : message,
    });
  };

  get heard(): readonly DamagedSession[] {
    return [...this.#heard.values()];
  }
}
