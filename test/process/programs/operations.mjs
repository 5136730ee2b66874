// @ts-check
/**
 * The operations that have a budget, on a store that was left tidy. `calls`: each in marked regions, for strace. `cost`:
 * each many times in a row, to count the memory that one allocates and the time that it computes.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";
import { region } from "./mark.mjs";

const { path, other, durability, rounds, look, big } = argument;
const keys = /** @type {string[]} */ (argument.keys);
const options = /** @type {const} */ ({ flushDelayMs: 2 ** 30, segmentBytes: 2 ** 30 });

// Modules and Node's own files are loaded by a store that nobody looks at.
const warming = await openDirectoryStore(other, { durability });
await work(warming, "nobody", 2, async (_name, act) => void (await act()));
await warming.close();

if (look === "calls") {
  const store = await region("open", () => openDirectoryStore(path, { durability, ...options }));
  for (const key of keys.slice(0, rounds)) await region("getSync, new", () => store.getSync(key));
  await region("listSync, first", () =>
    store.listSync({ orderBy: "updatedAt", descending: true, limit: 50 }),
  );
  await region("listSync, all, first", () => store.listSync());
  await work(store, keys[0] ?? "", rounds, region);
  await store.close();
} else {
  const store = await openDirectoryStore(path, { durability, ...options });
  for (const key of keys) store.getSync(key);
  store.listSync();
  /** @type {Record<string, { bytes: number, us: number }>} */
  const costs = {};
  // The first pass is for the compiler.
  for (const pass of ["warming", "measured"]) {
    await work(store, keys[0] ?? "", 1, async (name, act) => {
      const measured = await cost(act);
      if (pass === "measured") costs[name] = measured;
    });
  }
  say({ event: "costs", costs });
  await store.close();
}

/**
 * @param {import("sessiondir").DirectorySessionStore<any>} store
 * @param {string} key Of a session that may be changed.
 * @param {number} rounds
 * @param {(name: string, act: () => unknown) => Promise<unknown>} run
 */
async function work(store, key, rounds, run) {
  let [number, made, deleted] = [0, 0, 0];
  const entry = () => ({ updatedAt: ++number, text: "x".repeat(300) });
  const item = () => ({ role: "user", text: "x".repeat(1000) });
  await store.put(key, entry());
  await store.put(`${key}, large`, { ...entry(), snapshot: big });
  for (let round = 0; round < rounds; round++) {
    await run("getSync", () => store.getSync(key));
    await run("getSync, large", () => store.getSync(`${key}, large`));
    await run("listSync, 50 newest", () =>
      store.listSync({ orderBy: "updatedAt", descending: true, limit: 50 }),
    );
    await run("put", () => store.put(key, entry()));
    await run("update", () => store.update(key, (before) => ({ ...before, updatedAt: ++number })));
    await run("update, large", () =>
      store.update(`${key}, large`, (before) => ({ ...before, updatedAt: ++number })),
    );
    await run("put, new session", () => store.put(`${key}, new ${made++}`, entry()));
    await run("delete", () => store.delete(`${key}, new ${deleted++}`));
    await run("append", () => store.append(key, [item()]));
    await run("append, with an id", () =>
      store.append(key, [item()], { transcript: "with ids", ids: [`item-${++number}`] }),
    );
    await run("append, and a field", () =>
      store.transact(async (tx) => {
        await tx.append(key, [item()]);
        await tx.patch(key, { updatedAt: ++number });
      }),
    );
    await run("readItems, 50 newest", () => store.readItems(key, { backwards: true, limit: 50 }));
  }
}

/** @param {() => unknown} act @returns {Promise<{ bytes: number, us: number }>} For one. */
async function cost(act) {
  const times = 2_000;
  globalThis.gc?.();
  // Nothing is collected meanwhile: the young generation was made large enough.
  const [heap, cpu] = [process.memoryUsage().heapUsed, process.cpuUsage()];
  for (let time = 0; time < times; time++) {
    const done = act();
    if (done instanceof Promise) await done;
  }
  const [bytes, { user, system }] = [process.memoryUsage().heapUsed - heap, process.cpuUsage(cpu)];
  return { bytes: bytes / times, us: (user + system) / times };
}
