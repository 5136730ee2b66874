// @ts-check
/**
 * Opens a store that others left in whatever state, tells what is in it, tidies it up, and looks whether anything is
 * different then.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

/** @type {string[]} */
const warnings = [];
const store = await openDirectoryStore(argument.path, {
  ...argument.options,
  onWarning: (/** @type {{ code: string, message: string }} */ { code, message }) =>
    warnings.push(`${code}: ${message}`),
});
const first = JSON.stringify((await store.list()).sessions);
await store.flush();
// What belongs to the active segment goes with the checkpoint after the next, and an empty segment has none.
for (let checkpoint = 0; checkpoint < 2; checkpoint++) {
  await store.put("passing", { checkpoint });
  await store.delete("passing");
  await store.checkpoint();
}
const second = JSON.stringify((await store.list()).sessions);
await store.close();
const again = await openDirectoryStore(argument.path, { readOnly: true });
const third = JSON.stringify((await again.list()).sessions);
await again.close();
say({
  event: "settled",
  sessions: JSON.parse(first),
  stayed: first === second && second === third,
  warnings,
});
