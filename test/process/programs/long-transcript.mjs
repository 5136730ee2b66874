// @ts-check
/** Appends to a transcript, or reads it, and says how much more memory was in use at the worst moment than at the beginning. */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

const { path, doing, items, chars } = argument;
/** Often enough to see what is kept; to collect everything takes milliseconds. */
const ITEMS_BETWEEN_LOOKS = 400;
const KEY = "agent:main:main";

const store = await openDirectoryStore(path, { durability: "os" });
// What is loaded and compiled at first is not counted.
await store.append(KEY, [{ text: "first" }]);
await store.readItems(KEY, { backwards: true, limit: 1 });

const inUse = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
const atFirst = inUse();
let [most, done] = [0, 0];
const look = () => {
  if (++done % ITEMS_BETWEEN_LOOKS === 0) most = Math.max(most, inUse() - atFirst);
};

if (doing === "append") {
  for (let number = 0; number < items; number++) {
    await store.append(KEY, [{ number, text: String(number).padEnd(chars, "x") }]);
    look();
  }
  await store.checkpoint();
} else {
  for await (const _ of store.iterateItems(KEY, { backwards: doing === "read backwards" })) look();
}
say({ event: "done", most, done });
await store.close();
