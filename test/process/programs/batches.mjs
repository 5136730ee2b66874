// @ts-check
/** Changes sessions in batches, one for each time that it is told to: puts, deletes and transactions. */
import { openDirectoryStore } from "sessiondir";
import { seededRandom } from "sessiondir/testing";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, name, seed, options } = argument;
const random = seededRandom(seed);
const store = await openDirectoryStore(path, options);
let number = 0;

const stopListening = onMessage(({ event, commits }) => {
  if (event === "stop") {
    stopListening();
    void store.close();
  } else {
    void write(commits);
  }
});
say({ event: "open" });

/** @param {number} commits */
async function write(commits) {
  for (let commit = 0; commit < commits; commit++) {
    const key = `${name}:${Math.floor(random() * 8)}`;
    const entry = { updatedAt: ++number, text: name.repeat(20) };
    const chance = random();
    if (chance < 0.6) await store.put(key, entry);
    else if (chance < 0.8) {
      await store.transact(async (tx) => {
        await tx.put(key, entry);
        await tx.put("shared", { ...(await tx.get("shared")), [name]: number });
      });
    } else if (!(await store.delete(key))) await store.put(key, entry);
  }
  say({ event: "written" });
}
