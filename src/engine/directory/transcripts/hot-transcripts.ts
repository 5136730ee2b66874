/**
 * The transcripts that live segments mention, as of the log position that this process has read up to.
 *
 * Memory is bounded by the live log, whose items are known here, and does not grow with the length of transcripts. Of the items'
 * texts only the newest few MiB are kept.
 */
import type { LogRecord } from "../../../format/log-line.js";
import type { Segment } from "../../../log/segment.js";
import type { TranscriptEffect } from "../../../log/transcript-verdict.js";
import { HotTranscript, type HotItem, type HotTranscriptState } from "./hot-transcript.js";

/** Texts of the newest items that stay in memory, in UTF-16 units; the log has all of them. */
const TEXT_UNITS_MAX = 8 * 1024 * 1024;

/** All that is known of them at one moment, but the items' texts. */
export interface HotTranscriptsState {
  readonly transcripts: readonly HotTranscriptState[];
  /** Of each session that was deleted. */
  readonly deletes: readonly (readonly [key: string, deletes: readonly DeleteIn[]])[];
}

/** That a live segment deleted a session, and the revision of that. */
export interface DeleteIn {
  readonly segment: number;
  readonly revision: number;
}

export class HotTranscripts {
  readonly #hot = new Map<string, Map<string, HotTranscript>>();
  /** Live segments that deleted a session, with the revision of the delete, lowest first. */
  readonly #deletes = new Map<string, DeleteIn[]>();
  /** Items whose text is in memory, oldest first. */
  #texts: HotItem[] = [];
  #textUnits = 0;
  /** Counts what was let go of: a look into the files that was made meanwhile may have come too early (T9). */
  releases = 0;

  /** Enters what a committed record did. */
  committed(
    { number, firstRevision }: Segment,
    { ops, t }: LogRecord,
    revision: number,
    effects: readonly TranscriptEffect[] | undefined,
  ): void {
    for (const { k, d } of ops) if (d !== undefined) this.#delete(number, k, revision);
    for (const [index, effect] of effects?.entries() ?? []) {
      if (effect.before === effect.after) continue; // it changed nothing
      const offset = revision - firstRevision;
      // Field by field: a rest and a spread of an item take longer than all else that is done with it.
      const items = effect.items.map((placed): HotItem => ({
        seq: placed.seq,
        position: placed.position,
        gone: placed.gone,
        index: placed.index,
        chunk: placed.chunk,
        at: placed.at,
        bytes: placed.bytes,
        id: placed.item.id,
        revision,
        time: t,
        segment: number,
        offset,
        op: index,
        json: placed.item.json,
      }));
      this.#enter(effect.op.k, effect.op.l).change(number, revision, effect, items);
      for (const item of items) this.#keep(item);
    }
  }

  /** A segment is in the files now. */
  release(segment: number): void {
    this.releases++;
    for (const [key, ofKey] of this.#hot) {
      for (const [name, hot] of ofKey) {
        if (!hot.release(segment)) continue;
        hot.letGo();
        ofKey.delete(name);
      }
      if (ofKey.size === 0) this.#hot.delete(key);
    }
    for (const [key, deletes] of this.#deletes) {
      const left = deletes.filter((entry) => entry.segment > segment);
      if (left.length === 0) this.#deletes.delete(key);
      else this.#deletes.set(key, left);
    }
  }

  clear(): void {
    this.releases++;
    for (const hot of this.all()) hot.letGo();
    this.#hot.clear();
    this.#deletes.clear();
    this.#texts = [];
    this.#textUnits = 0;
  }

  /** Its files are right as they are. */
  forget(key: string, name: string): void {
    this.#hot.get(key)?.get(name)?.letGo();
    this.#hot.get(key)?.delete(name);
  }

  /** Takes the place of what was known, as another reading of the log found it. */
  take(other: HotTranscripts): void {
    this.clear();
    for (const [key, ofKey] of other.#hot) this.#hot.set(key, ofKey);
    for (const [key, deletes] of other.#deletes) this.#deletes.set(key, deletes);
    this.#texts = other.#texts;
    this.#textUnits = other.#textUnits;
  }

  /** What is known of them now; undefined: of some, this process does not know what became of them. */
  get state(): HotTranscriptsState | undefined {
    const transcripts: HotTranscriptState[] = [];
    for (const { state } of this.all()) {
      if (state === undefined) return undefined;
      transcripts.push(state);
    }
    return { transcripts, deletes: [...this.#deletes].map(([key, deletes]) => [key, [...deletes]]) };
  }

  /** Begins with what another process has known. Only for the first reading of the log. */
  resume({ transcripts, deletes }: HotTranscriptsState): void {
    for (const state of transcripts) {
      const { key, name } = state;
      const ofKey = this.#hot.get(key) ?? new Map<string, HotTranscript>();
      this.#hot.set(key, ofKey.set(name, HotTranscript.from(state)));
    }
    for (const [key, list] of deletes) this.#deletes.set(key, [...list]);
  }

  get(key: string, name: string): HotTranscript | undefined {
    return this.#hot.get(key)?.get(name);
  }

  /** Those of one session. */
  of(key: string): Iterable<HotTranscript> {
    return this.#hot.get(key)?.values() ?? [];
  }

  *all(): Generator<HotTranscript, void> {
    for (const ofKey of this.#hot.values()) yield* ofKey.values();
  }

  /** Revision of the latest delete of a session that the live log has; 0 for none. What is older of its transcripts is gone. */
  deletedAt(key: string): number {
    return this.#deletes.get(key)?.at(-1)?.revision ?? 0;
  }

  /** Sessions that a segment deleted. */
  deletedIn(segment: number): string[] {
    return [...this.#deletes]
      .filter(([, list]) => list.some((entry) => entry.segment === segment))
      .map(([key]) => key);
  }

  changedIn(segment: number): HotTranscript[] {
    return [...this.all()].filter((hot) => hot.mentionedIn(segment));
  }

  #enter(key: string, name: string): HotTranscript {
    let ofKey = this.#hot.get(key);
    if (ofKey === undefined) this.#hot.set(key, (ofKey = new Map<string, HotTranscript>()));
    let hot = ofKey.get(name);
    if (hot === undefined) ofKey.set(name, (hot = new HotTranscript(key, name)));
    return hot;
  }

  #delete(segment: number, key: string, revision: number): void {
    const deletes = this.#deletes.get(key);
    if (deletes === undefined) this.#deletes.set(key, [{ segment, revision }]);
    else deletes.push({ segment, revision });
    for (const hot of this.of(key)) hot.clear(segment, revision);
  }

  #keep(item: HotItem): void {
    this.#texts.push(item);
    this.#textUnits += item.json?.length ?? 0;
    if (this.#textUnits <= TEXT_UNITS_MAX) return;
    // Half of them at once: taking the first one off a long array each time would be slow.
    let gone = 0;
    while (gone < this.#texts.length - 1 && this.#textUnits > TEXT_UNITS_MAX / 2) {
      const oldest = this.#texts[gone++] as HotItem;
      this.#textUnits -= oldest.json?.length ?? 0;
      oldest.json = undefined;
    }
    this.#texts = this.#texts.slice(gone);
  }
}
