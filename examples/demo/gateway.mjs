// @ts-check
/**
 * One gateway process of the demo: opens the store and updates sessions as fast as it can, a few conversations at
 * a time, until its time is over or somebody kills it.
 *
 * What it was promised is recorded outside of the store, in its own journal (journal.mjs): before every update that
 * it begins, and after it was acknowledged.
 */
import { openDirectoryStore } from "sessiondir";
import { Journal } from "./journal.mjs";
import { Random } from "./sessions.mjs";

/**
 * @typedef {import("./sessions.mjs").Session & { updatesBy?: Record<string, number>, inputTokens?: number,
 *   outputTokens?: number }} Session
 * @typedef {{ name: string, store: string, durability: "disk" | "os", keys: string[], journal: string, seed: number,
 *   milliseconds: number }} Orders What the parent process sends first.
 */

/** Conversations that go on at the same time in one gateway. */
const CONVERSATIONS = 4;
/** Of a hundred updates, so many move tokens between two sessions in one transaction. */
const TRANSFERS_PERCENT = 5;
/** With durability "os" an update never waits, so the event loop must be given its turn. */
const UPDATES_PER_TURN = 16;

/** The parent is gone: nobody waits for this process any more. */
const giveUp = () => process.exit(1);
process.once("disconnect", giveUp);
process.once("message", async (orders) => {
  await work(/** @type {Orders} */ (orders));
  process.off("disconnect", giveUp);
  process.disconnect?.();
});

/** @param {Orders} orders */
async function work(orders) {
  const { name, keys } = orders;
  const openingAt = performance.now();
  const store = /** @type {import("sessiondir").DirectorySessionStore<Session>} */ (
    await openDirectoryStore(orders.store, { durability: orders.durability })
  );
  await store.get(keys[0] ?? "");
  const openedMs = performance.now() - openingAt;
  const journal = new Journal(orders.journal);
  const random = new Random(orders.seed);
  await new Promise((resolve) => {
    process.once("message", resolve);
    process.send?.({ openedMs });
  });

  const end = performance.now() + orders.milliseconds;
  const conversation = async () => {
    for (let count = 1; performance.now() < end; count++) {
      const session = pickSession(keys.length, random);
      if (random.below(100) < TRANSFERS_PERCENT) {
        const other = (session + 1 + random.below(keys.length - 1)) % keys.length;
        await journal.record([session, other], () => transfer(store, name, keys, session, other));
      } else {
        await journal.record([session], () => answer(store, name, keys[session] ?? "", random));
      }
      if (count % UPDATES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: CONVERSATIONS }, conversation));
  await store.close();
  journal.close();
}

/**
 * A few sessions are busy, most are hardly ever used.
 * @param {number} count
 * @param {Random} random
 */
function pickSession(count, random) {
  return Math.floor(count * random.next() ** 3);
}

/**
 * What a gateway writes after it has answered a message.
 * @param {import("sessiondir").DirectorySessionStore<Session>} store
 * @param {string} name
 * @param {string} key
 * @param {Random} random
 */
async function answer(store, name, key, random) {
  const [input, output] = [random.below(4_000), random.below(900)];
  const to = `telegram:${random.digits(10)}`;
  await store.update(key, (entry) => {
    if (entry === undefined) throw new Error(`${key} is missing`);
    const inputTokens = (entry.inputTokens ?? 0) + input;
    const outputTokens = (entry.outputTokens ?? 0) + output;
    return {
      ...entry,
      updatedAt: Date.now(),
      inputTokens,
      outputTokens,
      totalTokens: inputTokens + outputTokens,
      lastChannel: "telegram",
      lastTo: to,
      lastAccountId: "default",
      deliveryContext: { channel: "telegram", to, accountId: "default" },
      updatesBy: countOne(entry, name),
    };
  });
}

/**
 * A session hands a part of its token budget to another: both or none.
 * @param {import("sessiondir").DirectorySessionStore<Session>} store
 * @param {string} name
 * @param {string[]} keys
 * @param {number} from
 * @param {number} to
 */
async function transfer(store, name, keys, from, to) {
  const [fromKey, toKey] = [keys[from] ?? "", keys[to] ?? ""];
  await store.transact(async (tx) => {
    const giver = await tx.get(fromKey);
    const taker = await tx.get(toKey);
    if (giver === undefined || taker === undefined) throw new Error(`${fromKey} or ${toKey} is missing`);
    const tokens = Math.min(500, giver.tokenBudget);
    await tx.patch(fromKey, { tokenBudget: giver.tokenBudget - tokens, updatesBy: countOne(giver, name) });
    await tx.patch(toKey, { tokenBudget: taker.tokenBudget + tokens, updatesBy: countOne(taker, name) });
  });
}

/**
 * @param {Readonly<Session>} entry
 * @param {string} name
 */
function countOne(entry, name) {
  return { ...entry.updatesBy, [name]: (entry.updatesBy?.[name] ?? 0) + 1 };
}
