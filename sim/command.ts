/**
 * `npm run sim`: schedule after schedule over neighbouring seeds, in as many threads as wanted, until the budget is used up.
 * What was done depends on the seeds alone, not on the number of threads.
 */
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { readBug, writeBug } from "./bug-base.js";
import { addFigures, noFigures, type Figures } from "./figures.js";
import { Runner, type Batch, type Failure, type Seeds } from "./runner.js";
import { generate, type Play, type Schedule } from "./schedule.js";
import { shrink } from "./shrink.js";
import { LOOK_MS, Silence, without } from "./silence.js";

const USAGE = `npm run sim -- [options]

  --seed N        first seed; a random one without
  --schedules N   run so many schedules
  --steps N       run schedules until so many file-system calls were made
  --minutes N     run schedules for so long
  --only WHAT     "sessions" or "legacy" (migrate, mirror, roll back); default 98 and 2 percent
  --workers N     threads, one a core; 0 runs in this one (default 1)
  --shrink        shorten each failing schedule and write it to --out
  --out FOLDER    where to (default test/bug-base)
  --replay FILE   run one schedule that was written before
`;

const BATCH = 200;
const SCHEDULES = 5000;
/** Shortening takes minutes; of further failures the seed is told. */
const SHRUNK_MAX = 5;

interface Options {
  readonly seed: number;
  readonly schedules: number;
  readonly steps: number;
  readonly minutes: number;
  readonly workers: number;
  readonly only: Play | undefined;
  readonly shrink: boolean;
  readonly out: string;
  readonly replay: string | undefined;
}

type Print = (text: string) => void;

/** @returns The exit code: 0 when nothing was violated. */
export async function runCommand(args: readonly string[], print: Print): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    print(USAGE);
    return 2;
  }
  if (options.replay !== undefined) return replay(options.replay, print);
  print(`seed ${options.seed}`);
  const start = performance.now();
  const { figures, failures, last } = await runAll(options, start, print);
  const minutes = (performance.now() - start) / 60_000;
  print(describe(figures, minutes, options.workers));
  print(`seeds ${options.seed} to ${last}`);
  await report(failures, options, print);
  return figures.violations === 0 ? 0 : 1;
}

function readOptions(args: readonly string[]): Options | undefined {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seed: text,
        schedules: text,
        steps: text,
        minutes: text,
        workers: text,
        out: text,
        replay: text,
        only: text,
        shrink: { type: "boolean" },
      },
    });
    const number = (given: string | undefined, otherwise: number): number => {
      const value = given === undefined ? otherwise : Number(given);
      if (!(value >= 0)) throw new TypeError(`${given} is no number`);
      return value;
    };
    const { only } = values;
    if (only !== undefined && only !== "sessions" && only !== "legacy") return undefined;
    const bounded = values.schedules ?? values.steps ?? values.minutes;
    return {
      seed: number(values.seed, Math.floor(Math.random() * 2 ** 31)),
      schedules: number(values.schedules, bounded === undefined ? SCHEDULES : Number.POSITIVE_INFINITY),
      steps: number(values.steps, Number.POSITIVE_INFINITY),
      minutes: number(values.minutes, Number.POSITIVE_INFINITY),
      workers: number(values.workers, 1),
      only,
      shrink: values.shrink ?? false,
      out: values.out ?? "test/bug-base",
      replay: values.replay,
    };
  } catch {
    return undefined;
  }
}

/** Hands out batches of seeds, in order, until the budget is used up. */
class Budget {
  readonly figures = noFigures();
  readonly failures: Failure[] = [];
  next: number;
  /** What threads have left undone. */
  readonly #leftOver: Seeds[] = [];
  #printed: number;

  constructor(
    private readonly options: Options,
    private readonly start: number,
    private readonly print: Print,
  ) {
    this.next = options.seed;
    this.#printed = start;
  }

  take(): Seeds | undefined {
    const { options, figures } = this;
    const minutes = (performance.now() - this.start) / 60_000;
    const left = options.seed + options.schedules - this.next;
    if (figures.calls >= options.steps || minutes >= options.minutes) return undefined;
    const leftOver = this.#leftOver.shift();
    if (leftOver !== undefined || left <= 0) return leftOver;
    // Towards the end of a number of steps in small pieces.
    const few = options.steps - figures.calls < BATCH * 1000;
    const count = Math.min(few ? 20 : BATCH, left);
    const first = this.next;
    this.next += count;
    return { first, count, only: options.only };
  }

  giveBack(seeds: readonly Seeds[]): void {
    this.#leftOver.push(...seeds);
  }

