/**
 * Shortens a failing schedule (delta debugging): leaves out steps, in halves, quarters, … and one by one, as long as what
 * is left still fails in the same way; then takes away everything else that is not needed for it.
 */
import type { Schedule, Step } from "./schedule.js";

/** What is wrong with a schedule, undefined when nothing is. */
export type Judge = (schedule: Schedule) => Promise<string | undefined>;

const RUNS_MAX = 3000;

/** Two violations of one kind differ in numbers only. */
export function kindOf(violation: string): string {
  return violation
    .slice(0, 120)
    .replace(/[0-9a-f]{16,}/g, "#")
    .replace(/\d+/g, "#");
}

/** @returns The shortest schedule that was found, and its violation. */
export async function shrink(
  failing: Schedule,
  violation: string,
  judge: Judge,
): Promise<{ readonly schedule: Schedule; readonly violation: string }> {
  const kind = kindOf(violation);
  let best = { schedule: failing, violation };
  let runs = 0;
  const better = async (candidate: Schedule): Promise<boolean> => {
    if (runs++ >= RUNS_MAX) return false;
    const found = await judge(candidate);
    if (found === undefined || kindOf(found) !== kind) return false;
    best = { schedule: candidate, violation: found };
    return true;
  };
  for (let before = Number.POSITIVE_INFINITY; sizeOf(best.schedule) < before;) {
    before = sizeOf(best.schedule);
    await withoutSteps(best.schedule, async (candidate) =>
      (await better(candidate)) ? candidate : undefined,
    );
    for (const simplify of SIMPLIFICATIONS) {
      const candidate = simplify(best.schedule);
      if (candidate !== undefined) await better(candidate);
    }
    for (let at = 0; at < best.schedule.steps.length; at++) {
      for (const step of simpler(best.schedule.steps[at]!)) {
        if (await better({ ...best.schedule, steps: best.schedule.steps.with(at, step) })) break;
      }
    }
  }
  return best;
}

async function withoutSteps(
  schedule: Schedule,
  attempt: (candidate: Schedule) => Promise<Schedule | undefined>,
): Promise<void> {
  let current = schedule;
  for (
    let size = Math.ceil(current.steps.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < current.steps.length;) {
      const candidate = { ...current, steps: current.steps.toSpliced(start, size) };
      const accepted = await attempt(candidate);
      if (accepted === undefined) start += size;
      else current = accepted;
    }
  }
}

const SIMPLIFICATIONS: readonly ((schedule: Schedule) => Schedule | undefined)[] = [
  (schedule) => (schedule.end.tidy ? { ...schedule, end: { ...schedule.end, tidy: false } } : undefined),
  (schedule) =>
    schedule.end.cutSeed === undefined
      ? undefined
      : { ...schedule, end: { ...schedule.end, settle: true, cutSeed: undefined } },
  (schedule) => (schedule.blobs ? { ...schedule, blobs: false } : undefined),
  (schedule) => (schedule.careless ? { ...schedule, careless: false } : undefined),
  (schedule) => (schedule.reader === undefined ? undefined : { ...schedule, reader: undefined }),
  (schedule) => (schedule.processes > 1 ? { ...schedule, processes: schedule.processes - 1 } : undefined),
];

function simpler(step: Step): readonly Step[] {
  switch (step.do) {
    case "release":
    case "perform":
      return step.picks.length > 1
        ? [
            { ...step, picks: step.picks.slice(0, Math.ceil(step.picks.length / 2)) },
            { ...step, picks: step.picks.slice(0, -1) },
            { ...step, picks: step.picks.slice(1) },
          ]
        : [];
    case "run":
      return step.calls > 1
        ? [
            { ...step, calls: Math.ceil(step.calls / 2) },
            { ...step, calls: step.calls - 1 },
          ]
        : [];
    case "age":
      return step.rounds > 1 ? [{ ...step, rounds: step.rounds - 1 }] : [];
    default:
      return [];
  }
}

function sizeOf({ steps, processes, end }: Schedule): number {
  let size = processes + (end.cutSeed === undefined ? 0 : 1);
  for (const step of steps) {
    size += 100;
    if (step.do === "release" || step.do === "perform") size += step.picks.length;
    if (step.do === "run") size += step.calls;
    if (step.do === "age") size += step.rounds;
  }
  return size;
}
