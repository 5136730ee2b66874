/**
 * Goal: shared values and transcripts: what is missing or damaged is named with the sessions that need it; what another place has comes
 * back, fields and items that are gone are taken out, and everything else stays (fault 25).
 * Method: values and lines are removed, cut, changed and swapped in a store of which all is in files.
 */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { BIG, useSandbox, type Sandbox } from "../../engine/directory/sandbox.js";
import { codes, cured, diagnosed, examine, expectSessions, found, wrong } from "./ward.js";

const holder = useSandbox();
const ONE = `${BIG} one`;
const TWO = `${BIG} two`;
const SESSIONS = { a: { n: 1, prompt: ONE }, b: { n: 2, prompt: ONE }, c: { n: 3, prompt: TWO } };

describe("shared values", () => {
  beforeEach(() => holder.box.filled(SESSIONS));

  const withContent = (box: Sandbox, content: string): string =>
    box.blobs().find((path) => readFileSync(path, "utf8").includes(content))!;

  it("missing: named for each session; the field goes, the rest stays", async () => {
    const { box } = holder;
    rmSync(withContent(box, ONE));
    const report = await diagnosed(box, { level: "default" });
    expect(report.verdict).toBe("lost");
    const named = wrong(report).map(({ code, key, field }) => [code, key, field]);
    expect(named).toEqual([
      ["value_missing", "a", "prompt"],
      ["value_missing", "b", "prompt"],
    ]);
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, { a: { n: 1 }, b: { n: 2 }, c: SESSIONS.c });
  });

  it("missing, and a backup has it", async () => {
    const { box } = holder;
    cpSync(box.path, box.outside("backup"), { recursive: true });
    rmSync(withContent(box, ONE));
    expect((await cured(box, { backups: [box.outside("backup")] })).verdict).toBe("repaired");
    await expectSessions(box, SESSIONS);
  });

  it("cut: named with its file; the bytes are kept", async () => {
    const { box } = holder;
    const path = withContent(box, ONE);
    truncateSync(path, 100);
    const report = await diagnosed(box, { level: "default" });
    expect(found(report, "value_damaged")).toMatchObject({ path, severity: "lost" });
    const { actions } = await cured(box);
    const kept = actions.find(({ code }) => code === "value_damaged")?.kept ?? "";
    expect(readFileSync(kept)).toHaveLength(100);
    await expectSessions(box, { a: { n: 1 }, b: { n: 2 }, c: SESSIONS.c });
  });

  it("with a changed byte: only --deep reads so far", async () => {
    const { box } = holder;
    const path = withContent(box, TWO);
    const bytes = readFileSync(path);
    bytes[50] = bytes[50]! ^ 1;
    writeFileSync(path, bytes);
    expect(codes(await diagnosed(box, { level: "default" }))).toEqual([]);
    expect(codes(await diagnosed(box))).toEqual(["value_damaged", "value_missing"]);
    await cured(box);
    await expectSessions(box, { ...SESSIONS, c: { n: 3 } });
  });

  it("swapped: each goes back to its place", async () => {
    const { box } = holder;
    const [one, two] = [withContent(box, ONE), withContent(box, TWO)];
    renameSync(one, `${one}.x`);
    renameSync(two, one);
    renameSync(`${one}.x`, two);
    expect(codes(await diagnosed(box))).toEqual(["value_damaged"]);
    expect((await cured(box)).verdict).toBe("repaired");
    await expectSessions(box, SESSIONS);
  });

  it("that nobody needs are counted, with their bytes, as a note", async () => {
    const { box } = holder;
    const path = withContent(box, ONE);
    const { size } = { size: readFileSync(path).length };
    const store = await box.open();
    await store.patch("a", { prompt: undefined });
    await store.patch("b", { prompt: undefined });
    await store.flush();
    const report = await diagnosed(box);
    expect(report.verdict).toBe("healthy");
    const note = report.findings.find(({ code }) => code === "values_unreferenced");
    if (note !== undefined) expect(note).toMatchObject({ severity: "note", bytes: size });
  });

  it("a sample reads a part of the sessions, and says so", async () => {
    const { box } = holder;
    for (const key of ["a", "b", "c"]) truncateSync(box.entryFile(key), 10);
    const report = await diagnosed(box, { sample: 0.000001 });
    expect(report).toMatchObject({ sample: 0.000001 });
    expect(wrong(report).filter(({ code }) => code === "entry_damaged").length).toBeLessThan(3);
  });
});

