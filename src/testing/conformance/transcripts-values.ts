/** Conformance: what can be an item, how big it can be, and what watches tell of it. */
import { strict as assert } from "node:assert";
import type { SessionChange } from "../../store/types.js";
import { failure, integersUpTo, same, take, wrongArgument, type ConformanceEntry, type Kit } from "./kit.js";
import { valuesOf } from "./transcripts.js";

export function transcriptValueCases(kit: Kit): void {
  valueCases(kit);
  refusedCases(kit);
  limitCases(kit);
  watchCases(kit);
}

const ITEMS: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1.5,
  1e300,
  Number.MAX_SAFE_INTEGER,
  "",
  "text",
  '\u0000\u2028 \\" \ud800 ä😀',
  [],
  [[], [null], { a: [] }],
  {},
  { text: "hi", deep: { list: [1, { two: 2 }] } },
  { $item: { seq: 9 }, $value: 1, $blob: "sha256:0", $: 0, $$item: 1 },
  { $value: "only" },
  { $blob: `sha256:${"0".repeat(64)}`, bytes: 5 },
  { "": 1, "a b": 2, 'quo"te': 3, constructor: 4, toString: 5, hasOwnProperty: 6, length: 7 },
  JSON.parse('{"__proto__":{"polluted":true},"x":{"__proto__":1}}'),
  { z: 1, a: 2, 10: 3, 9: 4 },
];

