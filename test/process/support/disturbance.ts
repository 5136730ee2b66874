/**
 * Workers that are killed, stopped and woken at random while they work; others take the places of those that were killed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Child } from "./child.js";

export interface Disturbance {
  /** How many work at once. */
  readonly workers: number;
  /** Starts the worker of a place. */
  readonly begin: (place: number) => Child;
  readonly kills: number;
  readonly random: () => number;
}

/** What happened so far. */
export interface Course {
  kills: number;
  /** Kills of workers that were asleep. */
  killedAsleep: number;
  stops: number;
}

export function quietCourse(): Course {
  return { kills: 0, killedAsleep: 0, stops: 0 };
}

/** Disturbs workers until so many were killed, and lets those who are left come to their end. */
export async function disturb(
  { workers: count, begin, kills, random }: Disturbance,
  course: Course,
): Promise<void> {
  const asleep = new Set<Child>();
  const workers = Array.from({ length: count }, (_, place) => begin(place));
  await Promise.all(workers.map((worker) => worker.next("open")));
  for (let killed = 0; killed < kills;) {
    await delay(random() * 100); // a moment of chance, nothing to wait for
    const place = Math.trunc(random() * count);
    const worker = workers[place];
    if (worker === undefined) continue;
    const chance = random();
    if (chance < 0.3 && asleep.size < 3) {
      worker.signal("SIGSTOP");
      if (!asleep.has(worker)) course.stops += 1;
      asleep.add(worker);
      continue;
    }
    if (chance < 0.5 && asleep.delete(worker)) {
      worker.signal("SIGCONT");
      continue;
    }
    worker.signal("SIGKILL");
    const { code, signal, stderr } = await worker.ended;
    expect({ code, signal, stderr }).toEqual({ code: null, signal: "SIGKILL", stderr: "" });
    killed += 1;
    course.kills += 1;
    if (asleep.delete(worker)) course.killedAsleep += 1;
    const next = begin(place);
    workers[place] = next;
    // On a busy machine processes would else be killed faster than they start; now and then one is, while it opens the store.
    if (random() < 0.8) await next.next("open");
  }
  for (const worker of asleep) worker.signal("SIGCONT");
  for (const worker of workers) worker.say({ event: "finish" });
  await Promise.all(workers.map((worker) => worker.finished()));
}
