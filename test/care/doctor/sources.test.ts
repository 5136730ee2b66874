/**
 * Goal: what is lost comes back from whatever `--backup` names: a folder of backups, an export or archive, a copy. The very revision is a
 * repair; an older state is a loss that is told with its time, never silent, and never in the place of what is there.
 * Method: backups and exports of a real store are made at different times, then sessions and values are lost.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createBackup } from "../../../src/backup/index.js";
import { openDirectoryStore } from "../../../src/store/open.js";
import { exportToFile } from "../../../src/moving/index.js";
import { BIG, useSandbox, type Entry, type Sandbox } from "../../engine/directory/sandbox.js";
import { cured, diagnosed, examine, expectSessions, found, wrong } from "./ward.js";

const holder = useSandbox();
const KEY = "agent:main:main";
const THEN = "2026-01-02T03:04:05.678Z";
const OTHER = { a: { updatedAt: 1 } };

/** Other files' tests have scratch folders in the system's own. */
const scratches = (): string[] => readdirSync(tmpdir()).filter((name) => name.includes("sessiondir-doctor-"));
beforeEach(() => void vi.stubEnv("TMPDIR", holder.box.root));
afterEach(() => void vi.unstubAllEnvs());

const backups = (box: Sandbox): string => join(box.root, "backups");

/** Puts the session, moves it into its file, and backs the store up. @returns The backup's name. */
async function stateOf(box: Sandbox, entry: Entry, items: readonly unknown[] = []): Promise<string> {
  const store = await box.open();
  if ((await store.get("a")) === undefined) await store.put("a", OTHER.a);
  await store.put(KEY, entry);
  if (items.length > 0) await store.append(KEY, items);
  await store.checkpoint();
  await box.close();
  return (await createBackup(box.path, backups(box), { onWarning: () => {} })).name;
}

async function itemsOf(box: Sandbox): Promise<unknown[]> {
  const store = await box.open();
  const items: unknown[] = [];
  for await (const { item } of store.iterateItems(KEY)) items.push(item);
  await box.close();
  return items;
}