function valueCases(kit: Kit): void {
  kit.case("every JSON value comes back as it was", async (store) => {
    for (const item of ITEMS) await store.append("one by one", [item]);
    await store.append("at once", ITEMS);
    for (const key of ["one by one", "at once"]) {
      const { items } = await store.readItems(key);
      for (const [index, { item }] of items.entries()) {
        assert.equal(JSON.stringify(item), JSON.stringify(ITEMS[index]));
        assert.deepEqual(item, ITEMS[index]);
      }
      assert.equal(items.length, ITEMS.length);
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  kit.case("items mean what JSON takes them to mean", async (store) => {
    const shared = { n: 1 };
    const date = new Date(0);
    const items = [date, { when: date, gone: undefined }, -0, { minus: -0 }, [shared, shared]];
    await store.append("a", [...items, { toJSON: () => ({ made: true }) }]);
    const found = valuesOf(await store.readItems("a"));
    const text = date.toISOString();
    same(found, [text, { when: text }, 0, { minus: 0 }, [{ n: 1 }, { n: 1 }], { made: true }]);
    assert.ok(Object.is(found[2], 0), "no negative zero");
  });

  kit.case("big items come back, between small ones", async (store) => {
    const big = [
      integersUpTo(3).map((n) => `${n}`.repeat(100_000)),
      { text: "ä".repeat(300_000) },
      "x".repeat(600_000),
    ];
    await store.append("a", ["small"]);
    for (const item of big) await store.append("a", [item, "small"]);
    await store.append("a", [big[0]]); // equal to an earlier one
    const found: unknown[] = [];
    for await (const { item } of store.iterateItems("a")) found.push(item);
    same(found, ["small", ...big.flatMap((item) => [item, "small"]), big[0]]);
    same(valuesOf(await store.readItems("a", { backwards: true, limit: 1 })), [big[0]]);
  });
}

function refusedCases(kit: Kit): void {
  kit.case("what JSON would make something else of is a TypeError with key and path", async (store) => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = { back: cycle };
    const holes: unknown[] = [];
    holes[2] = 1;
    class Thing {
      readonly x = 1;
    }
    for (const [item, path] of [
      [undefined, /items\[1\] /],
      [Number.NaN, /items\[1\] /],
      [{ a: { b: Infinity } }, /items\[1\]\.a\.b /],
      [[1, undefined], /items\[1\]\[1\] /],
      [{ holes }, /items\[1\]\.holes\[0\] /],
      [{ f: () => 1 }, /items\[1\]\.f /],
      [Symbol("x"), /items\[1\] /],
      [{ n: 1n }, /items\[1\]\.n /],
      [new Map(), /items\[1\] /],
      [{ thing: new Thing() }, /items\[1\]\.thing /],
      [{ when: new Date(Number.NaN) }, /items\[1\]\.when /],
      [cycle, /items\[1\]\.self\.back /],
      [{ "a b": Number.NaN }, /items\[1\]\["a b"\] /],
    ] as [unknown, RegExp][]) {
      await wrongArgument(() => store.append("key-1", ["fine", item]), path);
      await wrongArgument(() => store.append("key-1", ["fine", item]), /key-1/);
      await wrongArgument(() => store.transact((tx) => tx.append("key-1", ["fine", item])), path);
    }
    await wrongArgument(() => store.replaceSuffix("a", { from: 1, items: [1n] }, []), /expected\.items\[0\]/);
    assert.equal(await store.revision(), 0);
  });

  kit.case("what a getter shows is read once", async (store) => {
    let reads = 0;
    const item = {
      get n() {
        reads += 1;
        return reads === 1 ? 1 : Number.NaN;
      },
    };
    await store.append("a", [item]);
    same(valuesOf(await store.readItems("a")), [{ n: 1 }]);
  });
}

function limitCases(kit: Kit): void {
  kit.caseWith({ limits: { itemBytesMax: 1000 } }, "item_too_large, with its index", async (store) => {
    const fits = "x".repeat(998);
    await store.append("a", [fits, "ä".repeat(499), { x: "y".repeat(990) }]);
    for (const [item, actual] of [
      ["x".repeat(999), 1001],
      ["ä".repeat(500), 1002],
    ] as const) {
      const error = await failure(store.append("a", [1, item]), "item_too_large");
      same(error.data, { key: "a", index: 1, limit: 1000, actual });
    }
    for (const item of [integersUpTo(600), { x: integersUpTo(400) }, { ["n".repeat(999)]: 1 }]) {
      const error = await failure(store.append("a", [1, item]), "item_too_large");
      assert.ok(Number(error.data["actual"]) > 1000);
    }
    const one = "x".repeat(100);
    const endless = Array.from({ length: 10_000_000 }, () => one); // a gigabyte of JSON, if it were made
    await failure(store.append("a", [endless]), "item_too_large");
    assert.equal((await store.transcript("a"))?.length, 3);
  });

  kit.case("items nest as deep as entries may", async (store) => {
    const nested = (levels: number): unknown => integersUpTo(levels).reduce<unknown>((inner) => [inner], 1);
    await store.append("a", [nested(128)]);
    const error = await failure(store.append("a", [nested(129)]), "value_too_deep");
    same([error.data["limit"], error.data["actual"], error.data["key"]], [128, 129, "a"]);
    same(valuesOf(await store.readItems("a")), [nested(128)]);
  });
}

function watchCases(kit: Kit): void {
  const told = ({ key, kind, last, transcript }: SessionChange<ConformanceEntry>) => ({
    key,
    kind,
    last,
    transcript,
  });

  kit.case("watch tells of ranges, in commit order with the records", async (store) => {
    const changes = store.watch();
    const { revision } = await store.append("a", [1, 2]);
    await store.transact(async (tx) => {
      await tx.put("a", { n: 1 });
      await tx.append("a", [3], { transcript: "sub" });
    });
    await store.truncate("a", { length: 1 });
    await store.replaceSuffix("a", { from: 1, items: [1] }, ["x"]);
    await store.append("a", ["y"], { maxLength: 1 });
    await store.trim("a", { length: 0 });
    await store.removeTranscript("a");
    await store.delete("a");
    const seen = await take(changes, 9);
    assert.equal(seen[0]!.revision, revision);
    assert.ok(Number.isSafeInteger(seen[0]!.modifiedAt));
    const ofA = { key: "a", kind: "transcript", last: true };
    const [, record, sub] = seen;
    assert.ok(record!.revision > revision);
    assert.equal(sub!.revision, record!.revision);
    same(
      [record!.kind, record!.last, record!.record?.entry, record!.transcript],
      ["put", false, { n: 1 }, undefined],
    );
    assert.deepEqual(seen.filter((change) => change !== record).map(told), [
      { ...ofA, transcript: { name: "main", first: 1, last: 2, length: 2 } },
      { ...ofA, transcript: { name: "sub", first: 1, last: 1, length: 1 } },
      { ...ofA, transcript: { name: "main", truncatedAfter: 1, length: 1 } },
      { ...ofA, transcript: { name: "main", truncatedAfter: 0, first: 3, last: 3, length: 1 } },
      { ...ofA, transcript: { name: "main", first: 4, last: 4, length: 1 } },
      { ...ofA, transcript: { name: "main", length: 0 } },
      { ...ofA, transcript: { name: "main", removed: true, length: 0 } },
      { key: "a", kind: "delete", last: true, transcript: undefined },
    ]);
  });

  kit.case("an append of nothing new is told to nobody", async (store) => {
    await store.append("a", [1], { ids: ["1"] });
    const changes = store.watch({ since: 0 });
    await store.append("a", [1], { ids: ["1"] });
    await store.append("b", [2]);
    const seen = await take(changes, 2);
    same(
      seen.map(({ key }) => key),
      ["a", "b"],
    );
  });

  kit.case("watch brings the items when asked, without those that are gone", async (store) => {
    const changes = store.watch({ items: true });
    await store.append("a", ["x", "y"], { ids: ["1", "2"] });
    await store.append("a", ["z"]);
    await store.truncate("a", { length: 1 });
    await store.put("a", {});
    await store.append("b", ["old"]);
    await store.removeTranscript("b");
    await store.append("b", ["new"]);
    const seen = await take(changes, 7);
    const items = seen.map(({ transcript }) =>
      transcript?.items?.map(({ seq, item, id }) => [seq, item, id]),
    );
    same(items, [[[1, "x", "1"]], [], undefined, undefined, [], undefined, [[1, "new", undefined]]]);
    same(seen[1]!.transcript?.first, 3);
    await wrongArgument(() => store.watch({ items: 1 as never }), /items/);
  });

  kit.case("a watch with a prefix hears of transcripts of its keys only", async (store) => {
    const changes = store.watch({ prefix: "b" });
    await store.transact(async (tx) => {
      await tx.append("b:1", [1]);
      await tx.append("a", [1]);
    });
    await store.append("b:2", [1]);
    const seen = await take(changes, 2);
    same(
      seen.map(({ key, last }) => [key, last]),
      [
        ["b:1", true],
        ["b:2", true],
      ],
    );
  });
}
