/**
 * Goal: `format.json` decides whether a folder is opened at all; nothing is guessed and nothing made over it
 * (fault 22).
 * Method: the file of a store with one session is damaged in every way, and opened for reading and for writing.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { failureOf, snapshot, useSandbox } from "../sandbox.js";

const holder = useSandbox();

const good = { kind: "sessiondir", format: 2, storeId: "0123456789abcdef", createdAt: 1 };

const REFUSED: Record<string, [content: string | Buffer | undefined, code: string]> = {
  missing: [undefined, "format_damaged"],
  empty: ["", "format_damaged"],
  zeroed: [Buffer.alloc(100), "format_damaged"],
  garbage: ["\u0001\u0002", "format_damaged"],
  "cut short": ['{"kind":"sessiondir","form', "format_damaged"],
  "an array": ["[]", "format_damaged"],
  null: ["null", "format_damaged"],
  "a number": ["1", "format_damaged"],
  "a byte order mark": [`\ufeff${JSON.stringify(good)}`, "format_damaged"],
  "of another kind": [JSON.stringify({ ...good, kind: "other" }), "format_damaged"],
  "without kind": [JSON.stringify({ ...good, kind: undefined }), "format_damaged"],
  "without format": [JSON.stringify({ ...good, format: undefined }), "format_damaged"],
  "a format as text": [JSON.stringify({ ...good, format: "2" }), "format_damaged"],
  "without storeId": [JSON.stringify({ ...good, storeId: undefined }), "format_damaged"],
  "an empty storeId": [JSON.stringify({ ...good, storeId: "" }), "format_damaged"],
  "members in the prototype only": [
    '{"__proto__":{"kind":"sessiondir","format":2,"storeId":"x"}}',
    "format_damaged",
  ],
  "a newer major version": [JSON.stringify({ ...good, format: 3 }), "format_unsupported"],
  "the major version before this one": [JSON.stringify({ ...good, format: 1 }), "format_unsupported"],
  "a major version from before the first": [JSON.stringify({ ...good, format: 0 }), "format_unsupported"],
  "of 1 MiB": [JSON.stringify({ ...good, padding: "x".repeat(1024 ** 2) }), "file_unsafe"],
};

it.each(Object.keys(REFUSED))("%s: refused, and nothing is touched", async (name) => {
  const { box } = holder;
  await box.filled({ a: { version: 1 } });
  const path = box.at(".store", "format.json");
  const [content, code] = REFUSED[name]!;
  if (content === undefined) rmSync(path);
  else writeFileSync(path, content);
  const before = snapshot(box.path);
  for (const readOnly of [true, false]) {
    const error = await failureOf(() => box.open({ readOnly }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(box.path);
  }
  expect(snapshot(box.path)).toEqual(before);
});

it("says which versions there are and what to do", async () => {
  const { box } = holder;
  await box.filled({});
  writeFileSync(box.at(".store", "format.json"), JSON.stringify({ ...good, format: 7 }));
  const error = await failureOf(() => box.open());
  expect(error.data).toMatchObject({ found: 7, supported: 2 });
  expect(error.message).toMatch(/Update/);
});

it("a newer minor version works, with one warning", async () => {
  const { box } = holder;
  await box.filled({ a: { version: 1 } });
  const path = box.at(".store", "format.json");
  const own = JSON.parse(readFileSync(path, "utf8")) as object;
  writeFileSync(path, JSON.stringify({ ...own, minor: 3, invention: { of: "then" } }));
  const store = await box.open();
  expect(box.warned("format_newer_minor")).toHaveLength(1);
  expect(box.warnings[0]?.data).toMatchObject({ minor: 3, path: box.path });
  expect(await store.get("a")).toEqual({ version: 1 });
  await store.put("a", { version: 2 });
  await store.checkpoint();
  expect(await (await box.reopen()).get("a")).toEqual({ version: 2 });
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ minor: 3, invention: { of: "then" } });
});

it("of another store: its log is foreign", async () => {
  const { box } = holder;
  await box.filled({ a: {} });
  writeFileSync(box.at(".store", "format.json"), JSON.stringify(good));
  expect((await failureOf(() => box.open())).code).toBe("log_foreign");
});
