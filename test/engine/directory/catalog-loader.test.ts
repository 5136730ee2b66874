/**
 * Goal: the base of a listing is the catalog that fits the log, whatever happens between the look at the names and the look
 * into the file; without a catalog it is the files, and what is wrong with one of them is neither believed nor remembered.
 * Method: a process that sees the past for its next calls; catalogs out of a later moment of the same store; entry files that
 * are copied by hand or cannot be read for the moment.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { start, STORE, type Process } from "../../support/processes.js";

const NEWEST = { orderBy: "updatedAt", descending: true, limit: 10 } as const;

async function checkpointed(): Promise<{ disk: SimulatedDisk; writer: Process }> {
  const disk = new SimulatedDisk();
  const writer = await start(disk, "writer", { durability: "os" });
  for (const [index, key] of ["a", "b"].entries()) await writer.store.put(key, { updatedAt: index });
  await writer.store.checkpoint();
  return { disk, writer };
}

function catalogs(disk: SimulatedDisk, of = /^catalog-\d+$/): string[] {
  return disk
    .names(`${STORE}/.store`)
    .filter((name) => of.test(name))
    .map((name) => `${STORE}/.store/${name}`);
}

const keys = ({ sessions }: { sessions: readonly { key: string }[] }): string[] =>
  sessions.map(({ key }) => key).sort();

it("a catalog that was replaced after any call is looked for again: the files are not read for it", async () => {
  for (let calls = 0; calls < 15; calls++) {
    const { disk, writer } = await checkpointed();
    const reader = await start(disk, "reader");
    reader.fs.fallAsleep(calls);
    await writer.store.put("c", { updatedAt: 3 });
    await writer.store.checkpoint();
    const found = keys(reader.store.listSync());
    expect(
      [
        ["a", "b"],
        ["a", "b", "c"],
      ],
      `asleep for ${calls} calls`,
    ).toContainEqual(found);
    await Promise.resolve();
    expect(reader.warnings, `asleep for ${calls} calls`).toEqual([]);
    reader.fs.wakeUp();
    expect(keys(reader.store.listSync())).toEqual(["a", "b", "c"]);
  }
});

describe("a catalog that is ahead of the log, in a copy", () => {
  it.each(["all", "newest"])("does not count for a reader that lists %s", async (what) => {
    const { disk, writer } = await checkpointed();
    await writer.store.close();
    const future = disk.clone();
    const later = await start(future, "later", { durability: "os" });
    await later.store.delete("b");
    await later.store.checkpoint();
    for (const path of catalogs(future, /^catalog-/)) disk.writeRaw(path, future.readRaw(path)!);
    expect(catalogs(disk)).toHaveLength(2);
    const reader = await start(disk, "reader", { readOnly: true });
    expect(keys(await reader.store.list(what === "newest" ? NEWEST : {}))).toEqual(["a", "b"]);
  });

  it("goes when somebody opens the store to write", async () => {
    const { disk, writer } = await checkpointed();
    await writer.store.close();
    const [catalog] = catalogs(disk);
    disk.writeRaw(`${STORE}/.store/catalog-9`, disk.readRaw(catalog!)!);
    await start(disk, "next");
    expect(catalogs(disk)).toEqual([catalog]);
  });
});

describe("without a catalog", () => {
  async function withoutCatalog(): Promise<SimulatedDisk> {
    const { disk, writer } = await checkpointed();
    await writer.store.close();
    for (const path of catalogs(disk)) disk.removeRaw(path);
    return disk;
  }

  it("a session's folder that was copied by hand is not a second session", async () => {
    const disk = await withoutCatalog();
    disk.writeRaw(`${STORE}/c/meta.json`, disk.readRaw(`${STORE}/a/meta.json`)!);
    const reader = await start(disk, "reader");
    const { sessions } = await reader.store.list();
    expect(sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(reader.warnings.map(({ code }) => code).sort()).toEqual(["catalog_rebuilt", "entry_corrupt"]);
  });

  it("a file that cannot be read for the moment fails the listing, and is there in the next one", async () => {
    const disk = await withoutCatalog();
    const reader = await start(disk, "reader");
    reader.fs.onCall = (call) => {
      if (call.name !== "open" || !String(call.args[0]).endsWith("/b/meta.json")) return;
      reader.fs.onCall = undefined;
      throw systemError("EIO", call);
    };
    await expect(reader.store.list()).rejects.toMatchObject({ code: "io_error" });
    expect(keys(await reader.store.list())).toEqual(["a", "b"]);
  });
});
