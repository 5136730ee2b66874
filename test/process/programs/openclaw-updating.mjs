// @ts-check
/**
 * A gateway's worker: changes the sessions of a store by OpenClaw's functions, as one of many, and says what it was promised.
 * It may be killed at any instruction: before each update it says how much that will add, after it that it was promised.
 *
 * `thinkingMsMax` is how long it is busy with something else between two updates. Without a number of updates it goes on
 * until it is told anything.
 */
import {
  closeSessionStores,
  configureSessionStores,
  loadSessionStore,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
} from "sessiondir/openclaw";
import { seededRandom } from "sessiondir/testing";
import { argument, onMessage, say } from "./conversation.mjs";

const { storePath, name, seed, updates, sessions, settings, thinkingMsMax = 0, closes = true } = argument;
const random = seededRandom(seed);
configureSessionStores({ ...settings, onWarning: (warning) => say({ event: "warning", ...warning }) });
const pick = () => Math.floor(random() * sessions);
const keyOf = (/** @type {number} */ n) => `agent:main:s${n}`;

let stopped = false;
const stopListening = updates === undefined ? onMessage(() => (stopped = true)) : () => {};

for (let n = 0; updates === undefined ? !stopped : n < updates; n++) {
  const first = pick();
  const adds = [2, 1, 0][n % 3];
  say({ event: "begins", adds });
  if (adds === 2) await addToTwo(keyOf(first), keyOf((first + 1 + (pick() % (sessions - 1))) % sessions));
  else if (adds === 1) await addToOne(keyOf(first));
  else
    await updateLastRoute({
      storePath,
      sessionKey: keyOf(first),
      channel: "telegram",
      to: `${name}-${n}`,
      accountId: `${name}-${n}`,
    });
  say({ event: "promised", adds });
  look();
  if (thinkingMsMax > 0) await new Promise((resolve) => setTimeout(resolve, random() * thinkingMsMax));
}
if (closes) await closeSessionStores(); // a process may as well just end
stopListening();
say({ event: "done" });

/** @param {string} a @param {string} b */
async function addToTwo(a, b) {
  await updateSessionStore(storePath, async (store) => {
    for (const key of [a, b]) {
      const entry = store[key];
      if (entry === undefined) throw new Error(`${key} is not there`);
      entry.totalTokens = (entry.totalTokens ?? 0) + 1;
    }
  });
}

/** @param {string} sessionKey */
async function addToOne(sessionKey) {
  const entry = await updateSessionStoreEntry({
    storePath,
    sessionKey: sessionKey.toUpperCase(),
    update: async ({ totalTokens = 0 }) => ({ totalTokens: totalTokens + 1 }),
  });
  if (entry === null) throw new Error(`${sessionKey} is not there`);
}

/** No session is ever missing, and no route is made of two. */
function look() {
  const store = loadSessionStore(storePath);
  const entries = Object.values(store);
  if (entries.length !== sessions) throw new Error(`${entries.length} sessions instead of ${sessions}`);
  for (const { lastTo, lastAccountId, deliveryContext } of entries) {
    if (lastTo !== lastAccountId || lastTo !== deliveryContext?.to || lastTo !== deliveryContext?.accountId)
      throw new Error(`a route of two: ${lastTo} ${lastAccountId} ${JSON.stringify(deliveryContext)}`);
  }
}
