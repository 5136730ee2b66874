/**
 * Goal: real processes die and sleep at any instruction, and everything that all of them ever did and saw can be
 * explained by one sequence of states for each session: no acknowledged write is lost, none counts twice, no read is
 * stale, no watch has a gap, a transfer is all or nothing (I1 to I5), and nothing is left lying about (I8).
 * Method: workers with one or two stores in one or two threads, with either durability, write down what they do and are
 * told; they are killed, stopped and woken at random, and others take their place. After each round the histories
 * are compared with each other and with what a clean process finds. `SESSIONDIR_KILLS` says how many kills (`npm run
 * kills -- --kills 2000`).
 */
import { expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import type { Child } from "./support/child.js";
import { disturb, quietCourse, type Course } from "./support/disturbance.js";
import { copyPrograms } from "./support/ownership.js";
import { Recording } from "./support/recording.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { segmentsOf } from "./support/tidy-store.js";
import { many } from "../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const KILLS = Number(process.env["SESSIONDIR_KILLS"] ?? many(40, 10));
/** Kills until everything is compared: the history of a round has to fit in memory. */
const ROUND_KILLS = 50;
/** Far more than a kill takes on a busy machine: only a hang is meant to meet it. */
const KILL_MS_MAX = 5000;

it(
  `processes that are killed and stopped at random, ${KILLS} times with seed ${SEED}, lose and repeat nothing`,
  async () => {
    const folder = temporaryFolder();
    const recording = new Recording(folder, folder, {
      programs: copyPrograms(folder),
      options: { segmentBytes: 32 * 1024, flushDelayMs: 10 },
      mayFail: false,
    });
    const random = seededRandom(SEED);
    const course = quietCourse();
    const began = performance.now();
    while (course.kills < KILLS) {
      await round(recording, random, Math.min(ROUND_KILLS, KILLS - course.kills), course);
      const { wrong } = await recording.settle();
      expect({ kills: course.kills, wrong }).toEqual({ kills: course.kills, wrong: [] });
    }
    const seconds = Math.round((performance.now() - began) / 1000);
    const segments = segmentsOf(recording.store).at(-1) ?? 0;
    console.log("kills", JSON.stringify({ seed: SEED, ...course, ...recording.total, segments, seconds }));
    expect(course.stops).toBeGreaterThan(KILLS / 20);
    expect(recording.total.acknowledged).toBeGreaterThan(10 * KILLS);
    expect(recording.total.reads).toBeGreaterThan(10 * KILLS);
    expect(recording.total.changes).toBeGreaterThan(KILLS);
    expect(segments).toBeGreaterThan(KILLS / 10);
  },
  KILLS * KILL_MS_MAX,
);

/** Lets workers work, kills and stops them at random, and lets those who are left come to their end. */
async function round(
  recording: Recording,
  random: () => number,
  kills: number,
  course: Course,
): Promise<void> {
  const pick = (count: number): number => Math.trunc(random() * count);
  const begin = (): Child => {
    return recording.startWorker({
      durability: pick(2) === 0 ? "disk" : "os",
      seed: pick(2 ** 31),
      lanes: 1 + pick(4),
      stores: 1 + pick(2),
      threads: pick(4) === 0 ? 1 : 0,
    });
  };
  await disturb({ workers: 4 + pick(5), begin, kills, random }, course);
}
