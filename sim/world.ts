/**
 * Runs a schedule: simulated processes with the real engine on a simulated disk, one decision of the schedule after the
 * other, and the oracle beside them.
 *
 * Between two steps every process runs until it waits for a call or a timer. A waiting call takes effect when the schedule
 * says so. Blocking calls cannot wait for others on one thread, so there the schedule has four other means: kill the
 * process, let other processes' waiting calls take effect or a whole operation of another process run at that very
 * moment, or ("stop inside") let the first calls of an operation see the disk as it was long before.
 *
 * Everything is deterministic. The hash of all calls says whether two runs were the same.
 */
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import type { CallInstruction, SimulatedCall } from "../src/testing/simulated/file-system.js";
import { seededRandom } from "../src/testing/seeded-random.js";
import { age } from "./age.js";
import { CallHash } from "./call-hash.js";
import { isWrite, mayBeNews } from "./call-kinds.js";
import { Copy } from "./copy.js";
import { damage } from "./damage.js";
import { Faults, type Surroundings } from "./faults.js";
import { noFigures, type Figures } from "./figures.js";
import { assertExplained, type Scene } from "./operation.js";
import { operate } from "./operations.js";
import type { Oracle } from "./oracle.js";
import { SimulatedProcess, type ProcessOptions } from "./process.js";
import type { Operation, Schedule, Step } from "./schedule.js";
import { Sleepers } from "./sleepers.js";
import { turn } from "./turn.js";
import { answer, pickWaiting, runAlone, type Waiting } from "./waiting.js";
import { Violation } from "./violation.js";

/** Far more than any schedule needs: a run that gets here does not end. */
const CALLS_MAX = 60_000;

export class World implements Scene, Surroundings {
  readonly figures: Figures = noFigures();
  readonly damaged = new Set<string>();
  logDamaged = false;
  copies: Copy[] = [];
  readonly blobs: boolean;
  /** The first thing that was wrong. */
  violation: Error | undefined;
  step = 0;
  readonly processes: SimulatedProcess[] = [];
  /** Every process ever, for the next one's name. */
  #ordinal = 0;
  #tokens = 0;
  readonly #faults: Faults = new Faults(this);
  /** Something was written since the oracle looked. */
  #news = false;
  readonly #hash = new CallHash();
  #full = false;
  #reboot = false;
  readonly #sleepers = new Sleepers();
  #finishing = false;

  constructor(
    readonly disk: SimulatedDisk,
    readonly oracle: Oracle,
    readonly schedule: Schedule,
  ) {
    this.blobs = schedule.blobs;
  }

  /** Of all calls so far, in order. */
  get hash(): string {
    return this.#hash.toString();
  }

  nextToken(): string {
    return `t${++this.#tokens}`;
  }

  committed(): void {
    this.figures.commits++;
  }

  /** A process was killed by a call of its own. */
  died(): void {
    this.figures.kills++;
    this.#reboot = true;
  }

  failed(error: unknown): void {
    this.violation ??= error instanceof Error ? error : new Error(JSON.stringify(error));
  }

  async run(): Promise<void> {
    for (let slot = 0; slot < this.schedule.processes; slot++) this.boot(slot);
    await turn();
    await this.takeAll(this.schedule.steps);
  }

