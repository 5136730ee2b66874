/** Runs one schedule from beginning to end, and says what was wrong with it. */
import { mend, tidy, verify } from "./finish.js";
import type { Figures } from "./figures.js";
import type { Images } from "./images.js";
import { cutLate } from "./late-cuts.js";
import { LegacyWorld } from "./legacy-world.js";
import { Oracle } from "./oracle.js";
import type { Schedule } from "./schedule.js";
import { settle } from "./settle.js";
import { verifyCopy } from "./verify-copy.js";
import { World } from "./world.js";

export interface Outcome {
  readonly figures: Figures;
  /** Of every call, in order: equal for two runs of a schedule. */
  readonly hash: string;
  readonly violation: string | undefined;
}

export async function simulate(schedule: Schedule, images: Images): Promise<Outcome> {
  return schedule.play === "legacy" ? simulateLegacy(schedule) : simulateSessions(schedule, images);
}

async function simulateLegacy(schedule: Schedule): Promise<Outcome> {
  const world = new LegacyWorld(schedule);
  await world.runPhases().catch((error: unknown) => world.failed(error));
  return outcomeOf(world);
}

async function simulateSessions(schedule: Schedule, images: Images): Promise<Outcome> {
  const { end } = schedule;
  const image = images.choose(schedule.image);
  const disk = image.disk.clone();
  const world = new World(disk, new Oracle(disk, image), schedule);
  try {
    await world.run();
    if (world.violation === undefined && end.settle) await settle(world);
    if (world.violation === undefined && end.cutSeed !== undefined) world.cutPower(end.cutSeed, false);
    if (world.violation === undefined) await verify(world);
    if (world.violation === undefined) await cutLate(world);
    if (world.violation === undefined) await mend(world);
    for (const copy of world.copies) if (world.violation === undefined) await verifyCopy(world, copy);
    if (world.violation === undefined && end.tidy) await tidy(world);
  } catch (error) {
    world.failed(error);
  }
  return outcomeOf(world);
}

function outcomeOf(world: World): Outcome {
  for (const process of world.processes) process.fs.kill();
  const { figures } = world;
  figures.schedules = 1;
  figures.violations = world.violation === undefined ? 0 : 1;
  return { figures, hash: world.hash, violation: describe(world.violation) };
}

function describe(violation: Error | undefined): string | undefined {
  return violation && `${violation.name}: ${violation.message}`;
}