describe("a folder of backups", () => {
  it("has what was written last: that is a repair", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1 });
    const name = await stateOf(box, { n: 2, big: BIG }, ["x"]);
    writeFileSync(box.entryFile(KEY), "damaged");
    const before = scratches();
    const seen = await diagnosed(box, { backups: [backups(box)] });
    expect(found(seen, "entry_damaged")).toMatchObject({ severity: "repairable" });
    expect(found(seen, "entry_damaged").cause).toContain(`backup ${name} in ${backups(box)} has revision`);
    expect(scratches()).toEqual(before);
    const { verdict, actions } = await cured(box, { backups: [backups(box)] });
    expect(verdict).toBe("repaired");
    expect(actions[0]?.done).toMatch(`restored from backup ${name} in ${backups(box)}, revision `);
    expect(scratches()).toEqual(before);
    expect(await itemsOf(box)).toEqual(["x"]);
    await expectSessions(box, { ...OTHER, [KEY]: { n: 2, big: BIG } });
  });

  it("has what the live log of the backup had", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1 });
    const store = await box.open();
    await store.put(KEY, { n: 2 });
    await box.close();
    await createBackup(box.path, backups(box), { onWarning: () => {} });
    const again = await box.open();
    await again.checkpoint();
    await box.close();
    rmSync(box.entryFile(KEY));
    expect((await cured(box, { backups: [backups(box)] })).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHER, [KEY]: { n: 2 } });
  });

  it("has an older state: it comes back, is told to be older, with its time, and counts as a loss", async () => {
    const { box } = holder;
    const name = await stateOf(box, { n: 1 }, ["x"]);
    const store = await box.open();
    await store.put(KEY, { n: 2 });
    await store.append(KEY, ["y"]);
    await store.checkpoint();
    await box.close();
    rmSync(box.entryFile(KEY));
    expect(found(await diagnosed(box, { backups: [backups(box)] }), "entry_missing").severity).toBe("lost");
    const report = await examine(box, { fix: true, alone: true, backups: [backups(box)] });
    expect(report.verdict).toBe("lost");
    expect(wrong(report)).toEqual([]);
    const action = report.actions.find(({ done }) => done.startsWith("restored"));
    expect(action).toMatchObject({ key: KEY, lost: true });
    expect(action?.done).toMatch(
      new RegExp(`^restored from backup ${name} in .*: state of \\d{4}-.*Z, older than what was lost$`),
    );
    const again = await examine(box);
    expect(again.verdict).toBe("healthy");
    expect(again.history.at(-1)?.done).toContain("older than what was lost");
    expect(await itemsOf(box)).toEqual(["x", "y"]); // those were never lost
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1 } });
  });

  it("has the session only in an older backup, and its transcripts with it", async () => {
    const { box } = holder;
    const name = await stateOf(box, { n: 1 }, ["x", { y: 1 }]);
    rmSync(box.folderOf(KEY), { recursive: true });
    for (let more = 0; more < 2; more++) await createBackup(box.path, backups(box), { onWarning: () => {} });
    const report = await examine(box, { fix: true, alone: true, backups: [backups(box)] });
    expect(report.actions.map(({ done }) => done).join()).toContain(`restored from backup ${name} in`);
    expect(wrong(report)).toEqual([]);
    expect(await itemsOf(box)).toEqual(["x", { y: 1 }]);
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1 } });
  });

  it("does not bring back what was deleted, nor what is there", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1 });
    const store = await box.open();
    await store.delete("a");
    await store.put("new", { n: 1 });
    await store.checkpoint();
    await box.close();
    rmSync(box.entryFile(KEY));
    await examine(box, { fix: true, alone: true, backups: [backups(box)] });
    await expectSessions(box, { [KEY]: { n: 1 }, new: { n: 1 } });
  });

  it("has a shared value that is missing", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1, big: BIG });
    rmSync(box.at(".store", "blobs"), { recursive: true });
    mkdirSync(box.at(".store", "blobs"), { mode: 0o700 });
    expect((await cured(box, { backups: [backups(box)] })).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1, big: BIG } });
  });

  describe("has items of a transcript that cannot be read any more", () => {
    const ITEMS = Array.from({ length: 20 }, (_, n) => `item ${n}`);

    /** Flips a bit of an item. */
    function damage(box: Sandbox, n: number): void {
      const path = join(
        box.folderOf(KEY),
        readdirSync(box.folderOf(KEY)).find((name) => name.endsWith(".jsonl"))!,
      );
      const bytes = readFileSync(path);
      const at = bytes.indexOf(`"item ${n}"`);
      expect(at).toBeGreaterThan(0);
      bytes[at + 2] = bytes[at + 2]! ^ 1;
      writeFileSync(path, bytes);
    }

    async function change(
      box: Sandbox,
      work: (store: Awaited<ReturnType<Sandbox["open"]>>) => Promise<unknown>,
    ) {
      const store = await box.open();
      await work(store);
      await store.checkpoint();
      await box.close();
    }

    it("and all of it is there again, with what came after the backup", async () => {
      const { box } = holder;
      const name = await stateOf(box, { n: 1 }, ITEMS);
      await change(box, (store) => store.append(KEY, ["later"]));
      damage(box, 7);
      const { verdict, actions } = await cured(box, { backups: [backups(box)] });
      expect(actions[0]?.done).toBe(
        `20 items of transcript "main" that can be read were kept, 1 restored from backup ${name} in ${backups(box)}`,
      );
      expect(verdict).toBe("repaired");
      expect(await itemsOf(box)).toEqual([...ITEMS, "later"]);
    });

    it("but what came after the backup, and is damaged, is lost", async () => {
      const { box } = holder;
      await stateOf(box, { n: 1 }, ITEMS.slice(0, 10));
      await change(box, (store) => store.append(KEY, ITEMS.slice(10)));
      damage(box, 7);
      damage(box, 12);
      const { actions } = await cured(box, { backups: [backups(box)] });
      expect(actions[0]?.done).toMatch(
        /18 items .* were kept, 1 restored from backup .*, 1 item cannot be read$/,
      );
      expect(await itemsOf(box)).toEqual(ITEMS.filter((_, n) => n !== 12));
    });

    it("but not what was trimmed away since", async () => {
      const { box } = holder;
      await stateOf(box, { n: 1 }, ITEMS);
      await change(box, async (store) => {
        await store.trim(KEY, { beforeSeq: 5 });
        await store.append(KEY, ["later"]);
      });
      for (const n of [4, 9]) damage(box, n);
      await cured(box, { backups: [backups(box)] });
      expect(await itemsOf(box)).toEqual([...ITEMS.slice(4), "later"]);
    });

    it.each([
      ["cut", (store: Awaited<ReturnType<Sandbox["open"]>>) => store.truncate(KEY, { afterSeq: 18 })],
      ["made again", (store: Awaited<ReturnType<Sandbox["open"]>>) => store.removeTranscript(KEY)],
    ])("but not where it was %s since", async (_, changed) => {
      const { box } = holder;
      await stateOf(box, { n: 1 }, ITEMS);
      await change(box, async (store) => {
        await changed(store);
        await store.append(
          KEY,
          ITEMS.map((item) => `${item}, anew`),
        );
        await store.append(KEY, ["item 7"]);
      });
      const before = await itemsOf(box);
      const path = join(
        box.folderOf(KEY),
        readdirSync(box.folderOf(KEY)).find((name) => name.endsWith(".jsonl"))!,
      );
      const bytes = readFileSync(path);
      const at = bytes.indexOf('"item 3, anew"');
      bytes[at + 2] = bytes[at + 2]! ^ 1;
      writeFileSync(path, bytes);
      const { actions } = await cured(box, { backups: [backups(box)] });
      expect(actions[0]?.done).toContain("1 item cannot be read");
      expect(await itemsOf(box)).toEqual(before.filter((item) => item !== "item 3, anew"));
    });

    it("but not of another store", async () => {
      const { box } = holder;
      await stateOf(box, { n: 1 }, ITEMS);
      damage(box, 7);
      const other = join(box.root, "other.d");
      const store = await openDirectoryStore<Entry>(other, { durability: "os" });
      await store.put("a", OTHER.a);
      await store.put(KEY, { n: 1 });
      await store.append(
        KEY,
        ITEMS.map((item) => `${item} of others`),
      );
      await store.close();
      await cured(box, { backups: [other] });
      expect(await itemsOf(box)).toEqual(ITEMS.filter((_, n) => n !== 7));
    });
  });

  it("has what only shows when something else was repaired", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1, big: BIG });
    rmSync(box.at(".store", "blobs"), { recursive: true });
    mkdirSync(box.at(".store", "blobs"), { mode: 0o700 });
    writeFileSync(box.at(".store", "format.json"), "damaged");
    expect((await cured(box, { backups: [backups(box)] })).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1, big: BIG } });
  });

  it("is not even read where nothing is lost", async () => {
    const { box } = holder;
    const name = await stateOf(box, { n: 1 });
    const report = await examine(box, { fix: true, alone: true, backups: [backups(box)] });
    expect(report.verdict).toBe("healthy");
    expect(readFileSync(join(backups(box), "record.jsonl"), "utf8")).not.toContain("restore");
    expect(name).not.toBe("");
  });
});

