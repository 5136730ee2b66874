/**
 * Goal: what a store does not open without is named and mended: `format.json`, the log, `.store` itself; what cannot be mended is put
 * aside, and the sessions' files are what is left (faults 21, 22, 24).
 * Method: each damage is put into a store whose sessions are in files and in the log; the doctor looks, repairs, looks again.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  BIG,
  codeOf,
  logLine,
  useSandbox,
  type Entry,
  type Sandbox,
} from "../../engine/directory/sandbox.js";
import { codes, cured, diagnosed, examine, expectSessions, found } from "./ward.js";

const holder = useSandbox();

const IN_FILES: Record<string, Entry> = { a: { updatedAt: 1 }, b: { updatedAt: 2 } };
const IN_LOG: Record<string, Entry> = { c: { updatedAt: 3 }, d: { updatedAt: 4 } };
const ALL = { ...IN_FILES, ...IN_LOG };

/** As a killed process leaves it: two sessions in their files, two in the log only. */
async function store(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled(IN_FILES);
  const open = await box.open();
  for (const [key, entry] of Object.entries(IN_LOG)) await open.put(key, entry);
  cpSync(box.path, box.outside("killed"), { recursive: true });
  await box.close();
  rmSync(box.path, { recursive: true });
  renameSync(box.outside("killed"), box.path);
  return box;
}

it("sessions that only the log has are counted, and those that it deletes are not", async () => {
  const box = await store();
  expect(await examine(box)).toMatchObject({ verdict: "healthy", sessions: 4 });
  expect(await examine(box, { level: "quick" })).toMatchObject({ sessions: 4 });
  const open = await box.open();
  await open.delete("a");
  expect(await examine(box)).toMatchObject({ verdict: "healthy", sessions: 3 });
});

const format = (box: Sandbox): string => box.at(".store", "format.json");

describe("format.json", () => {
  const DAMAGES: Record<string, (path: string) => void> = {
    missing: (path) => rmSync(path),
    empty: (path) => truncateSync(path, 0),
    garbage: (path) => writeFileSync(path, "gar\0bage"),
    "a list": (path) => writeFileSync(path, "[]"),
    "of something else": (path) => writeFileSync(path, '{"kind":"other","format":2,"storeId":"x"}'),
    "without an id": (path) => writeFileSync(path, '{"kind":"sessiondir","format":2}'),
  };

  it.each(Object.keys(DAMAGES))("%s: written anew with the id that the log has", async (name) => {
    const box = await store();
    const { storeId } = JSON.parse(readFileSync(format(box), "utf8")) as { storeId: string };
    DAMAGES[name]!(format(box));
    expect(await codeOf(() => box.open())).toBe("format_damaged");
    const report = await diagnosed(box);
    expect(report.verdict).toBe("needs-you");
    expect(codes(report)).toEqual([name === "missing" ? "format_missing" : "format_damaged"]);
    expect(report.checks.find((check) => check.name === "entries")?.skipped).toContain("format.json");
    expect((await cured(box)).verdict).toBe("repaired");
    expect(JSON.parse(readFileSync(format(box), "utf8"))).toMatchObject({
      kind: "sessiondir",
      format: 2,
      storeId,
    });
    await expectSessions(box, ALL);
  });

  it("of another store than the log and the catalogs: put aside, and written anew", async () => {
    const box = await store();
    const text = readFileSync(format(box), "utf8");
    writeFileSync(
      format(box),
      text.replace(/"storeId":"[^"]*"/, '"storeId":"0123456789abcdef0123456789abcdef"'),
    );
    expect(codes(await diagnosed(box))).toContain("format_foreign");
    expect((await cured(box)).verdict).toBe("repaired");
    await expectSessions(box, ALL);
  });

  it("of a newer format is refused, by the fix as well, and nothing is touched", async () => {
    const box = await store();
    writeFileSync(format(box), readFileSync(format(box), "utf8").replace('"format":2', '"format":3'));
    const report = await diagnosed(box);
    expect(found(report, "format_unsupported")).toMatchObject({ severity: "needs-you" });
    expect(found(report, "format_unsupported").next).toContain("update sessiondir");
    const after = await diagnosed(box, { fix: true, alone: true });
    expect(after).toMatchObject({ verdict: "needs-you", actions: [] });
  });

  it("of a newer minor is a note", async () => {
    const box = await store();
    writeFileSync(
      format(box),
      readFileSync(format(box), "utf8").replace('"format":2', '"format":2,"minor":1'),
    );
    const report = await diagnosed(box);
    expect(report.verdict).toBe("healthy");
    expect(found(report, "format_newer_minor").severity).toBe("note");
  });
});

