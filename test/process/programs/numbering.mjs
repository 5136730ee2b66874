// @ts-check
/**
 * Makes numbered commits, each one transaction over two sessions of its own and their transcripts, until it is told to stop: so
 * any copy of the store shows which commits it has. Says then how long each took.
 */
import { setTimeout } from "node:timers/promises";
import { openDirectoryStore } from "sessiondir";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, slot, pauseMs, options } = argument;
const keys = [`writer:${slot}:a`, `writer:${slot}:b`];

let stop = false;
const hear = onMessage(() => (stop = true));
const store = await openDirectoryStore(path, options);
/** @type {[at: number, ms: number][]} */
const times = [];
say({ event: "ready" });
for (let n = 1; !stop; n++) {
  const started = performance.now();
  await store.transact(async (transaction) => {
    for (const key of keys) {
      await transaction.put(key, { n, text: `${key} `.repeat(30), shared: "s".repeat(5000) + (n % 5) });
      await transaction.append(key, [{ n, text: "x".repeat(200) }]);
    }
  });
  const ended = performance.now();
  times.push([performance.timeOrigin + started, ended - started]);
  if (pauseMs > 0) await setTimeout(pauseMs);
}
hear();
await store.close();
say({ event: "ended", times });
