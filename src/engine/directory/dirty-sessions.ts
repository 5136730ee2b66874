/**
 * The sessions that this process changed and whose files it has not written since, and which of them to write now.
 *
 * A session that rests is written in the next round. One that goes on changing would be written for nothing, again and
 * again, so it waits until it rests, or until it was passed over so often that a person would call its file old.
 */

interface Dirty {
  /** Revision in the last round, or that made it dirty. */
  revision: number;
  /** Rounds in which it had changed again. */
  passedOver: number;
}

/** With the default of half a second between two rounds: five seconds. */
export const PASSED_OVER_MAX = 10;

export class DirtySessions {
  readonly #sessions = new Map<string, Dirty>();

  get size(): number {
    return this.#sessions.size;
  }

  changed(key: string, revision: number): void {
    if (!this.#sessions.has(key)) this.#sessions.set(key, { revision, passedOver: 0 });
  }

  has(key: string): boolean {
    return this.#sessions.has(key);
  }

  keys(): Iterable<string> {
    return this.#sessions.keys();
  }

  delete(key: string): void {
    this.#sessions.delete(key);
  }

  /** A session that could not be written: it is due in the next round. */
  makeDue(key: string): void {
    this.#sessions.set(key, { revision: 0, passedOver: PASSED_OVER_MAX });
  }

  /**
   * The sessions to write now. To be called once a round.
   * @param revisionOf Latest revision of a session, of any process; undefined if its file has it.
   */
  due(revisionOf: (key: string) => number | undefined): string[] {
    const due: string[] = [];
    for (const [key, dirty] of this.#sessions) {
      const revision = revisionOf(key);
      if (revision === undefined || revision === dirty.revision || dirty.passedOver >= PASSED_OVER_MAX) {
        due.push(key);
      } else {
        dirty.revision = revision;
        dirty.passedOver++;
      }
    }
    return due;
  }
}
