/**
 * What is interrupted at exactly one system call: a program, what it begins with, and what has to be so afterwards; and
 * the list of all such interruptions.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { migrateLegacyStore, rollbackToLegacy } from "../../../src/legacy/index.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { count, type Call, type Case, type Fault, type Place, type Run } from "./injection.js";
import { LegacyScene, type Action } from "./legacy-scene.js";
import { OPTIONS, prepare, SCENARIOS, wrongAfter } from "./steps.js";

export interface Subject {
  readonly name: string;
  readonly program: string;
  /** Makes what the program starts with, in a new folder. @returns Its argument. */
  readonly prepare: (folder: string) => Promise<object>;
  /** What is wrong after a run, in words. Finishes what was interrupted. */
  readonly wrong: (folder: string, run: Run, powerCut?: boolean) => Promise<string[]>;
}

export const SUBJECTS: readonly Subject[] = [
  ...SCENARIOS.map((scenario): Subject => ({
    name: scenario.name,
    program: "steps",
    prepare: async (folder) => {
      const path = join(folder, "sessions.d");
      await prepare(path, scenario);
      return { path, options: OPTIONS, steps: scenario.steps, prepared: scenario.prepared };
    },
    wrong: (folder, { messages }, powerCut = false) =>
      wrongAfter(join(folder, "sessions.d"), scenario, messages, powerCut),
  })),
  legacy("a migration", "migrate"),
  legacy("a rollback", "rollback"),
];

function legacy(name: string, action: Action): Subject {
  const scenes = new Map<string, LegacyScene>();
  return {
    name,
    program: "legacy",
    prepare: async (folder) => {
      const scene = new LegacyScene(join(folder, "scene"), 3);
      scenes.set(folder, scene);
      if (action === "rollback") {
        const { outcome } = await migrateLegacyStore(scene.file);
        if (outcome !== "migrated") throw new Error(`the migration says ${outcome}`);
        await scene.change();
      }
      return { path: scene.file, action };
    },
    wrong: async (folder, { messages }) => {
      const scene = scenes.get(folder);
      if (scene === undefined) throw new Error("nobody prepared it");
      const report = messages.find(({ event }) => event === "report");
      const wrong = await scene.wrong(action, report && String(report["outcome"]));
      const again = action === "migrate" ? migrateLegacyStore : rollbackToLegacy;
      const { outcome } = await again(scene.file);
      return [...wrong, ...(await scene.wrongAfterAll(action, outcome))];
    },
  };
}

/** Calls that a full disk or quota can refuse. */
const WHEN_FULL: ReadonlySet<Call> = new Set([
  ...(["write", "pwrite64", "openat", "mkdir", "mkdirat", "fdatasync"] as const),
  ...(["link", "linkat", "rename", "renameat", "renameat2"] as const),
]);

export interface Cases {
  /** Every fault at every call that concerns the store, as one run made them. */
  readonly cases: readonly Case[];
  readonly kinds: readonly Kind[];
}

export interface Kind extends Omit<Case, "nth"> {
  /** Numbers of the calls that concern the store. */
  readonly numbers: readonly number[];
  /** All of them do: Node makes no such call of its own. */
  readonly allOurs: boolean;
}

export async function casesOf(place: Place, subject: Subject): Promise<Cases> {
  const cases: Case[] = [];
  const kinds: Kind[] = [];
  const counts = await count(place, subject.program, async (thread) => {
    const folder = join(place.folder, `counted-${subject.name}-${thread}`);
    mkdirSync(folder, { mode: 0o700 });
    return subject.prepare(folder);
  });
  for (const [thread, calls] of counts) {
    for (const [call, made] of calls) {
      const numbers = made.flatMap((ours, index) => (ours ? [index + 1] : []));
      if (numbers.length === 0) continue;
      const faults: Fault[] = WHEN_FULL.has(call) ? ["KILL", "ENOSPC", "EIO"] : ["KILL", "EIO"];
      for (const fault of faults) {
        kinds.push({ thread, call, fault, numbers, allOurs: !made.includes(false) });
        for (const nth of numbers) cases.push({ thread, call, nth, fault });
      }
    }
  }
  return { cases, kinds };
}

/** Some of them, by chance. */
export function sample<T>(values: readonly T[], size: number, seed: number): T[] {
  const random = seededRandom(seed);
  const order = new Map(values.map((value) => [value, random()]));
  return values.toSorted((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0)).slice(0, size);
}
