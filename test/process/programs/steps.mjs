// @ts-check
/**
 * Does one thing after the other with a store, when told to, and says after each that it is done. The first error ends
 * it. Which steps there are, and what each makes of the sessions, is in `support/steps.ts`.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, say, told } from "./conversation.mjs";

const { path, steps, prepared, options } = argument;

/** @typedef {import("sessiondir").DirectorySessionStore<any>} Store */
/** @type {Store | undefined} */
let store;
const open = async () => {
  store ??= await openDirectoryStore(path, { ...options, onWarning: () => {} });
};

if (prepared) await open();
const begin = told("begin");
say({ event: "ready" });
await begin;
try {
  for (const step of steps) {
    await open();
    await act(/** @type {Store} */ (/** @type {unknown} */ (store)), step);
    say({ event: "done" });
  }
  await store?.close();
  say({ event: "closed" });
} catch (error) {
  const { code, data, message } = /** @type {any} */ (error);
  say({ event: "refused", code, written: data?.written, message });
  // What is under way in the background may fail as well; it says so by warnings.
  await store?.close().catch(() => {});
}

/** @param {Store} store @param {any} step */
async function act(store, { kind, sets, deletes, key, fields }) {
  if (kind === "flush") await store.flush();
  else if (kind === "checkpoint") await store.checkpoint();
  else if (kind === "patch") await store.patch(key, fields);
  else if (kind === "delete") await store.delete(deletes[0]);
  else if (kind === "update") await store.update(sets[0][0], () => sets[0][1]);
  else {
    await store.transact(async (tx) => {
      for (const [key, entry] of sets) {
        await tx.get(key);
        await tx.put(key, entry);
      }
      for (const key of deletes) await tx.delete(key);
    });
  }
}