describe("the log", () => {
  it("with a torn tail: a note, and a fix begins a new segment", async () => {
    const box = await store();
    appendFileSync(box.segment(), '00000000 {"w":"torn');
    const report = await diagnosed(box);
    expect(found(report, "log_torn_tail")).toMatchObject({ severity: "note", bytes: 19 });
    await examine(box, { fix: true });
    const after = await diagnosed(box);
    expect(after.findings.map(({ code }) => code)).not.toContain("log_torn_tail");
    await expectSessions(box, ALL);
  });

  it("with a bad middle: named with its byte, mended where the store is alone, and only there", async () => {
    const box = await store();
    const open = await box.open();
    await open.put("c", { updatedAt: 33 });
    await open.put("e", { updatedAt: 5 });
    const bytes = readFileSync(box.segment());
    const at = bytes.indexOf('"k":"d"');
    bytes[at + 10] = bytes[at + 10]! ^ 1;
    cpSync(box.path, box.outside("killed"), { recursive: true });
    await box.close();
    rmSync(box.path, { recursive: true });
    renameSync(box.outside("killed"), box.path);
    writeFileSync(box.segment(), bytes);
    const report = await diagnosed(box);
    const finding = found(report, "log_unreadable");
    expect(finding).toMatchObject({ path: box.segment(), repair: "alone" });
    expect(finding.offset).toBe(bytes.lastIndexOf("\n", at) + 1);
    expect(codes(await examine(box, { fix: true }))).toContain("log_unreadable");
    const { verdict, actions } = await cured(box);
    expect(verdict).toBe("lost"); // what only the damaged bytes had
    expect(actions.map(({ code }) => code)).toContain("log_unreadable");
    await expectSessions(box, { ...IN_FILES, c: { updatedAt: 33 }, e: { updatedAt: 5 } });
  });

  it("with glued lines is healthy: a write that was cut short counts for nothing", async () => {
    const box = await store();
    const bytes = readFileSync(box.segment());
    const lines = bytes.toString().split("\n");
    const last = lines.at(-2)!;
    writeFileSync(box.segment(), bytes.toString().replace(last, `${last.slice(0, 40)}${last}`));
    // Behind that every revision is another one: a store that was killed in the middle has never told anybody.
    const report = await diagnosed(box);
    expect(codes(report)).toEqual([]);
  });

  it("with a line that no version knows: named, kept, and gone", async () => {
    const box = await store();
    appendFileSync(box.segment(), logLine({ w: "x", n: 1, g: 2, t: 1, ops: [{ k: "a", z: 1 }] }));
    const report = await diagnosed(box);
    expect(found(report, "log_line_malformed")).toMatchObject({ severity: "repairable", repair: "live" });
    const after = await examine(box, { fix: true });
    expect(codes(after)).toEqual([]);
    expect(existsSync(after.actions[0]?.kept ?? "")).toBe(true);
    await expectSessions(box, ALL);
  });

  it("with a line of a huge length", async () => {
    const box = await store();
    const bytes = readFileSync(box.segment());
    const end = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
    writeFileSync(
      box.segment(),
      Buffer.concat([
        bytes.subarray(0, end),
        Buffer.alloc(19 * 2 ** 20, "x"),
        Buffer.from("\n"),
        bytes.subarray(end),
      ]),
    );
    expect(codes(await diagnosed(box))).toContain("log_unreadable");
    await cured(box);
    await expectSessions(box, ALL);
  });

  it("whose header is another store's: the segment is put aside", async () => {
    const box = await store();
    const text = readFileSync(box.segment(), "utf8");
    const [header = "", ...rest] = text.split("\n");
    const foreign = JSON.parse(header.slice(9)) as Record<string, unknown>;
    const line = logLine({ ...foreign, store: "f".repeat(32) });
    writeFileSync(box.segment(), Buffer.concat([line, Buffer.from(rest.join("\n"))]));
    expect(codes(await diagnosed(box))).toContain("log_foreign");
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, IN_FILES);
  });

  it("that is gone: the store goes on with its files", async () => {
    const box = await store();
    for (const name of readdirSync(box.at(".store", "log"))) rmSync(box.at(".store", "log", name));
    expect(found(await diagnosed(box), "log_missing")).toMatchObject({ severity: "lost" });
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, IN_FILES);
  });

  it("that lacks a segment: what is below it is put aside", async () => {
    const box = await store();
    const [name = ""] = readdirSync(box.at(".store", "log"));
    renameSync(box.at(".store", "log", name), box.at(".store", "log", "00000009.jsonl"));
    const header = logLine({
      segment: 11,
      firstRevision: 9000,
      after: 8000,
      store: idOf(box),
      stage: "11-00ff",
    });
    writeFileSync(box.at(".store", "log", "00000011.jsonl"), header, { mode: 0o600 });
    const report = await diagnosed(box);
    expect(found(report, "segment_missing")).toMatchObject({ severity: "lost" });
    await cured(box);
    await expectSessions(box, IN_FILES);
  });

  it("whose only segment has no header and no catalog says where it begins", async () => {
    const box = await store();
    for (const name of readdirSync(box.at(".store")).filter((one) => one.startsWith("catalog-")))
      rmSync(box.at(".store", name));
    const bytes = readFileSync(box.segment());
    bytes.fill("x", 0, 20);
    writeFileSync(box.segment(), bytes);
    expect(codes(await diagnosed(box))).toContain("log_unusable");
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, IN_FILES);
  });
});

