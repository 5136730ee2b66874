/**
 * Goal: every damage of a `meta.json` is named with file, place and next step; what the log or a copy has comes back, the rest goes to the
 * quarantine, and no other session is harmed (faults 19 and 20).
 * Method: each damage is put into one of three checkpointed sessions; the doctor looks, repairs, and looks again.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { useSandbox, type Entry, type Sandbox } from "../../engine/directory/sandbox.js";
import { crc32Hex } from "../../../src/format/crc32.js";
import { codes, cured, diagnosed, examine, expectSessions, found } from "./ward.js";

const holder = useSandbox();

const KEY = "agent:main:main";
const ENTRY: Entry = { sessionId: "s-1", updatedAt: 5, label: "grüße ✓" };
const OTHERS: Record<string, Entry> = { a: { updatedAt: 1 }, z: { updatedAt: 9 } };

async function checkpointed(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ ...OTHERS, [KEY]: ENTRY });
  return box;
}

function withChecksum(text: string): Buffer {
  const zeroed = text.replace(/"crc":"[0-9a-f]{8}"/, '"crc":"00000000"');
  return Buffer.from(zeroed.replace('"crc":"00000000"', `"crc":"${crc32Hex(Buffer.from(zeroed))}"`));
}

const DAMAGES: Record<string, (good: Buffer) => Buffer> = {
  empty: () => Buffer.alloc(0),
  zeroed: (good) => Buffer.alloc(good.length),
  "cut in its first line": (good) => good.subarray(0, 30),
  "cut behind its first line": (good) => good.subarray(0, good.length - 5),
  garbage: (good) => Buffer.from(good.map((byte, index) => (byte * 31 + index * 7) & 255)),
  "a byte order mark": (good) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), good]),
  "invalid UTF-8": (good) => Buffer.concat([good.subarray(0, 99), Buffer.from([0xff]), good.subarray(100)]),
  "a lone surrogate": (good) => withChecksum(good.toString().replace(KEY, "\\ud800")),
  "a duplicate name": (good) =>
    withChecksum(good.toString().replace('"sessionId":"s-1"', '"sessionId":"x",\n"sessionId":"s-1"')),
  "edited by hand": (good) => Buffer.from(good.toString().replace("s-1", "s-2")),
};

it("a healthy store is healthy, at every level, and a fix does nothing", async () => {
  const box = await checkpointed();
  for (const level of ["quick", "default", "deep"] as const) {
    const report = await diagnosed(box, { level });
    expect(report).toMatchObject({ verdict: "healthy", findings: [], actions: [], history: [], sessions: 3 });
  }
  expect(await cured(box)).toMatchObject({ verdict: "healthy", actions: [] });
  await expectSessions(box, { ...OTHERS, [KEY]: ENTRY });
});

describe.each(Object.keys(DAMAGES))("a meta.json, %s", (name) => {
  it("is named, and put aside when nothing has it; others are unharmed", async () => {
    const box = await checkpointed();
    const file = box.entryFile(KEY);
    const bad = DAMAGES[name]!(readFileSync(file));
    writeFileSync(file, bad);
    const report = await diagnosed(box);
    expect(report.verdict).toBe("lost");
    expect(codes(report)).toEqual(["entry_damaged"]);
    const finding = found(report, "entry_damaged");
    expect(finding).toMatchObject({ path: file, key: KEY, severity: "lost", repair: "alone" });
    expect(finding.offset).toBeLessThanOrEqual(bad.length);
    expect(finding.next).toContain("sessiondir doctor --fix --alone");

    const { verdict, actions } = await cured(box);
    expect(verdict).toBe("lost");
    const kept = actions.find(({ code }) => code === "entry_damaged")?.kept ?? "";
    expect(readFileSync(kept).equals(bad)).toBe(true);
    expect(JSON.parse(readFileSync(`${kept}.note.json`, "utf8"))).toMatchObject({ from: file, key: KEY });
    await expectSessions(box, OTHERS);
  });

  it("comes back from a copy of the very revision", async () => {
    const box = await checkpointed();
    cpSync(box.path, box.outside("backup"), { recursive: true });
    const good = readFileSync(box.entryFile(KEY));
    writeFileSync(box.entryFile(KEY), DAMAGES[name]!(good));
    const { verdict } = await cured(box, { backups: [box.outside("backup")] });
    expect(verdict).toBe("repaired");
    expect(readFileSync(box.entryFile(KEY)).equals(good)).toBe(true);
    await expectSessions(box, { ...OTHERS, [KEY]: ENTRY });
  });

  it("is written again where the log has the session, beside a gateway too", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const [key, entry] of Object.entries({ ...OTHERS, [KEY]: ENTRY })) await store.put(key, entry);
    await store.flush();
    writeFileSync(box.entryFile(KEY), DAMAGES[name]!(readFileSync(box.entryFile(KEY))));
    const report = await diagnosed(box);
    expect(found(report, "entry_damaged")).toMatchObject({ severity: "repairable", repair: "live" });
    expect(report.verdict).toBe("needs-you");
    const after = await examine(box, { fix: true });
    expect(after.verdict).toBe("repaired");
    expect(codes(after)).toEqual([]);
    expect(await store.get(KEY)).toEqual(ENTRY);
    await box.close();
    await expectSessions(box, { ...OTHERS, [KEY]: ENTRY });
  });
});

it("cut at each byte, and a flipped bit at each byte: named each time", async () => {
  const box = await checkpointed();
  const good = readFileSync(box.entryFile(KEY));
  for (let at = 0; at < good.length; at++) {
    writeFileSync(box.entryFile(KEY), good.subarray(0, at));
    expect(codes(await examine(box))).toEqual(["entry_damaged"]);
    const bad = Buffer.from(good);
    bad[at] = bad[at]! ^ (1 << (at % 8));
    writeFileSync(box.entryFile(KEY), bad);
    expect(codes(await examine(box)), `byte ${at}`).toEqual(["entry_damaged"]);
  }
});

describe("a file in the wrong place", () => {
  it("of another session that has its own: put aside, and the one that it stands for is lost", async () => {
    const box = await checkpointed();
    cpSync(box.entryFile("a"), box.entryFile(KEY));
    const report = await diagnosed(box);
    expect(codes(report)).toEqual(["entry_misplaced", "entry_missing"]);
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, OTHERS);
  });

  it("two that were swapped both go back", async () => {
    const box = await checkpointed();
    renameSync(box.folderOf("a"), box.at("moved"));
    renameSync(box.folderOf("z"), box.folderOf("a"));
    renameSync(box.at("moved"), box.folderOf("z"));
    const report = await diagnosed(box);
    expect(report.findings.filter(({ code }) => code === "entry_misplaced")).toHaveLength(2);
    expect((await cured(box)).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHERS, [KEY]: ENTRY });
  });

  it("a folder that was renamed: the file goes back where it belongs", async () => {
    const box = await checkpointed();
    renameSync(box.folderOf(KEY), box.at("what somebody called it"));
    const report = await diagnosed(box);
    expect(found(report, "entry_misplaced")).toMatchObject({ key: KEY, severity: "repairable" });
    expect((await cured(box)).verdict).toBe("repaired");
    await expectSessions(box, { ...OTHERS, [KEY]: ENTRY });
  });

  it("an older version that was put back is named, and put aside", async () => {
    const { box } = holder;
    await box.filled({ ...OTHERS, [KEY]: { version: 1 } });
    const old = readFileSync(box.entryFile(KEY));
    await box.filled({ [KEY]: { version: 2 } });
    const good = readFileSync(box.entryFile(KEY));
    mkdirSync(box.outside("backup", box.folderOf(KEY).slice(box.path.length)), { recursive: true });
    writeFileSync(box.outside("backup", box.folderOf(KEY).slice(box.path.length), "meta.json"), good);
    writeFileSync(box.entryFile(KEY), old);
    const report = await diagnosed(box);
    expect(found(report, "entry_stale")).toMatchObject({ key: KEY, severity: "lost" });
    const restored = await cured(box, { backups: [box.outside("backup")] });
    expect(restored.verdict).toBe("repaired");
    expect(readFileSync(box.entryFile(KEY)).equals(good)).toBe(true);
    writeFileSync(box.entryFile(KEY), old);
    expect((await cured(box)).verdict).toBe("lost");
    await expectSessions(box, OTHERS);
  });

  it("a link is put aside, and what it leads to stays as it is", async () => {
    const box = await checkpointed();
    mkdirSync(box.outside(), { recursive: true, mode: 0o700 });
    writeFileSync(box.outside("theirs"), "theirs");
    rmSync(box.entryFile(KEY));
    symlinkSync(box.outside("theirs"), box.entryFile(KEY));
    expect(codes(await diagnosed(box))).toEqual(["entry_unsafe"]);
    await cured(box);
    expect(readFileSync(box.outside("theirs"), "utf8")).toBe("theirs");
    await expectSessions(box, OTHERS);
  });
});

describe("an old file of a session in the folder of another one", () => {
  it("does not take the place of what its session has", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put(KEY, { n: 1 });
    await store.put("z", { n: 9 });
    await store.checkpoint();
    const old = readFileSync(box.entryFile(KEY));
    await store.put(KEY, { n: 2 });
    await store.checkpoint();
    await box.close();
    writeFileSync(box.entryFile("z"), old);
    const { actions } = await cured(box);
    const done = actions.filter(({ key }) => key === KEY).map((action) => action.done);
    expect(done).toEqual(["it was put aside: its session has its own file"]);
    await expectSessions(box, { [KEY]: { n: 2 } });
  });
});

describe("a file that is gone", () => {
  it("is named by the catalog, and given up only by a fix; its transcripts stay", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const [key, entry] of Object.entries({ ...OTHERS, [KEY]: ENTRY })) await store.put(key, entry);
    await store.append(KEY, [{ text: "one" }, { text: "two" }]);
    await store.checkpoint();
    await box.close();
    rmSync(box.entryFile(KEY));
    const report = await diagnosed(box);
    expect(found(report, "entry_missing")).toMatchObject({
      key: KEY,
      severity: "lost",
      path: box.entryFile(KEY),
    });
    expect((await examine(box, { fix: true })).verdict).toBe("lost"); // beside others nothing is given up
    expect(codes(await diagnosed(box))).toEqual(["entry_missing"]);
    await cured(box);
    await expectSessions(box, OTHERS);
    const { items } = await (await box.open()).readItems(KEY);
    expect(items.map(({ item }) => item)).toEqual([{ text: "one" }, { text: "two" }]);
  });

  it("is no finding while the log has the session", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put(KEY, ENTRY);
    await store.checkpoint();
    await store.delete(KEY);
    await store.put("a", OTHERS["a"]!);
    expect(await diagnosed(box)).toMatchObject({ verdict: "healthy", findings: [] });
    expect(existsSync(box.entryFile("a"))).toBe(false);
  });
});

describe("a file that neither the log nor the catalog knows", () => {
  it.each(["a store that was checkpointed", "a new store"])(
    "in %s: named, and listed again",
    async (which) => {
      const { box } = holder;
      if (which === "a new store") await (await box.open()).close();
      else await box.filled(OTHERS);
      box.writeEntry(box.entryFile("back"), "back", 3, { n: 1 });
      chmodSync(box.entryFile("back"), 0o600);
      const report = await diagnosed(box);
      expect(found(report, "entry_unlisted")).toMatchObject({ key: "back", severity: "repairable" });
      expect((await cured(box)).verdict).toBe("repaired");
      await expectSessions(box, { ...(which === "a new store" ? {} : OTHERS), back: { n: 1 } });
    },
  );
});
