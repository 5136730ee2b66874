/**
 * Goal: however the log ends (torn, in garbage, in zeros, in a line that is longer than any may be), what was committed in front
 * stands or is in doubt by name, the next commit goes behind, and revisions never go back (fault 21).
 * Method: the segment of a small store is cut, prolonged and filled up; fresh stores open it.
 */
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox } from "../sandbox.js";
import { lines, logged, record, revisionAt, writtenBeforeBoot } from "./logged.js";

const holder = useSandbox();

describe("the end of the log", () => {
  it("torn at each byte: earlier commits stand, the next one goes behind", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const whole = readFileSync(path);
    const lastLine = Buffer.byteLength(`${lines(path).at(-1)}\n`);
    const [inFront, last] = [revisionAt(path, 2), revisionAt(path, 3)];
    const step = 7; // every cut is a reopening; neighbours differ in nothing
    for (let cut = 1; cut <= lastLine; cut += cut < 12 ? 1 : step) {
      writeFileSync(path, whole.subarray(0, whole.length - cut));
      rmSync(`${box.path}/.store/durable`, { force: true });
      const store = await box.reopen();
      expect(await store.get("a"), `cut by ${cut}`).toEqual({ version: 1 });
      expect(await store.get("b")).toEqual({ version: 1 });
      expect(await store.revision()).toBe(inFront);
      const { revision } = await store.put("c", { cut });
      // Glued to what is there. A line that lacks its newline only counts as soon as another one is.
      expect(revision).toBe(last + lastLine - cut);
      expect(await store.get("a")).toEqual({ version: cut === 1 ? 2 : 1 });
      await box.close();
      for (const key of ["a", "b", "c"]) rmSync(box.folderOf(key), { recursive: true, force: true });
      const again = await box.reopen();
      expect(await again.get("c")).toEqual({ cut });
      expect(await again.revision()).toBe(revision);
      expect(box.warnings.filter(({ code }) => code.startsWith("log_"))).toEqual([]);
    }
  });

  it("garbage without an end does not hide what comes behind it", async () => {
    const box = await logged(holder.box);
    appendFileSync(box.segment(), "\u0001garbage");
    const last = revisionAt(box.segment(), 3);
    const store = await box.open();
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBeGreaterThan(last);
    expect(box.segments()).toHaveLength(2); // nothing but a seal is written behind it
    expect(box.warned("log_gap")).toHaveLength(1);
    const again = await box.reopen();
    expect(await again.get("c")).toEqual({ version: 1 });
    expect((await again.list()).sessions).toHaveLength(3);
    expect(await codeOf(() => again.update("a", () => ({})))).toBe("log_damaged");
  });

  it("zeros that nobody can tell from damage put in doubt what is in front of them", async () => {
    const box = await logged(holder.box);
    appendFileSync(box.segment(), Buffer.alloc(4096));
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    await store.put("c", { version: 1 });
    expect(await store.get("a")).toEqual({ version: 2 });
    expect(await codeOf(() => store.update("a", () => ({})))).toBe("log_damaged");
    expect(box.warned("log_gap")).toHaveLength(1);
    expect(await (await box.reopen({ soleProcess: true })).update("a", () => ({ version: 3 }))).toBeDefined();
  });

  it("zeros, as a power cut leaves them, end the segment and nothing else", async () => {
    const box = await logged(holder.box);
    const last = revisionAt(box.segment(), 3);
    appendFileSync(box.segment(), Buffer.alloc(4096));
    writtenBeforeBoot(box.segment());
    const store = await box.open();
    expect(await store.revision()).toBe(last);
    expect(await store.update("a", (entry) => ({ ...entry, more: 1 }))).toMatchObject({
      entry: { version: 2, more: 1 },
    });
    expect((await store.put("c", { version: 1 })).revision).toBeGreaterThan(last);
    expect(box.segments()).toHaveLength(2);
    const again = await box.reopen();
    expect((await again.list()).sessions.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
  });
});

describe("a line without end", () => {
  it("of more than 16 MiB cannot be read, and what comes behind it goes into the next segment", async () => {
    const box = await logged(holder.box);
    const path = box.segment();
    const last = revisionAt(path, 3);
    const huge = logLine(record(1, [{ k: "b", s: { text: "x".repeat(17 * 1024 * 1024) } }]));
    appendFileSync(path, huge);
    const store = await box.open();
    expect(await store.get("b")).toEqual({ version: 1 });
    expect(await store.revision()).toBe(last);
    const { revision } = await store.put("c", {});
    expect(revision).toBeGreaterThan(last + huge.length);
    expect(box.warned("log_gap")).toHaveLength(1);
    expect(await (await box.reopen()).revision()).toBe(revision);
  });

  it("is refused before it is written", async () => {
    const { box } = holder;
    const store = await box.open();
    const error = await failureOf(() =>
      store.transact(async (tx) => {
        for (let key = 0; key < 40; key++) {
          const fields = Array.from({ length: 150 }, (_, index) => [`f${index}`, "x".repeat(4000)] as const);
          await tx.put(`k${key}`, Object.fromEntries(fields));
        }
      }),
    );
    expect(error.code).toBe("record_too_large");
    expect(await store.revision()).toBe(0);
  });

  // Slow: each opening reads all of them. They are more than memory may grow by, which is what shows that they are not kept.
  it("of 256 MiB of zeros costs neither memory nor the sessions", async () => {
    const box = await logged(holder.box);
    const fd = openSync(box.segment(), "r+");
    ftruncateSync(fd, 256 * 1024 ** 2);
    closeSync(fd);
    writtenBeforeBoot(box.segment());
    const before = process.resourceUsage().maxRSS;
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 2 });
    const { revision } = await store.put("c", { version: 1 });
    expect(revision).toBeGreaterThan((await store.read("a"))!.revision);
    expect((process.resourceUsage().maxRSS - before) * 1024).toBeLessThan(200 * 1024 ** 2);
    const again = await box.reopen();
    expect((await again.list()).sessions).toHaveLength(3);
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect((await again.list()).sessions).toHaveLength(3);
  });
});
