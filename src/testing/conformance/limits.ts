/** Conformance: limits. Each has a code of its own, says both numbers, and leaves everything as it was. */
import { strict as assert } from "node:assert";
import type { Limits } from "../../format/limits.js";
import {
  failure,
  integersUpTo,
  same,
  type ConformanceEntry,
  type ConformanceLimit,
  type Kit,
} from "./kit.js";

interface LimitCase {
  readonly code: ConformanceLimit;
  readonly limits: Partial<Limits>;
  readonly limit: number;
  readonly fits: ConformanceEntry;
  readonly exceeds: ConformanceEntry;
}

const CASES: readonly LimitCase[] = [
  {
    code: "entry_too_large",
    limits: { entryBytesMax: 20_000 },
    limit: 20_000,
    fits: { text: "x".repeat(19_000) },
    exceeds: { text: "x".repeat(10_000), more: "y".repeat(10_001) },
  },
  {
    code: "record_too_large",
    limits: { recordBytesMax: 20_000 },
    limit: 20_000,
    fits: { text: "x".repeat(50_000), ...manyFields(100) },
    exceeds: manyFields(1000),
  },
  {
    code: "blob_too_large",
    limits: { blobBytesMax: 20_000 },
    limit: 20_000,
    fits: { text: "x".repeat(19_000), more: "y".repeat(19_000) },
    exceeds: { text: "x".repeat(20_001) },
  },
  {
    code: "value_too_deep",
    limits: { depthMax: 10 },
    limit: 10,
    fits: nested(8),
    exceeds: nested(12),
  },
];

export function limitCases(kit: Kit): void {
  for (const { code, limits, limit, fits, exceeds } of CASES) {
    if (!kit.capabilities.limits.includes(code)) continue;

    kit.caseWith({ limits }, `${code} on every way in`, async (store) => {
      const before = await store.put("a", { small: true });
      for (const write of [
        () => store.put("a", exceeds),
        () => store.put("b", exceeds),
        () => store.patch("a", exceeds),
        () => store.update("a", () => exceeds),
        () => store.update("b", async () => exceeds),
        () => store.transact((tx) => tx.put("a", exceeds)),
      ]) {
        const error = await failure(write(), code);
        assert.equal(error.data["limit"], limit);
        const { actual } = error.data;
        assert.ok(actual === undefined || (typeof actual === "number" && actual > limit));
      }
      assert.deepEqual(await store.read("a"), before);
      assert.equal(await store.get("b"), undefined);
      assert.equal(await store.revision(), before.revision);
    });

    kit.caseWith({ limits }, `${code}: what fits is taken`, async (store) => {
      await store.put("a", fits);
      same(await store.get("a"), fits);
    });

    kit.caseWith({ limits }, `${code}: one too large spoils the whole transaction`, async (store) => {
      const failed = store.transact(async (tx) => {
        await tx.put("fine", {});
        await tx.put("a", exceeds);
      });
      await failure(failed, code);
      assert.equal(await store.count(), 0);
    });
  }

  if (kit.capabilities.limits.includes("value_too_deep")) {
    kit.case("127 levels are taken by default, 1000 and 100,000 are not", async (store) => {
      await store.put("a", nested(127));
      same(await store.get("a"), nested(127));
      await failure(store.put("a", nested(1000)), "value_too_deep");
      await failure(store.put("a", nested(100_000)), "value_too_deep");
    });
  }

  if (kit.capabilities.limits.includes("entry_too_large")) {
    kit.caseWith(
      { limits: { entryBytesMax: 1000 } },
      "patches cannot grow an entry beyond it",
      async (store) => {
        await store.put("a", { one: "x".repeat(600) });
        await failure(store.patch("a", { two: "y".repeat(600) }), "entry_too_large");
        same(await store.get("a"), { one: "x".repeat(600) });
        await store.patch("a", { one: undefined, two: "y".repeat(600) });
        same(await store.get("a"), { two: "y".repeat(600) });
      },
    );

    kit.caseWith(
      { limits: { entryBytesMax: 1000 } },
      "the limit counts bytes, not characters",
      async (store) => {
        await failure(store.put("a", { text: "\u00e9".repeat(600) }), "entry_too_large");
        await store.put("a", { text: "e".repeat(600) });
      },
    );
  }
}

function manyFields(count: number): ConformanceEntry {
  return Object.fromEntries(integersUpTo(count).map((n) => [`field${n}`, `value number ${n} of many`]));
}

/** An entry of `depth` objects inside each other, itself included. */
function nested(levels: number): ConformanceEntry {
  let value: ConformanceEntry = {};
  for (let level = 1; level < levels; level++) value = { in: value };
  return value;
}
