/**
 * What every repair uses: things are put aside and never removed, what was there before is kept with a note, and each step is written
 * down before the next one.
 *
 * A crash leaves what was put aside in the quarantine, perhaps a note about what was not, and the store as far as it had come: the
 * next run finds the rest.
 */
import { basename } from "node:path";
import { errnoOf, isDiskFull } from "../../../errors.js";
import { ignoreExisting } from "../../../fs/missing.js";
import { createFile, syncDirectory } from "../../../fs/regular-file.js";
import { replaceFile } from "../../../fs/replace-file.js";
import { existsNow } from "../../../fs/status.js";
import { NOTE } from "../kept-entries.js";
import { contentOf, KEPT_NAME_CHARACTERS } from "../sources.js";
import { record } from "../history.js";
import type { Patient } from "../patient.js";
import type { Action, Finding } from "../types.js";

/** What an action is about. */
export type About = Pick<Finding, "code" | "cause"> & { readonly key?: string | undefined };

export class Surgery {
  readonly actions: Action[] = [];
  /** What could not be done, and why. */
  readonly failures: unknown[] = [];
  /** `.store` was made anew in this run: what it had may be in the copy that it was left out of. */
  rebuilt = false;

  /** Writes down what was done. */
  async did(
    patient: Patient,
    { code, key }: Pick<About, "code" | "key">,
    path: string,
    done: string,
    { kept, lost = false }: { readonly kept?: string | undefined; readonly lost?: boolean } = {},
  ): Promise<void> {
    const action: Action = {
      at: Math.trunc(patient.runtime.now()),
      code,
      done,
      path: patient.real(path),
      ...(key !== undefined && { key }),
      ...(kept !== undefined && { kept: patient.real(kept) }),
      lost,
    };
    this.actions.push(action);
    await record(patient.fs, patient.layout, action);
  }

  /**
   * Moves a file, a link or a folder to the quarantine. Only where the store is alone: a name that another process has just written anew
   * would go with it.
   * @returns Where it is now; undefined if it was not there.
   */
  async putAside(patient: Patient, path: string, about: About): Promise<string | undefined> {
    const { fs, layout } = patient;
    if (!existsNow(fs, path)) return undefined;
    const kept = await this.#placeFor(patient, path);
    // The note first: on a full disk nothing is moved then.
    await this.#note(patient, path, kept, about);
    try {
      await fs.later.rename(path, kept);
    } catch (error) {
      await fs.later.unlink(`${kept}${NOTE}`).catch(() => {});
      throw error;
    }
    await syncDirectory(fs, layout.quarantine);
    await syncDirectory(fs, path.slice(0, path.lastIndexOf("/")));
    return kept;
  }

  /** Puts a copy into the quarantine; the original stays. @returns Undefined if it cannot be read. */
  async keepCopy(patient: Patient, path: string, about: About): Promise<string | undefined> {
    const bytes = contentOf(patient, path);
    if (bytes === undefined) return undefined;
    const kept = await this.#placeFor(patient, path);
    await this.#note(patient, path, kept, about);
    await createFile(patient.fs, kept, bytes, { sync: true });
    await syncDirectory(patient.fs, patient.layout.quarantine);
    return kept;
  }

  /** Puts content in a place, durably, over whatever file is there. */
  async place(patient: Patient, path: string, bytes: Uint8Array): Promise<void> {
    const { fs, runtime } = patient;
    const folder = path.slice(0, path.lastIndexOf("/"));
    await ignoreExisting(fs.later.mkdir(folder));
    const temporary = `${folder}/.${basename(path)}.${runtime.randomName(6)}`;
    await replaceFile(fs, temporary, path, bytes);
    await syncDirectory(fs, folder);
    await syncDirectory(fs, folder.slice(0, folder.lastIndexOf("/")));
  }

  /** Runs one repair; what it cannot do is told, and keeps nothing else from being done. */
  async attempt(patient: Patient, work: () => Promise<void>): Promise<void> {
    patient.signal?.throwIfAborted();
    try {
      await work();
    } catch (error) {
      patient.signal?.throwIfAborted();
      // On a disk that is full or cannot be written to, nothing else would go better.
      if (isDiskFull(error) || errnoOf(error) === "EROFS") throw error;
      this.failures.push(error);
    }
  }

  /** A name in the quarantine that says where it is from. */
  async #placeFor({ fs, layout, runtime }: Patient, path: string): Promise<string> {
    await ignoreExisting(fs.later.mkdir(layout.quarantine));
    const inside = path.slice(layout.root.length + 1).replace(/^\.store\//, "");
    const name = inside.slice(0, KEPT_NAME_CHARACTERS).replaceAll("/", ".").replace(/^\./, "_");
    return `${layout.quarantine}/${name}.${runtime.randomName(6)}`;
  }

  async #note(patient: Patient, from: string, kept: string, { code, cause, key }: About): Promise<void> {
    const note = {
      at: new Date(patient.runtime.now()).toISOString(),
      from: patient.real(from),
      code,
      cause: patient.real(cause),
      ...(key !== undefined && { key }),
    };
    const bytes = Buffer.from(`${JSON.stringify(note, null, 2)}\n`);
    await createFile(patient.fs, `${kept}${NOTE}`, bytes, { sync: false });
  }
}
