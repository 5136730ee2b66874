/**
 * Goal: a folder of the store's own that goes while the store is open is named, with what to do, whichever call finds out; the
 * store works again as soon as it is put back or opened anew; and a store that is gone as a whole is told as that.
 * Method: folders are moved away under a store on the real file system.
 */
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openDirectoryStore, type DirectorySessionStore } from "../../../src/index.js";

type Entry = Record<string, unknown>;

let folder = "";
let path = "";
let store: DirectorySessionStore<Entry>;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-gone-"));
  path = join(folder, "sessions.d");
  store = await openDirectoryStore<Entry>(path);
  await store.put("a", { n: 1, prompt: shared("a") });
  await store.flush();
});
afterEach(async () => {
  await store.close().catch(() => {});
  rmSync(folder, { recursive: true, force: true });
});

/** Large enough for `.store/blobs`. */
const shared = (text: string): string => text.repeat(20_000);
const inStore = (name: string): string => join(path, ".store", name);

describe.each<[name: string, call: () => Promise<unknown>]>([
  ["blobs", () => store.put("b", { prompt: shared("b") })],
  ["blobs", () => store.checkpoint()],
  ["stage", () => store.put("b", { prompt: shared("b") })],
  ["stage", () => store.checkpoint()],
  ["trash", () => store.checkpoint()],
])(".store/%s is moved away", (name, call) => {
  beforeEach(() => renameSync(inStore(name), join(folder, "aside")));

  it("a call that needs it names it and the next step", async () => {
    await expect(call()).rejects.toMatchObject({
      code: "store_incomplete",
      data: { path: inStore(name) },
      message: expect.stringMatching(/Put it back.*open it again.*sessiondir rebuild/) as string,
    });
  });

  it("it works again when the folder is put back", async () => {
    await expect(call()).rejects.toMatchObject({ code: "store_incomplete" });
    renameSync(join(folder, "aside"), inStore(name));
    await call();
    expect(await store.get("a")).toEqual({ n: 1, prompt: shared("a") });
  });

  it("it works again in a store that is opened anew", async () => {
    await expect(call()).rejects.toMatchObject({ code: "store_incomplete" });
    await store.close().catch(() => {});
    store = await openDirectoryStore<Entry>(path);
    await call();
    expect((await store.get("a"))?.["n"]).toBe(1);
  });
});

it("a store that is gone as a whole is gone, not incomplete", async () => {
  renameSync(path, join(folder, "aside"));
  await expect(store.put("b", { prompt: shared("b") })).rejects.toMatchObject({ code: "store_gone" });
});