  protected async takeAll(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      this.step++;
      await this.#sleepers.wake(this.step);
      await this.#takeStep(step);
      await turn(); // to rest, or something could happen to a process that is in the middle of something
      await this.rebootAll();
      this.readOn();
      if (this.violation !== undefined) return;
    }
  }

  readOn(): void {
    if (!this.#news) return;
    this.#news = false;
    try {
      this.oracle.readOn();
      for (const key of this.oracle.doubtful) this.damaged.add(key);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Starts a process in a slot and has it open the store. */
  boot(slot: number, { soleProcess = false } = {}): SimulatedProcess {
    const { segmentBytes, inline = false, reader, careless, processes } = this.schedule;
    const readOnly = reader !== undefined && Math.floor((reader * processes) / 1000) === slot;
    const durability = careless && slot === 1 ? "os" : "disk";
    const process = this.#mount(this.disk, {
      segmentBytes,
      inline,
      durability,
      readOnly: readOnly && !soleProcess,
      soleProcess,
    });
    this.processes[slot] = process;
    this.begin(process);
    return process;
  }

  /** A process on a copy of the disk. */
  bootOutside(disk: SimulatedDisk, { soleProcess = false } = {}): SimulatedProcess {
    const { segmentBytes, inline = false } = this.schedule;
    return this.#mount(disk, { segmentBytes, inline, durability: "disk", readOnly: false, soleProcess });
  }

  #mount(disk: SimulatedDisk, options: ProcessOptions): SimulatedProcess {
    const process = new SimulatedProcess(disk, ++this.#ordinal, options);
    this.follow(process);
    return process;
  }

  /** Has every call of a process pass through this world. */
  follow(process: SimulatedProcess): void {
    process.faulty = this.#full;
    process.fs.onCall = (call) => this.#onCall(process, call);
    process.onWarning = ({ code, message }) => {
      const lost = code === "transcript_quarantined" || code === "transcript_damaged";
      if (lost && this.damaged.size === 0 && !this.oracle.damaged)
        this.failed(new Violation(`${process.name} has lost a file: ${message}`));
    };
    process.fs.onDeferred = (deferred) => {
      process.waiting.push(deferred);
      if (process.hold?.call !== deferred.call.name) return;
      this.figures.suspensions++;
      process.suspendedUntil = Math.max(process.suspendedUntil, this.step + process.hold.steps);
      process.hold = undefined;
    };
    process.fs.onNotification = (answer) => void process.waiting.push({ perform() {}, answer });
  }

  /** What a process does first. */
  protected begin(process: SimulatedProcess): void {
    process.busy = true;
    this.track(process, "opening", async () => {
      try {
        process.store = await process.open();
        this.figures.opened++;
      } catch (error) {
        if (!process.options.readOnly || !isMissing(error)) throw error;
      } finally {
        process.busy = false;
      }
    });
  }

  /** Runs something that belongs to a process; when that is dead, it never ends. */
  track(process: SimulatedProcess, what: string, work: () => Promise<void>): void {
    process.running++;
    const ended = (error?: unknown): void => {
      process.running--;
      if (error === undefined || process.dead) return;
      try {
        assertExplained(this, process, error, what);
      } catch (violation) {
        this.failed(violation);
      }
    };
    work().then(() => ended(), ended);
  }

  operate(process: SimulatedProcess, operation: Operation): void {
    if (process.dead || process.busy) return;
    if (process.store === undefined) return this.begin(process);
    this.figures.operations++;
    this.track(process, operation.kind, () => operate(this, process, operation));
  }

  #slot(fraction: number): number {
    return Math.floor((fraction * this.processes.length) / 1000);
  }

  #takeStep(step: Step): Promise<void> | undefined {
    switch (step.do) {
      case "release":
        return this.#release(step.picks);
      case "perform":
        for (const pick of step.picks) this.pick(pick, () => true)?.deferred.perform();
        return;
      case "run":
        return this.#runAlone(this.processes[this.#slot(step.process)]!, step.calls);
      case "arm":
        this.#faults.arm(step);
        return;
      case "cut power":
        this.cutPower(step.seed);
        return;
      case "fill":
        this.figures.fullDisks++;
        this.#full = true;
        this.disk.freeBytes = step.freeBytes;
        for (const process of this.processes) process.faulty = true;
        return;
      case "make room":
        this.makeRoom();
        return;
      case "damage":
        this.#damage(step);
        return;
      case "copy":
        this.figures.copies++;
        this.copies.push(new Copy(this.disk, this.oracle, step.pace));
        return;
      default:
        return this.#takeStepOf(step, this.#slot(step.process));
    }
  }

  #takeStepOf(step: Extract<Step, { process: number }>, slot: number): Promise<void> | undefined {
    const process = this.processes[slot]!;
    if (process.suspendedUntil > this.step && step.do !== "kill") return;
    switch (step.do) {
      case "operate":
        this.operate(process, step.operation);
        return;
      case "wait":
        process.runtime.advance(step.ms);
        return;
      case "jump":
        this.figures.clockJumps++;
        process.runtime.setNow(Math.max(0, process.runtime.now() + step.ms));
        return;
      case "kill":
        this.figures.kills++;
        process.fs.kill();
        this.#reboot = true;
        return;
      case "close":
        this.#close(process, slot);
        return;
      case "suspend":
        this.figures.suspensions++;
        process.suspendedUntil = this.step + step.steps;
        return;
      case "hold":
        process.hold = step;
        return;
      case "stop inside":
        return this.#stopInside(process, step);
      case "age":
        return age(
          process,
          step.rounds,
          (operation) => this.operate(process, operation),
          () => this.#runAlone(process, 1),
        );
      case "run":
        return this.#runAlone(process, step.calls);
    }
  }

  async #release(picks: readonly number[]): Promise<void> {
    for (const pick of picks) {
      const waiting = this.pick(pick, ({ suspendedUntil }) => suspendedUntil <= this.step);
      if (waiting === undefined) return;
      answer(waiting);
      await turn();
    }
  }

  /** The waiting call at a fraction of 1000 of all. */
  pick(fraction: number, eligible: (process: SimulatedProcess) => boolean): Waiting | undefined {
    return pickWaiting(this.processes, fraction, eligible);
  }

  async #runAlone(process: SimulatedProcess, calls: number): Promise<void> {
    if (process.suspendedUntil <= this.step) await runAlone(process, calls);
  }

  /**
   * From here on the process stands still in the middle of what it does next: of the operation that it has just begun, or
   * of what follows a call of it that takes effect now.
   */
  #stopInside(process: SimulatedProcess, step: Step & { do: "stop inside" }): undefined {
    const { operation } = step;
    if (process.store === undefined || process.busy || process.fs.asleep || operation.kind === "watch")
      return;
    this.figures.suspensions++;
    process.suspendedUntil = this.step + step.steps;
    const deferred = operation.variant % 2 === 0 ? process.waiting[0] : undefined;
    deferred?.perform();
    if (process.dead) return;
    this.readOn();
    const goOn = (): void => {
      if (deferred === undefined) this.operate(process, operation);
      else answer({ process, deferred });
    };
    this.#sleepers.add(process, this.oracle.history.length - 1, step.calls, goOn);
  }

  #close(process: SimulatedProcess, slot: number): void {
    const { store } = process;
    if (store === undefined || process.busy) return;
    process.busy = true;
    this.track(process, "closing", async () => {
      await store.close();
      if (process.dead || this.#finishing) return;
      if (process.fs.openPaths.length > 0) {
        throw new Violation(`${process.name} closed, and has ${process.fs.openPaths.join(", ")} open`);
      }
      process.fs.kill();
      if (this.processes[slot] === process) this.boot(slot);
    });
  }

  /** @param reboot Whether the processes are started again. */
  cutPower(seed: number, reboot = true): void {
    this.readOn();
    this.figures.powerCuts++;
    this.disk.powerCut("random", seededRandom(seed));
    this.copies = this.copies.filter(({ done }) => done); // a copying program needs power, too
    this.#reboot = reboot;
    try {
      this.oracle.powerWasCut();
    } catch (error) {
      this.failed(error);
    }
  }

  /** From here on nothing fails any more; until `goOn`. */
  calmDown(): void {
    this.#finishing = true;
    this.#faults.disarm();
    this.makeRoom();
  }

  /** Every process that stands still inside an operation goes on. */
  async wakeAll(): Promise<void> {
    await this.#sleepers.wake(Number.POSITIVE_INFINITY);
  }

  goOn(): void {
    this.#finishing = false;
  }

  makeRoom(): void {
    this.#full = false;
    this.disk.freeBytes = Number.POSITIVE_INFINITY;
  }

  /** A process that died is started again, after everything that died with it has come to rest. */
  async rebootAll(): Promise<void> {
    if (!this.#reboot) return;
    this.#reboot = false;
    await turn();
    for (const [slot, process] of this.processes.entries()) if (process.dead) this.boot(slot);
    await turn();
  }

  #damage(step: Extract<Step, { do: "damage" }>): void {
    this.#news = true; // whatever was looked at: what is damaged now cannot be read later
    this.readOn();
    const done = damage(this.disk, this.oracle, step);
    if (done === undefined) return;
    this.figures.damages++;
    for (const key of done.keys) this.damaged.add(key);
    this.logDamaged ||= done.inLog;
    this.oracle.damaged ||= done.inLog;
    if (step.kind !== "cut") return;
    // What processes do that had read more has tests of its own (damage/cut.test.ts): here those come that know only what is left.
    for (const process of this.processes) process.fs.kill();
    this.copies = this.copies.filter(({ done: whole }) => whole);
    this.#reboot = true;
  }

  #onCall(process: SimulatedProcess, call: SimulatedCall): CallInstruction | undefined {
    const { name, args } = call;
    this.readOn();
    if (++this.figures.calls > CALLS_MAX) this.failed(new Violation("it does not end"));
    for (const copy of this.copies) copy.called();
    this.#hash.add(process.ordinal, call);
    if (name === "unlink" && String(args[0]).endsWith("/.store/reserve")) this.figures.reserves++;
    if (mayBeNews(name)) this.#news = true;
    if (process.options.readOnly && isWrite(name)) {
      this.failed(new Violation(`${process.name} only reads, and calls ${name} ${String(args[0])}`));
    }
    if (this.violation !== undefined && this.figures.calls > CALLS_MAX + 1000) process.fs.kill();
    return this.#finishing ? undefined : this.#faults.strike(process, call);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "store_not_found";
}
