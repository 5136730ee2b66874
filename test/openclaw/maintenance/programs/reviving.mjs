// @ts-check
/**
 * A gateway that starts, and then uses old sessions again while maintenance removes them. Says what it was promised: which
 * sessions it got, and how often.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import {
  configureSessionMaintenance,
  configureSessionStores,
  runStartupSessionStoreMigration,
  updateSessionStoreEntry,
} from "sessiondir/openclaw";

/** @type {{ stateDir: string, storePath: string, migrates: boolean, keys: string[], rounds: number }} */
const { stateDir, storePath, migrates, keys, rounds } = JSON.parse(process.argv[2] ?? "{}");
const say = (/** @type {object} */ message) => process.stdout.write(`${JSON.stringify(message)}\n`);
configureSessionStores({ durability: "os", lockWaitMsMax: 60_000 });
configureSessionMaintenance({ pruneAfter: "30d", maxEntries: false });

const log = { info: () => {}, warn: () => {} };
const results = migrates ? await runStartupSessionStoreMigration({ stateDir, log }) : [];
say({ event: "started", outcomes: results.map(({ outcome }) => outcome) });
await once(createInterface({ input: process.stdin }), "line");

/** @type {Record<string, number>} */
const revived = {};
for (let round = 0; round < rounds; round++) {
  const sessionKey = keys[Math.floor(Math.random() * keys.length)] ?? "";
  const update = (/** @type {Record<string, unknown>} */ entry) => ({
    revivals: Number(entry["revivals"] ?? 0) + 1,
  });
  if ((await updateSessionStoreEntry({ storePath, sessionKey, update })) !== null)
    revived[sessionKey] = (revived[sessionKey] ?? 0) + 1;
}
say({ event: "done", revived });
process.exit(0);
