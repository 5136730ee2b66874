/**
 * Goal: the engine keeps its promises in schedules that nobody thought of, the same seed is the same run, and the simulator
 * would notice if a promise were broken.
 * Method: a fixed budget of seeds, each simulated from beginning to end; runs of one schedule compared call by call; a disk
 * that forgets what was synced, and a writer that does not read back.
 */
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { noFigures } from "../../sim/figures.js";
import { Runner } from "../../sim/runner.js";
import { generate, type Schedule } from "../../sim/schedule.js";
import { kindOf, shrink } from "../../sim/shrink.js";
import { ColdSessions } from "../../src/engine/directory/cold-sessions.js";
import { LogSyncer } from "../../src/log/log-syncer.js";
import { SimulatedFile } from "../../src/testing/simulated/inode.js";
import { many } from "../support/thoroughness.js";

const SEED = 1_000_000;
const BATCHES = many(16, 5);
const BATCH = 150;

let runner: Runner;

beforeAll(async () => {
  runner = await Runner.make();
  return () => runner.dispose();
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the simulator", () => {
  const figures = noFigures();

  it.each(Array.from({ length: BATCHES }, (_, batch) => SEED + batch * BATCH))(
    "seeds from %d on violate nothing",
    async (first) => {
      const batch = await runner.runSeeds({ first, count: BATCH });
      expect(batch.failures).toEqual([]);
      for (const name of Object.keys(figures) as (keyof typeof figures)[])
        figures[name] += batch.figures[name];
    },
  );

  it("has met everything that it can do to a store", () => {
    expect(figures.schedules).toBe(BATCHES * BATCH);
    expect(figures.violations).toBe(0);
    const { violations: _, ...met } = figures;
    expect(Object.entries(met).filter(([, count]) => count === 0)).toEqual([]);
    expect(figures.commits).toBeGreaterThan(figures.schedules);
  });

  it("gives the same calls for the same seed, whatever ran before", async () => {
    const seeds = Array.from({ length: 40 }, (_, index) => 17 + index * 31);
    const hashes = async (order: readonly number[]): Promise<Map<number, string>> => {
      const found = new Map<number, string>();
      for (const seed of order) {
        const { hash, figures } = await runner.run(generate(seed));
        found.set(seed, `${hash} ${JSON.stringify(figures)}`);
      }
      return found;
    };
    const first = await hashes(seeds);
    const second = await hashes([...seeds].reverse());
    for (const seed of seeds) expect(second.get(seed)).toBe(first.get(seed));
    expect(new Set(first.values()).size).toBe(seeds.length);
  });

  it("gives the same calls for a schedule that was written down", async () => {
    const schedule = generate(4711);
    const copy = JSON.parse(JSON.stringify(schedule)) as Schedule;
    expect((await runner.run(copy)).hash).toBe((await runner.run(schedule)).hash);
  });
});

describe("a broken promise", () => {
  it("is noticed when the disk forgets what was synced, and its schedule is shortened", async () => {
    vi.spyOn(SimulatedFile.prototype, "sync").mockImplementation(() => {});
    const { failures } = await runner.runSeeds({ first: 1, count: 50, only: "sessions" });
    expect(failures.length).toBeGreaterThan(5);
    const { seed, violation } = failures[0]!;
    const judge = async (schedule: Schedule): Promise<string | undefined> =>
      (await runner.run(schedule)).violation;
    const shortest = await shrink(generate(seed, "sessions"), violation, judge);
    expect(shortest.schedule.steps.length).toBeLessThan(generate(seed).steps.length);
    expect(kindOf(shortest.violation)).toBe(kindOf(violation));
    vi.restoreAllMocks();
    expect(await judge(shortest.schedule)).toBeUndefined();
  });

  it("is noticed when the copy of a store in use does not believe files that are ahead of its log", async () => {
    const { readFile } = ColdSessions.prototype;
    vi.spyOn(ColdSessions.prototype, "readFile").mockImplementation(function (this: ColdSessions, key) {
      const file = readFile.call(this, key);
      return this.isAhead(file) ? { status: "absent" } : file;
    });
    let noticed = 0;
    for (let seed = 1; seed < 3000; seed++) {
      const schedule = generate(seed, "sessions");
      if (!schedule.steps.some((step) => step.do === "copy")) continue;
      if ((await runner.run(schedule)).violation !== undefined) noticed++;
    }
    expect(noticed).toBeGreaterThan(0);
  });

  it("is noticed when commits are acknowledged before they are durable", async () => {
    vi.spyOn(LogSyncer.prototype, "sync").mockResolvedValue();
    const { failures } = await runner.runSeeds({ first: 1, count: 100, only: "sessions" });
    expect(failures.map(({ violation }) => violation).join("\n")).toContain("was acknowledged");
  });
});
