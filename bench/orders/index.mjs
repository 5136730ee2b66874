// @ts-check
/** Everything that a worker can be told. Each order gets the session and its own parameters; what it returns is sent back. */
import { makeEntries } from "../data/entries.mjs";
import { itemsOf, sizesOf } from "../runner/stores.mjs";
import { day } from "./day.mjs";
import { record } from "../peers/recorded-opening.mjs";
import { appends, burstOfAppends, newItems, verifyAppended, verifyItems } from "./items.mjs";
import { list, newList } from "./list.mjs";
import { gets, memory, newGets } from "./read.mjs";
import { cpuUs } from "./session.mjs";
import { arm, seen, stampedUpdate } from "./seen.mjs";
import { burst, churn, replaceField, updates } from "./write.mjs";

/** @typedef {import("./session.mjs").Session} Session */

/** @type {Record<string, (session: Session, order: any) => unknown>} */
export const ORDERS = {
  version: async (session) => (await session.module()).version(session.which.folder),
  fill: async (session, { shape }) => {
    const { fill, fillItems } = await session.module();
    await fill(session.which.folder, makeEntries(shape.sessions, sizesOf(shape)));
    if (shape.items !== undefined) await fillItems?.(session.which.folder, itemsOf(shape));
  },
  open: async (session) => void (await session.store()),
  settle,
  tidy: async (session) => (await session.store()).tidy(),
  checkpoints: async (session) => (await session.store()).checkpoints(),
  /** How many updates the entries say they had. */
  sum: async (session) => {
    const all = await (await session.store()).all();
    return all.reduce((sum, { entry }) => sum + entry.n, 0);
  },
  gets,
  newGets,
  memory,
  updates,
  burst,
  churn,
  replaceField,
  appends,
  burstOfAppends,
  verifyAppended,
  verifyItems,
  countItems: async (session) => (await session.transcripts()).count(""),
  newItems,
  list,
  newList,
  record: (session, { question, to }) => record(session.which.folder, question, to),
  arm,
  seen,
  stampedUpdate,
  day,
};

/** @param {Session} session @returns {Promise<{ us: number, cpuUs: number }>} */
async function settle(session) {
  const store = await session.store();
  const cpuBefore = cpuUs();
  const start = performance.now();
  await store.settle();
  return { us: (performance.now() - start) * 1000, cpuUs: cpuUs() - cpuBefore };
}