describe("an export", () => {
  it.each(["archive.jsonl", "archive.jsonl.gz"])(
    "%s has an older state, transcripts and values",
    async (name) => {
      const { box } = holder;
      await stateOf(box, { n: 1, big: BIG, updatedAt: 5 }, ["x"]);
      const file = join(box.root, name);
      const store = await box.open();
      await exportToFile(store, file, { keys: [KEY] });
      await store.put(KEY, { n: 2, big: BIG });
      await store.checkpoint();
      await box.close();
      rmSync(box.folderOf(KEY), { recursive: true });
      // The clock of the tests stands still: the file is of another time.
      const isPacked = name.endsWith(".gz");
      const text = String(isPacked ? gunzipSync(readFileSync(file)) : readFileSync(file));
      const changed = text.replace(/"modifiedAt":\d+/, `"modifiedAt":${Date.parse(THEN)}`);
      writeFileSync(file, isPacked ? gzipSync(changed) : changed);
      const report = await examine(box, { fix: true, alone: true, backups: [file] });
      expect(wrong(report)).toEqual([]);
      expect(report.verdict).toBe("lost");
      const action = report.actions.find(({ done }) => done.startsWith("restored"));
      expect(action?.done).toBe(`restored from ${file}: state of ${THEN}, older than what was lost`);
      expect(await itemsOf(box)).toEqual(["x"]);
      await expectSessions(box, { ...OTHER, [KEY]: { n: 1, big: BIG, updatedAt: 5 } });
    },
  );

  it("has a shared value", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1, big: BIG });
    const file = join(box.root, "export.jsonl");
    await exportToFile(await box.open(), file);
    await box.close();
    rmSync(box.at(".store", "blobs"), { recursive: true });
    mkdirSync(box.at(".store", "blobs"), { mode: 0o700 });
    expect((await cured(box, { backups: [file] })).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1, big: BIG } });
  });
});

describe("what is no source", () => {
  it("is told before anything is changed", async () => {
    const { box } = holder;
    await stateOf(box, { n: 1 });
    rmSync(box.entryFile(KEY));
    const options = { fix: true, alone: true };
    const nothing = join(box.root, "nothing");
    for (const path of [nothing, `${nothing}.jsonl`])
      await expect(examine(box, { ...options, backups: [path] })).rejects.toMatchObject({
        code: "backup_not_found",
        data: { path },
      });
    const other = join(box.root, "other");
    mkdirSync(other, { mode: 0o700 });
    writeFileSync(
      join(other, "sessiondir-backups.json"),
      JSON.stringify({ kind: "sessiondir-backups", form: 1, storeId: "another" }),
    );
    await expect(examine(box, { ...options, backups: [other] })).rejects.toMatchObject({
      code: "backup_place",
    });
    expect(found(await diagnosed(box), "entry_missing").severity).toBe("lost");
  });

  it("that is damaged is told, and the next one is used", async () => {
    const { box } = holder;
    const older = await stateOf(box, { n: 1 });
    const newer = await stateOf(box, { n: 2 });
    const manifest = join(backups(box), "manifests", `${newer}.json`);
    rmSync(box.entryFile(KEY));
    // Its objects go, its manifest stays.
    const { lists } = JSON.parse(readFileSync(manifest, "utf8").slice(65)) as { lists: { sha256: string }[] };
    const hash = lists[0]!.sha256;
    rmSync(join(backups(box), "objects", hash.slice(0, 2), hash));
    const report = await examine(box, { fix: true, alone: true, backups: [backups(box)] });
    expect(report.actions.map(({ done }) => done).join()).toContain(`restored from backup ${older} in`);
    await expectSessions(box, { ...OTHER, [KEY]: { n: 1 } });
  });
});
