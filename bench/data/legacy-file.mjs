// @ts-check
/** A `sessions.json` as gateways left it behind, of any size. */
import { open } from "node:fs/promises";
import { makeSessions } from "../../examples/demo/sessions.mjs";

/** Distinct sessions; a larger file repeats them under other keys, so that the generator need not hold it all. */
const DISTINCT = 650;

/**
 * @param {string} path
 * @param {number} count Of sessions; 650 make nearly 90 MB.
 */
export async function writeLegacyFile(path, count) {
  const sessions = makeSessions(Math.min(count, DISTINCT), 1);
  const file = await open(path, "w");
  for (let number = 0; number < count; number++) {
    const session = sessions[number % sessions.length];
    if (session === undefined) throw new Error("the generator made no sessions");
    const key = number < sessions.length ? session.key : `${session.key}:${number}`;
    const text = JSON.stringify({ [key]: session.entry }, null, 2).slice(1, -2);
    await file.write(`${number === 0 ? "{" : ","}${text}`);
  }
  await file.write("\n}\n");
  await file.close();
}
