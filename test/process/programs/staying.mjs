// @ts-check
/** Keeps a store open, and updates, reads and follows it when told to; says what became of each. */
import { openDirectoryStore } from "sessiondir";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, options } = argument;

const store = await openDirectoryStore(path, { ...options, onWarning: () => {} });
void (async () => {
  try {
    for await (const _ of store.watch());
    say({ event: "watched", ending: "ended" });
  } catch (error) {
    say({ event: "watched", ending: /** @type {any} */ (error).code });
  }
})();

/** @param {() => unknown} work */
async function endingOf(work) {
  try {
    await work();
    return "done";
  } catch (error) {
    return /** @type {any} */ (error).code ?? String(error);
  }
}

/** @param {{ event: string, times: number }} message */
async function answer({ event, times }) {
  if (event === "update") {
    const endings = [];
    for (let time = 0; time < times; time++) {
      endings.push(await endingOf(() => store.update("k", (entry) => ({ ...entry, time }))));
    }
    say({ event: "updated", endings });
  } else if (event === "read") {
    say({ event: "read", ending: await endingOf(() => store.getSync("k")) });
  } else if (event === "close") {
    await store.close();
    stop();
    say({ event: "closed" });
  }
}

const stop = onMessage((message) => void answer(message));
say({ event: "open" });
