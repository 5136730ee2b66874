/**
 * How many bytes each field of the entries takes: as it would stand in a sessions.json, and as the store keeps it, where
 * a big value is stored once for all sessions that have it.
 *
 * Shared values are recognised by being loaded lazily, and counted by content, each in the field where it was met
 * first. One that was measured is not looked into again while the store keeps it in memory, so that a hundred thousand
 * sessions with the same snapshot cost a lookup each.
 */
import { createHash } from "node:crypto";
import type { Entry } from "./open-store.js";

export interface FieldBytes {
  /** Sessions that have the field. */
  sessions: number;
  /** Bytes as JSON with everything inline, the name included. */
  asJson: number;
  /** What is in the entries themselves, plus shared values that no field before had. */
  stored: number;
}

export interface EntryBytes {
  readonly asJson: number;
  /** In the entry itself, without shared values. */
  readonly inline: number;
}

interface Measure {
  readonly asJson: number;
  readonly inline: number;
  /** Shared values in it, at any depth. */
  readonly shared: readonly SharedValue[];
}

interface SharedValue {
  readonly hash: string;
  readonly bytes: number;
}

/** `{"$blob":"sha256:<64 digits>","bytes":12345}`, about. */
const REFERENCE_BYTES = 99;
const NOTHING_SHARED: readonly SharedValue[] = [];

export class FieldMeter {
  readonly fields = new Map<string, FieldBytes>();
  readonly #known = new WeakMap<object, Measure>();
  readonly #counted = new Set<string>();

  /** Adds one session's entry. @throws what loading a shared value throws; then the field is left out. */
  add(entry: Readonly<Entry>, onUnreadable: (field: string, error: unknown) => void): EntryBytes {
    let asJson = 2;
    let inline = 2;
    for (const name of Object.keys(entry)) {
      try {
        const measure = this.#measureField(entry, name);
        const around = stringBytes(name) + 2; // colon and comma
        asJson += measure.asJson + around;
        inline += measure.inline + around;
        this.#count(name, measure, around);
      } catch (error) {
        onUnreadable(name, error);
      }
    }
    return { asJson, inline };
  }

  #count(name: string, measure: Measure, around: number): void {
    let field = this.fields.get(name);
    if (field === undefined) this.fields.set(name, (field = { sessions: 0, asJson: 0, stored: 0 }));
    field.sessions += 1;
    field.asJson += measure.asJson + around;
    field.stored += measure.inline + around;
    for (const { hash, bytes } of measure.shared) {
      if (this.#counted.has(hash)) continue;
      this.#counted.add(hash);
      field.stored += bytes;
    }
  }

  #measureField(holder: object, name: string): Measure {
    const lazy = Object.getOwnPropertyDescriptor(holder, name)?.get !== undefined;
    const value = (holder as Record<string, unknown>)[name];
    return lazy ? this.#measureShared(value) : this.#measure(value);
  }

  #measureShared(value: unknown): Measure {
    const object = typeof value === "object" && value !== null ? value : undefined;
    const known = object && this.#known.get(object);
    if (known !== undefined) return known;
    const inside = this.#measure(value);
    const hash = createHash("sha256").update(JSON.stringify(value)).digest("base64");
    const shared = [...inside.shared, { hash, bytes: inside.inline }];
    const measure = { asJson: inside.asJson, inline: REFERENCE_BYTES, shared };
    if (object !== undefined) this.#known.set(object, measure);
    return measure;
  }

  #measure(value: unknown): Measure {
    if (typeof value === "string") return plain(stringBytes(value));
    if (typeof value !== "object" || value === null) return plain(String(value).length);
    const names = Object.keys(value);
    const isArray = Array.isArray(value);
    const commas = Math.max(names.length - 1, 0);
    let asJson = 2 + commas;
    let inline = 2 + commas;
    let shared: SharedValue[] | undefined;
    for (const name of names) {
      const part = this.#measureField(value, name);
      const label = isArray ? 0 : stringBytes(name) + 1;
      asJson += part.asJson + label;
      inline += part.inline + label;
      if (part.shared.length > 0) (shared ??= []).push(...part.shared);
    }
    return { asJson, inline, shared: shared ?? NOTHING_SHARED };
  }
}

function plain(bytes: number): Measure {
  return { asJson: bytes, inline: bytes, shared: NOTHING_SHARED };
}

function stringBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}
