/** What became of the sessions after damages of one kind. */
export interface Figures {
  damages: number;
  /** Sessions whose latest state was in the damaged bytes only. */
  lost: number;
  /** Answers to a newcomer: right; refused with an error that names the file; older, where no bytes say that. */
  right: number;
  refused: number;
  old: number;
  /** The same, until a living process had written what it knew. */
  oldMeanwhile: number;
  /** Writes of a newcomer on damaged sessions that were refused. */
  writesRefused: number;
  /** Sessions that damage cost which looks like what an honest writer leaves (docs/durability.md has the list). */
  unnoticed: number;
  /** Stores that did not open until a file was put back. */
  notOpened: number;
  /** Living processes that stopped with an error, for others went on without what they had read. */
  stopped: number;
  /** Must all be 0. */
  harmed: number;
  stale: number;
  overwritten: number;
}

export function newFigures(): Figures {
  return {
    damages: 0,
    lost: 0,
    right: 0,
    refused: 0,
    old: 0,
    oldMeanwhile: 0,
    writesRefused: 0,
    unnoticed: 0,
    notOpened: 0,
    stopped: 0,
    harmed: 0,
    stale: 0,
    overwritten: 0,
  };
}
