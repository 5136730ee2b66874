// @ts-check
/** Opens a store, reads it, and says what came of it. */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

const { path, options } = argument;
try {
  const store = await openDirectoryStore(path, options);
  say({ event: "opened", sessions: await store.count() });
  await store.close();
} catch (error) {
  const { code, message, data } = /** @type {any} */ (error);
  say({ event: "refused", code, message, data });
}
