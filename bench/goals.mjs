// @ts-check
/**
 * What the directory engine is meant to reach, as a ratio in one run on one machine: times against the peer's times,
 * throughput against the peer's throughput. 2 means twice as good as the peer, 0.77 a third worse.
 *
 * The peer is better-sqlite3 with WAL, synchronous NORMAL for "os" and FULL for "disk". An operation that has to do
 * the same work as the peer (open a file, read fifty rows) may be a little slower; one that need not do the
 * work at all (parse what is in memory, write what did not change) must be much faster.
 */
export const GOALS = /** @type {const} */ ({
  "get small": 8,
  "get large": 100,
  "update os small": 2,
  "update os large": 50,
  /** Of the same entries in 100,000 sessions against 650: no more than a quarter slower. */
  "update flat": 0.8,
  /** Against a bare append and fdatasync: no more than 1.2 times as slow. */
  "update disk": 1 / 1.2,
  "4 processes os": 2,
  /** The longest that anybody had to wait. */
  "4 processes os worst": 10,
  "4 processes disk": 1.4,
  "sustained zipf": 1,
  /** Hardly any session is updated twice between two checkpoints: every update costs a file. */
  "sustained uniform": 0.5,
  "cold open": 1 / 1.3,
  "cold list": 1 / 1.3,
  "warm list": 20,
  memory: 4,
  "disk usage": 5,
});

/** @typedef {keyof typeof GOALS} GoalName */