function idOf(box: Sandbox): string {
  return (JSON.parse(readFileSync(format(box), "utf8")) as { storeId: string }).storeId;
}

describe("catalogs", () => {
  it.each(["the list", "a part", "all of them, gone"])("%s: made anew", async (what) => {
    const box = await store();
    const names = readdirSync(box.at(".store")).filter((name) => name.startsWith("catalog-"));
    for (const name of names) {
      if (what === "all of them, gone") rmSync(box.at(".store", name));
      else if (/^catalog-\d+$/.test(name) === (what === "the list")) {
        const bytes = readFileSync(box.at(".store", name));
        bytes[12] = bytes[12]! ^ 1;
        writeFileSync(box.at(".store", name), bytes);
      }
    }
    expect(codes(await diagnosed(box))).toEqual([
      what.includes("gone") ? "catalog_missing" : "catalog_damaged",
    ]);
    expect((await cured(box)).verdict).toBe("repaired");
    await expectSessions(box, ALL);
  });
});

describe(".store", () => {
  it("is made anew from the sessions' folders; values that are gone are named, session by session", async () => {
    const { box } = holder;
    await box.filled({ ...IN_FILES, big: { n: 1, prompt: BIG }, other: { prompt: `${BIG}!` } });
    rmSync(box.at(".store"), { recursive: true });
    const report = await diagnosed(box);
    expect(codes(report)).toEqual(["store_incomplete"]);
    expect(found(report, "store_incomplete").next).toContain("doctor --fix --alone");

    const rebuilt = await examine(box, { fix: true, alone: true, level: "deep" });
    expect(rebuilt.verdict).toBe("lost");
    const named = rebuilt.findings.filter(({ code }) => code === "value_missing");
    expect(named.map(({ key, field }) => [key, field])).toEqual([
      ["big", "prompt"],
      ["other", "prompt"],
    ]);
    expect(await codeOf(async () => JSON.stringify((await (await box.open()).get("big"))?.["prompt"]))).toBe(
      "blob_missing",
    );
    await box.close();

    await cured(box); // told again, it takes them out
    await expectSessions(box, { ...IN_FILES, big: { n: 1 }, other: {} });
  });

  it("takes keys from the files, never from names of folders", async () => {
    const { box } = holder;
    await box.filled({ ...IN_FILES, "agent:main:x": { n: 1 } });
    renameSync(box.folderOf("agent:main:x"), box.at("agent_main_x"));
    rmSync(box.at(".store"), { recursive: true });
    await examine(box, { fix: true, alone: true });
    expect(codes(await diagnosed(box))).toEqual([]);
    await expectSessions(box, { ...IN_FILES, "agent:main:x": { n: 1 } });
  });

  it.each(["stage", "blobs", "trash", "quarantine"])(
    "lacks %s/, as in a copy without empty folders",
    async (name) => {
      const box = await store();
      rmSync(box.at(".store", name), { recursive: true });
      expect(codes(await diagnosed(box))).toEqual(["internal_folder_missing"]);
      const after = await examine(box, { fix: true });
      expect(after.verdict).toBe("repaired");
      expect(codes(await diagnosed(box))).toEqual([]);
      await expectSessions(box, ALL);
    },
  );

  it("is no folder of a store: code 1, nothing is made", async () => {
    const { box } = holder;
    expect(await codeOf(() => examine(box))).toBe("store_not_found");
    expect(await codeOf(() => examine(box, { fix: true, alone: true }))).toBe("store_not_found");
    expect(existsSync(box.path)).toBe(false);
    writeFileSync(join(box.root, "sessions.d"), "a file");
    expect(await codeOf(() => examine(box))).toBe("not_a_store");
  });
});
