/**
 * Goal: no link leads the store out of its folder: nothing outside is read as data, written, moved or removed,
 * when a link appears in place of something that the store is about to write to or remove (fault 28).
 * Method: links in place of what a checkpoint removes, of a session's folder, and, on a simulated disk, of each folder behind
 * any call of a flush. The outside is compared with what it was.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { openDirectoryStoreOn } from "../../../../src/store/open.js";
import { ManualRuntime } from "../../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { BIG, codeOf, snapshot, type Entry } from "../sandbox.js";
import { POSIX, fullStore, moveOutside, usePlantedLinks } from "./planted-links.js";

usePlantedLinks();

describe.runIf(POSIX)("what is deleted", () => {
  it("is never a file behind a link in place of the session's folder", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.delete("b");
    const moved = moveOutside(box, box.folderOf("b"));
    const before = snapshot(box.outside());
    await store.flush();
    await store.checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(existsSync(join(moved, "meta.json"))).toBe(true);
    expect(lstatSync(box.folderOf("b")).isSymbolicLink()).toBe(true);
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "hot"]);
  });

  it("is a link in place of meta.json, and not its target", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.delete("b");
    const moved = moveOutside(box, box.entryFile("b"));
    await store.checkpoint();
    expect(existsSync(moved)).toBe(true);
    expect(existsSync(box.folderOf("b"))).toBe(false);
    expect(await (await box.reopen()).get("b")).toBeUndefined();
  });

  it("is never behind a link called like an unfinished store", async () => {
    const box = await fullStore();
    mkdirSync(box.outside("theirs", "deep"), { recursive: true });
    writeFileSync(box.outside("theirs", "deep", "file"), "theirs");
    symlinkSync(box.outside("theirs"), box.at(".store.building-00ff"));
    mkdirSync(box.at(".store.building-11ff"));
    symlinkSync(box.outside("theirs"), box.at(".store.building-11ff", "log"));
    const before = snapshot(box.outside());
    await (await box.open()).checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(readdirSync(box.path).filter((name) => name.includes("building"))).toEqual([]);
  });

  it("is never behind a link called like a staging folder, or inside one", async () => {
    const box = await fullStore();
    mkdirSync(box.outside("theirs"));
    writeFileSync(box.outside("theirs", "file"), "theirs");
    symlinkSync(box.outside("theirs"), box.at(".store", "stage", "1-00ff"));
    const [own] = readdirSync(box.at(".store", "stage")).filter((name) => name !== "1-00ff");
    symlinkSync(box.outside("theirs"), box.at(".store", "stage", own!, "00ff"));
    const before = snapshot(box.outside());
    const store = await box.open();
    await store.checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(box.segments()).toHaveLength(1);
    expect(readdirSync(box.at(".store", "stage"))).not.toContain("1-00ff");
  });
});

describe.runIf(POSIX)("a session's folder that is a link", () => {
  it("costs that session its file and nobody else's, and heals when it goes", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.put("a", { updatedAt: 7 });
    await store.put("z", { updatedAt: 8 });
    moveOutside(box, box.folderOf("a"));
    expect(await codeOf(() => store.flush())).toBe("file_unsafe");
    expect(existsSync(box.entryFile("z"))).toBe(true);
    expect(await store.get("a")).toEqual({ updatedAt: 7 });
    expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 7 });
    rmSync(box.folderOf("a"));
    const again = await box.reopen();
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 7 });
  });

  it("is not believed by a checkpoint, though what is behind it is right", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.put("a", { updatedAt: 7 });
    await store.flush();
    moveOutside(box, box.folderOf("a"));
    expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
    expect(await store.get("a")).toEqual({ updatedAt: 7 });
  });
});

describe("a link that appears in the middle of an operation", () => {
  /** What is swapped, and the calls after which it happens: every folder that the operation names later again. */
  const SWAPS = [
    "/sessions.d/.store",
    "/sessions.d/.store/stage",
    "/sessions.d/.store/trash",
    "/sessions.d/b",
  ];

  it.each(SWAPS)("%s: the next operation refuses, whichever call it came behind", async (path) => {
    for (let at = 1; ; at++) {
      const disk = new SimulatedDisk();
      const fs = disk.mount("writer");
      const runtime = new ManualRuntime({ seed: at });
      const store = await openDirectoryStoreOn<Entry>(fs, runtime, "/sessions.d", {
        durability: "os",
        onWarning: () => {},
      });
      await store.put("a", { big: BIG });
      await store.put("b", { version: 1 });
      await store.checkpoint();
      await store.delete("b");
      const start = fs.calls;
      let swapped = false;
      fs.onCall = (call) => {
        if (swapped || call.index < start + at) return;
        swapped = true;
        disk.removeRaw(path);
        disk.makeDirectory("/outside");
        for (const name of ["meta.json", "1-00ff", "segment", "00ff"])
          disk.writeRaw(`/outside/${name}`, "theirs");
        disk.symlink(path, "/outside");
      };
      await store.flush().catch(typed);
      fs.onCall = undefined;
      if (!swapped) {
        await store.close();
        break; // the operation has fewer calls than that
      }
      const before = disk.tree("/outside");
      for (const call of [
        () => store.checkpoint(),
        () => store.put("c", { big: `${BIG}!` }),
        () => store.close(),
      ]) {
        await call().catch(typed);
      }
      expect(disk.tree("/outside")).toEqual(before);
      expect(at).toBeLessThan(1000);
    }
  });
});

function typed(error: unknown): void {
  expect(error).toBeInstanceOf(SessionStoreError);
}
