/**
 * Goal: whatever dies, no acknowledged update is lost, none counts twice, money in transfers is neither made nor
 * destroyed, no listing shows a state that never was, and nothing is left lying about (I1 to I4, I8).
 * Method: processes hammer ten hot sessions and a thousand cold ones while a seeded schedule kills and restarts
 * them; segments are so small that several are sealed and checkpointed meanwhile, by whoever is alive. Each worker
 * keeps its own account of what it was promised; in the end the store has to agree with all of them, and its
 * folder is looked at file by file.
 */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { segmentsOf, untidiness } from "./support/tidy-store.js";
import { Traffic, type Settlement } from "./support/traffic.js";
import { many } from "../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);

const UPDATES = many(20_000, 5_000);

interface Storm {
  readonly workers: number;
  readonly updates: number;
  /** How often each worker is killed. */
  readonly kills: number;
}

interface Course {
  kills: number;
  listings: number;
  refused: number;
  /** Shared values that were gone when they were touched, of sessions that had gone on (`programs/shared-value.mjs`). */
  excused: number;
  readonly warnings: string[];
}

describe(`with seed ${SEED}`, () => {
  it(`keeps ${UPDATES} updates of 8 processes that are killed at random`, async () => {
    const traffic = new Traffic(temporaryFolder(), {
      hot: 10,
      cold: 1000,
      accounts: 12,
      lanes: 4,
      options: { durability: "os", segmentBytes: 64 * 1024, flushDelayMs: 20 },
    });
    const storm = { workers: 8, updates: UPDATES, kills: 3 };
    const { course, settlement, segments } = await weather(traffic, storm);
    expect(settlement.promised).toBe(storm.updates);
    expect(course.kills).toBeGreaterThan(storm.workers);
    expect(segments.checkpointed).toBeGreaterThan(UPDATES / 4000); // under load a segment waits until checkpoints keep up
  });

  it("keeps durable updates of 4 processes that are killed at random", async () => {
    const traffic = new Traffic(temporaryFolder(), {
      hot: 4,
      cold: 50,
      accounts: 6,
      lanes: 8,
      options: { durability: "disk", segmentBytes: 16 * 1024, flushDelayMs: 5 },
    });
    const storm = { workers: 4, updates: 3000, kills: 4 };
    const { course, settlement, segments } = await weather(traffic, storm);
    expect(settlement.promised).toBe(storm.updates);
    expect(course.kills).toBeGreaterThan(storm.workers);
    expect(segments.checkpointed).toBeGreaterThan(2);
  });
});

interface Segments {
  readonly made: number;
  /** By workers, before the end. */
  readonly checkpointed: number;
}

/** Lets the storm pass over the store, and settles all accounts. */
async function weather(
  traffic: Traffic,
  storm: Storm,
): Promise<{ course: Course; settlement: Settlement; segments: Segments }> {
  await traffic.prepare();
  const course: Course = { kills: 0, listings: 0, refused: 0, excused: 0, warnings: [] };
  const workers = Array.from({ length: storm.workers }, (_, worker) =>
    liveOn(traffic, storm, worker, course),
  );
  await Promise.all(workers);
  const live = segmentsOf(traffic.store);
  const segments = { made: live.at(-1) ?? 0, checkpointed: (live[0] ?? 0) - 1 };
  const store = await traffic.open({ onWarning: ({ message }) => course.warnings.push(message) });
  const settlement = await traffic.settle(store);
  await store.flush();
  await store.checkpoint();
  const { sessions } = await store.list();
  await store.close(); // ends what goes on in the background
  let found = untidiness(traffic.store, sessions);
  // What a killed process left of a catalog goes with the next checkpoint that has something to do.
  if (found.length > 0) found = await untidinessLater(traffic, sessions[0]?.key ?? "");
  console.log("storm", JSON.stringify({ seed: SEED, ...storm, ...course, ...settlement, segments }));
  expect(settlement.wrong).toEqual([]);
  expect(settlement.money).toBe(traffic.shape.accounts * 1000);
  expect(found).toEqual([]);
  expect(course.warnings).toEqual([]);
  return { course, settlement, segments };
}

/** One worker through all its incarnations, until its share of the updates is acknowledged. */
async function liveOn(traffic: Traffic, storm: Storm, worker: number, course: Course): Promise<void> {
  const random = seededRandom(SEED + worker * 7919);
  const share = storm.updates / storm.workers;
  let left = share;
  for (let incarnation = 0; left > 0; incarnation++) {
    const name = `${worker}.${incarnation}`;
    const child = start("traffic", traffic.argument(name, Math.trunc(random() * 2 ** 31), left));
    if (incarnation < storm.kills) await kill(child, random, share / storm.kills);
    else await child.finished();
    const { signal, code, stderr } = await child.ended;
    if (signal === "SIGKILL") course.kills += 1;
    else expect({ name, code, stderr }).toEqual({ name, code: 0, stderr: "" });
    left -= traffic.promisesTo(name).total;
    for (const message of child.messages) {
      if (message.event === "warning") course.warnings.push(`${name}: ${String(message["message"])}`);
      if (message.event !== "done") continue;
      course.listings += Number(message["listings"]);
      course.refused += Number(message["refused"]);
      course.excused += Number(message["excused"]);
    }
  }
}

/** Kills at a random moment: now and then while it opens the store, mostly somewhere in its work. */
async function kill(child: Child, random: () => number, updates: number): Promise<void> {
  const opening = random() < 0.2;
  const least = random() * updates;
  const moment = random() * (opening ? 120 : 8);
  try {
    if (!opening) while (Number((await child.next("progress"))["acknowledged"]) < least);
    await new Promise((resolve) => setTimeout(resolve, moment));
  } catch {
    return; // it was done before its time had come
  }
  child.signal("SIGKILL");
}

async function untidinessLater(traffic: Traffic, key: string): Promise<string[]> {
  const store = await traffic.open();
  await store.update(key, (entry) => entry && { ...entry, lookedAt: 1 });
  await store.checkpoint();
  const { sessions } = await store.list();
  await store.close();
  return untidiness(traffic.store, sessions);
}
