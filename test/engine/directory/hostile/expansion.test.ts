/**
 * Goal: shared values in shared values cannot make a few kilobytes stand for more than memory holds (fault 26): the first touch
 * is a typed error with key and limit, at once, and the session has its way out.
 * Method: values that refer to each other many times over are written into a store by hand; every door reads them.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { expect, it } from "vitest";
import { BIG, codeOf, failureOf, useSandbox, type Entry, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

interface Reference {
  readonly $blob: string;
  readonly bytes: number;
  readonly nested?: 1;
}

/** Puts a shared value into its place. */
function writeBlob(box: Sandbox, content: unknown): { hash: string; bytes: number } {
  const bytes = Buffer.from(JSON.stringify(content));
  const hash = createHash("sha256").update(bytes).digest("hex");
  const path = box.at(".store", "blobs", hash.slice(0, 2), `${hash}.json`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, bytes, { mode: 0o600 });
  return { hash, bytes: bytes.length };
}

function referTo({ hash, bytes }: { hash: string; bytes: number }, nested: boolean): Reference {
  return { $blob: `sha256:${hash}`, bytes, ...(nested && { nested: 1 as const }) };
}

/** A chain of values, each of which has the next one so many times. */
function chain(box: Sandbox, links: number, times: number, mark: boolean): Reference {
  let reference = referTo(writeBlob(box, "x".repeat(5000)), false);
  for (let link = 0; link < links; link++) {
    const content = { link, again: Array.from({ length: times }, () => reference) };
    reference = referTo(writeBlob(box, content), mark);
  }
  return reference;
}

async function withEntry(stored: (box: Sandbox) => object): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({ bomb: { updatedAt: 1 }, fine: { big: BIG } });
  box.writeEntry(box.entryFile("bomb"), "bomb", box.revisionOf("bomb"), stored(box) as never);
  return box;
}

it.each([
  ["thirty links of two", 30, 2],
  ["six links of a hundred", 6, 100],
])("%s: the first touch is entry_too_large, and nothing else is lost", async (_, links, times) => {
  const box = await withEntry((box) => ({ small: 7, bomb: chain(box, links, times, true) }));
  const store = await box.open();
  const entry = (await store.get("bomb"))!;
  expect(entry["small"]).toBe(7);
  const error = await failureOf(() => JSON.stringify(entry));
  expect(error).toMatchObject({ code: "entry_too_large", data: { key: "bomb", limit: 256 * 1024 ** 2 } });
  expect(error.message).toMatch(/"bomb".*268435456.*(put|Put).*delete/);
  const { sessions } = await store.list();
  expect(await codeOf(() => JSON.stringify(sessions))).toBe("entry_too_large");
  expect(await codeOf(() => structuredClone({ ...entry }))).toBe("entry_too_large");
  expect(await codeOf(() => store.put("copy", { ...entry }))).toBe("entry_too_large");
  expect((await store.get("fine"))?.["big"]).toBe(BIG);
  // It can be replaced and deleted.
  await store.put("bomb", { small: 9 });
  expect(JSON.stringify(await store.get("bomb"))).toBe('{"small":9}');
  expect(await store.delete("bomb")).toBe(true);
});

it("links that do not say that they have further ones are damaged", async () => {
  const box = await withEntry((box) => ({ bomb: chain(box, 30, 2, false) }));
  const store = await box.open();
  const entry = await store.get("bomb");
  expect(await codeOf(() => JSON.stringify(entry))).toBe("blob_corrupt");
});

it("one value very many times over is too large as well", async () => {
  const box = await withEntry((box) => {
    const big = referTo(writeBlob(box, "y".repeat(1024 ** 2)), false);
    return { list: Array.from({ length: 300 }, () => big) };
  });
  const store = await box.open();
  const entry = (await store.get("bomb")) as { list: string[] };
  expect(await codeOf(() => JSON.stringify(entry))).toBe("entry_too_large");
});

it("a chain that goes on and on ends, too", async () => {
  const box = await withEntry((box) => ({ bomb: chain(box, 2000, 1, true) }));
  const store = await box.open();
  const entry = await store.get("bomb");
  expect(await codeOf(() => JSON.stringify(entry))).toBe("entry_too_large");
});

it("what a store writes itself is read, however it was put together", async () => {
  const { box } = holder;
  const list = Array.from({ length: 100 }, (_, n) => ({ text: `${n} `.repeat(2000) }));
  await box.filled({ a: { list, again: [list, { list }] } });
  const store = await box.open();
  expect(await store.get("a")).toEqual({ list, again: [list, { list }] });
});

it("the limit of entries counts what is shared as often as it occurs, also after it was read back", async () => {
  const { box } = holder;
  await box.filled({ a: { twice: wrapped(BIG) } });
  let store = await box.open({ limits: { entryBytesMax: 200_000 } });
  const codes: string[] = [];
  for (let doubled = 0; doubled < 8 && codes.length === 0; doubled++) {
    const { twice } = (await store.get("a")) as { twice: Entry };
    await store
      .put("a", { twice: wrapped(twice) })
      .catch((error: { code: string }) => codes.push(error.code));
    store = await box.reopen({ limits: { entryBytesMax: 200_000 } });
  }
  expect(codes).toEqual(["entry_too_large"]);
});

/** Large enough to be a shared value of its own that refers to others. */
function wrapped(value: unknown): Entry {
  return { filler: Array.from({ length: 1500 }, (_, n) => n), one: value, other: value };
}
