/**
 * Goal: the judge of the process tests of transcripts sees every kind of wrong end, and only those; and what only a worker can see, it
 * ends with.
 * Method: one small account that is right, and for each thing that could go wrong the same one with that change. Then stores whose
 * transcripts contradict their records, and one worker.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { start } from "./support/child.js";
import { ItemAccounts, type FinalTranscript, type SeenItem } from "./support/item-account.js";
import { temporaryFolder } from "./support/temporary-folder.js";

type Line = readonly [kind: string, ...fields: unknown[]];

const NEVER = Number.POSITIVE_INFINITY;

const item = (seq: number, id: string, revision: number): SeenItem => ({ seq, id, revision });

function transcript(items: readonly SeenItem[], change: Partial<FinalTranscript> = {}): FinalTranscript {
  const { seq: last = 0 } = items.at(-1) ?? {};
  return { items, last, length: items.length, counted: undefined, ...change };
}

/** Items that a round before this one left; 3 was removed by then. */
const BEFORE = new Map([
  ["shared/main", transcript([item(1, "p.0", 10), item(2, "p.1", 10)], { last: 3, counted: 2 })],
]);

/**
 * Two workers. The first appends two items to the shared transcript, sends them again, and appends to one of its own, where it was
 * killed in its second batch; the second appends three, removes the last of these and the first of all, and reads.
 */
function lines(): { x: Line[]; y: Line[] } {
  return {
    x: [
      ["B", 1, "shared", "main", ["x.1.0", "x.1.1"]],
      [
        "A",
        1,
        20,
        [
          ["x.1.0", 4],
          ["x.1.1", 5],
        ],
      ],
      ["B", 2, "shared", "main", ["x.1.0", "x.1.1"]],
      ["A", 2, 30, []],
      ["B", 3, "own:x", "plain", ["x.3.0", "x.3.1"]],
      [
        "A",
        3,
        40,
        [
          ["x.3.0", 1],
          ["x.3.1", 2],
        ],
      ],
      ["B", 4, "own:x", "plain", ["x.4.0", "x.4.1"]],
    ],
    y: [
      ["B", 1, "shared", "main", ["y.1.0", "y.1.1", "y.1.2"]],
      [
        "A",
        1,
        50,
        [
          ["y.1.0", 6],
          ["y.1.1", 7],
          ["y.1.2", 8],
        ],
      ],
      ["X", 2, "shared", "main", 8, 8],
      ["A", 2, 60, []],
      ["X", 3, "shared", "main", 1, 1],
      ["A", 3, 70, []],
      ["B", 4, "shared", "main", ["y.4.0"]],
      ["N", 4],
      [
        "O",
        "shared",
        "main",
        [
          [1, "p.0", 10],
          [2, "p.1", 10],
          [4, "x.1.0", 20],
          [5, "x.1.1", 20],
        ],
      ],
      ["B", 5, "shared", "main", ["y.5.0", "y.5.1"]],
    ],
  };
}

const SHARED = [
  item(2, "p.1", 10),
  item(4, "x.1.0", 20),
  item(5, "x.1.1", 20),
  item(6, "y.1.0", 50),
  item(7, "y.1.1", 50),
];
const OWN = [item(1, "x.3.0", 40), item(2, "x.3.1", 40)];

interface Changed {
  /** Lines of a worker that are replaced, by index; a list may be empty. */
  readonly x?: Record<number, readonly Line[]>;
  readonly y?: Record<number, readonly Line[]>;
  readonly shared?: readonly SeenItem[];
  readonly end?: Partial<FinalTranscript>;
  readonly own?: readonly SeenItem[];
  /** What was acknowledged before this time has to hold; then the power was cut. */
  readonly powerCut?: number;
}

function wrongWith({ x = {}, y = {}, shared = SHARED, end = {}, own = OWN, powerCut }: Changed): string[] {
  const accounts = new ItemAccounts();
  const original = lines();
  for (const [name, all, changes] of [
    ["x", original.x, x],
    ["y", original.y, y],
  ] as const) {
    const left = all.flatMap((line, index) => changes[index] ?? [line]);
    const text = left.map((line) => `${JSON.stringify(line)}\n`).join("");
    accounts.read(name, `${text}["B",99,"sha`, powerCut ?? NEVER);
  }
  const after = new Map([
    ["shared/main", transcript(shared, { last: 8, counted: shared.length, ...end })],
    ["own:x/plain", transcript(own)],
  ]);
  return accounts.compare(BEFORE, after, powerCut !== undefined);
}

