/** How a run comes to rest. */
import { turn } from "./turn.js";
import { answerAll } from "./waiting.js";
import type { World } from "./world.js";
import { Violation } from "./violation.js";

/** Timers that nothing else waits for. */
const IDLE_MAX = 400;

/** Everything goes on until nothing is left to do: whatever is under way ends, without any process waiting for another. */
export async function settle(world: World): Promise<void> {
  world.calmDown();
  for (const process of world.processes) {
    process.suspendedUntil = 0;
    process.hold = undefined;
  }
  await world.wakeAll();
  await world.rebootAll();
  for (let idle = 0; idle < IDLE_MAX && world.violation === undefined; idle++) {
    await answerAll(world.processes, () => world.violation !== undefined);
    await world.rebootAll();
    world.readOn();
    const running = world.processes.filter((process) => process.running > 0 && !process.dead);
    if (running.length === 0 && world.processes.every(({ waiting }) => waiting.length === 0)) return;
    for (const process of world.processes) process.runtime.runNextTimer();
    await turn();
  }
  world.failed(
    new Violation(
      `it does not end: ${world.processes.map(({ name, running }) => `${name} has ${running} running`).join(", ")}`,
    ),
  );
}