  done({ figures, failures }: Batch): void {
    addFigures(this.figures, figures);
    for (const failure of failures) {
      this.failures.push(failure);
      this.print(`seed ${failure.seed} fails: ${failure.violation}`);
    }
    if (performance.now() - this.#printed < 10_000) return;
    this.#printed = performance.now();
    const minutes = (this.#printed - this.start) / 60_000;
    const { schedules, violations } = this.figures;
    this.print(
      `${schedules} schedules, ${Math.round(schedules / minutes)} a minute, ${violations} violations`,
    );
  }
}

async function runAll(
  options: Options,
  start: number,
  print: Print,
): Promise<{ figures: Figures; failures: readonly Failure[]; last: number }> {
  const budget = new Budget(options, start, print);
  if (options.workers === 0) {
    const runner = await Runner.make();
    for (let batch = budget.take(); batch !== undefined; batch = budget.take()) {
      budget.done(await runner.runSeeds(batch));
    }
    runner.dispose();
  } else {
    await Promise.all(Array.from({ length: options.workers }, () => employ(budget)));
  }
  const { figures, failures } = budget;
  return { figures, failures: [...failures].sort((a, b) => a.seed - b.seed), last: budget.next - 1 };
}

/** Keeps one thread busy until the budget is used up. A thread that falls silent has met a call that does not end. */
function employ(budget: Budget): Promise<void> {
  const current = new Float64Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { current },
    resourceLimits: { maxYoungGenerationSizeMb: 64 },
  });
  return new Promise((resolve, reject) => {
    let batch: Seeds | undefined;
    let looking: NodeJS.Timeout | undefined;
    const look = (silence: Silence): void => {
      const seed = current[0]!;
      if (batch === undefined || !silence.look(seed)) return;
      clearInterval(looking);
      const figures = { ...noFigures(), violations: 1 };
      budget.done({ figures, failures: [{ seed, violation: "it does not end, and makes no call" }] });
      budget.giveBack(without(seed, batch));
      batch = undefined;
      void worker.terminate().then(() => resolve(employ(budget)));
    };
    const next = (): void => {
      clearInterval(looking);
      batch = budget.take();
      if (batch === undefined) return void worker.terminate().then(() => resolve());
      current[0] = batch.first;
      looking = setInterval(look, LOOK_MS, new Silence());
      worker.postMessage(batch);
    };
    worker.on("message", (done: Batch) => {
      if (batch === undefined) return; // it was given up, and all of it is run again
      budget.done(done);
      next();
    });
    worker.on("error", (error) => {
      clearInterval(looking);
      reject(error);
    });
    next();
  });
}

async function work(current: Float64Array): Promise<void> {
  Error.stackTraceLimit = 0; // thousands of errors are expected, and a stack costs more than a call
  const runner = await Runner.make();
  parentPort?.on("message", (seeds: Seeds) => {
    void runner
      .runSeeds(seeds, (seed) => (current[0] = seed))
      .then((batch) => parentPort?.postMessage(batch));
  });
}

async function report(failures: readonly Failure[], options: Options, print: Print): Promise<void> {
  if (failures.length === 0 || !options.shrink) return;
  const runner = await Runner.make();
  const judge = async (schedule: Schedule): Promise<string | undefined> =>
    (await runner.run(schedule)).violation;
  for (const { seed } of failures.slice(0, SHRUNK_MAX)) {
    const schedule = generate(seed, options.only);
    const violation = await judge(schedule);
    if (violation === undefined) {
      print(`seed ${seed} does not fail again: something depends on more than the seed`);
      continue;
    }
    const shortest = await shrink(schedule, violation, judge);
    const path = writeBug(options.out, { ...shortest, cause: "" });
    const { steps } = shortest.schedule;
    print(`seed ${seed}, ${steps.length} steps of ${schedule.steps.length} (${path}): ${shortest.violation}`);
    for (const step of steps) print(`  ${JSON.stringify(step)}`);
  }
  runner.dispose();
}

async function replay(path: string, print: Print): Promise<number> {
  const runner = await Runner.make();
  const { violation, hash, figures } = await runner.run(readBug(path).schedule);
  runner.dispose();
  print(`${path}: ${violation ?? "nothing was violated"} (${figures.calls} calls, hash ${hash})`);
  return violation === undefined ? 0 : 1;
}

function describe(figures: Figures, minutes: number, workers: number): string {
  const rows: [string, number][] = [
    ["schedules", figures.schedules],
    ["file-system calls", figures.calls],
    ["operations", figures.operations],
    ["acknowledged commits", figures.commits],
    ["stores opened", figures.opened],
    ["kills", figures.kills],
    ["power cuts", figures.powerCuts],
    ["suspensions", figures.suspensions],
    ["full disks", figures.fullDisks],
    ["reserves given up", figures.reserves],
    ["failed calls", figures.errors],
    ["clock jumps", figures.clockJumps],
    ["damaged files", figures.damages],
    ["copies of stores in use", figures.copies],
    ["migrations", figures.migrations],
    ["rollbacks", figures.rollbacks],
    ["violations", figures.violations],
  ];
  const table = rows.map(([name, value]) => `${name.padEnd(22)}${value.toLocaleString("en").padStart(16)}`);
  const rate = Math.round(figures.schedules / minutes).toLocaleString("en");
  const threads = Math.max(1, workers);
  return `${table.join("\n")}\n${minutes.toFixed(1)} minutes, ${rate} schedules a minute with ${threads} threads`;
}

if (!isMainThread && workerData !== null) await work((workerData as { current: Float64Array }).current);