/** The shared transcript without some numbers. */
const without = (...seqs: number[]): SeenItem[] => SHARED.filter(({ seq }) => !seqs.includes(seq));
/** The same with items in the place of those with these numbers. */
const withItems = (...items: SeenItem[]): SeenItem[] =>
  [...without(...items.map(({ seq }) => seq)), ...items].sort((a, b) => a.seq - b.seq);

describe("of what is right nothing is said:", () => {
  it.each<[string, Changed]>([
    ["the account as it is", {}],
    [
      "a batch that was begun and did happen",
      { shared: [...SHARED, item(9, "y.5.0", 80), item(10, "y.5.1", 80)], end: { last: 10 } },
    ],
    [
      "a batch that was begun, in a transcript from which nothing was removed",
      {
        own: [...OWN, item(3, "x.4.0", 90), item(4, "x.4.1", 90)],
      },
    ],
    [
      "that a reader saw an item which was removed since",
      { y: { 8: [["O", "shared", "main", [[8, "y.1.2", 50]]]] } },
    ],
    [
      "a batch that was begun, did happen, and of which one item was removed",
      {
        y: { 2: [["X", 2, "shared", "main", 8, 9]] },
        shared: [...SHARED, item(10, "y.5.1", 80)],
        end: { last: 10 },
      },
    ],
    [
      "a removal that was begun and did not happen",
      {
        y: {
          3: [],
          1: [
            [
              "A",
              1,
              50,
              [
                ["y.1.0", 6],
                ["y.1.1", 7],
                ["y.1.2", 8],
              ],
            ],
          ],
        },
        shared: [...SHARED, item(8, "y.1.2", 50)],
      },
    ],
    [
      "what was not durable when the power went, and is gone",
      { powerCut: 35, shared: SHARED.slice(0, 3), own: [], end: { last: 5 } },
    ],
    [
      "an item that was cut off, and sent again",
      {
        x: { 3: [["A", 2, 30, [["x.1.1", 9]]]] },
        y: { 2: [["X", 2, "shared", "main", 5, 8]] },
        shared: [item(2, "p.1", 10), item(4, "x.1.0", 20), item(9, "x.1.1", 90)],
        end: { last: 9 },
      },
    ],
  ])("%s", (_name, changed) => {
    expect(wrongWith(changed)).toEqual([]);
  });
});

