/**
 * Goal: an operation does not get dearer unnoticed, however slow or busy the machine is: system calls, bytes read and
 * written, files opened and memory allocated stay within `budget.json`, and what got much cheaper is written down there.
 * With ten times the sessions an operation costs no more than the stated factor.
 * Method: the operations run under strace in marked regions, and their calls are counted; memory is counted by the
 * growth of a heap in which nothing is collected, without the optimizing compiler. Time counts only as a ratio, with
 * a wide margin. `UPDATE_BUDGET=1` rewrites the budget from what was counted (the factors of growth stay).
 */
import { join, sep } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import {
  compare,
  compareGrowth,
  countCalls,
  readBudget,
  typical,
  writeBudget,
  type Cost,
} from "./support/budget.js";
import { start } from "./support/child.js";
import { canTrace, trace, traced } from "./support/strace.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const ROUNDS = 9;
const FEW = 200;
const MANY = 2_000;
const CPU_GROWTH_MAX = 4;
const SNAPSHOT = { prompt: "p".repeat(20_000), skills: Array.from({ length: 50 }, (_, id) => ({ id })) };
const ONCE = ["open", "listSync, first", "listSync, all, first"];
const REPEATED = [
  "getSync",
  "getSync, large",
  "listSync, 50 newest",
  "put",
  "update",
  "update, large",
  "put, new session",
  "delete",
  "append",
  "append, with an id",
  "append, and a field",
  "readItems, 50 newest",
];

type Costs = Record<string, Partial<Cost>>;

interface Store {
  readonly folder: string;
  readonly argument: object;
}

describe("the budget's own arithmetic", () => {
  it("finds what is over, what is far under, and what is missing", () => {
    const budget = { update: { calls: 3, bytesWritten: 400, bytesAllocated: 10_000 }, get: { calls: 1 } };
    const update = budget.update;
    expect(compare(budget, { update, get: { calls: 1 } })).toEqual([]);
    expect(compare(budget, { update: { ...update, calls: 4 }, get: { calls: 1 } })).toHaveLength(1);
    expect(compare(budget, { update: { ...update, bytesWritten: 405 }, get: { calls: 1 } })).toEqual([]);
    expect(compare(budget, { update: { ...update, bytesWritten: 450 }, get: { calls: 1 } })).toHaveLength(1);
    expect(compare(budget, { update: { ...update, bytesAllocated: 4_000 }, get: { calls: 1 } })).toHaveLength(
      1,
    );
    expect(compare(budget, { update })).toHaveLength(1);
    expect(compare({}, { update })).toHaveLength(1);
  });

  it("finds what grows faster than it may", () => {
    const few = { update: { calls: 3, bytesRead: 100 } };
    expect(compareGrowth({ update: { calls: 1 } }, few, few)).toEqual([]);
    expect(compareGrowth({ update: { calls: 1 } }, few, { update: { calls: 5 } })).toHaveLength(1);
    expect(compareGrowth({ update: { bytesRead: 12 } }, few, { update: { bytesRead: 1_190 } })).toEqual([]);
    expect(compareGrowth({ update: { bytesRead: 12 } }, few, { update: { bytesRead: 1_300 } })).toHaveLength(
      1,
    );
    expect(compareGrowth({ remove: { calls: 1 } }, few, few)).toHaveLength(1);
  });
});

describe.runIf(canTrace)(traced("the cost of an operation"), () => {
  it("is within the budget", async () => {
    const [os, disk] = [await makeStore(FEW, "os"), await makeStore(FEW, "disk")];
    const measured = named({
      os: merge(await count(os), allocations(await cost(os))),
      disk: merge(await count(disk), {}),
    });
    console.log(table(measured));
    const budget = readBudget();
    if (process.env["UPDATE_BUDGET"] === "1") writeBudget({ ...budget, operations: measured });
    expect(compare(readBudget().operations, measured)).toEqual([]);
  });

  it("grows with the number of sessions no more than stated", async () => {
    const [few, many] = [await makeStore(FEW, "os"), await makeStore(MANY, "os")];
    const [before, after] = [await count(few), await count(many)];
    console.log(table(named({ few: before, many: after })));
    expect(compareGrowth(readBudget().growth, before, after)).toEqual([]);
    const [cpuBefore, cpuAfter] = [await cost(few), await cost(many)];
    for (const name of ["getSync", "put", "update", "delete"]) {
      const ratio = (cpuAfter[name]?.us ?? Number.NaN) / (cpuBefore[name]?.us ?? Number.NaN);
      expect(ratio, `CPU of ${name} with ten times the sessions`).toBeLessThan(CPU_GROWTH_MAX);
    }
  });
});

/** A store that was left tidy, and what the program has to know of it. */
async function makeStore(sessions: number, durability: "os" | "disk"): Promise<Store> {
  const folder = temporaryFolder();
  const path = join(folder, "sessions.d");
  const other = join(folder, "other.d");
  await (await openDirectoryStore(other)).close();
  const keys = Array.from({ length: sessions }, (_, index) => `session:${String(index).padStart(6, "0")}`);
  const store = await openDirectoryStore<object>(path, { durability: "os", flushDelayMs: 2 ** 30 });
  await store.transact(async (tx) => {
    for (const [index, key] of keys.entries()) await tx.put(key, { updatedAt: index, text: "x".repeat(300) });
  });
  await store.checkpoint();
  await store.close();
  const some = keys.filter((_, index) => index % (sessions / FEW) === 0);
  return { folder, argument: { path, other, keys: some, durability, rounds: ROUNDS, big: SNAPSHOT } };
}

async function count({ folder, argument }: Store): Promise<Costs> {
  const calls = await trace(folder, "operations", { ...argument, look: "calls" });
  const costs: Costs = {};
  for (const name of [...ONCE, "getSync, new", ...REPEATED])
    costs[name] = typical(calls.regions(name).map(countCalls));
  // Opening looks at each folder above the store once.
  const { open } = costs;
  if (open?.calls !== undefined) costs["open"] = { ...open, calls: open.calls - folder.split(sep).length };
  return costs;
}

async function cost({ argument }: Store): Promise<Record<string, { bytes: number; us: number }>> {
  const nodeOptions = ["--expose-gc", "--no-opt", "--min-semi-space-size=64", "--max-semi-space-size=64"];
  const child = start("operations", { ...argument, look: "cost" }, { nodeOptions });
  const { costs } = await child.next("costs");
  await child.finished();
  return costs as Record<string, { bytes: number; us: number }>;
}

function allocations(costs: Record<string, { bytes: number }>): Costs {
  const rounded = (bytes: number): number => Math.ceil(bytes / 128) * 128;
  return Object.fromEntries(
    Object.entries(costs).map(([name, { bytes }]) => [name, { bytesAllocated: rounded(bytes) }]),
  );
}

function merge(counts: Costs, more: Costs): Costs {
  return Object.fromEntries(Object.entries(counts).map(([name, cost]) => [name, { ...cost, ...more[name] }]));
}

function named(groups: Record<string, Costs>): Costs {
  return Object.fromEntries(
    Object.entries(groups).flatMap(([group, costs]) =>
      Object.entries(costs).map(([name, cost]) => [`${group}: ${name}`, cost]),
    ),
  );
}

function table(costs: Costs): string {
  return Object.entries(costs)
    .map(([name, cost]) => `${name.padEnd(28)} ${JSON.stringify(cost)}`)
    .join("\n");
}