describe("transcripts", () => {
  const ITEMS = Array.from({ length: 20 }, (_, n) => ({ n, text: "x".repeat(50) }));

  async function conversation(): Promise<string> {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", { n: 1 });
    await store.put("b", { n: 2 });
    await store.append("a", ITEMS, { ids: ITEMS.map(({ n }) => `id-${n}`) });
    await store.append("b", ITEMS);
    await store.checkpoint();
    await box.close();
    return join(
      box.folderOf("a"),
      readdirSync(box.folderOf("a")).find((name) => name.endsWith(".jsonl"))!,
    );
  }

  async function itemsOf(key: string): Promise<unknown[]> {
    const store = await holder.box.open();
    const { items } = await store.readItems<{ n: number }>(key);
    await holder.box.close();
    return items.map(({ item }) => item.n);
  }

  const numbers = ITEMS.map(({ n }) => n);
  const but = (...gone: number[]): number[] => numbers.filter((n) => !gone.includes(n));

  it.each([
    ["a line in the middle", 8],
    ["the last line", 19],
    ["the first line of an item", 0],
  ])("%s: all other items are kept", async (_, n) => {
    const { box } = holder;
    const path = await conversation();
    const bytes = readFileSync(path);
    const at = bytes.indexOf(`"n":${n},`);
    bytes[at + 20] = bytes[at + 20]! ^ 1;
    writeFileSync(path, bytes);
    const report = await diagnosed(box);
    const finding = found(report, "transcript_damaged");
    expect(finding).toMatchObject({ key: "a", transcript: "main", path, severity: "lost", repair: "live" });
    expect(finding.offset).toBe(bytes.lastIndexOf("\n", at) + 1);
    const { actions } = await cured(box);
    const kept = actions.find(({ code }) => code === "transcript_damaged")?.kept ?? "";
    expect(readFileSync(kept).equals(bytes)).toBe(true);
    expect(await itemsOf("a")).toEqual(but(n));
    expect(await itemsOf("b")).toEqual(numbers);
    const store = await box.open();
    expect((await store.append("a", [{ n: 99 }], { ids: ["id-5"] })).skipped).toEqual([0]); // ids are kept as well
    await box.close();
    await expectSessions(box, { a: { n: 1 }, b: { n: 2 } });
  });

  it("the header of a file", async () => {
    const { box } = holder;
    const path = await conversation();
    const bytes = readFileSync(path);
    bytes[20] = bytes[20]! ^ 1;
    writeFileSync(path, bytes);
    expect(found(await diagnosed(box, { level: "default" }), "transcript_damaged")).toMatchObject({
      path,
      offset: 0,
    });
    await cured(box);
    expect(await itemsOf("a")).toEqual(numbers);
    expect(await itemsOf("b")).toEqual(numbers);
  });

  it("a last line that was cut", async () => {
    const { box } = holder;
    const path = await conversation();
    truncateSync(path, readFileSync(path).length - 9);
    expect(codes(await diagnosed(box, { level: "default" }))).toEqual(["transcript_damaged"]);
    await cured(box);
    expect(await itemsOf("a")).toEqual(but(19));
  });

  it("another session's file in its place", async () => {
    const { box } = holder;
    const path = await conversation();
    const other = readdirSync(box.folderOf("b")).find((name) => name.endsWith(".jsonl"))!;
    cpSync(join(box.folderOf("b"), other), path);
    expect(found(await diagnosed(box), "transcript_damaged").cause).toContain('session "b"');
    await cured(box);
    expect(await itemsOf("b")).toEqual(numbers);
  });

  it("beside a gateway that has it open, the good lines are kept as well", async () => {
    const { box } = holder;
    const path = await conversation();
    const store = await box.open();
    const bytes = readFileSync(path);
    const at = bytes.indexOf('"n":8,');
    bytes[at + 20] = bytes[at + 20]! ^ 1;
    writeFileSync(path, bytes);
    const after = await examine(box, { fix: true, level: "deep" });
    expect(after.verdict).toBe("lost");
    expect(codes(after)).toEqual([]);
    const { items } = await store.readItems<{ n: number }>("a");
    expect(items.map(({ item }) => item.n)).toEqual(but(8));
  });
});
