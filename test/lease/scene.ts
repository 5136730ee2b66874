/** Hosts that share a store, each with a clock and processes of its own that tests move. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProcessName } from "../../src/fs/processes.js";
import { openLeasesOn, type LeaseHost, type Leases } from "../../src/lease/leases.js";
import { openDirectoryStore, openSessionStore } from "../../src/store/open.js";
import type { SessionStore } from "../../src/store/types.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";

export interface Entry {
  n: number;
}

/** Opens the same store as often as it is asked. */
export interface Place {
  readonly open: () => Promise<SessionStore<Entry>>;
  readonly end: () => void;
}

export const ENGINES: Readonly<Record<string, () => Promise<Place>>> = {
  memory: async () => {
    const store = await openSessionStore<Entry>("memory:");
    return { open: () => Promise.resolve(store), end: () => {} };
  },
  directory: () => {
    const folder = mkdtempSync(join(tmpdir(), "leases-"));
    return Promise.resolve({
      open: () => openDirectoryStore<Entry>(join(folder, "sessions.d"), { durability: "os" }),
      end: () => rmSync(folder, { recursive: true }),
    });
  },
};

/** Processes that run, by id, with their starts. */
export type Running = Map<number, number>;

export interface TestHost {
  readonly runtime: ManualRuntime;
  readonly store: SessionStore<Entry>;
  readonly leases: Leases<Entry>;
}

let seeds = 0;

/** One process on a host; without `running` it is on a system that does not tell. */
export async function hostOf(
  place: Place,
  process: { readonly pid: number; readonly space: string; readonly running: Running } | undefined,
): Promise<TestHost> {
  const runtime = new ManualRuntime({ seed: ++seeds });
  const store = await place.open();
  const leases = openLeasesOn(store, {}, { runtime, processes: processesOf(process) });
  return { runtime, store, leases };
}

function processesOf(
  process: { readonly pid: number; readonly space: string; readonly running: Running } | undefined,
): LeaseHost["processes"] {
  if (process === undefined) return { self: undefined, isGone: () => false };
  const { pid, space, running } = process;
  if (!running.has(pid)) running.set(pid, pid * 100);
  return {
    self: { pid, space, start: running.get(pid) ?? 0 },
    isGone: (name: ProcessName) => name.space === space && running.get(name.pid) !== name.start,
  };
}

/** Until what was begun has come to rest: a few turns of the event loop, with the store's own timers. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Lets time pass on one host's clock in small steps, so that renewals and looks happen as they would. */
export async function pass({ runtime }: TestHost, ms: number, step = 100): Promise<void> {
  for (let passed = 0; passed < ms; passed += step) {
    runtime.advance(Math.min(step, ms - passed));
    await settle();
  }
}
