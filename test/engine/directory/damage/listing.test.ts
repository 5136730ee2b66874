/**
 * Goal: while bytes of the log cannot be read, listings and counts have every session that can be read, in its newest state, and
 * name those that cannot be; a watch never has a gap that it does not tell of.
 * Method: a log of which the second record is damaged; sessions in files, in front of the damage and behind it.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import { settled, start, type Process } from "../../../support/processes.js";
import { changesIn, entryFile, flip, segments } from "./scenes.js";

let disk: SimulatedDisk;
let reader: Process;
/** Revision of a commit in front of the damage, in the damaged segment. */
let inFront: number;

/**
 * `old` is in its file only, `front` in the log in front of the damage, `hit` in the damaged record and its file, `new` in its
 * file, which is newer than the record behind the damage says it must be, and `lost` changed behind the damage and has an old file.
 */
beforeEach(async () => {
  disk = new SimulatedDisk();
  const before = await start(disk, "before");
  const { store } = before;
  await store.put("old", { updatedAt: 1 });
  await store.put("lost", { updatedAt: 2 });
  await settled(store.checkpoint(), before);
  ({ revision: inFront } = await store.put("front", { updatedAt: 0 }));
  await store.put("front", { updatedAt: 3 });
  await store.put("hit", { updatedAt: 4 });
  await store.put("new", { updatedAt: 5 });
  await store.flush();
  await store.put("lost", { updatedAt: 6 });
  before.fs.kill();
  const hit = changesIn(disk).find(({ op }) => op.k === "hit");
  flip(disk, hit?.path ?? "", (hit?.at ?? 0) + 30);
  reader = await start(disk, "reader");
});

describe("a listing in doubt", () => {
  it("has every session that can be read, and names the others with the segment", async () => {
    const { sessions, damaged } = await reader.store.list();
    expect(sessions.map(({ key, entry }) => [key, entry["updatedAt"]])).toEqual([
      ["front", 3],
      ["hit", 4],
      ["new", 5],
      ["old", 1],
    ]);
    expect(damaged).toMatchObject([{ key: "lost", path: segments(disk).at(-1), missing: false }]);
    expect(damaged?.[0]?.reason).toMatch(/^its latest state is behind damage of the log, at byte \d+$/);
    expect(reader.store.listSync()).toEqual({ sessions, damaged });
    expect(await reader.store.count()).toBe(4);
  });

  it("is ordered, bounded and continued as ever", async () => {
    const { store } = reader;
    const first = await store.list({ orderBy: "updatedAt", descending: true, limit: 2 });
    expect(first.sessions.map(({ key }) => key)).toEqual(["new", "hit"]);
    const rest = await store.list({ orderBy: "updatedAt", descending: true, cursor: first.cursor });
    expect(rest.sessions.map(({ key }) => key)).toEqual(["front", "old"]);
    expect(rest.damaged).toBeUndefined(); // the first page named it
    const some = await store.list({ prefix: "n" });
    expect(some.sessions.map(({ key }) => key)).toEqual(["new"]);
    expect(some.damaged).toBeUndefined();
    expect((await store.list({ updatedAfter: 4 })).sessions.map(({ key }) => key)).toEqual(["new"]);
  });

  it("follows what is written meanwhile", async () => {
    const { store } = reader;
    await settled(store.put("lost", { updatedAt: 10 }), reader);
    await settled(store.delete("front"), reader);
    const { sessions, damaged } = await store.list();
    expect(sessions.map(({ key }) => key)).toEqual(["hit", "lost", "new", "old"]);
    expect(damaged).toBeUndefined();
    expect(await store.count()).toBe(4);
  });
});

describe("a damaged entry file, in a listing in doubt,", () => {
  const corrupt = (): string[] =>
    reader.warnings.flatMap(({ code, data }) => (code === "entry_corrupt" ? [String(data["key"])] : []));

  it("costs its session, which is named, and warned of once", async () => {
    flip(disk, entryFile("old"), 70);
    for (let time = 0; time < 3; time++) {
      const { sessions, damaged } = await reader.store.list();
      expect(sessions.map(({ key }) => key)).toEqual(["front", "hit", "new"]);
      expect(damaged).toMatchObject([
        { key: "lost", path: segments(disk).at(-1) },
        { key: "old", path: entryFile("old"), missing: false },
      ]);
      expect(damaged?.[1]?.reason).not.toContain(entryFile("old")); // a clause
    }
    expect(corrupt()).toEqual(["old"]);
  });

  it("costs nothing where the log has the session", async () => {
    flip(disk, entryFile("front"), 70);
    const { sessions } = await reader.store.list();
    expect(sessions.map(({ key }) => key)).toEqual(["front", "hit", "new", "old"]);
    expect(corrupt()).toEqual([]);
  });

  it("is named where neither a catalog nor the log has the session", async () => {
    disk.writeRaw(entryFile("stranger"), Buffer.from("{"));
    expect((await reader.store.list()).damaged).toMatchObject([{ key: "lost" }, { key: "stranger" }]);
    expect(corrupt()).toEqual(["stranger"]);
  });
});

