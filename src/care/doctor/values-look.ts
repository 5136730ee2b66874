/**
 * Shared values: who refers to which, what is in its place, and what that really is.
 *
 * References are taken from the files first and from the log afterwards, and the values are looked for last: a value is there
 * before anything names it, and goes only when nothing does any more.
 */
import { namesInNow, statusNow } from "../../fs/status.js";
import { partsOfTrashName } from "../../format/layout.js";
import { referencesIn } from "../../format/stored-references.js";
import type { BlobReference, StoredValue } from "../../format/stored-value.js";
import { fieldReferences, type FieldReferences } from "./entries-look.js";
import type { Patient } from "./patient.js";
import { contentOf, hashOf } from "./sources.js";

export interface ValueUser {
  readonly key: string;
  readonly field: string;
}

export interface DamagedValue {
  readonly hash: string;
  readonly path: string;
  readonly reason: string;
  /** What it really is, if that was read. */
  readonly actual: string | undefined;
}

export interface ValuesLook {
  /** Who needs a value, directly or by way of others. */
  readonly users: ReadonlyMap<string, readonly ValueUser[]>;
  /** Neither in its place nor in the trash, and somebody needs it. */
  readonly missing: readonly string[];
  readonly damaged: readonly DamagedValue[];
  readonly unreferenced: { readonly count: number; readonly bytes: number };
  /** Some file could not be read, so that nobody can say what is not needed. */
  readonly incomplete: boolean;
}

export async function lookAtValues(patient: Patient): Promise<ValuesLook> {
  const { all, placed } = await patient.entries();
  const { log } = patient;
  const search = new Search(patient);
  for (const [key, { state }] of placed)
    if (state.kind === "whole" && log?.states.has(key) !== true) search.add(key, state.fields);
  for (const [key, { stored }] of log?.states ?? [])
    if (stored !== undefined) search.add(key, fieldReferences(stored));
  const incomplete =
    patient.sample < 1 ||
    log === undefined ||
    log.error !== undefined ||
    log.gaps.length > 0 ||
    all.some(({ state }) => state.kind === "damaged" || state.kind === "unsafe");
  return search.result(incomplete);
}

class Search {
  readonly #users = new Map<string, ValueUser[]>();
  readonly #references = new Map<string, BlobReference>();
  readonly #damaged = new Map<string, DamagedValue>();
  readonly #sizes = new Map<string, number>();

  constructor(private readonly patient: Patient) {}

  add(key: string, fields: readonly FieldReferences[]): void {
    for (const { field, references } of fields)
      for (const reference of references) this.#addUser({ key, field }, reference, new Set());
  }

  #addUser(user: ValueUser, reference: BlobReference, above: Set<string>): void {
    const { hash, nested } = reference;
    if (above.has(hash)) return;
    const users = this.#users.get(hash);
    // A user's references come one after the other: whoever was last is the only one that it can be again.
    const last = users?.at(-1);
    if (users === undefined) this.#users.set(hash, [user]);
    else if (last?.key !== user.key || last.field !== user.field) users.push(user);
    this.#references.set(hash, reference);
    if (!nested) return;
    const inner = this.#within(hash);
    for (const other of inner) this.#addUser(user, other, new Set([...above, hash]));
  }

  readonly #nested = new Map<string, readonly BlobReference[]>();

  #within(hash: string): readonly BlobReference[] {
    const known = this.#nested.get(hash);
    if (known !== undefined) return known;
    const found = this.#readReferences(hash);
    this.#nested.set(hash, found);
    return found;
  }

  #readReferences(hash: string): readonly BlobReference[] {
    const bytes = contentOf(this.patient, this.patient.layout.blob(hash));
    if (bytes === undefined || hashOf(bytes) !== hash) return [];
    return referencesIn(JSON.parse(bytes.toString("utf8")) as StoredValue);
  }

  async result(incomplete: boolean): Promise<ValuesLook> {
    const { fs, layout, runtime, signal } = this.patient;
    const trashed = new Set(namesInNow(fs, layout.trash).map((name) => partsOfTrashName(name).hash));
    for (const folder of namesInNow(fs, layout.blobs)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      await runtime.yieldToEventLoop();
      signal?.throwIfAborted();
      for (const name of namesInNow(fs, `${layout.blobs}/${folder}`)) {
        const [, hash] = /^([0-9a-f]{64})\.json$/.exec(name) ?? [];
        if (hash !== undefined) this.#lookAt(hash, `${layout.blobs}/${folder}/${name}`);
      }
    }
    const unreferenced = [...this.#sizes].filter(([hash]) => !this.#users.has(hash));
    return {
      users: this.#users,
      missing: [...this.#users.keys()].filter((hash) => !this.#sizes.has(hash) && !trashed.has(hash)),
      damaged: [...this.#damaged.values()],
      unreferenced: {
        count: unreferenced.length,
        bytes: unreferenced.reduce((sum, [, bytes]) => sum + bytes, 0),
      },
      incomplete,
    };
  }

  #lookAt(hash: string, path: string): void {
    const status = statusNow(this.patient.fs, path);
    if (status === undefined) return;
    this.#sizes.set(hash, status.size);
    const found = (reason: string, actual?: string): void =>
      void this.#damaged.set(hash, { hash, path, reason, actual });
    if (status.kind !== "file") return found(`it is a ${status.kind}, not a file`);
    const wanted = this.#references.get(hash)?.bytes;
    const deep = this.patient.includes("deep") && this.patient.isSampled(hash);
    const wrongSize = wanted !== undefined && wanted !== status.size;
    if (!deep && !wrongSize) return;
    const bytes = contentOf(this.patient, path);
    const actual = bytes === undefined ? undefined : hashOf(bytes);
    if (wrongSize) found(`it has ${status.size} bytes, and those who need it know ${wanted}`, actual);
    else if (actual === undefined) found("it cannot be read");
    else if (actual !== hash) found("its content is not what its name promises", actual);
  }
}
