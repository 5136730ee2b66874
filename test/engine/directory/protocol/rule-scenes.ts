/** What the tests of the ordering rules share: stores, values, and processes that are stopped at a call of theirs. */
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { CallLog } from "../../../support/call-log.js";
import { bigText, start, STORE, type Entry, type Process } from "../../../support/processes.js";

export const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

export const SEGMENT_1 = `${STORE}/.store/log/00000001.jsonl`;

export const SEGMENT_2 = `${STORE}/.store/log/00000002.jsonl`;

export const BIG = { big: bigText("value"), bigOf: "value" };

export const plusOne = (entry: Entry | undefined): Entry => ({
  ...entry,
  n: ((entry?.["n"] as number | undefined) ?? 0) + 1,
});

export async function alone(
  options: Parameters<typeof start>[2] = {},
): Promise<{ disk: SimulatedDisk; a: Process; log: CallLog }> {
  const disk = new SimulatedDisk();
  const log = new CallLog();
  const a = await start(disk, "A", { through: log.through, ...options });
  log.clear();
  return { disk, a, log };
}

/** What a process that starts after a power cut of the worst kind reads. */
export async function afterPowerCut(disk: SimulatedDisk, key: string): Promise<Readonly<Entry> | undefined> {
  const copy = disk.clone();
  copy.powerCut("durable-only");
  const survivor = await start(copy, "survivor");
  return survivor.store.get(key);
}

/** Stops a process at the first deferred call that passes a test; gives the way to let it go on. */
export function parkAt(
  process: Pick<Process, "fs">,
  test: (call: SimulatedCall) => boolean,
): { reached: boolean; release: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const parking = {
    reached: false,
    release: () => {
      process.fs.gate = undefined;
      open();
    },
  };
  process.fs.gate = (call) => {
    parking.reached ||= test(call);
    return parking.reached ? opened : undefined;
  };
  return parking;
}

export const calls = (name: string, path: RegExp) => (call: SimulatedCall) =>
  call.name === name && call.args.some((arg) => typeof arg === "string" && path.test(arg));