describe("a watch in doubt", () => {
  it("is refused until the log goes on behind the damage", async () => {
    const watching = reader.store.watch()[Symbol.asyncIterator]();
    await expect(settled(watching.next(), reader)).rejects.toMatchObject({ code: "log_damaged" });
  });

  it("from in front of the damage is told that changes are missing", async () => {
    await settled(reader.store.put("a", { updatedAt: 10 }), reader);
    const watching = reader.store.watch({ since: inFront })[Symbol.asyncIterator]();
    expect(await settled(watching.next(), reader)).toMatchObject({ value: { key: "front" } }); // still in front of it
    await expect(settled(watching.next(), reader)).rejects.toMatchObject({ code: "revision_too_old" });
  });

  it("from now on gives what is written behind it", async () => {
    await settled(reader.store.put("a", { updatedAt: 10 }), reader);
    const abort = new AbortController();
    const watching = reader.store.watch({ signal: abort.signal })[Symbol.asyncIterator]();
    const next = watching.next();
    await settled(reader.store.put("lost", { updatedAt: 11 }), reader);
    expect((await settled(next, reader)).value).toMatchObject({ key: "lost", kind: "put" });
    abort.abort();
  });

  it("that was live when the damage was met ends, and does not go on silently", async () => {
    const good = new SimulatedDisk();
    const live = await start(good, "live");
    await live.store.put("a", { updatedAt: 1 });
    const watching = live.store.watch()[Symbol.asyncIterator]();
    const ended = watching.next().catch((error: unknown) => error);
    const [path = ""] = segments(good);
    good.writeRaw(path, Buffer.concat([good.readRaw(path)!, Buffer.from("no line of ours\n")]));
    const writer = await start(good, "writer");
    await settled(writer.store.put("b", { updatedAt: 2 }), writer);
    expect(await settled(ended, live)).toMatchObject({ code: "revision_too_old" });
    const { revision } = (await live.store.read("b"))!;
    await settled(writer.store.put("c", { updatedAt: 3 }), writer);
    const again = live.store.watch({ since: revision })[Symbol.asyncIterator]();
    expect((await settled(again.next(), live)).value).toMatchObject({ key: "c" });
  });

  it("does not go live on an end that a writer has found to be damaged, and could not seal", async () => {
    const disk = new SimulatedDisk();
    const before = await start(disk, "before");
    const { revision } = await before.store.put("a", { updatedAt: 1 });
    await before.store.put("b", { updatedAt: 2 });
    await before.store.put("c", { updatedAt: 3 });
    before.fs.kill();
    const [path = ""] = segments(disk);
    flip(disk, path, disk.readRaw(path)!.length - 1); // its last newline
    const live = await start(disk, "live");
    const watching = live.store.watch({ since: revision })[Symbol.asyncIterator]();
    live.fs.onCall = (call) => {
      if (call.name === "write") throw systemError("EIO", call);
    };
    await expect(settled(live.store.put("d", {}), live)).rejects.toMatchObject({ code: "io_error" });
    expect(await settled(watching.next(), live)).toMatchObject({ value: { key: "b" } });
    await expect(settled(watching.next(), live)).rejects.toMatchObject({ code: "revision_too_old" });
  });

  it("does not go live without what this process had read, and what looks like a write that was cut short now", async () => {
    const disk = new SimulatedDisk();
    const live = await start(disk, "live");
    const { revision } = await live.store.put("a", { updatedAt: 1 });
    await live.store.put("b", { updatedAt: 2, text: "x".repeat(20) });
    const [path = ""] = segments(disk);
    const end = disk.readRaw(path)!.length;
    await live.store.put("c", { updatedAt: 3 });
    const bytes = Buffer.from(disk.readRaw(path)!);
    bytes.fill("x", end - `"}}]}\n`.length, end); // in the middle of a text, and the next line right behind it
    disk.writeRaw(path, bytes);
    const watching = live.store.watch({ since: revision })[Symbol.asyncIterator]();
    await expect(settled(watching.next(), live)).rejects.toMatchObject({ code: "revision_too_old" });
  });
});
