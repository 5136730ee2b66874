// @ts-check
/** Opens a store and reads sessions that are in their files or only in the log, in marked regions. */
import { openDirectoryStore, openSessionStore } from "sessiondir";
import { argument } from "./conversation.mjs";
import { region } from "./mark.mjs";

const { path, keys, missing, readOnly } = argument;
// Modules and Node's own files are loaded by a store that nobody looks at.
const other = await openDirectoryStore(argument.other, { readOnly: true });
await other.get("nobody");
await other.close();

const store = await region("open", () => openSessionStore(path, { readOnly, flushDelayMs: 2 ** 30 }));
for (const key of keys) await region("get", () => store.get(key));
for (const key of keys) await region("get again", () => store.get(key));
for (const key of missing) await region("get of nothing", () => store.get(key));
await store.close();
