/**
 * Goal: an archive is what its pages say: a file a run, whole members, other places refused, old files removed by their month; and what
 * comes back is what was meant. Method: the real code on a simulated disk, on which files are cut, damaged, packed anew and made up.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { pruneArchiveOn } from "../../../src/care/retention/archive-retention.js";
import { restoreSessionOn } from "../../../src/care/retention/restore.js";
import { importFromFileOn } from "../../../src/care/moving/export-file.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { DIRECTORY, type LegacyMachine } from "../../legacy/legacy-machine.js";
import { contentOf, memoryStore } from "../moving/support/stores.js";
import {
  archived,
  ARCHIVE,
  bytesOf,
  DAY,
  fill,
  machineWith,
  on,
  prune,
  WEEK,
} from "./support/archive-machine.js";

describe("a place for an archive", () => {
  const refused = async (
    place: string,
    prepare: (machine: LegacyMachine) => void,
    code: string,
  ): Promise<void> => {
    const machine = await machineWith(fill);
    prepare(machine);
    await on(machine.process(), async (store, host) => {
      const before = bytesOf(await contentOf(store));
      await expect(prune(host, store, WEEK, { archive: place })).rejects.toMatchObject({ code });
      expect(bytesOf(await contentOf(store))).toEqual(before);
    });
  };

  it("that holds other things, lies in the store, is a file or is another store's, is refused", async () => {
    await refused(
      "/home/other",
      (machine) => {
        machine.disk.makeDirectory("/home/other");
        machine.disk.writeRaw("/home/other/mine.txt", Buffer.from("mine"));
      },
      "archive_place",
    );
    await refused(`${DIRECTORY}/archive`, () => {}, "archive_place");
    await refused(DIRECTORY, () => {}, "archive_place");
    await refused(
      "/home/file",
      (machine) => machine.disk.writeRaw("/home/file", Buffer.from("x")),
      "archive_place",
    );
    const foreign = '{"kind":"sessiondir-archive","form":1,"storeId":"another"}\n';
    await refused(
      "/home/other",
      (machine) => {
        machine.disk.makeDirectory("/home/other");
        machine.disk.writeRaw("/home/other/sessiondir-archive.json", Buffer.from(foreign));
      },
      "archive_place",
    );
    await refused(
      "/home/other",
      (machine) => {
        machine.disk.makeDirectory("/home/other");
        machine.disk.writeRaw(
          "/home/other/sessiondir-archive.json",
          Buffer.from(foreign.replace(":1,", ":9,")),
        );
      },
      "format_unsupported",
    );
  });

  it("that is not there has nothing to restore", async () => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      const nothing = { code: "archive_not_found" };
      await expect(restoreSessionOn(host, store, "old:0")).rejects.toMatchObject(nothing);
      await expect(archived(host, store)).rejects.toMatchObject(nothing);
      await expect(pruneArchiveOn(host, store, WEEK)).rejects.toMatchObject(nothing);
      await prune(host, store);
      await expect(restoreSessionOn(host, store, "nobody")).rejects.toMatchObject({ code: "not_found" });
    });
    expect(machine.names()).toContain("sessions.archive");
  });
});

describe("a session that was archived several times", () => {
  it("comes back as it was last, or as it was at a time; one that is there stays", async () => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      const { runtime } = host;
      await prune(host, store);
      runtime.advance(DAY);
      const middle = runtime.now();
      runtime.advance(DAY);
      await store.put("old:0", { n: "second", updatedAt: runtime.now() - 9 * DAY });
      await prune(host, store);
      const first = await restoreSessionOn(host, store, "old:0", { at: middle, dryRun: true });
      expect(first).toMatchObject({ outcome: "created", dryRun: true });
      expect(await store.get("old:0")).toBeUndefined();
      await restoreSessionOn(host, store, "old:0");
      expect(await store.get("old:0")).toMatchObject({ n: "second" });
      await expect(restoreSessionOn(host, store, "old:0", { at: middle })).rejects.toMatchObject({
        code: "session_exists",
        data: { key: "old:0" },
      });
      const dry = restoreSessionOn(host, store, "old:0", { at: middle, dryRun: true });
      await expect(dry).rejects.toMatchObject({ code: "session_exists" });
      expect(await restoreSessionOn(host, store, "old:0")).toMatchObject({ outcome: "unchanged" });
      const skip = await restoreSessionOn(host, store, "old:0", { at: middle, onConflict: "skip" });
      expect(skip).toMatchObject({ outcome: "skipped" });
      const replace = await restoreSessionOn(host, store, "old:0", { at: middle, onConflict: "replace" });
      expect(replace).toMatchObject({ outcome: "replaced", items: 4 });
      expect(await store.get("old:0")).toMatchObject({ n: 0 });
      // Both states in one member, as somebody may have put the files together.
      const [one, two] = ["2026-11", "2026-11-2"].map((name) => `${ARCHIVE}/${name}.jsonl.gz`);
      const texts = [one, two].map((path = "") => gunzipSync(machine.disk.readRaw(path) ?? Buffer.alloc(0)));
      machine.disk.writeRaw(one ?? "", gzipSync(Buffer.concat(texts)));
      host.fs.unlink(two ?? "");
      for (const [time, n] of [
        [middle, 0],
        [undefined, "second"],
      ] as const) {
        await store.delete("old:0");
        await restoreSessionOn(host, store, "old:0", { at: time });
        expect(await store.get("old:0")).toMatchObject({ n });
      }
      const before = restoreSessionOn(host, store, "old:0", { at: 0 });
      await expect(before).rejects.toMatchObject({ code: "not_found" });
    });
  });
});

describe("files of an archive", () => {
  /** Two batches are two members. */
  async function twoMembers(): Promise<{
    machine: LegacyMachine;
    file: string;
    raw: Buffer;
    second: number;
  }> {
    const machine = await machineWith(async (store, { runtime }) => {
      for (let n = 100; n < 300; n++) await store.put(`old:${n}`, { n, updatedAt: runtime.now() - 9 * DAY });
    });
    const path = await on(machine.process(), async (store, host) => {
      const { archive = "" } = await prune(host, store, { ...WEEK, maxShare: 1 });
      return archive;
    });
    const raw = Buffer.from(machine.disk.readRaw(path) ?? "");
    const second = raw.indexOf(raw.subarray(0, 9), 1);
    expect(second).toBeGreaterThan(100);
    return { machine, file: path, raw, second };
  }

  it("can be imported as they are", async () => {
    const { machine, file } = await twoMembers();
    const into = await memoryStore();
    expect(await importFromFileOn(machine.process(), into, file)).toMatchObject({ created: 200 });
    expect(await into.get("old:299")).toMatchObject({ n: 299 });
  });

  it("that end in the middle give what is whole, and damage of one member costs that one", async () => {
    const { machine, file, raw, second } = await twoMembers();
    const listed = async (bytes: Buffer): Promise<{ keys: string[]; warnings: string[] }> => {
      machine.disk.writeRaw(file, bytes);
      return on(machine.process(), (store, host) => archived(host, store));
    };
    expect((await listed(raw)).keys).toHaveLength(200);
    // Cut anywhere: that a kill left it so is no damage.
    for (let end = second + 1; end < raw.length; end += end < second + 20 ? 1 : 97) {
      const { keys, warnings } = await listed(raw.subarray(0, end));
      expect(keys, `cut at ${end}`).toHaveLength(128);
      expect(warnings, `cut at ${end}`).toEqual([]);
    }
    for (const at of [second - 1, second - 20, 50]) {
      const bytes = Buffer.from(raw);
      bytes[at] = (bytes[at] ?? 0) ^ 0x55;
      const { keys, warnings } = await listed(bytes);
      expect(
        keys.every((key) => key >= "old:228"),
        `byte ${at}`,
      ).toBe(true);
      expect(keys, `byte ${at}`).toHaveLength(72);
      expect(warnings, `byte ${at}`).toEqual(["archive_damaged"]);
    }
    // Every place where the beginning of a member can lie in what is read at once; what stands in front of it is damage.
    const filler = gzipSync(Buffer.alloc(0));
    for (let shift = 0; shift < 12; shift++) {
      const size = 256 * 1024 - shift - filler.length;
      const noise = Buffer.concat([filler, Buffer.alloc(size, 1), raw.subarray(second)]);
      const { keys, warnings } = await listed(noise);
      expect(keys, `shift ${shift}`).toHaveLength(72);
      expect(warnings, `shift ${shift}`).toEqual(["archive_damaged"]);
    }
    // Packed anew by somebody, as one, with another header; or not packed at all.
    const text = gunzipSync(raw);
    const anew = gzipSync(text, { level: 9 });
    anew[4] = 17; // its time
    for (const bytes of [anew, text]) {
      const { keys, warnings } = await listed(bytes);
      expect(keys).toHaveLength(200);
      expect(warnings).toEqual([]);
    }
    await on(machine.process(), async (store, host) => {
      expect(await restoreSessionOn(host, store, "old:299")).toMatchObject({ outcome: "created" });
      expect(await restoreSessionOn(host, store, "old:100")).toMatchObject({ outcome: "created" });
    });
  });

  it("go by their month and their bytes, never the latest, nor more than a share at once", async () => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      await prune(host, store);
      const kept = machine.disk.readRaw(`${ARCHIVE}/2026-11.jsonl.gz`);
      for (const name of ["2024-01", "2025-10", "2025-11", "2025-11-2", "2025-11-10", "2026-10"])
        machine.disk.writeRaw(`${ARCHIVE}/${name}.jsonl.gz`, Buffer.alloc(1000));
      machine.disk.writeRaw(`${ARCHIVE}/notes.txt`, Buffer.from("mine"));
      machine.disk.writeRaw(`${ARCHIVE}/2025-13.jsonl.gz`, Buffer.from("mine"));
      const names = (): string[] => machine.disk.names(ARCHIVE).sort();
      const before = names();
      const old = { ...WEEK, archive: { olderThan: "365d" } };
      const dry = await pruneArchiveOn(host, store, old, { dryRun: true });
      const going = dry.files
        .filter(({ action }) => action === "remove")
        .map(({ file }) => file.slice(ARCHIVE.length + 1));
      expect(names()).toEqual(before);
      // In November 2026 that ends a year after October 2025 has.
      expect(going).toEqual(["2024-01.jsonl.gz", "2025-10.jsonl.gz"]);
      expect(await pruneArchiveOn(host, store, { ...old, mode: "warn" })).toMatchObject({ dryRun: true });
      expect(names()).toEqual(before);
      expect(await pruneArchiveOn(host, store, old)).toMatchObject({ removed: 2, freedBytes: 2000 });
      const small = { ...WEEK, archive: { maxBytes: 1500 } };
      await expect(pruneArchiveOn(host, store, small)).rejects.toMatchObject({
        code: "retention_stopped",
        data: { removing: 4, files: 5, allowed: 2 },
      });
      expect(names()).toHaveLength(before.length - 2);
      expect(await pruneArchiveOn(host, store, { ...small, maxShare: 0.8 })).toMatchObject({ removed: 4 });
      expect(names()).toEqual([
        "2025-13.jsonl.gz",
        "2026-11.jsonl.gz",
        "notes.txt",
        "sessiondir-archive.json",
      ]);
      expect(machine.disk.readRaw(`${ARCHIVE}/2026-11.jsonl.gz`)).toEqual(kept);
      const runtime = new ManualRuntime({ now: host.runtime.now() + 5000 * DAY });
      const tiny = { ...WEEK, archive: { maxBytes: 1, olderThan: "1d" } };
      expect(await pruneArchiveOn({ fs: host.fs, runtime }, store, tiny)).toMatchObject({
        removed: 0,
        overBudget: true,
      });
      // The tenth file of a month is later than the second.
      for (const name of ["2026-11-2", "2026-11-10"])
        machine.disk.writeRaw(`${ARCHIVE}/${name}.jsonl.gz`, Buffer.alloc(1000));
      await pruneArchiveOn(host, store, { ...WEEK, maxShare: 1, archive: { maxBytes: 1 } });
      expect(names().filter((name) => name.startsWith("2026"))).toEqual(["2026-11-10.jsonl.gz"]);
      await store.put("old:7", { updatedAt: host.runtime.now() - 9 * DAY });
      expect(await prune(host, store)).toMatchObject({ archive: `${ARCHIVE}/2026-11-11.jsonl.gz` });
    });
  });

  it("stay if they were just made, although a clock that was ahead made later ones", async () => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      const { archive: made } = await prune(host, store);
      machine.disk.writeRaw(`${ARCHIVE}/2027-05.jsonl.gz`, Buffer.alloc(1000));
      const tiny = { ...WEEK, archive: { maxBytes: 1 } };
      expect(await pruneArchiveOn(host, store, tiny, { made })).toMatchObject({
        removed: 0,
        overBudget: true,
      });
      expect((await archived(host, store)).keys).toHaveLength(3);
    });
  });

  it("stay if the number that may go is none, and the advice is one that helps", async () => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      await prune(host, store);
      for (const name of ["2024-01", "2024-02"])
        machine.disk.writeRaw(`${ARCHIVE}/${name}.jsonl.gz`, Buffer.alloc(1000));
      const old = { ...WEEK, archive: { olderThan: "365d" } };
      for (const yesRemove of [Number.NaN, -1, 1.5, "9" as unknown as number])
        await expect(pruneArchiveOn(host, store, old, { yesRemove })).rejects.toThrow(TypeError);
      // The command's --yes-remove counts sessions: it is never for files, whose removal is the end of them.
      await expect(pruneArchiveOn(host, store, old)).rejects.toThrow(/larger maxShare for one run/);
      expect(machine.disk.names(ARCHIVE)).toHaveLength(4);
      expect(await pruneArchiveOn(host, store, { ...old, maxShare: 0.9 })).toMatchObject({ removed: 2 });
    });
  });
});
