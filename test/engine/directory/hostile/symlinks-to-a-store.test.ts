/**
 * Goal: links that lead to a store are an owner's wish, and one store whichever way it is reached; a store made of links is
 * refused, and so is a link that takes an open store's place.
 * Method: links to the folder, to a parent, to nothing and in a circle; the outside is compared with what it was.
 */
import { cpSync, mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../../src/store/open.js";
import { codeOf, snapshot, type Entry } from "../sandbox.js";
import { POSIX, fullStore, openOrRefuse, holder, usePlantedLinks } from "./planted-links.js";

usePlantedLinks();

describe.runIf(POSIX)("links on the way to a store", () => {
  it("to its folder and to a parent are the same store", async () => {
    const box = await fullStore();
    symlinkSync(box.path, box.outside("alias.d"));
    symlinkSync(box.root, box.outside("parent"));
    const direct = await box.open();
    for (const path of [box.outside("alias.d"), box.outside("parent", "sessions.d")]) {
      await using store = await openSessionStore<Entry>(path, { durability: "os" });
      const { revision } = await store.put("through", { path });
      expect((await direct.read("through"))?.revision).toBe(revision);
      expect((await store.stats()).directory?.path).toBe(box.path);
    }
  });

  it("dangling: refused rather than made behind it", async () => {
    const { box } = holder;
    symlinkSync(box.outside("nowhere"), box.path);
    const before = snapshot(box.outside());
    const outcome = await openOrRefuse(box);
    // A link of ours to a place in our own folders is our wish: the store is where it points.
    if (typeof outcome === "string") expect(snapshot(box.outside())).toEqual(before);
    else expect((await outcome.stats()).directory?.path).toBe(box.outside("nowhere"));
  });

  it("in a circle: refused", async () => {
    const { box } = holder;
    symlinkSync(box.outside("b"), box.outside("a"));
    symlinkSync(box.outside("a"), box.outside("b"));
    symlinkSync(box.outside("a"), box.path);
    expect(await openOrRefuse(box)).toBe("path_untrusted");
  });

  it("put in place of the open store's folder: it says so, and nothing is written where the link leads", async () => {
    const box = await fullStore();
    const store = await box.open();
    mkdirSync(box.outside("theirs"));
    const moved = join(box.root, "moved.d");
    renameSync(box.path, moved);
    symlinkSync(box.outside("theirs"), box.path);
    const before = snapshot(box.outside());
    await store.put("later", { updatedAt: 6 }).catch(() => {}); // with "os", a second may pass until it is noticed
    expect(await codeOf(() => store.checkpoint())).toBe("store_gone");
    expect(snapshot(box.outside())).toEqual(before);
  });
});

it.runIf(POSIX)(
  "an operator's copy that turned folders into links is refused, and a real copy is not",
  async () => {
    const box = await fullStore();
    const copy = box.outside("copy.d");
    mkdirSync(copy, { mode: 0o700 });
    symlinkSync(box.at(".store"), join(copy, ".store"));
    for (const key of ["a", "b"]) symlinkSync(box.folderOf(key), join(copy, key));
    const before = snapshot(box.path);
    expect(await codeOf(() => openSessionStore(copy))).toBe("file_unsafe");
    expect(snapshot(box.path)).toEqual(before);
    cpSync(box.path, box.outside("real.d"), { recursive: true });
    await using store = await openSessionStore<Entry>(box.outside("real.d"), { durability: "os" });
    expect(await store.count()).toBe(3);
  },
);
