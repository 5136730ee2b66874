/**
 * Goal: real processes die and sleep at any instruction while they append to transcripts, and every acknowledged item is there
 * exactly once, in one order that all readers agree on, without a gap; a batch is there as a whole or not at all; numbers are never
 * used twice, whatever is removed; the record's counter, changed in the same commit, always equals the length; and nothing of a
 * deleted session is in the one that is made again.
 * Method: eight workers append to one shared and eight own transcripts, with ids on every item and each batch sent twice; one also
 * removes the newest and the oldest items of the shared one, and a ninth follows with `watch` and reads pages. They are killed,
 * stopped and woken at random; an incarnation sends again what the one before it was not told of. After each round a clean process
 * compares everything. `SESSIONDIR_KILLS` says how many kills (`npm run kills -- --kills 1000`).
 */
import { expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { Appenders } from "./support/appenders.js";
import { disturb, quietCourse } from "./support/disturbance.js";
import { copyPrograms } from "./support/ownership.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { segmentsOf } from "./support/tidy-store.js";
import { many } from "../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261130);
const KILLS = Number(process.env["SESSIONDIR_KILLS"] ?? many(30, 7));
/** Kills until everything is compared. */
const ROUND_KILLS = 50;
/** Far more than a kill takes on a busy machine: only a hang is meant to meet it. */
const KILL_MS_MAX = 10_000;

const WRITERS = 8;

it(
  `items of processes that are killed and stopped at random, ${KILLS} times with seed ${SEED}, are there exactly once`,
  async () => {
    const folder = temporaryFolder();
    const appenders = new Appenders(folder, folder, {
      programs: copyPrograms(folder),
      options: { segmentBytes: 32 * 1024, flushDelayMs: 10 },
      mayFail: false,
    });
    const random = seededRandom(SEED);
    const pick = (count: number): number => Math.trunc(random() * count);
    const course = quietCourse();
    const began = performance.now();
    while (course.kills < KILLS) {
      const begin = (slot: number) =>
        appenders.startWorker({
          slot,
          durability: pick(3) === 0 ? "disk" : "os",
          seed: pick(2 ** 31),
          lanes: slot === WRITERS ? 0 : 1 + pick(3),
        });
      const kills = Math.min(ROUND_KILLS, KILLS - course.kills);
      await disturb({ workers: WRITERS + 1, begin, kills, random }, course);
      const wrong = await appenders.settle();
      expect({ kills: course.kills, wrong }).toEqual({ kills: course.kills, wrong: [] });
    }
    const seconds = Math.round((performance.now() - began) / 1000);
    const segments = segmentsOf(appenders.store).at(-1) ?? 0;
    const files = appenders.files().length;
    const counts = { ...course, ...appenders.total, segments, files, seconds };
    console.log("kills while transcripts grow", JSON.stringify({ seed: SEED, ...counts }));
    expect([...appenders.warnings]).toEqual([]);
    expect(appenders.total.acknowledged).toBeGreaterThan(4 * KILLS);
    expect(appenders.total.repeated).toBeGreaterThan(KILLS);
    expect(appenders.total.removals).toBeGreaterThan(KILLS / 10);
    expect(appenders.total.observed).toBeGreaterThan(10 * KILLS);
    expect(segments).toBeGreaterThan(KILLS / 10);
  },
  KILLS * KILL_MS_MAX,
);
