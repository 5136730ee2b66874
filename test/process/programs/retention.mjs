// @ts-check
/**
 * Makes a store of which most sessions are old, or prunes it and tells how far it is, what it needed and for how long at most it kept
 * the event loop, or checks what is left and what comes back from the archive.
 */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openDirectoryStore, openSessionStore } from "sessiondir";
import { importFromFile } from "sessiondir/moving";
import { applyRetention, planRetention, restoreSession } from "sessiondir/retention";
import { argument, say } from "./conversation.mjs";

const { path, sessions, old, work, now } = argument;
const DAY = 24 * 3600 * 1000;
const AT_ONCE = 500;
const SAMPLE = 10;

/** @param {number} n */
const keyOf = (n) => (n < old ? `agent:main:cron:job:run:${n}` : `agent:main:chat:${n}`);

/** @param {number} n */
const entryOf = (n) => ({
  sessionId: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  updatedAt: now - (n < old ? 8 * DAY + n : n),
  ["__proto__"]: { n },
  text: "é\u2028\u0000🙂".repeat(n % 20),
  prompt: n % 3 === 0 ? "skill ".repeat(1000) : null,
});

/** @param {number} n */
const itemsOf = (n) =>
  n % 10 === 0 ? Array.from({ length: 1 + (n % 7) }, (_, index) => ({ role: "user", n, index })) : [];

/** @param {unknown} entry @param {unknown[]} items */
const digest = (entry, items) =>
  createHash("sha256")
    .update(JSON.stringify([entry, items]))
    .digest("hex");

/** @param {number} n */
const expectedOf = (n) =>
  digest(
    entryOf(n),
    itemsOf(n).map((item, index) => [`i${index}`, item]),
  );

/** @param {import("sessiondir").SessionStore<any>} store @param {string} key */
async function digestOf(store, key) {
  const entry = await store.get(key);
  if (entry === undefined) return undefined;
  const items = [];
  for (const transcript of await store.transcripts(key))
    for await (const { id, item } of store.iterateItems(key, { transcript })) items.push([id, item]);
  return digest(entry, items);
}

async function make() {
  const store = await openDirectoryStore(path, { durability: "os" });
  for (let first = 0; first < sessions; first += AT_ONCE)
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, index) => {
        const n = first + index;
        await store.put(keyOf(n), entryOf(n));
        const items = itemsOf(n);
        if (items.length > 0)
          await store.append(keyOf(n), items, { ids: items.map((_item, number) => `i${number}`) });
      }),
    );
  await store.checkpoint();
  await store.close();
}

const inUse = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** How long the machine keeps slices of 8 ms waiting by itself. */
async function referenceMs() {
  let [longest, last] = [0, performance.now()];
  for (let slice = 0; slice < 60; slice++) {
    while (performance.now() - last < 8);
    await new Promise((resolve) => setImmediate(resolve));
    const at = performance.now();
    longest = Math.max(longest, at - last);
    last = at;
  }
  return longest;
}

async function prune() {
  const reference = await referenceMs();
  const store = await openDirectoryStore(path, { cacheBytes: 1024 * 1024 });
  let longest = 0;
  let last = performance.now();
  let watching = true;
  const turn = () => {
    const at = performance.now();
    longest = Math.max(longest, at - last);
    last = at;
    if (watching) setImmediate(turn);
  };
  setImmediate(turn);
  const policy = /** @type {const} */ ({
    version: 1,
    mode: "enforce",
    rules: [{ name: "cron runs", keys: "agent:*:cron:*", olderThan: "7d" }],
  });
  const plan = await planRetention(store, policy, { yesRemove: old });
  say({ event: "planned", removed: plan.removed, sessions: plan.sessions });
  const memory = [inUse()];
  last = performance.now(); // to collect everything is the test's doing
  const report = await applyRetention(store, plan, {
    onProgress: (done, total) => {
      say({ event: "progress", done, total });
      if (done % 512 === 0) {
        const at = performance.now();
        memory.push(inUse());
        last += performance.now() - at;
      }
    },
  });
  watching = false;
  say({ event: "pruned", ...report, blockMs: Math.round(longest), reference, memory });
  await store.close();
}

async function look() {
  const store = await openDirectoryStore(path, { readOnly: true });
  let [there, wrong] = [0, 0];
  for (let n = old; n < sessions; n++) {
    const found = await digestOf(store, keyOf(n));
    if (found === undefined) continue;
    there += 1;
    if (found !== expectedOf(n)) wrong += 1;
  }
  say({ event: "looked", kept: there, wrong, left: (await store.count()) - there });
  await store.close();
}

async function restore() {
  const store = await openDirectoryStore(path);
  const fresh = await openSessionStore("memory:");
  const archive = `${path.slice(0, -2)}.archive`;
  const files = readdirSync(archive).filter((name) => name.endsWith(".gz"));
  for (const name of files)
    await importFromFile(fresh, join(archive, name), { salvage: true, onConflict: "skip" });
  let [same, restored] = [0, 0];
  for (let n = 0; n < old; n++) if ((await digestOf(fresh, keyOf(n))) === expectedOf(n)) same += 1;
  for (let n = 0; n < old; n += Math.floor(old / SAMPLE)) {
    await restoreSession(store, keyOf(n));
    if ((await digestOf(store, keyOf(n))) === expectedOf(n)) restored += 1;
  }
  say({ event: "restored", files: files.length, same, restored });
  await Promise.all([store.close(), fresh.close()]);
}

if (work === "make") await make();
else if (work === "prune") await prune();
else if (work === "look") await look();
else await restore();
