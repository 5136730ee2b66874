/**
 * The ids that the items of a transcript have, for the one who appends: an item whose id is there already is left out.
 *
 * Exact over the whole transcript: it is read through once, when this process first appends with ids, and followed from then on. What
 * many long transcripts would take of memory is bounded; one that had to go is read again.
 */
import type { TranscriptHead } from "../../../format/transcript-head.js";
import { placeOf, type TranscriptReader, type TranscriptState } from "./transcript-reader.js";

/** About 100 bytes an id of ordinary length. */
const BYTES_MAX = 32 * 1024 * 1024;

interface Known {
  readonly ids: Map<string, { readonly seq: number; readonly position: number }>;
  bytes: number;
  /** The head that they were read up to. */
  head: TranscriptHead | undefined;
}

export class KnownIds {
  /** The one that was used last comes last. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  constructor(private readonly reader: TranscriptReader) {}

  /** The items with ids. Some may be trimmed away meanwhile. */
  of(key: string, name: string, state: TranscriptState): Known["ids"] {
    const place = placeOf(key, name);
    let known = this.#known.get(place);
    this.#known.delete(place);
    if (known !== undefined) this.#bytes -= known.bytes;
    const { head } = state;
    // One that was removed and made anew has another cut as well: the commit that made it.
    if (known === undefined || known.head?.cut !== head?.cut)
      known = { ids: new Map(), bytes: 0, head: undefined };
    const from = (known.head?.last ?? 0) + 1;
    if (head !== undefined && from <= head.last)
      for (const { seq, position, id } of this.reader.idsFrom(key, name, state, from)) {
        if (id === undefined) continue;
        known.ids.set(id, { seq, position });
        known.bytes += 100 + 2 * id.length;
      }
    known.head = head;
    this.#known.set(place, known);
    this.#bytes += known.bytes;
    for (const [oldest, { bytes }] of this.#known) {
      if (this.#bytes <= BYTES_MAX || oldest === place) break;
      this.#known.delete(oldest);
      this.#bytes -= bytes;
    }
    return known.ids;
  }
}
