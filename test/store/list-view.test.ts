/**
 * Goal: however many changes a transaction makes to a transcript, inside and after it everything is as if they had been made one after
 * the other.
 * Method: random changes of a random transcript, in one transaction of one store and one by one on another; the answers, what is read
 * between them and what is there in the end are compared. Numbers of items that were appended and truncated in the
 * transaction are used again, as documented: so items are compared, and numbers by their order. And ids of items that it trims count
 * until its end: so changes have ids, or they trim. One that is made in it and emptied again does not come to be: it has no items either way.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createMemoryEngine } from "../../src/engine/memory/memory-engine.js";
import { createSessionStore } from "../../src/store/session-store.js";
import type { TransactionTranscripts } from "../../src/store/transcript-types.js";

type Step =
  | { readonly do: "append"; readonly ids: readonly number[]; readonly maxLength: number }
  | { readonly do: "truncate" | "trim"; readonly length: number }
  | { readonly do: "cut" | "drop"; readonly place: number }
  | { readonly do: "remove" };

const small = fc.nat({ max: 7 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("append" as const),
    ids: fc.array(small, { maxLength: 4 }),
    maxLength: fc.integer({ min: 1, max: 12 }),
  }),
  fc.record({ do: fc.constantFrom("truncate" as const, "trim" as const), length: small }),
  fc.record({ do: fc.constantFrom("cut" as const, "drop" as const), place: small }),
  fc.constant({ do: "remove" as const }),
);

/** @returns What it answered, without numbers. */
async function make(on: TransactionTranscripts, step: Step, name: string): Promise<unknown> {
  switch (step.do) {
    case "append": {
      const items = step.ids.map((id) => `${name}-${id}`);
      const ids = step.ids.map((id) => (id === 0 ? undefined : String(id)));
      const { length, skipped } = await on.append("a", items, { ids, maxLength: step.maxLength });
      return { length, skipped };
    }
    case "truncate":
    case "trim":
      return (await on[step.do]("a", { length: step.length }))?.length ?? 0;
    case "cut":
    case "drop": {
      // By the number of an item that is there, so that both sides mean the same one.
      const seq = (await on.readItems("a")).items[step.place]?.seq;
      if (seq === undefined) return undefined;
      const info = step.do === "cut" ? on.truncate("a", { afterSeq: seq }) : on.trim("a", { beforeSeq: seq });
      return (await info)?.length ?? 0;
    }
    case "remove":
      await on.removeTranscript("a");
      return undefined;
  }
}

async function seen(on: TransactionTranscripts): Promise<unknown> {
  const { items, length, last } = await on.readItems("a");
  const backwards = await on.readItems("a", { backwards: true });
  expect(backwards.items).toEqual(items.toReversed());
  expect(items.map(({ seq }) => seq)).toEqual(
    items.map(({ seq }) => seq).toSorted((one, other) => one - other),
  );
  expect(last).toBeGreaterThanOrEqual(items.at(-1)?.seq ?? 0);
  const [first, ...more] = [
    await on.readItems("a", { limit: 2 }),
    await on.readItems("a", { backwards: true, limit: 2 }),
  ];
  expect(first.items).toEqual(items.slice(0, 2));
  expect(first.next !== undefined).toBe(items.length > 2);
  expect(more[0]?.items).toEqual(items.toReversed().slice(0, 2));
  expect(more[0]?.next !== undefined).toBe(items.length > 2);
  return { length, items: items.map(({ item, id }) => [item, id]) };
}

const isTrim = (made: Step): boolean => made.do === "trim" || made.do === "drop";
const withIds = step
  .filter((made) => !isTrim(made))
  .map((made): Step => (made.do === "append" ? { ...made, maxLength: 1000 } : made));
const withTrims = step.map((made): Step =>
  made.do === "append" ? { ...made, ids: made.ids.map(() => 0) } : made,
);

test.each([
  ["with ids", withIds],
  ["with trims", withTrims],
])(
  "a transaction's changes of a transcript come to what they would one by one, %s",
  async (_, inTransaction) => {
    const within = fc.array(inTransaction, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), within, async (before, within) => {
        const [whole, single] = [
          createSessionStore(createMemoryEngine()),
          createSessionStore(createMemoryEngine()),
        ];
        for (const store of [whole, single])
          for (const [index, made] of before.entries()) await make(store, made, `before-${index}`);
        expect(await seen(whole)).toEqual(await seen(single));
        const inside = await whole.transact(async (tx) => {
          for (const [index, made] of within.entries()) {
            expect(await make(tx, made, `in-${index}`)).toEqual(await make(single, made, `in-${index}`));
            expect(await seen(tx)).toEqual(await seen(single));
          }
          return tx.readItems("a");
        });
        expect(await seen(whole)).toEqual(await seen(single));
        const after = await whole.readItems("a");
        expect(after.items.map(({ seq }) => seq)).toEqual(inside.items.map(({ seq }) => seq));
        expect([after.last, after.length]).toEqual([inside.last, inside.length]);
      }),
      { numRuns: 500 },
    );
  },
);
