/**
 * Goal: the simulator would notice if damage cost more than the sessions in the damaged bytes.
 * Method: a negative control. Format 1 decided on behind a line that it could not read, as if nothing were missing there; with
 * that rule put back, of a hundred schedules with damage some must fail, and with the rules as they are none of them does.
 */
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { Runner } from "../../sim/runner.js";
import { generate, type Schedule } from "../../sim/schedule.js";
import { SessionLog } from "../../src/engine/directory/session-log.js";
import type { Segment } from "../../src/log/segment.js";

const SCHEDULES = 100;

let runner: Runner;

beforeAll(async () => {
  runner = await Runner.make();
  return () => runner.dispose();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** The first so many schedules in which the log is damaged. */
function schedulesWithDamage(): Schedule[] {
  const schedules: Schedule[] = [];
  for (let seed = 1; schedules.length < SCHEDULES; seed++) {
    const schedule = generate(seed, "sessions");
    if (schedule.steps.some((step) => step.do === "damage" && step.kind !== "flip a file"))
      schedules.push(schedule);
  }
  return schedules;
}

/** Bytes that cannot be read are told, as format 1 did, and then taken for a line that counts for nothing. */
function decideOnBehindDamage(): void {
  const { foundGap } = SessionLog.prototype;
  const told = new WeakSet<Segment>();
  vi.spyOn(SessionLog.prototype, "foundGap").mockImplementation(function (
    this: SessionLog,
    segment,
    ...where
  ) {
    if (!told.has(segment)) foundGap.call(this, segment, ...where);
    told.add(segment);
    segment.ledger.gap = undefined;
    segment.ledger.behind.clear();
  });
}

async function violationsOf(schedules: readonly Schedule[]): Promise<{ damages: number; found: string[] }> {
  let damages = 0;
  const found: string[] = [];
  for (const schedule of schedules) {
    const { figures, violation } = await runner.run(schedule);
    damages += figures.damages;
    if (violation !== undefined) found.push(`seed ${schedule.seed}: ${violation}`);
  }
  return { damages, found };
}

it("lost commits and stale answers are noticed, if a line that cannot be read counts for nothing and what follows it is decided", async () => {
  const schedules = schedulesWithDamage();
  const asItIs = await violationsOf(schedules);
  expect(asItIs.found).toEqual([]);
  expect(asItIs.damages).toBeGreaterThan(SCHEDULES / 2);
  decideOnBehindDamage();
  const { found } = await violationsOf(schedules);
  expect(found.length).toBeGreaterThan(5);
  expect(found.join("\n")).toMatch(/was acknowledged and does not count/);
  expect(found.join("\n")).toMatch(
    /(reads|lists) \S+@\S+, it is @|has the transcripts .* of|reads \S+ of \S+ as/,
  );
});
