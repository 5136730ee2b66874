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
import { assertFolder, createFile, syncDirectory } from "../../../fs/regular-file.js";
import { replaceFile } from "../../../fs/replace-file.js";
import { existsNow, statusNow } from "../../../fs/status.js";
import { NOTE } from "../kept-entries.js";
import { contentOf, KEPT_NAME_CHARACTERS } from "../sources.js";
import { HISTORY_FILE, record } from "../history.js";
import type { Patient } from "../patient.js";
import type { Action, Finding } from "../types.js";

/** What an action is about. */
export type About = Pick<Finding, "code" | "cause"> & { readonly key?: string | undefined };

export class Surgery {
  readonly actions: Action[] = [];
  /** What could not be done, and why. */
  readonly failures: unknown[] = [];
  /** Sessions of which nothing is left that counts, and the revision that was written last, where something says it. */
  readonly givenUp = new Map<string, number | undefined>();
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
    await this.#makeRoomForHistory(patient);
    await record(patient.fs, patient.layout, action);
  }

  /**
   * Moves a file, a link or a folder to the quarantine. Only where the store is alone: a name that another process has just written anew
   * would go with it.
   * @returns Where it is now; undefined if it was not there.
   */
  async putAside(patient: Patient, path: string, about: About): Promise<string | undefined> {
    const { fs, layout } = patient;
    assertReached(patient, path);
    if (!existsNow(fs, path)) return undefined;
    if (path === layout.quarantine) return this.#renewQuarantine(patient, about);
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
    assertReached(patient, path);
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
  async #placeFor(patient: Patient, path: string): Promise<string> {
    const { fs, layout, runtime } = patient;
    const standing = statusNow(fs, layout.quarantine);
    if (standing !== undefined && standing.kind !== "directory" && patient.options.alone === true)
      await this.#renewQuarantine(patient, { code: "link_found", cause: "it was no folder" });
    await ignoreExisting(fs.later.mkdir(layout.quarantine));
    assertFolder(fs, layout.quarantine); // through a link, things would be put wherever it leads
    const inside = path.slice(layout.root.length + 1).replace(/^\.store\//, "");
    const name = inside.slice(0, KEPT_NAME_CHARACTERS).replaceAll("/", ".").replace(/^\./, "_");
    return `${layout.quarantine}/${name}.${runtime.randomName(6)}`;
  }

  /**
   * Something else stands in the quarantine's place: it makes room for a folder, and goes into it. A crash in between leaves it beside
   * the folder, where a link is found by the next run.
   */
  async #renewQuarantine(patient: Patient, about: About): Promise<string> {
    const { fs, layout, runtime } = patient;
    const beside = `${layout.quarantine}.${runtime.randomName(6)}`;
    await fs.later.rename(layout.quarantine, beside);
    await fs.later.mkdir(layout.quarantine);
    const kept = `${layout.quarantine}/${basename(beside)}`;
    await this.#note(patient, layout.quarantine, kept, about);
    await fs.later.rename(beside, kept);
    await syncDirectory(fs, layout.quarantine);
    await syncDirectory(fs, layout.store);
    return kept;
  }

  /** Whatever is no file in the place of the history is put aside: only doctors write there. */
  async #makeRoomForHistory(patient: Patient): Promise<void> {
    const path = `${patient.layout.store}/${HISTORY_FILE}`;
    const kind = statusNow(patient.fs, path)?.kind;
    if (kind === undefined || kind === "file") return;
    await this.putAside(patient, path, {
      code: "link_found",
      cause: `it is the history's place, and no file`,
    });
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

/** @throws `file_unsafe` where a link stands in the place of a folder on the way: nothing is moved or written through one. */
function assertReached({ fs, layout }: Patient, path: string): void {
  const names = path.slice(layout.root.length + 1).split("/");
  let folder = layout.root;
  for (const name of names.slice(0, -1)) {
    folder += `/${name}`;
    if (existsNow(fs, folder)) assertFolder(fs, folder);
  }
}
