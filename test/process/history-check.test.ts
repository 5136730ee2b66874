/**
 * Goal: the judge of the process tests sees every kind of wrong history, and only those.
 * Method: one small history that is right, and for each thing that could go wrong the same one with that change.
 */
import { describe, expect, it } from "vitest";
import { checkHistory, type Sessions } from "./support/history-check.js";
import { History } from "./support/history.js";

type Line = readonly [letter: string, ...fields: unknown[]];

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Two workers and two sessions. The first makes "a" (1), the second updates it (2), the first moves something from
 * "a" to "b" (3), the second deletes "a" (4) and makes it again (5); the first was killed in an update of "b" (6).
 */
function lines(): { x: Line[]; y: Line[] } {
  return {
    x: [
      ["B", 1, 10, "update", ["a"]],
      ["S", 1, "a", null, null],
      ["A", 1, 20, 1],
      ["B", 2, 50, "transfer", ["a", "b"]],
      ["S", 2, "a", "y.1", 2],
      ["S", 2, "b", null, null],
      ["A", 2, 60, null],
      ["B", 3, 110, "update", ["b"]],
      ["S", 3, "b", "x.2", null],
    ],
    y: [
      ["V", 21, 22, [["a", "x.1", 1]]],
      ["B", 1, 30, "put", ["a"]],
      ["S", 1, "a", "x.1", 1],
      ["A", 1, 40, 2],
      ["W", 1, "a", "y.1", 2],
      ["W", 1, "a", "x.2", 3],
      ["W", 1, "b", "x.2", 3],
      ["B", 2, 70, "delete", ["a"]],
      ["S", 2, "a", "x.2", 3],
      ["A", 2, 80, null],
      ["W", 1, "a", null, 4],
      ["V", 85, 86, [["a", null, null]]],
      ["B", 3, 90, "put", ["a"]],
      ["S", 3, "a", null, null],
      ["A", 3, 100, 5],
      ["W", 1, "a", "y.3", 5],
    ],
  };
}

const END: Sessions = new Map([
  ["a", { token: "y.3", revision: 5 }],
  ["b", { token: "x.2", revision: 3 }],
]);

interface Changed {
  /** Lines of the first or second worker that are replaced, by index; a list may be longer or empty. */
  readonly x?: Record<number, readonly Line[]>;
  readonly y?: Record<number, readonly Line[]>;
  readonly end?: readonly (readonly [
    string,
    { readonly token: string; readonly revision: number } | undefined,
  ])[];
  /** Before this time acknowledgements are durable; then the power was cut. */
  readonly powerCut?: number;
}

function wrongWith({ x = {}, y = {}, end = [], powerCut }: Changed): readonly string[] {
  const history = new History();
  const original = lines();
  for (const [name, own, changes] of [
    ["x", original.x, x],
    ["y", original.y, y],
  ] as const) {
    for (const line of own.flatMap((line, index) => changes[index] ?? [line])) {
      history.add(name, powerCut ?? NEVER, line);
    }
  }
  const after = new Map(END);
  for (const [key, session] of end) {
    if (session === undefined) after.delete(key);
    else after.set(key, session);
  }
  return checkHistory(history, new Map(), after, powerCut !== undefined).wrong;
}

describe("a history that is right", () => {
  it.each<[string, Changed]>([
    ["as it is", {}],
    ["with an open write that counts", { end: [["b", { token: "x.3", revision: 6 }]] }],
    ["with a delete that nobody heard of", { y: { 9: [] } }],
    [
      "with a read of nothing while the session was being made",
      { y: { 11: [["V", 85, 95, [["a", null, null]]]] } },
    ],
    [
      "with the latest writes undone by a power cut",
      { powerCut: 65, end: [["a", { token: "x.2", revision: 3 }]] },
    ],
  ])("%s", (_, changed) => {
    expect(wrongWith(changed)).toEqual([]);
  });
});

