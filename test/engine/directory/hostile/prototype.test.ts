/**
 * Goal: `__proto__`, `constructor` and `prototype` are names like any other: they come back as they were, and no
 * object of the program changes (fault 31).
 * Method: hostile names as keys and as fields, at every depth, through every way into a store: each write method, the
 * entry file, the log, the catalog, `format.json` and a shared value.
 */
import { appendFileSync, readdirSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { BIG, logLine, snapshot, useSandbox, type Entry, type Sandbox } from "../sandbox.js";

const holder = useSandbox();

const PAYLOAD = `{
  "__proto__": { "polluted": true, "__proto__": { "polluted": true } },
  "constructor": { "prototype": { "polluted": true } },
  "prototype": { "polluted": true },
  "$__proto__": 1, "$session": { "key": "other" }, "$blob": "sha256:${"0".repeat(64)}", "$$": 2,
  "toString": 1, "valueOf": 1, "hasOwnProperty": 1, "toJSON": 1, "then": 1, "length": -1,
  "list": [{ "__proto__": { "polluted": true } }, { "constructor": null }],
  "deep": { "deep": { "__proto__": { "polluted": true } } },
  "big": { "__proto__": { "polluted": true, "text": ${JSON.stringify(BIG)} } },
  "updatedAt": 3
}`;

const payload = (): Entry => JSON.parse(PAYLOAD) as Entry;
const text = JSON.stringify(payload());

afterEach(() => {
  const empty = {} as Record<string, unknown>;
  expect(empty["polluted"]).toBeUndefined();
  expect(([] as unknown as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect((() => {}) as unknown as Record<string, unknown>).not.toHaveProperty("polluted");
  for (const name in empty) throw new Error(`Object.prototype has ${name}`);
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("polluted");
});

/** Own fields only, in order, with nothing on the prototype that was not there. */
function expectSame(entry: Entry | undefined): void {
  expect(JSON.stringify(entry)).toBe(text);
  expect(Object.keys(entry!)).toEqual(Object.keys(payload()));
  expect(Object.getPrototypeOf(entry)).toBe(Object.prototype);
  expect((entry as { polluted?: unknown }).polluted).toBeUndefined();
  const { deep } = entry as { deep: { deep: object } };
  expect(Object.getPrototypeOf(deep.deep)).toBe(Object.prototype);
}

const KEYS = ["__proto__", "constructor", "prototype", "toString", "plain"];

/** From memory, from the log, from the file, and from a rebuilt catalog. */
async function expectEverywhere(box: Sandbox, keys: readonly string[]): Promise<void> {
  const store = await box.reopen();
  for (const key of keys) expectSame(await store.get(key));
  await store.checkpoint();
  const fresh = await box.reopen();
  for (const key of keys) expectSame(await fresh.get(key));
  const { sessions } = await fresh.list();
  expect(sessions.map(({ key }) => key)).toEqual(keys.toSorted());
  for (const { entry } of sessions) expectSame(entry);
  for (const name of readdirSync(box.at(".store"))) {
    if (name.startsWith("catalog-")) writeFileSync(box.at(".store", name), "");
  }
  const rebuilt = await box.reopen();
  expect((await rebuilt.list()).sessions.map(({ key }) => key)).toEqual(keys.toSorted());
}

describe("hostile names", () => {
  it("through put", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const key of KEYS) expectSame((await store.put(key, payload())).entry);
    await expectEverywhere(box, KEYS);
  });

  it("through patch", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const key of KEYS) {
      await store.put(key, {});
      expectSame((await store.patch(key, payload())).entry);
    }
    await expectEverywhere(box, KEYS);
    const again = await box.reopen();
    const removal = JSON.parse('{"__proto__":0,"constructor":0}') as Entry;
    for (const name of Object.keys(removal)) {
      Object.defineProperty(removal, name, { value: undefined, enumerable: true });
    }
    const { entry } = await again.patch("plain", removal);
    expect(Object.keys(entry)).toEqual(Object.keys(payload()).slice(2));
    expect(Object.getPrototypeOf(entry)).toBe(Object.prototype);
  });

  it("through update and transact", async () => {
    const { box } = holder;
    const store = await box.open();
    for (const key of KEYS) await store.update(key, () => payload());
    for (const key of KEYS) await store.update(key, (entry) => ({ ...entry! }));
    await store.transact(async (tx) => {
      for (const key of KEYS) {
        expectSame(await tx.get(key));
        await tx.put(key, payload());
        await tx.patch(key, payload());
        expectSame(await tx.get(key));
      }
    });
    await expectEverywhere(box, KEYS);
  });

  it("through watch", async () => {
    const { box } = holder;
    const store = await box.open();
    const changes = store.watch({ since: 0 })[Symbol.asyncIterator]();
    for (const key of KEYS) await store.put(key, payload());
    for (const key of KEYS) {
      const { value } = (await changes.next()) as { value: { key: string; record: { entry: Entry } } };
      expect(value.key).toBe(key);
      expectSame(value.record.entry);
    }
    await changes.return?.();
  });

  it("in an entry file from elsewhere", async () => {
    const { box } = holder;
    await box.filled({ plain: { updatedAt: 1 } });
    const stored = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
    ) as never;
    box.writeEntry(box.entryFile("plain"), "plain", 1, stored);
    const store = await box.open();
    const entry = await store.get("plain");
    expect(Object.keys(entry!)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(entry)).toBe(Object.prototype);
  });

  it.each([
    '{"w":"00ff","n":1,"g":1,"t":1,"ops":[{"k":"__proto__","s":{"__proto__":{"polluted":true}}}]}',
    '{"w":"00ff","n":1,"g":1,"t":1,"ops":[{"k":"a","s":{"x":1}},{"k":"__proto__","s":{"__proto__":{"polluted":true}}}]}',
    '{"w":"__proto__","n":1,"g":1,"t":1,"ops":[{"k":"__proto__","s":{"__proto__":{"polluted":true}}}]}',
  ])("in a log line: %s", async (line) => {
    const { box } = holder;
    await (await box.open()).close();
    appendFileSync(box.segment(), logLine(line));
    const store = await box.open();
    expect(await store.revision()).toBe((await store.read("__proto__"))?.revision);
    const entry = await store.get("__proto__");
    expect(Object.keys(entry!)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(entry)).toBe(Object.prototype);
  });

  it.each([
    '{"__proto__":{"w":"00ff","n":1,"g":1,"t":1,"ops":[{"k":"a","s":{}}]}}',
    '{"w":"00ff","n":1,"g":1,"t":1,"ops":[{"k":"a","s":{},"__proto__":{"polluted":true}}]}',
    '{"w":"00ff","n":1,"g":1,"t":1,"ops":[{"__proto__":{"k":"a","s":{}}}]}',
    '{"w":"00ff","n":1,"g":1,"t":1,"__proto__":[],"ops":[{"k":"a","s":{}}]}',
    '{"__proto__":{"segment":1,"firstRevision":9,"stage":"1-00","store":"x"}}',
    '{"__proto__":{"seal":2}}',
  ])("in a log line, where members belong: malformed: %s", async (line) => {
    const { box } = holder;
    await (await box.open()).close();
    appendFileSync(box.segment(), logLine(line));
    const store = await box.open();
    expect(await store.revision()).toBe(0);
    expect(box.warned("log_line_malformed")).toHaveLength(1);
  });

  it("in a catalog", async () => {
    const { box } = holder;
    await box.filled({ a: { updatedAt: 1 } });
    const names = readdirSync(box.at(".store"));
    const catalog = names.find((candidate) => /^catalog-\d+$/.test(candidate))!;
    const file = names.find((candidate) => candidate.startsWith(`${catalog}-`))!;
    const segment = Number(catalog.slice("catalog-".length));
    const name = file.slice("catalog-".length);
    const { storeId } = (await (await box.open()).stats()).directory!;
    await box.close();
    const header = logLine({ part: name, store: storeId });
    const newest = logLine({ newest: [["a", 1, 1], ["__proto__", 1, 0]] }); // prettier-ignore
    const rows =
      '{"__proto__":{"polluted":true},"rows":[["__proto__",1,0,["__proto__"]],["a",1,1]],"blobs":[]}';
    const valid = '{"rows":[["__proto__",1,0],["a",1,1]],"blobs":[],"__proto__":{"polluted":true}}';
    for (const [block, code] of [
      [rows, ["catalog_rebuilt"]],
      [valid, ["entry_corrupt"]], // a session like any other, and its file is missing
    ] as const) {
      const rowsLine = logLine(block);
      const index = logLine({ index: [["__proto__", header.length]], end: name });
      const bytes = Buffer.concat([header, rowsLine, newest, index]);
      writeFileSync(box.at(".store", file), bytes);
      const part = {
        name,
        rows: 2,
        deleted: 0,
        bytes: bytes.length,
        newest: header.length + rowsLine.length,
        index: bytes.length - index.length,
      };
      const manifest = {
        catalog: segment,
        store: storeId,
        revision: 1,
        next: 2,
        incomplete: false,
        parts: [part],
      };
      writeFileSync(box.at(".store", catalog), logLine(manifest));
      const store = await box.reopen();
      expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
      expect(box.warnings.map((warning) => warning.code)).toEqual(code);
    }
  });

  it("in a query, in options and in limits: unknown names, or nothing", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", {});
    const hostile = JSON.parse('{"__proto__":{"limit":1},"prefix":"a"}') as { prefix: string };
    await expect(store.list(hostile)).rejects.toBeInstanceOf(TypeError);
    await expect(box.open(JSON.parse('{"__proto__":{"readOnly":true}}') as object)).rejects.toBeInstanceOf(
      TypeError,
    );
    expect(Object.keys(snapshot(box.path))).toContain(box.segment());
  });
});