describe("what is wrong is said:", () => {
  it.each<[string, Changed, readonly string[]]>([
    ["an acknowledged item is lost", { shared: without(5) }, ["shared/main: item 5 is missing"]],
    [
      "the newest acknowledged items are lost",
      { own: [] },
      ["own:x/plain: 2 was promised, but the last one is 0"],
    ],
    [
      "an acknowledged item is lost with the power, after it was durable",
      { powerCut: 45, own: [] },
      ["own:x/plain: 2 was promised, but the last one is 0"],
    ],
    [
      "an item of a round before this one is lost",
      { shared: without(2) },
      ["shared/main: item 2 is missing"],
    ],
    [
      "an item is there twice",
      { shared: [...SHARED, item(9, "x.1.1", 90)], end: { last: 9 } },
      ["shared/main: an id is there twice"],
    ],
    [
      "a batch that was sent twice is there twice",
      { own: [...OWN, item(3, "x.3.0", 90), item(4, "x.3.1", 90)] },
      ["own:x/plain: an id is there twice"],
    ],
    [
      "a page has an item twice",
      { shared: [...SHARED.slice(0, 2), ...SHARED.slice(1)] },
      ["shared/main: 6 items are there, with 5 numbers, not 6", "shared/main: an id is there twice"],
    ],
    [
      "items of one batch are in another order",
      { own: [item(1, "x.3.1", 40), item(2, "x.3.0", 40)] },
      ["own:x/plain: 1 is x.3.1 and x.3.0", "own:x/plain: 2 is x.3.0 and x.3.1"],
    ],
    [
      "items are in another order than their commits",
      { shared: withItems(item(6, "y.1.0", 15), item(7, "y.1.1", 15)) },
      ["shared/main: 6 of commit 15 stands behind 5 of commit 20"],
    ],
    [
      "numbers do not grow",
      { shared: [...SHARED.slice(0, 3), ...SHARED.slice(3).toReversed()] },
      ["shared/main: 6 of commit 50 stands behind 7 of commit 50"],
    ],
    [
      "there is a gap that no removal explains",
      { shared: [...SHARED, item(10, "y.5.0", 80), item(11, "y.5.1", 80)], end: { last: 11 } },
      ["shared/main: item 9 is missing"],
    ],
    [
      "a number is used again",
      { shared: withItems(item(7, "y.5.0", 80)) },
      ["shared/main: 7 is y.5.0 and y.1.1"],
    ],
    [
      "an item was seen as one of another commit",
      { y: { 8: [["O", "shared", "main", [[4, "x.1.0", 21]]]] } },
      ["shared/main: 4 is of the commits 20 and 21"],
    ],
    [
      "a reader saw another item with a number",
      { y: { 8: [["O", "shared", "main", [[4, "z.1.0", 20]]]] } },
      ["shared/main: 4 is x.1.0 and z.1.0"],
    ],
    [
      "an item that was removed is back",
      { shared: [item(1, "p.0", 10), ...SHARED] },
      ["shared/main: 1 is there, but y 3 removed it"],
    ],
    [
      "an item of a session that was deleted is in the one that was made again",
      { own: [item(1, "dead.1.0", 5), ...OWN.map((own) => ({ ...own, seq: own.seq + 1 }))] },
      ["own:x/plain: nobody appended dead.1.0"],
    ],
    [
      "what was refused is there",
      { shared: [...SHARED, item(9, "y.4.0", 80)], end: { last: 9 } },
      ["shared/main: nobody appended y.4.0"],
    ],
    [
      "half a batch is there",
      { own: [...OWN, item(3, "x.4.0", 90)] },
      ["own:x/plain: x 4 has 1 of 2 items, or not side by side"],
    ],
    [
      "the other half of a batch is there",
      { own: [...OWN, item(3, "x.4.1", 90)] },
      ["own:x/plain: x 4 has 1 of 2 items, or not side by side"],
    ],
    [
      "half a batch is there, of a transcript from which something was removed",
      { shared: [...SHARED, item(9, "y.5.0", 80)], end: { last: 9 } },
      ["shared/main: y 5 has 1 of 2 items, or not side by side"],
    ],
    [
      "a batch is of two commits",
      { own: [...OWN, item(3, "x.4.0", 90), item(4, "x.4.1", 91)] },
      ["own:x/plain: x 4 has 2 of 2 items, or not side by side"],
    ],
    [
      "a counter says more than there is",
      { end: { counted: 6 } },
      ["shared/main: its record counts 6, not 5"],
    ],
    [
      "the length is another than the number of items",
      { end: { length: 6, counted: 6 } },
      ["shared/main: 5 items are there, with 5 numbers, not 6"],
    ],
    [
      "an item is behind the last number",
      { end: { last: 6 } },
      ["shared/main: an item is behind 6", "shared/main: 8 was promised, but the last one is 6"],
    ],
  ])("%s", (_name, changed, wrong) => {
    expect(wrongWith(changed)).toEqual(expect.arrayContaining([...wrong]));
  });
});

/** What is contradictory already when a worker begins. */
describe("a worker ends with", () => {
  async function workerOn(key: string, entry: object, name: string, item: object): Promise<string> {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    const store = await openDirectoryStore<object>(path, { durability: "os" });
    await store.put(key, entry);
    await store.append(key, [item], { transcript: name });
    await store.close();
    const history = join(folder, "items");
    mkdirSync(history);
    const worker = start("appending", {
      path,
      history: join(history, "0-1"),
      slot: "0-1",
      seed: 1,
      lanes: 1,
      reads: false,
      removes: false,
      options: { durability: "os" },
      mayFail: false,
    });
    return worker.finished().then(
      () => "nothing",
      (error: Error) => error.message,
    );
  }

  it("a record that counts other than there are", async () => {
    const said = await workerOn("shared", { length: 5, updatedAt: 1 }, "main", { by: "0-0.1.0" });
    expect(said).toContain("shared has 1 items, and its record counts 5");
  });

  it("items of a session that was deleted, in the one that was made again", async () => {
    const said = await workerOn("life", { born: "now", length: 1, updatedAt: 1 }, "of life", {
      born: "before",
    });
    expect(said).toContain("life of now has");
  });
});
