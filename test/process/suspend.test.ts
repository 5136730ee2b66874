/**
 * Goal: a process that sleeps through whole segments and their checkpoints, wherever in its work it was stopped,
 * loses nothing, brings nothing back and sees the present when it wakes up (I5).
 * Method: some workers are stopped with SIGSTOP at random moments while others go on. They are continued only
 * when the log no longer has the segment that was to be their next, so that they must rewind. Then their
 * listing is compared with one that was taken before they woke up. A shared value that a worker touches so late that it was removed
 * is excused if its session has gone on since, and counted (`programs/shared-value.mjs`).
 */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { segmentsOf, untidiness } from "./support/tidy-store.js";
import { Traffic } from "./support/traffic.js";
import { until } from "./support/until.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const SLEEPERS = 3;
const NAPS = 6;

describe(`with seed ${SEED}`, () => {
  it.each(["os", "disk"] as const)(
    "a worker that sleeps through checkpoints wakes up to the present (%s)",
    async (durability) => {
      const random = seededRandom(SEED);
      const traffic = new Traffic(temporaryFolder(), {
        hot: 6,
        cold: 40,
        accounts: 6,
        lanes: 2,
        options: { durability, segmentBytes: 8 * 1024, flushDelayMs: 10 },
      });
      await traffic.prepare();
      const names = [
        "waking.0",
        "waking.1",
        ...Array.from({ length: SLEEPERS }, (_, index) => `sleeper.${index}`),
      ];
      const workers = names.map((name, index) => start("traffic", traffic.argument(name, SEED + index)));
      await Promise.all(workers.map((worker) => worker.next("open")));
      const missed: number[] = [];
      await Promise.all(
        workers.slice(2).map((sleeper) => sleepAgainAndAgain(traffic, sleeper, random, missed)),
      );
      for (const worker of workers) worker.say({ event: "finish" });
      await Promise.all(workers.map((worker) => worker.finished()));

      const said = workers.flatMap(({ messages }) => messages);
      const warnings = said.filter(({ event }) => event === "warning");
      const excused = said.reduce(
        (sum, { event, ...done }) => sum + (event === "done" ? Number(done["excused"]) : 0),
        0,
      );
      const store = await traffic.open();
      const settlement = await traffic.settle(store);
      await store.flush();
      await store.checkpoint();
      const { sessions } = await store.list();
      await store.close(); // ends what goes on in the background
      const found = untidiness(traffic.store, sessions);
      console.log("sleep", JSON.stringify({ seed: SEED, ...settlement, missedSegments: missed, excused }));
      expect(settlement.wrong).toEqual([]);
      expect(settlement.open).toBe(0);
      expect(settlement.money).toBe(traffic.shape.accounts * 1000);
      expect(found).toEqual([]);
      expect(warnings).toEqual([]);
    },
  );
});

async function sleepAgainAndAgain(
  traffic: Traffic,
  sleeper: Child,
  random: () => number,
  missed: number[],
): Promise<void> {
  for (let nap = 0; nap < NAPS; nap++) {
    await sleeper.next("progress");
    await new Promise((resolve) => setTimeout(resolve, random() * 10)); // a moment of chance, nothing to wait for
    sleeper.signal("SIGSTOP");
    const latest = segmentsOf(traffic.store).at(-1) ?? 0;
    await until(() => (segmentsOf(traffic.store)[0] ?? 0) > latest + 2);
    const before = await countsNow(traffic);
    missed.push((segmentsOf(traffic.store)[0] ?? 0) - latest);
    sleeper.signal("SIGCONT");
    sleeper.say({ event: "list" });
    const { counts } = await sleeper.next("listing");
    const after = new Map(counts as [string, number][]);
    const behind = before.filter(([key, count]) => count > (after.get(key) ?? -1));
    expect(behind).toEqual([]);
  }
}

/** How far every counter is, seen by a store that is opened for it; sessions that come and go are left out. */
async function countsNow(traffic: Traffic): Promise<[string, number][]> {
  const store = await traffic.open({ readOnly: true });
  const { sessions } = await store.list();
  await store.close();
  return sessions
    .filter(({ key }) => !key.startsWith("churn:"))
    .map(({ key, entry }) => [key, entry.count ?? 0]);
}
