// @ts-check
/**
 * Compares the store with what the gateways noted outside of it.
 *
 * Every update adds one to a counter in its session that belongs to the gateway that made it. An acknowledged
 * update must be counted; one that was begun and never acknowledged (its gateway was killed) may be, once.
 */

/** What the gateways change; everything else must be as it was put. */
const CHANGING = new Set([
  "updatedAt",
  "inputTokens",
  "outputTokens",
  "totalTokens",
  "lastChannel",
  "lastTo",
  "lastAccountId",
  "deliveryContext",
  "updatesBy",
  "tokenBudget",
]);

/**
 * @typedef {{ updatesBy?: Record<string, number>, tokenBudget: number }} Counted
 * @param {readonly import("./sessions.mjs").KeyedSession[]} sessions As they were put.
 * @param {readonly { key: string, entry: object }[]} records As they are now.
 * @param {readonly (readonly import("./gateways.mjs").GatewayJournal[])[]} rounds
 */
export function verify(sessions, records, rounds) {
  /** @type {string[]} */
  const problems = [];
  const entries = new Map(records.map(({ key, entry }) => [key, /** @type {Counted} */ (entry)]));
  if (records.length !== sessions.length)
    problems.push(`${records.length} of ${sessions.length} sessions are there`);

  const totals = rounds.map((journals) => {
    let [lost, extra] = [0, 0];
    for (const { name, begun, acknowledged } of journals) {
      for (const [index, { key }] of sessions.entries()) {
        const counted = entries.get(key)?.updatesBy?.[name] ?? 0;
        const missing = (acknowledged[index] ?? 0) - counted;
        const tooMany = counted - (begun[index] ?? 0);
        if (missing > 0) problems.push(`${key}: ${missing} acknowledged updates of ${name} are missing`);
        if (tooMany > 0) problems.push(`${key}: ${tooMany} updates of ${name} more than it began`);
        lost += Math.max(0, missing);
        extra += Math.max(0, tooMany);
      }
    }
    return { lost, extra };
  });

  const budget = (/** @type {readonly { entry: object }[]} */ all) =>
    all.reduce((sum, { entry }) => sum + /** @type {Counted} */ (entry).tokenBudget, 0);
  if (budget(records) !== budget(sessions)) {
    problems.push(
      `transactions were torn: token budgets add up to ${budget(records)}, not ${budget(sessions)}`,
    );
  }
  for (const { key, entry } of sessions) {
    if (constantPart(entries.get(key)) !== constantPart(entry))
      problems.push(`${key}: fields changed that nobody wrote`);
  }
  return { rounds: totals, problems };
}

/** @param {object | undefined} entry */
function constantPart(entry) {
  return JSON.stringify(Object.entries(entry ?? {}).filter(([name]) => !CHANGING.has(name)));
}
