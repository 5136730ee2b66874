// @ts-check
/** Puts some sessions and ends. */
import { openDirectoryStore } from "sessiondir";
import { argument } from "./conversation.mjs";

const { path, keys, options } = argument;
const store = await openDirectoryStore(path, options);
for (const key of keys) await store.put(key, { count: 1 });
await store.close();
