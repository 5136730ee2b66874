/** The bug base: shortened schedules that once failed, each a file that the tests replay. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Schedule } from "./schedule.js";

export interface KnownBug {
  /** What it did when it was found. */
  readonly violation: string;
  /** What was wrong, once that is known. */
  readonly cause: string;
  readonly schedule: Schedule;
}

export function writeBug(folder: string, bug: KnownBug): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `seed-${bug.schedule.seed}.json`);
  const { steps, ...rest } = bug.schedule;
  const lines = steps.map((step) => `      ${JSON.stringify(step)}`).join(",\n");
  const known = Object.entries(rest).filter(([, value]) => value !== undefined);
  const head = known.map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`);
  const text =
    `{\n  "violation": ${JSON.stringify(bug.violation)},\n  "cause": ${JSON.stringify(bug.cause)},\n` +
    `  "schedule": {\n${head.join("")}    "steps": [\n${lines}\n    ]\n  }\n}\n`;
  writeFileSync(path, text);
  return path;
}

export function readBug(path: string): KnownBug {
  return JSON.parse(readFileSync(path, "utf8")) as KnownBug;
}

export function bugsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => join(folder, name));
}
