// @ts-check
/** Opens a store, several times at once if asked to, reads it, and says what came of it. */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

const { path, options, times = 1 } = argument;
try {
  const opening = Array.from({ length: times }, () => openDirectoryStore(path, options));
  const stores = await Promise.all(opening);
  const stats = await Promise.all(stores.map((store) => store.stats()));
  const storeIds = stats.map(({ directory }) => directory?.storeId);
  say({ event: "opened", sessions: stats[0]?.sessions, storeIds });
  await Promise.all(stores.map((store) => store.close()));
} catch (error) {
  const { code, message, data } = /** @type {any} */ (error);
  say({ event: "refused", code, message, data });
}
