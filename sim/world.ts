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
import { keyFromFolderName } from "../src/format/session-key.js";
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import type { CallInstruction, SimulatedCall } from "../src/testing/simulated/file-system.js";
import { seededRandom } from "../src/testing/seeded-random.js";
import { Copy } from "./copy.js";
import { Faults } from "./faults.js";
import { noFigures, type Figures } from "./figures.js";
import { assertExplained, operate, type Scene } from "./operations.js";
import { FROM, STORE, TO, Violation, type Oracle } from "./oracle.js";
import { SimulatedProcess, type Deferred, type ProcessOptions } from "./process.js";
import type { Operation, Schedule, Step } from "./schedule.js";

/** Far more than any schedule needs: whoever gets here does not end. */
const CALLS_MAX = 60_000;
const AGE_CALLS_MAX = 600;
const READS: ReadonlySet<string> = new Set([
  "read",
  "fstat",
  "lstat",
  "readdir",
  "open",
  "realpath",
  "readlink",
  "room",
]);

interface Waiting {
  readonly process: SimulatedProcess;
  readonly deferred: Deferred;
}

export class World implements Scene {
  readonly figures: Figures = noFigures();
  readonly damaged = new Set<string>();
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
  #hash = 0x811c9dc5;
  #full = false;
  #reboot = false;
  #stopped: { readonly process: SimulatedProcess; readonly at: number; readonly goOn: () => void }[] = [];
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
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
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
    await this.take(this.schedule.steps);
  }

  protected async take(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      this.step++;
      await this.#wake();
      await this.#take(step);
      await turn(); // to rest, or something could happen to a process that is in the middle of something
      await this.#rebootAll();
      this.look();
      if (this.violation !== undefined) return;
    }
  }

  look(): void {
    if (!this.#news) return;
    this.#news = false;
    try {
      this.oracle.look();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Starts a process in a slot and has it open the store. */
  boot(slot: number): SimulatedProcess {
    const { segmentBytes, reader, careless, processes } = this.schedule;
    const readOnly = reader !== undefined && Math.floor((reader * processes) / 1000) === slot;
    const durability = careless && slot === 1 ? "os" : "disk";
    const process = this.#mount(this.disk, { segmentBytes, durability, readOnly });
    this.processes[slot] = process;
    this.begin(process);
    return process;
  }

  /** A process on a copy of the disk. */
  bootOutside(disk: SimulatedDisk): SimulatedProcess {
    const { segmentBytes } = this.schedule;
    return this.#mount(disk, { segmentBytes, durability: "disk", readOnly: false });
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

  #take(step: Step): Promise<void> | undefined {
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
        this.#damage(step.file, step.at);
        return;
      case "copy":
        this.figures.copies++;
        this.copies.push(new Copy(this.disk, this.oracle, step.pace));
        return;
      default:
        return this.#takeIn(step, this.#slot(step.process));
    }
  }

  #takeIn(step: Extract<Step, { process: number }>, slot: number): Promise<void> | undefined {
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
        return this.#age(process, step.rounds);
      case "run":
        return this.#runAlone(process, step.calls);
    }
  }

  async #release(picks: readonly number[]): Promise<void> {
    for (const pick of picks) {
      const waiting = this.pick(pick, ({ suspendedUntil }) => suspendedUntil <= this.step);
      if (waiting === undefined) return;
      this.#answer(waiting.process, waiting.deferred);
      await turn();
    }
  }

  /** The waiting call at a fraction of 1000 of all. */
  pick(fraction: number, eligible: (process: SimulatedProcess) => boolean): Waiting | undefined {
    let total = 0;
    for (const process of this.processes) {
      if (!process.dead && eligible(process)) total += process.waiting.length;
    }
    let left = Math.floor((fraction * total) / 1000);
    for (const process of this.processes) {
      if (process.dead || !eligible(process)) continue;
      const deferred = process.waiting[left];
      if (deferred !== undefined) return { process, deferred };
      left -= process.waiting.length;
    }
    return undefined;
  }

  #answer(process: SimulatedProcess, deferred: Deferred): void {
    process.waiting.splice(process.waiting.indexOf(deferred), 1);
    deferred.answer();
  }

  async #runAlone(process: SimulatedProcess, calls: number): Promise<void> {
    if (process.suspendedUntil > this.step) return;
    for (let call = 0; call < calls && !process.dead; call++) {
      const [deferred] = process.waiting;
      if (deferred !== undefined) this.#answer(process, deferred);
      else if (!process.runtime.runNextTimer()) return;
      await turn();
    }
  }

  /** A write, and a checkpoint: everybody else finds that segments have come and gone. */
  async #age(process: SimulatedProcess, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      this.operate(process, { kind: "update", key: (round * 300) % 1000, variant: 3 + round });
      await turn();
      this.operate(process, { kind: "checkpoint", key: 0, variant: 0 });
      await turn();
      for (let call = 0; call < AGE_CALLS_MAX && process.waiting.length > 0; call++) {
        await this.#runAlone(process, 1);
        if (process.dead) return;
      }
    }
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
    this.look();
    process.asOf = this.oracle.history.length - 1;
    process.fs.fallAsleep(step.calls);
    const goOn = (): void => {
      if (deferred === undefined) this.operate(process, operation);
      else this.#answer(process, deferred);
    };
    this.#stopped.push({ process, at: process.suspendedUntil, goOn });
  }

  /** Whoever stood still goes on, first with what it still sees of the past. */
  async #wake(all = false): Promise<void> {
    if (this.#stopped.length === 0) return;
    const due = this.#stopped.filter(({ at, process }) => !process.dead && (all || at <= this.step));
    this.#stopped = this.#stopped.filter((stopped) => !due.includes(stopped) && !stopped.process.dead);
    if (due.length === 0) return;
    for (const { goOn, process } of due) if (!process.dead) goOn();
    await turn();
    for (const { process } of due) {
      process.fs.wakeUp();
      process.asOf = undefined;
    }
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
    this.look();
    this.figures.powerCuts++;
    this.disk.powerCut("random", seededRandom(seed));
    this.copies = this.copies.filter(({ done }) => done); // whoever copies needs power, too
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

  goOn(): void {
    this.#finishing = false;
  }

  makeRoom(): void {
    this.#full = false;
    this.disk.freeBytes = Number.POSITIVE_INFINITY;
  }

  /** Whoever died is started again, after everything that died with it has come to rest. */
  async #rebootAll(): Promise<void> {
    if (!this.#reboot) return;
    this.#reboot = false;
    await turn();
    for (const [slot, process] of this.processes.entries()) if (process.dead) this.boot(slot);
    await turn();
  }

  #damage(file: number, at: number): void {
    const files = this.disk.names(STORE).filter((name) => !SPARED.has(name));
    const catalogs = this.disk.names(`${STORE}/.store`).filter((name) => name.startsWith("catalog-"));
    const all = [...files.map((name) => `${name}/meta.json`), ...catalogs.map((name) => `.store/${name}`)];
    const chosen = all[Math.floor((file * all.length) / 1000)];
    const content = chosen === undefined ? undefined : this.disk.readRaw(`${STORE}/${chosen}`);
    if (chosen === undefined || content === undefined || content.length === 0) return;
    const place = Math.floor((at * content.length) / 1000);
    content[place] = content[place]! ^ (1 << (at % 8));
    this.disk.writeRaw(`${STORE}/${chosen}`, content);
    this.figures.damages++;
    this.damaged.add(keyFromFolderName(chosen.split("/")[0] ?? "") ?? "");
  }

  #onCall(process: SimulatedProcess, call: SimulatedCall): CallInstruction | undefined {
    const { name, args } = call;
    this.look();
    if (++this.figures.calls > CALLS_MAX) this.failed(new Violation("it does not end"));
    for (const copy of this.copies) copy.called();
    this.#mix(process.ordinal * 31 + name.length * 7 + name.charCodeAt(2), args[0]);
    if (name === "unlink" && String(args[0]).endsWith("/.store/reserve")) this.figures.reserves++;
    if (!READS.has(name)) {
      this.#news = true;
      if (process.options.readOnly && !HARMLESS.has(name)) {
        this.failed(new Violation(`${process.name} only reads, and calls ${name} ${String(args[0])}`));
      }
    }
    if (this.violation !== undefined && this.figures.calls > CALLS_MAX + 1000) process.fs.kill();
    return this.#finishing ? undefined : this.#faults.strike(process, call);
  }

  #mix(number: number, path: unknown): void {
    let hash = Math.imul(this.#hash ^ number, 0x01000193);
    if (typeof path === "string") {
      for (let at = Math.max(0, path.length - 24); at < path.length; at++) {
        hash = Math.imul(hash ^ path.charCodeAt(at), 0x01000193);
      }
    } else if (typeof path === "number") hash = Math.imul(hash ^ path, 0x01000193);
    this.#hash = hash;
  }

  /** Everything goes on until nothing is left to do: whatever is under way ends, without any process waiting for another. */
  async settle(): Promise<void> {
    this.calmDown();
    for (const process of this.processes) {
      process.suspendedUntil = 0;
      process.hold = undefined;
    }
    await this.#wake(true);
    await this.#rebootAll();
    for (let idle = 0; idle < IDLE_MAX && this.violation === undefined; idle++) {
      for (let progress = true; progress && this.violation === undefined;) {
        progress = false;
        for (const process of this.processes) {
          const [deferred] = process.waiting;
          if (deferred === undefined || process.dead) continue;
          progress = true;
          this.#answer(process, deferred);
          await turn();
        }
      }
      await this.#rebootAll();
      this.look();
      const running = this.processes.filter((process) => process.running > 0 && !process.dead);
      if (running.length === 0 && this.processes.every(({ waiting }) => waiting.length === 0)) return;
      for (const process of this.processes) process.runtime.runNextTimer();
      await turn();
    }
    this.violation ??= new Violation(
      `it does not end: ${this.processes.map(({ name, running }) => `${name} has ${running} running`).join(", ")}`,
    );
  }
}

/** Timers that nothing else waits for. */
const IDLE_MAX = 400;
/** Not damaged: what they add up to is looked at in every state. */
const SPARED: ReadonlySet<string> = new Set([".store", FROM, TO]);
const HARMLESS: ReadonlySet<string> = new Set(["close", "fileSystemType", "room"]);

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "store_not_found";
}

/** Everything that can run has run when this resolves: ticks come when no microtask is left. */
export function turn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
