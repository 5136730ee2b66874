/**
 * Goal: the benchmark's own arithmetic is right: medians and quantiles, ratios whose larger number always means «better»,
 * draws and days that a seed repeats; and its charts and tables show every peer, escape what they print, and come out
 * the same each time.
 * Method: its pure parts, on numbers that can be checked by hand.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeCharts } from "../../bench/report/charts/index.mjs";
import { barChart, lineChart, logScale, spaced } from "../../bench/report/charts/svg.mjs";
import { keyOf, makeEntries, nextTurn } from "../../bench/data/entries.mjs";
import { DAY_SHAPE, makeDay } from "../../bench/data/gateway-day.mjs";
import { ItemCheck, ITEM_BYTES, itemOf } from "../../bench/data/items.mjs";
import { evaluateGoals, GOALS, isMet, ratiosOf, TRANSCRIPT_GOALS } from "../../bench/report/goals.mjs";
import { fillIn, markdownTable } from "../../bench/report/page.mjs";
import { FLOORS, PEERS } from "../../bench/peers/index.mjs";
import * as jsonl from "../../bench/peers/jsonl.mjs";
import { partOf } from "../../bench/report/results.mjs";
import { rowsOf } from "../../bench/report/terminal.mjs";
import { Sheet } from "../../bench/runner/sheet.mjs";
import { median, spread } from "../../bench/report/statistics.mjs";
import { itemsOf, keysOf, sizesOf } from "../../bench/runner/stores.mjs";
import { takeTurns } from "../../bench/runner/turns.mjs";
import { factor, inWords, spreadInWords } from "../../bench/report/words.mjs";
import { zipfDraw } from "../../bench/data/zipf.mjs";
import { Random } from "../../examples/demo/sessions.mjs";

describe("statistics", () => {
  it("takes quantiles in a straight line between samples", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(spread([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100])).toEqual({ median: 50, p10: 10, p90: 90 });
    expect(spread([7])).toEqual({ median: 7, p10: 7, p90: 7 });
    expect(median([])).toBeNaN();
  });

  it("has ratios of which more is better, round by round, of the rounds that both did", () => {
    expect(ratiosOf([10, 20, 30], [20, 10], "time")).toEqual([2, 0.5]);
    expect(ratiosOf([10, 20], [20, 10], "rate")).toEqual([0.5, 2]);
    expect(ratiosOf([5], [50], "bytes")).toEqual([10]);
  });

  it("evaluates a goal against its peer, another peer, or itself elsewhere", () => {
    const figure = (id: string, samples: Record<string, number[]>) =>
      ({ id, label: id, unit: "time", samples, remarks: {} }) as const;
    const outcomes = evaluateGoals([
      figure("get warm small", { sessiondir: [1], "better-sqlite3": [8] }),
      figure("update os 650", { sessiondir: [10], "sessions.json": [900] }),
      figure("update os 100000", { sessiondir: [11] }),
    ]);
    expect(outcomes.map((outcome) => [outcome.label, isMet(outcome)])).toEqual([
      ["warm get, small", true],
      ["update, os, at 100,000 as at 650", true],
      ["update, os, 650 small: sessions.json", false],
    ]);
  });

  it("names goals and peers once", () => {
    const goals = [...GOALS, ...TRANSCRIPT_GOALS];
    const labels = goals.map(({ label }) => label);
    expect(new Set(labels).size).toBe(labels.length);
    const peers = [...PEERS, ...FLOORS].map(({ name }) => name);
    expect(new Set(peers).size).toBe(peers.length);
    for (const { against } of goals) if (against !== undefined) expect(peers).toContain(against);
  });

  it("evaluates the goals of one section alone, and finds the workloads of each", () => {
    const figure = (id: string) =>
      ({
        id,
        label: id,
        unit: "time",
        samples: { sessiondir: [1], "better-sqlite3": [2] } as Record<string, number[]>,
        remarks: {},
      }) as const;
    const figures = [figure("append os"), figure("get warm small")];
    expect(evaluateGoals(figures, TRANSCRIPT_GOALS).map(({ label }) => label)).toEqual(["append, os"]);
    const workload = (name: string) => ({
      name,
      title: name,
      note: "",
      seconds: 1,
      figures: [],
      failures: [],
    });
    const results = {
      started: "",
      seconds: 1,
      complete: true,
      machine: {},
      peers: [],
      skipped: [],
      workloads: [workload("get"), workload("transcripts/append")],
    };
    expect(partOf(results, "").map(({ name }) => name)).toEqual(["get"]);
    expect(partOf(results, "transcripts").map(({ name }) => name)).toEqual(["transcripts/append"]);
  });
});

describe("workloads", () => {
  it("draw the first of many most often under Zipf, and repeat with the seed", () => {
    const draw = (seed: number): number[] => {
      const next = zipfDraw(1_000, 0.99, new Random(seed));
      return Array.from({ length: 20_000 }, () => next());
    };
    const drawn = draw(5);
    expect(draw(5)).toEqual(drawn);
    expect(Math.min(...drawn)).toBe(0);
    expect(Math.max(...drawn)).toBeLessThan(1_000);
    const count = (index: number): number => drawn.filter((one) => one === index).length;
    // The sum of 1 / rank^0.99 up to 1,000 is 7.7: the first one gets 13 %, the tenth a tenth of that.
    expect(count(0) / drawn.length).toBeGreaterThan(0.11);
    expect(count(0) / drawn.length).toBeLessThan(0.15);
    expect(count(0) / count(9)).toBeGreaterThan(6);
    expect(count(0) / count(9)).toBeLessThan(16);
  });

  it("make sessions of the stated sizes, with keys that a worker finds again", () => {
    const shape = { sessions: 20, large: 5 };
    const entries = [...makeEntries(shape.sessions, sizesOf(shape))];
    const bytes = entries.map(([, entry]) => JSON.stringify(entry).length);
    expect(bytes.filter((size) => size > 80_000)).toHaveLength(5);
    expect(bytes.filter((size) => size === 537)).toHaveLength(15);
    expect([...keysOf({ shape, size: "small" }), ...keysOf({ shape, size: "large" })].sort()).toEqual(
      entries.map(([key]) => key).sort(),
    );
    const shares = [0, 1, 2].flatMap((number) => keysOf({ shape, size: "small", share: { number, of: 3 } }));
    expect(shares.sort()).toEqual(keysOf({ shape, size: "small" }).sort());
    expect(keysOf({ shape, size: "small", first: 3 })).toHaveLength(3);
  });

  it("count updates in the entries", () => {
    const [, entry] = [...makeEntries(1, () => "small")][0] ?? [];
    if (entry === undefined) throw new Error("no entry");
    expect(nextTurn(nextTurn(entry))).toMatchObject({ n: 2, inputTokens: entry.inputTokens + 74 });
  });

  it("make items of the stated size, each time the same", () => {
    for (const n of [0, 1, 2, 3, 239, 240, 99_999]) {
      const item = itemOf(n % 4, n);
      expect(Buffer.byteLength(JSON.stringify(item))).toBe(ITEM_BYTES);
      expect(itemOf(n % 4, n)).toEqual(item);
      expect(item.parentId).not.toBe(item.id);
    }
    const shape = { sessions: 3, large: 0, items: { transcripts: 2, each: 2 } };
    const [first, second] = [keyOf(0), keyOf(1)];
    expect([...itemsOf(shape)]).toEqual([
      [first, itemOf(0, 0)],
      [second, itemOf(0, 0)],
      [first, itemOf(0, 1)],
      [second, itemOf(0, 1)],
    ]);
  });

  it("verify that items are there once, each writer's in its order, with what they said", () => {
    const written = [
      { writer: 0, first: 5, count: 2 },
      { writer: 1, first: 0, count: 2 },
    ];
    const items = [itemOf(0, 5), itemOf(1, 0), itemOf(0, 6), itemOf(1, 1)];
    const verify = (found: typeof items): void => {
      const check = new ItemCheck(written);
      for (const item of found) check.see(item);
      check.end(written);
    };
    const [a, b, c, d] = items as [
      (typeof items)[0],
      (typeof items)[0],
      (typeof items)[0],
      (typeof items)[0],
    ];
    verify([a, b, c, d]);
    verify([b, a, d, c]);
    const shortened = { ...d, message: { ...d.message, content: [{ type: "text", text: "" }] } };
    for (const wrong of [
      [a, b, c],
      [a, b, c, d, d],
      [c, b, a, d],
      [a, b, c, c],
      [a, b, c, shortened],
    ])
      expect(() => verify(wrong)).toThrow(/not verified/);
  });

  it("make the same day from a seed, with every kind of operation, on sessions that are there", () => {
    const day = makeDay(2_000, 20);
    expect(makeDay(2_000, 20)).toEqual(day);
    expect(makeDay(2_000, 21)).not.toEqual(day);
    const there = new Set(Array.from({ length: DAY_SHAPE.sessions }, (_, index) => keyOf(index)));
    const kinds: Record<string, number> = {};
    for (const operation of day) {
      kinds[operation.kind] = (kinds[operation.kind] ?? 0) + 1;
      if (operation.kind === "put") {
        expect(there.has(operation.key)).toBe(false);
        there.add(operation.key);
      } else if ("key" in operation) {
        expect(there.has(operation.key)).toBe(true);
        if (operation.kind === "delete") there.delete(operation.key);
      }
    }
    expect(Object.keys(kinds).sort()).toEqual(["all", "delete", "get", "newest", "oldest", "put", "update"]);
    expect(kinds["update"]).toBeGreaterThan(day.length / 2);
  });

  it("let contenders take turns, and drop all samples of one whose work was not verified", async () => {
    const sheet = new Sheet();
    sheet.define("speed", "speed", "time");
    const order: string[] = [];
    const contender = (peer: string, end: () => Promise<void> = async () => {}) => ({
      peer,
      turn: async (round: number) => {
        order.push(`${peer}${round}`);
        return { speed: round };
      },
      end,
    });
    const failing = contender("c", async () => {
      throw new Error("3 updates instead of 4");
    });
    const plan = { part: "speed", ids: ["speed"], rounds: 2, warmUp: 1 };
    await takeTurns(sheet, plan, [contender("a"), { ...contender("b"), rounds: 1 }, failing]);
    expect(order).toEqual(["b-1", "c-1", "a-1", "a0", "b0", "c0", "c1", "a1"]);
    const samples = sheet.figures()[0]?.samples ?? {};
    expect({ ...samples }).toEqual({ a: [0, 1], b: [0] });
    expect(sheet.failures).toEqual([{ peer: "c", part: "speed", reason: "3 updates instead of 4" }]);
  });
});

describe("peers", () => {
  it("gives the items of a JSONL file back, the newest ones from its end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bench-"));
    try {
      const [key, other] = [keyOf(0), keyOf(1)];
      await jsonl.fill(folder);
      const shape = { sessions: 2, large: 0, items: { transcripts: 1, each: 100 } };
      await jsonl.fillItems(folder, itemsOf(shape));
      const { transcripts } = await jsonl.open(folder, "os");
      if (transcripts === undefined) throw new Error("no transcripts");
      await transcripts.append(key, itemOf(0, 100));
      await transcripts.append(other, itemOf(0, 0));
      const items = Array.from({ length: 101 }, (_, n) => itemOf(0, n));
      const found: unknown[] = [];
      await transcripts.each(key, (item) => found.push(item));
      expect(found).toEqual(items);
      // More than lies in one of the pieces in which a file is read from its end.
      for (const count of [1, 63, 64, 65, 100, 101, 200])
        expect(await transcripts.newest(key, count)).toEqual(items.slice(-count));
      expect(await transcripts.count(key)).toBe(101);
      expect(await transcripts.count(other)).toBe(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("words", () => {
  it("say numbers with a unit that fits", () => {
    expect(inWords(0.41, "time")).toBe("0.41 µs");
    expect(inWords(2_500_000, "time")).toBe("2.5 s");
    expect(inWords(6_490_000, "bytes")).toBe("6.49 MB");
    expect(inWords(123_456.7, "rate")).toBe("123,457/s");
    expect(factor(0.0123)).toBe("0.012x");
    expect(factor(1_234.5)).toBe("1,235x");
    expect(spreadInWords([10, 20, 30], "time")).toBe("20 µs (12 - 28 µs)");
    expect(spreadInWords([900, 1_000, 1_100], "time")).toBe("1.0 ms (920 µs - 1.1 ms)");
    expect(spreadInWords([10], "rate")).toBe("10/s");
  });

  it("have a row for each peer that has a figure, in the order of peers, and then the others", () => {
    const sheet = new Sheet();
    sheet.define("speed", "speed", "time");
    for (const peer of ["bare", "b", "a"]) sheet.add("speed", peer, 5);
    sheet.remark("speed", "a", "2 of 3");
    expect(rowsOf(sheet.figures(), ["a", "b", "c"])).toEqual([
      ["", "speed"],
      ["a", "5.0 µs, 2 of 3"],
      ["b", "5.0 µs"],
      ["bare", "5.0 µs"],
    ]);
  });

  it("make tables as prettier prints them, and put them between the markers only", () => {
    expect(
      markdownTable([
        ["a", ""],
        ["b | c", "12345"],
      ]),
    ).toBe(["| a      |       |", "| ------ | ----- |", "| b \\| c | 12345 |"].join("\n"));
    const page = "before\n<!-- bench:goals -->\nold\n<!-- /bench:goals -->\nafter\n";
    const once = fillIn(page, { goals: "new" });
    expect(once).toBe("before\n<!-- bench:goals -->\n\nnew\n\n<!-- /bench:goals -->\nafter\n");
    expect(fillIn(once, { goals: "new" })).toBe(once);
    expect(() => fillIn(page, { charts: "x" })).toThrow(/markers/);
    for (const name of ["performance.md", "evidence/figures.md"]) {
      const written = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
      expect(fillIn(written, { transcripts: "new" })).toContain("<!-- bench:transcripts -->\n\nnew\n");
    }
  });
});

describe("charts", () => {
  const caption = { title: "a < b & c", subtitle: 'says "x"' };
  const number = (value: number): string => String(value);

  it("escape what they print, name every series, and are well-formed", () => {
    const svg = lineChart({
      ...caption,
      xLabel: "n",
      xTicks: [1, 10],
      formatX: number,
      formatY: number,
      series: ["one", "two", "three"].map((name, index) => ({
        name,
        points: [
          { x: 1, y: 5 },
          { x: 10, y: 5 + index },
        ],
      })),
    });
    expect(svg).toContain("a &lt; b &amp; c");
    expect(svg).toContain("says &quot;x&quot;");
    for (const name of ["one", "two", "three"]) expect(svg).toContain(`${name} `);
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).not.toMatch(/NaN|undefined|<script/);
    expect(openTags(svg)).toEqual([]);
  });

  it("draw a longer bar for a larger value", () => {
    const bars = [1, 10, 100].map((value) => ({ name: `n${value}`, value, text: `${value} ms` }));
    const svg = barChart({ ...caption, formatX: number, bars });
    const lengths = [...svg.matchAll(/<rect class="bar theirs".*? width="([\d.]+)"/g)].map((match) =>
      Number(match[1]),
    );
    expect(lengths).toHaveLength(3);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    expect(openTags(svg)).toEqual([]);
  });

  it("place powers of ten evenly, and labels apart from each other", () => {
    const scale = logScale(3, 500, 0, 300);
    expect(scale.ticks).toEqual([1, 10, 100, 1000]);
    expect(scale.ticks.map(scale.place)).toEqual([0, 100, 200, 300]);
    const places = spaced([50, 51, 52, 200], 10, 0, 205);
    expect(places).toEqual([50, 60, 70, 200]);
    expect(spaced([199, 200, 201], 10, 0, 205)).toEqual([185, 195, 205]);
  });

  it("are left out when there is nothing to show, and show every peer that was measured", () => {
    const results = {
      started: "2026-01-01T00:00:00.000Z",
      seconds: 1,
      complete: true,
      machine: {},
      peers: PEERS.slice(0, 3).map(({ name, short }) => ({
        name,
        short,
        version: "",
        settings: "",
        reads: "",
      })),
      skipped: [],
      workloads: [
        {
          name: "footprint",
          title: "footprint",
          note: "",
          seconds: 1,
          failures: [],
          figures: [
            {
              id: "disk large",
              label: "disk",
              unit: "bytes" as const,
              samples: { sessiondir: [1e6], "better-sqlite3": [5e6] },
              remarks: {},
            },
          ],
        },
      ],
    };
    const charts = makeCharts(results);
    expect(charts.map(({ file }) => file)).toEqual(["disk.svg"]);
    expect(charts[0]?.svg).toContain("better-sqlite3");
    expect(makeCharts(results)).toEqual(charts);
  });
});

/** Elements that were opened and not closed, or closed and not opened. */
function openTags(svg: string): string[] {
  const open: string[] = [];
  for (const [, closing, name = "", inner = ""] of svg.matchAll(/<(\/?)([a-z]+)([^>]*)>/g)) {
    if (closing === "/") {
      if (open.pop() !== name) return [`</${name}>`];
    } else if (!inner.endsWith("/")) open.push(name);
  }
  return open;
}
