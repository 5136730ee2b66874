/**
 * Goal: a shared value that is missing, damaged or exchanged is an error where it is touched and nowhere else, never
 * another value; putting the same content again mends it (fault 25).
 * Method: the blob files of checkpointed sessions are damaged, and fresh stores, whose caches are empty, read them.
 */
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { BIG, codeOf, failureOf, useSandbox, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

async function shared(): Promise<{ box: Sandbox; blob: string; other: string }> {
  const { box } = holder;
  await box.filled({ x: { updatedAt: 9, big: `other ${BIG}` } });
  const [other] = box.blobs();
  await box.filled({ a: { updatedAt: 1, big: BIG }, b: { updatedAt: 2, big: BIG }, plain: { updatedAt: 3 } });
  const blob = box.blobs().find((path) => path !== other);
  expect(box.blobs()).toHaveLength(2);
  return { box, blob: blob!, other: other! };
}

const DAMAGES: Record<string, { code: string; damage: (blob: string, other: string) => void }> = {
  missing: { code: "blob_missing", damage: (blob) => rmSync(blob) },
  "missing with its folder": {
    code: "blob_missing",
    damage: (blob) => rmSync(dirname(blob), { recursive: true }),
  },
  empty: { code: "blob_corrupt", damage: (blob) => truncateSync(blob, 0) },
  truncated: { code: "blob_corrupt", damage: (blob) => truncateSync(blob, 100) },
  zeroed: {
    code: "blob_corrupt",
    damage: (blob) => writeFileSync(blob, Buffer.alloc(readFileSync(blob).length)),
  },
  "one flipped bit": {
    code: "blob_corrupt",
    damage: (blob) => {
      const bytes = readFileSync(blob);
      bytes[50] = bytes[50]! ^ 1;
      writeFileSync(blob, bytes);
    },
  },
  "a byte too many": {
    code: "blob_corrupt",
    damage: (blob) => writeFileSync(blob, `${readFileSync(blob, "utf8")}\n`),
  },
  "another one's content": { code: "blob_corrupt", damage: (blob, other) => cpSync(other, blob) },
};

describe.each(Object.keys(DAMAGES))("%s", (name) => {
  const { code, damage } = DAMAGES[name]!;

  it("is an error where it is touched, and listings go on", async () => {
    const { box, blob, other } = await shared();
    damage(blob, other);
    const store = await box.open();
    const entry = await store.get("a");
    expect(entry?.["updatedAt"]).toBe(1);
    const error = await failureOf(() => entry?.["big"]);
    expect(error.code).toBe(code);
    expect(error.message).toContain(basename(blob, ".json"));
    expect(error.data["hash"]).toBe(basename(blob, ".json"));
    expect(await codeOf(() => JSON.stringify(entry))).toBe(code);
    expect((await store.get("x"))?.["big"]).toBe(`other ${BIG}`);
    expect((await store.list({ orderBy: "updatedAt" })).sessions.map(({ key }) => key)).toEqual([
      "a",
      "b",
      "plain",
      "x",
    ]);
    await store.patch("b", { updatedAt: 5 });
    await store.checkpoint();
    expect((await store.stats()).sessions).toBe(4);
    expect(await codeOf(async () => (await store.get("b"))?.["big"])).toBe(code);
  });

  it("is healed for all by a put of the same content", async () => {
    const { box, blob, other } = await shared();
    const good = readFileSync(blob);
    damage(blob, other);
    const store = await box.open();
    await store.put("c", { big: BIG });
    expect(readFileSync(blob).equals(good)).toBe(true);
    expect((await store.get("a"))?.["big"]).toBe(BIG);
    await store.checkpoint();
    const again = await box.reopen();
    for (const key of ["a", "b", "c"]) expect((await again.get(key))?.["big"]).toBe(BIG);
    expect((await again.get("x"))?.["big"]).toBe(`other ${BIG}`);
    expect(box.blobs()).toHaveLength(2);
  });

  it("is never named by another session that was given the entry as it was", async () => {
    const { box, blob, other } = await shared();
    damage(blob, other);
    const store = await box.open();
    const entry = await store.get("a");
    expect(await codeOf(() => store.put("copy", entry!))).toBe(code);
    expect(await store.get("copy")).toBeUndefined();
  });
});

it("two blobs that were exchanged are both refused", async () => {
  const { box, blob, other } = await shared();
  renameSync(blob, `${blob}.moving`);
  renameSync(other, blob);
  renameSync(`${blob}.moving`, other);
  const store = await box.open();
  for (const key of ["a", "x"]) {
    expect(await codeOf(async () => (await store.get(key))?.["big"])).toBe("blob_corrupt");
  }
});

it("a blob that is found in the trash is read there, and the next put of it moves it back", async () => {
  const { box, blob } = await shared();
  const hash = basename(blob, ".json");
  renameSync(blob, box.at(".store", "trash", `${hash}.00ff00ff`));
  const reader = await box.open({ readOnly: true });
  expect((await reader.get("a"))?.["big"]).toBe(BIG);
  expect(readdirSync(box.at(".store", "trash"))).toHaveLength(1);
  const store = await box.open();
  expect((await store.get("a"))?.["big"]).toBe(BIG);
  await store.put("c", { big: BIG });
  expect(readdirSync(box.at(".store", "trash"))).toEqual([]);
  expect(box.blobs()).toContain(blob);
  for (let round = 0; round < 4; round++) await store.checkpoint();
  expect((await (await box.reopen()).get("a"))?.["big"]).toBe(BIG);
});

it("a damaged blob in the trash is refused, and a put mends it", async () => {
  const { box, blob } = await shared();
  const hash = basename(blob, ".json");
  rmSync(blob);
  writeFileSync(box.at(".store", "trash", `${hash}.00ff00ff`), "damage");
  const store = await box.open();
  expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("blob_corrupt");
  await store.put("c", { big: BIG });
  expect((await store.get("a"))?.["big"]).toBe(BIG);
});

describe("a value with shared parts", () => {
  it.each(["missing", "truncated"])(
    "its outer blob %s: checkpoints go on, and a put mends it",
    async (kind) => {
      const { box } = holder;
      const entry = { outer: Array.from({ length: 60 }, (_, index) => ({ index, text: `${index} ${BIG}` })) };
      await box.filled({ a: entry });
      const outer = box.blobs().find((path) => readFileSync(path, "utf8").includes('"$blob"'));
      expect(box.blobs().length).toBeGreaterThan(1);
      if (kind === "missing") rmSync(outer!);
      else truncateSync(outer!, 30);
      const store = await box.open();
      const parts = box.blobs().filter((path) => path !== outer);
      for (let round = 0; round < 3; round++) {
        await store.put("b", { round });
        await store.checkpoint();
      }
      expect(box.blobs().filter((path) => path !== outer)).toEqual(parts); // a backup may bring the outer one back
      expect(box.warned("blob_missing").length).toBeGreaterThan(0);
      expect(await codeOf(async () => (await store.get("a"))?.["outer"])).toMatch(/^blob_(missing|corrupt)$/);
      await store.put("c", entry);
      const again = await box.reopen();
      for (const key of ["a", "c"]) expect(JSON.stringify(await again.get(key))).toBe(JSON.stringify(entry));
    },
  );

  it("a cheat in a blob (a valid hash of hostile content) is refused or inert", async () => {
    const { box } = holder;
    await box.filled({ a: { big: BIG } });
    const contents = [
      "{",
      `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
      '{"__proto__":{"polluted":1},"x":1}',
    ];
    for (const [index, content] of contents.entries()) {
      const hash = createHash("sha256").update(content).digest("hex");
      const folder = box.at(".store", "blobs", hash.slice(0, 2));
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      writeFileSync(`${folder}/${hash}.json`, content);
      const reference = { $blob: `sha256:${hash}`, bytes: content.length };
      box.writeEntry(box.entryFile("a"), "a", 1, { big: reference });
      const store = await box.reopen();
      if (index < 2) {
        expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("blob_corrupt");
      } else {
        const big = (await store.get("a"))?.["big"] as Record<string, unknown>;
        expect(Object.keys(big)).toEqual(["__proto__", "x"]);
        expect(Object.getPrototypeOf(big)).toBe(Object.prototype);
      }
      expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    }
  });
});
