/**
 * What operations may cost, in counts that are the same on every machine: `test/process/budget.json`.
 *
 * A budget is exceeded when something got dearer, and slack when something got much cheaper and nobody wrote it
 * down: then the next change could spend the difference unseen. Either is a finding.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SystemCall } from "./strace.js";

/** What one operation costs. */
export interface Cost {
  /** System calls that touch files, of all threads. */
  readonly calls: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly filesOpened: number;
  /** Memory of the JavaScript heap, with the optimizing compiler off; rounded. */
  readonly bytesAllocated?: number;
}

export interface Budget {
  readonly note: string;
  /** By durability and operation. */
  readonly operations: Record<string, Partial<Cost>>;
  /** How many times dearer an operation may be with ten times the sessions. */
  readonly growth: Record<string, Partial<Cost>>;
}

export const BUDGET_FILE = fileURLToPath(new URL("../budget.json", import.meta.url));
export const REWRITE = "UPDATE_BUDGET=1 npx vitest run test/process/budget.test.ts";

export function readBudget(): Budget {
  return JSON.parse(readFileSync(BUDGET_FILE, "utf8")) as Budget;
}

export function writeBudget(budget: Budget): void {
  writeFileSync(BUDGET_FILE, `${JSON.stringify(budget, undefined, 2)}\n`);
}

const FILE_CALLS =
  /^(p?(read|write)(64|v)?|open(at)?|close|stat|statfs|fstatfs|access|faccessat2?|getdents64|lseek|fsync|fdatasync|sync_file_range|rename(at2?)?|link(at)?|unlink(at)?|symlink(at)?|mkdir(at)?|rmdir|readlink(at)?|ftruncate|truncate|fallocate|copy_file_range|sendfile|flock|fcntl|chmod|fchmod(at)?|utimensat|inotify_\w+)$/;

/** Calls on files in what strace saw; how threads wake each other is Node's own affair. */
export function countCalls(region: readonly SystemCall[]): Cost {
  const calls = region.filter((call) => FILE_CALLS.test(call.name) && !wakesThread(call));
  const sum = (pattern: RegExp): number =>
    calls.filter(({ name }) => pattern.test(name)).reduce((total, call) => total + resultOf(call), 0);
  return {
    calls: calls.length,
    bytesRead: sum(/^p?read/),
    bytesWritten: sum(/^p?write/),
    filesOpened: calls.filter((call) => call.name.startsWith("open") && resultOf(call) > 0).length,
  };
}

/** libuv's event counter: eight bytes, of which the first is 1. */
function wakesThread({ name, text }: SystemCall): boolean {
  return (
    /^(read|write)$/.test(name) &&
    (/"\\1\\0\\0\\0\\0\\0\\0\\0", (8|1024)/.test(text) || /= -1 EAGAIN/.test(text))
  );
}

function resultOf({ text }: SystemCall): number {
  return Math.max(0, Number(/ = (-?\d+)(?: .*)?$/.exec(text)?.[1] ?? 0));
}

/** The cost of most regions: Node does something of its own in one of them now and then. */
export function typical(costs: readonly Cost[]): Cost {
  const middle = (pick: (cost: Cost) => number): number =>
    costs.map(pick).sort((a, b) => a - b)[costs.length >> 1] ?? Number.NaN;
  return {
    calls: middle(({ calls }) => calls),
    bytesRead: middle(({ bytesRead }) => bytesRead),
    bytesWritten: middle(({ bytesWritten }) => bytesWritten),
    filesOpened: middle(({ filesOpened }) => filesOpened),
  };
}

/** How far a count may be from its budget, as factors, and a difference that never matters. */
const ROOM: Record<keyof Cost, { readonly over: number; readonly under: number; readonly least: number }> = {
  calls: { over: 1, under: 0.8, least: 1 },
  filesOpened: { over: 1, under: 0.8, least: 0 },
  // Numbers in records grow by a digit now and then.
  bytesRead: { over: 1.02, under: 0.8, least: 64 },
  bytesWritten: { over: 1.02, under: 0.8, least: 16 },
  // From one version of Node to the next it differs.
  bytesAllocated: { over: 1.3, under: 0.6, least: 512 },
};

/** What is wrong, one line each; empty when all is as budgeted. */
export function compare(budget: Budget["operations"], measured: Record<string, Partial<Cost>>): string[] {
  const findings: string[] = [];
  for (const name of new Set([...Object.keys(budget), ...Object.keys(measured)])) {
    const [allowed, found] = [budget[name], measured[name]];
    if (allowed === undefined || found === undefined) {
      findings.push(`${name}: ${allowed === undefined ? "has no budget" : "was not measured"}; ${REWRITE}`);
      continue;
    }
    for (const count of Object.keys(ROOM) as (keyof Cost)[]) {
      const [most, is] = [allowed[count], found[count]];
      if (most === undefined || is === undefined) continue;
      const { over, under, least } = ROOM[count];
      if (is > most * over && is - most > (over === 1 ? 0 : least))
        findings.push(`${name}: ${count} ${is}, more than the budget of ${most}`);
      else if (is < most * under && most - is > least)
        findings.push(
          `${name}: ${count} ${is}, much less than the budget of ${most}: keep it so with ${REWRITE}`,
        );
    }
  }
  return findings;
}

/** Where ten times the sessions cost more than they may, one line each. */
export function compareGrowth(
  allowed: Budget["growth"],
  few: Record<string, Partial<Cost>>,
  many: Record<string, Partial<Cost>>,
): string[] {
  const findings: string[] = [];
  for (const [name, factors] of Object.entries(allowed)) {
    for (const [count, factor] of Object.entries(factors) as [keyof Cost, number][]) {
      const [before, after] = [few[name]?.[count], many[name]?.[count]];
      if (before === undefined || after === undefined) findings.push(`${name}: ${count} was not measured`);
      else if (after > before * factor && after - before > ROOM[count].least)
        findings.push(`${name}: ${count} grew from ${before} to ${after}, more than ${factor} times`);
    }
  }
  return findings;
}
