// @ts-check
/** Follows the changes of a store and tells each one. */
import { setTimeout as delay } from "node:timers/promises";
import { openDirectoryStore } from "sessiondir";
import { argument, onMessage, say } from "./conversation.mjs";
import { region } from "./mark.mjs";

const { path, since, options } = argument;

const store = await openDirectoryStore(path, {
  ...options,
  onWarning: (warning) => say({ event: "warning", ...warning }),
});
const stop = new AbortController();
const changes = store.watch({ since, signal: stop.signal });
const stopListening = onMessage(({ event, ms }) => {
  if (event === "stop") stop.abort();
  if (event === "idle") void region("idle", () => delay(ms)).then(() => say({ event: "rested" }));
});
say({ event: "watching" });
try {
  for await (const { key, revision, kind, record } of changes) {
    say({ event: "change", key, revision, kind, entry: record?.entry });
  }
} catch (error) {
  const { code, data } = /** @type {any} */ (error);
  if (code === undefined) throw error;
  say({ event: "failed", code, data });
}
stopListening();
await store.close();
say({ event: "done" });