describe("a history that is wrong", () => {
  it.each<[string, Changed, RegExp]>([
    ["an acknowledged write is gone", { end: [["a", { token: "x.2", revision: 3 }]] }, /in the end, not y.3/],
    ["an acknowledged session is gone", { end: [["b", undefined]] }, /x.2 is gone, and nobody deleted it/],
    [
      "a deleted session is back",
      { y: { 12: [], 13: [], 14: [], 15: [] }, end: [["a", { token: "x.2", revision: 3 }]] },
      /in the end, not absent/,
    ],
    [
      "two writes were computed from the same state",
      { x: { 4: [["S", 2, "a", "x.1", 1]] } },
      /both computed from x.1/,
    ],
    [
      "a write follows one that never was",
      { x: { 4: [["S", 2, "a", "z.9", 2]] } },
      /z.9 was seen, and nobody wrote it/,
    ],
    ["a refused write counts", { y: { 3: [["R", 1, 40, "conflict", null]] } }, /y.1 .* counts, although/],
    ["a write that did nothing counts", { y: { 3: [["N", 1, 40]] } }, /y.1 .* counts, although/],
    ["a write has two revisions", { y: { 4: [["W", 1, "a", "y.1", 9]] } }, /y.1 has the revisions/],
    ["a revision has two writes", { y: { 14: [["A", 3, 100, 3]] } }, /both have the revision 3/],
    [
      "revisions go back",
      {
        x: { 2: [["A", 1, 20, 2.5]] },
        y: { 0: [["V", 21, 22, [["a", "x.1", 2.5]]]], 2: [["S", 1, "a", "x.1", 2.5]] },
      },
      /y.1 has revision 2, after 2.5/,
    ],
    ["half of a transfer is gone", { end: [["b", undefined]], x: { 7: [], 8: [] } }, /x.2 is gone/],
    ["half of a transfer is elsewhere", { x: { 5: [] } }, /x.2 counts, and looked at nothing of b/],
    [
      "a write comes after one that began later",
      { x: { 0: [["B", 1, 45, "update", ["a"]]], 2: [["A", 1, 46, 1]] }, y: { 0: [] } },
      /y.1 comes after x.1, which began/,
    ],
    [
      "a read is stale",
      { y: { 11: [["V", 85, 86, [["a", "x.2", 3]]]] } },
      /read x.2 from a, but null was known before/,
    ],
    [
      "a read finds nothing where there was something",
      { y: { 0: [["V", 21, 22, [["a", null, null]]]] } },
      /read nothing from a/,
    ],
    [
      "a read finds nothing too late",
      { y: { 11: [["V", 101, 102, [["a", null, null]]]] } },
      /read nothing from a/,
    ],
    [
      "a read sees what nobody wrote yet",
      { y: { 0: [["V", 5, 6, [["a", "x.1", 1]]]] } },
      /before anybody wrote it/,
    ],
    [
      "a later read is older",
      {
        y: {
          11: [
            ["V", 81, 82, [["a", "y.3", 5]]],
            ["V", 95, 96, [["a", null, null]]],
          ],
        },
      },
      /read (nothing|y.3) from a/,
    ],
    ["a watch has a gap", { y: { 5: [] } }, /watch 1 tells/],
    [
      "a watch tells in another order",
      { y: { 4: [["W", 1, "a", "x.2", 3]], 5: [["W", 1, "a", "y.1", 2]] } },
      /watch 1 tells y.1/,
    ],
    [
      "a power cut undid a durable write",
      { powerCut: 200, end: [["a", { token: "x.2", revision: 3 }]] },
      /in the end, not y.3/,
    ],
    [
      "a power cut undid a durable delete",
      { powerCut: 90, y: { 12: [], 13: [], 14: [], 15: [] }, end: [["a", { token: "x.2", revision: 3 }]] },
      /in the end, not absent/,
    ],
    [
      "a power cut undid a write and kept a later one",
      { powerCut: 0, end: [["b", undefined]] },
      /lost x.2 with revision 3, and 5 was kept/,
    ],
  ])("%s", (_, changed, expected) => {
    expect(wrongWith(changed).join("\n")).toMatch(expected);
  });
});
