// @ts-check
/**
 * Uses a store in every way that makes files, under a umask, and tells after each which files and folders have
 * another mode than they should.
 */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

const { path, umask, options } = argument;
process.umask(umask);

const big = () => ({
  updatedAt: 1,
  skills: { prompt: "s".repeat(10_000), nested: { more: "t".repeat(10_000) } },
});
let store = await openDirectoryStore(path, options);
const steps = {
  create: async () => {},
  put: () => store.put("agent:main:a", { updatedAt: 1 }),
  update: () => store.update("agent:main:a", () => ({ updatedAt: 2 })),
  blobs: () => Promise.all(["b", "c"].map((key) => store.put(`agent:main:${key}`, big()))),
  flush: () => store.flush(),
  delete: () => store.delete("agent:main:a"),
  "flush of a delete": () => store.flush(),
  checkpoint: () => store.checkpoint(),
  // Its shared values go to the trash, and from there away.
  "delete of blobs": () => Promise.all(["b", "c"].map((key) => store.delete(`agent:main:${key}`))),
  "first removal": () => store.checkpoint(),
  "put after it": () => store.put("agent:main:d", { ...big(), updatedAt: 3 }),
  "second removal": () => store.checkpoint(),
  close: () => store.close(),
  "open again": async () => {
    store = await openDirectoryStore(path, options);
    await store.put("agent:main:a", { updatedAt: 4 });
    await store.close();
  },
};
for (const [step, take] of Object.entries(steps)) {
  await take();
  say({ event: "step", step, ...look(path) });
}
say({ event: "done", user: process.getuid?.() });

/** @param {string} folder */
function look(folder) {
  const wrong = [];
  const names = ["", ...readdirSync(folder, { recursive: true }).map(String)];
  let files = 0;
  for (const name of names) {
    const status = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (status === undefined) continue; // a temp file of the background, gone again
    if (status.isFile()) files += 1;
    const mode = (status.mode & 0o7777).toString(8);
    if (mode !== (status.isDirectory() ? "700" : "600")) wrong.push(`${name} ${mode}`);
    if (status.uid !== process.getuid?.()) wrong.push(`${name} belongs to ${status.uid}`);
  }
  return { files, wrong };
}
