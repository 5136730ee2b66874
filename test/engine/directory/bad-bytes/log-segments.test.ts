/**
 * Goal: whichever segments are missing, or there twice, every process reads the same from the rest: nothing that is whole is
 * thrown away, revisions never go back, and no second history begins (fault 21).
 * Method: the segment files of a small store are removed, brought back and copied; fresh stores open them.
 */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, it } from "vitest";
import { codeOf, failureOf, logLine, useSandbox, type Sandbox } from "../sandbox.js";
import { logged } from "./logged.js";

const holder = useSandbox();

describe("segments that are missing", () => {
  /** Segments 1, 2 and 3, each with one session of its own; nothing was checkpointed. */
  async function threeSegments(): Promise<Sandbox> {
    const { box } = holder;
    const store = await box.open();
    for (let number = 1; number <= 3; number++) {
      await store.put(`s${number}`, { number });
      if (number < 3) appendFileSync(box.segment(), logLine({ seal: number + 1 }));
    }
    expect(box.segments()).toHaveLength(3);
    await store.close();
    for (let number = 1; number <= 3; number++) {
      rmSync(box.folderOf(`s${number}`), { recursive: true, force: true });
    }
    return box;
  }

  it("none is: everything is there", async () => {
    const box = await threeSegments();
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["s1", "s2", "s3"]);
    await store.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect((await (await box.reopen()).list()).sessions).toHaveLength(3);
  });

  it("in the middle: what lies below the gap counts for nothing, but is kept aside", async () => {
    const box = await threeSegments();
    const [first, second] = [box.segment(0), box.segment(1)];
    const content = readFileSync(first);
    rmSync(second);
    const store = await box.open();
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["s3"]);
    const { revision } = (await store.read("s3"))!;
    expect(await store.revision()).toBe(revision);
    expect((await store.put("s4", {})).revision).toBeGreaterThan(revision);
    expect(box.warned("catalog_rebuilt")).toHaveLength(1);
    await store.checkpoint();
    expect(existsSync(first)).toBe(false);
    expect(box.warned("segment_garbage")).toHaveLength(1);
    const [kept] = readdirSync(box.at(".store", "quarantine"));
    expect(readFileSync(box.at(".store", "quarantine", kept!)).equals(content)).toBe(true);
    expect((await (await box.reopen()).list()).sessions.map(({ key }) => key)).toEqual(["s3", "s4"]);
  });

  it("below: an old segment that a power cut brought back is removed, and changes nothing", async () => {
    const box = await threeSegments();
    const old = readFileSync(box.segment(0));
    const store = await box.open();
    await store.checkpoint();
    await store.put("s1", { number: "newer" });
    await store.checkpoint();
    await box.close();
    writeFileSync(box.at(".store", "log", "00000001.jsonl"), old, { mode: 0o600 });
    const again = await box.reopen();
    expect(await again.get("s1")).toEqual({ number: "newer" });
    expect(await again.count()).toBe(3);
    await again.put("s5", {});
    await again.checkpoint();
    expect(box.warned("segment_garbage")).toHaveLength(1);
    expect(box.segments()).toHaveLength(1);
    expect(readdirSync(box.at(".store", "quarantine"))).toEqual([]);
    expect(await (await box.reopen()).get("s1")).toEqual({ number: "newer" });
  });

  it("all of them, beside sessions: a new log begins above everything that is known", async () => {
    const { box } = holder;
    const store = await box.open();
    for (let version = 1; version <= 5; version++) await store.put("a", { version });
    await store.put("b", { version: 1 });
    await store.delete("b");
    await store.checkpoint();
    const last = await store.revision();
    await box.close();
    for (const name of box.segments()) rmSync(box.at(".store", "log", name));

    expect(await codeOf(() => box.open({ readOnly: true }))).toBe("log_damaged");
    const again = await box.open();
    expect(box.warned("log_replaced")).toHaveLength(1);
    expect(box.warned("log_replaced")[0]?.message).toContain(String(last + 1));
    expect(await again.revision()).toBe(last);
    expect(await again.get("a")).toEqual({ version: 5 });
    expect(await again.get("b")).toBeUndefined();
    expect((await again.put("a", { version: 6 })).revision).toBeGreaterThan(last);
    expect((await again.list()).sessions).toHaveLength(1);
    await again.checkpoint();
    expect(await (await box.reopen()).get("a")).toEqual({ version: 6 });
  });

  it("all of them, and damaged files as well: the damaged ones do not count, the others are kept", async () => {
    const { box } = holder;
    await box.filled({ a: { version: 1 }, b: { version: 1 } });
    const last = box.revisionOf("b");
    writeFileSync(box.entryFile("b"), "damage");
    rmSync(box.at(".store", "log"), { recursive: true });
    const store = await box.open();
    expect(await store.get("a")).toEqual({ version: 1 });
    expect(await codeOf(() => store.get("b"))).toBe("entry_corrupt");
    expect((await store.put("b", { version: 2 })).revision).toBeGreaterThan(last);
  });

  it("while a store is in use: it notices, and starts no second history", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", { version: 1 });
    rmSync(box.segment());
    // Its descriptor still has the log; the name is missed as soon as the segment is to be followed by another.
    expect(await store.get("a")).toEqual({ version: 1 });
    expect(await codeOf(() => store.checkpoint())).toBe("log_damaged");
    expect(box.segments()).toEqual([]);
  });
});

it("a copy of a segment under the next number: the store does not open, for nothing says where that begins; nothing is lost", async () => {
  const box = await logged(holder.box);
  const copy = box.segment().replace("00000001", "00000002");
  copyFileSync(box.segment(), copy);
  const before = readFileSync(copy);
  for (const options of [{ readOnly: true }, {}, { soleProcess: true }]) {
    const error = await failureOf(() => box.open(options));
    expect(error).toMatchObject({ code: "log_damaged", data: { path: copy, segment: 2 } });
  }
  for (const path of [box.segment(0), copy]) expect(readFileSync(path).equals(before)).toBe(true);
  rmSync(copy);
  const store = await box.open();
  expect((await store.list()).sessions.map(({ key, entry }) => [key, entry])).toEqual([
    ["a", { version: 2 }],
    ["b", { version: 1 }],
  ]);
  await store.update("a", () => ({ version: 3 }));
});
