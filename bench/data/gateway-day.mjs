// @ts-check
/**
 * A day of a gateway as a list of store operations, made from a seed: the same seed gives the same day.
 *
 * Nobody published a trace, so the mix is put together from what users reported of openclaw/openclaw:
 *
 *  - The store: 650 sessions (pull request 19528), 130 of them with a `skillsSnapshot` of 81 KB that is nearly always
 *    the same one: about 12 MB as one file, like the 12.7 MB of 142 sessions in #77932.
 *  - A message that comes in reads the session twice (policy, route) and writes it five times: metadata of the sender,
 *    token counts three times while the agent runs, the last route. Each write changes about 1 KB (#11950). A few
 *    chats get most of the messages (Zipf 0.99).
 *  - A cron run makes a session of its own, with a snapshot, and writes it twice more. Most sessions of busy gateways
 *    are of that kind (2,678 of 2,703 in #15225).
 *  - The user interface lists the 50 newest sessions and opens one.
 *  - Cleanup looks for the oldest sessions and deletes runs of cron jobs (#126647: 7,000 of 10,000).
 *  - Now and then some tool lists everything (#112240, #79904).
 */
import { Random } from "../../examples/demo/sessions.mjs";
import { keyOf, makeEntries } from "./entries.mjs";
import { zipfDraw } from "./zipf.mjs";

/**
 * @typedef {{ kind: "get" | "update" | "delete", key: string }
 *   | { kind: "put", key: string, entry: import("./entries.mjs").Entry }
 *   | { kind: "newest" | "oldest", count: number }
 *   | { kind: "all" }} Operation
 */

export const DAY_SHAPE = { sessions: 650, large: 130 };

const ZIPF_EXPONENT = 0.99;
const READS_PER_MESSAGE = 2;
const WRITES_PER_MESSAGE = 5;
const WRITES_PER_RUN = 2;
const NEWEST = 50;
const OLDEST = 50;
const RUNS_PER_CLEANUP = 12;
/** What happens, and how often in a thousand. */
const EVENTS = /** @type {const} */ ([
  ["message", 720],
  ["cron run", 180],
  ["interface", 80],
  ["cleanup", 12],
  ["tool", 8],
]);

/**
 * @param {number} events Messages, runs, listings and so on; about six operations each.
 * @param {number} seed
 * @returns {Operation[]}
 */
export function makeDay(events, seed) {
  const random = new Random(seed);
  const busy = zipfDraw(DAY_SHAPE.sessions, ZIPF_EXPONENT, random);
  const templates = [...makeEntries(20, () => "large")].map(([, entry]) => entry);
  /** @type {string[]} Runs that are not deleted yet, oldest first. */
  const runs = [];
  /** @type {Operation[]} */
  const day = [];
  for (let event = 0; event < events; event++) {
    const chat = keyOf(busy());
    switch (random.weighted(EVENTS)) {
      case "message":
        for (let read = 0; read < READS_PER_MESSAGE; read++) day.push({ kind: "get", key: chat });
        for (let write = 0; write < WRITES_PER_MESSAGE; write++) day.push({ kind: "update", key: chat });
        break;
      case "cron run": {
        const key = `agent:main:cron:${random.pick(random.jobs)}:run:${random.uuid()}`;
        const entry = { ...random.pick(templates), sessionId: random.uuid() };
        day.push({ kind: "put", key, entry }, { kind: "get", key });
        for (let write = 0; write < WRITES_PER_RUN; write++) day.push({ kind: "update", key });
        runs.push(key);
        break;
      }
      case "interface":
        day.push({ kind: "newest", count: NEWEST }, { kind: "get", key: chat });
        break;
      case "cleanup":
        day.push({ kind: "oldest", count: OLDEST });
        for (const key of runs.splice(0, RUNS_PER_CLEANUP)) day.push({ kind: "delete", key });
        break;
      case "tool":
        day.push({ kind: "all" });
        break;
    }
  }
  return day;
}
