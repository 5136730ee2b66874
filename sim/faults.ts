/**
 * What happens to single system calls: they fail, are cut short, are a process's last, or are the moment at which other
 * processes do something.
 */
import type { CallInstruction, SimulatedCall } from "../src/testing/simulated/file-system.js";
import { systemError } from "../src/testing/simulated/system-error.js";
import type { Figures } from "./figures.js";
import type { SimulatedProcess } from "./process.js";
import type { Operation, Step } from "./schedule.js";
import type { Waiting } from "./waiting.js";

type Armed = Step & { readonly do: "arm" };

/** The world around a call, as far as a fault changes it, or lets something happen in it. */
export interface Surroundings {
  readonly figures: Figures;
  readonly processes: readonly SimulatedProcess[];
  /** Number of the step that is being taken. */
  readonly step: number;
  /** A process was killed by a call of its own. */
  died(): void;
  cutPower(seed: number): void;
  /** The waiting call at a fraction of 1000 of all. */
  pick(fraction: number, eligible: (process: SimulatedProcess) => boolean): Waiting | undefined;
  operate(process: SimulatedProcess, operation: Operation): void;
}

const NEEDS_WRITE: ReadonlySet<string> = new Set(["torn write", "short write"]);

export class Faults {
  #armed: { readonly step: Armed; calls: number }[] = [];
  /** Processes in the middle of a blocking call: nothing else can run in them. */
  readonly #inside: string[] = [];

  constructor(private readonly world: Surroundings) {}

  arm(step: Armed): void {
    this.#armed.push({ step, calls: step.after });
  }

  disarm(): void {
    this.#armed = [];
  }

  /** Lets everything happen to a call that is due at it. May throw what the call is to throw. */
  strike(process: SimulatedProcess, call: SimulatedCall): CallInstruction | undefined {
    if (this.#armed.length === 0) return undefined;
    let instruction: CallInstruction | undefined;
    for (const armed of this.#armed) armed.calls--;
    for (let index = this.#armed.length - 1; index >= 0; index--) {
      const armed = this.#armed[index];
      if (armed === undefined || armed.calls > 0) continue;
      if (NEEDS_WRITE.has(armed.step.fault) && call.name !== "write") continue; // it waits for the next one
      if (armed.step.fault === "lost sync" && call.name !== "fdatasync" && call.name !== "fsync") continue;
      this.#armed.splice(index, 1);
      instruction = this.#apply(armed.step, process, call) ?? instruction;
    }
    return instruction;
  }

  #apply(
    { fault, amount, operation }: Armed,
    process: SimulatedProcess,
    call: SimulatedCall,
  ): CallInstruction | undefined {
    switch (fault) {
      case "kill before":
        this.world.died();
        process.fs.kill();
        return undefined;
      case "kill after":
        this.world.died();
        return { killAfter: true };
      case "torn write":
        this.world.died();
        return { shortWrite: 1 + Math.floor((amount * Number(call.args[3])) / 1000), killAfter: true };
      case "short write":
        this.world.figures.errors++;
        process.faulty = true;
        return { shortWrite: 1 + Math.floor((amount * Number(call.args[3])) / 1000) };
      case "EIO":
        if (call.name === "close") return undefined;
        this.world.figures.errors++;
        process.faulty = true;
        throw systemError("EIO", call);
      case "lost answer":
        if (call.name === "close" || call.name === "open") return undefined;
        this.world.figures.errors++;
        process.faulty = true;
        return { failAfter: systemError("EIO", call) };
      case "lost sync":
        this.world.figures.errors++;
        process.faulty = true;
        return { failSync: true };
      case "cut power":
        this.world.cutPower(amount);
        return undefined;
      case "other calls":
        this.#inside.push(process.name);
        this.world.pick(amount, (other) => !this.#inside.includes(other.name))?.deferred.perform();
        this.#inside.pop();
        return undefined;
      case "other operation":
        this.#operateInside(process, amount, operation);
        return undefined;
    }
  }

  /** A blocking piece of another process's operation, in the middle of a blocking call of this one. */
  #operateInside(process: SimulatedProcess, amount: number, operation: Operation): void {
    this.#inside.push(process.name);
    const others = this.world.processes.filter(
      (other) =>
        !this.#inside.includes(other.name) && other.suspendedUntil <= this.world.step && !other.fs.asleep,
    );
    const other = others[Math.floor((amount * others.length) / 1000)];
    if (other !== undefined) {
      this.#inside.push(other.name);
      this.world.operate(other, operation);
      this.#inside.pop();
    }
    this.#inside.pop();
  }
}
