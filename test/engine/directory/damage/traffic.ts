/** A store of fifty sessions that was in use for a while, the same for the same seed, and what it held in the end. */
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { bigText, settled, type Entry, type Process } from "../../../support/processes.js";
import { startWatched } from "./scenes.js";

/** Latest state of a session; `entry` is undefined when it was deleted. */
export interface Fact {
  readonly revision: number;
  readonly entry: Readonly<Entry> | undefined;
}

export interface UsedStore {
  readonly disk: SimulatedDisk;
  readonly facts: Map<string, Fact>;
  /** A process that has read everything and lives on. */
  readonly live: Process | undefined;
  readonly pick: (count: number) => number;
  /** Newer files that were replaced by older ones. */
  readonly overwritten: string[];
}

export const KEYS = Array.from({ length: 50 }, (_, index) => `session-${String(index).padStart(2, "0")}`);
const OPS_MIN = 60;
const OPS_MORE = 180;

export async function usedStore(seed: number, hasLive: boolean): Promise<UsedStore> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.trunc(random() * count);
  const disk = new SimulatedDisk({ random });
  const facts = new Map<string, Fact>();
  const overwritten: string[] = [];
  const options = {
    durability: "os",
    segmentBytes: pick(2) === 0 ? 4096 : 64 * 1024,
    flushDelayMs: 500,
  } as const;
  const watch = (what: string): void => void overwritten.push(what);
  const workers = [
    await startWatched(disk, "A", watch, options),
    await startWatched(disk, "B", watch, options),
  ];
  const ops = OPS_MIN + pick(OPS_MORE);
  for (let op = 0; op < ops; op++) {
    const worker = workers[pick(workers.length)];
    if (worker === undefined) throw new Error("no worker");
    await work(worker, workers, pick, facts, op);
  }
  const [a, b] = workers as [Process, Process];
  if (pick(2) === 0) await settled(a.store.close(), a, b);
  else a.fs.kill();
  await b.store.read("nobody"); // the one that lives on has read everything
  if (hasLive) return { disk, facts, live: b, pick, overwritten };
  if (pick(2) === 0) await settled(b.store.close(), b);
  else b.fs.kill();
  return { disk, facts, live: undefined, pick, overwritten };
}

async function work(
  { store }: Process,
  all: readonly Process[],
  pick: (count: number) => number,
  facts: Map<string, Fact>,
  op: number,
): Promise<void> {
  const key = KEYS[pick(KEYS.length)] ?? "";
  const chance = pick(100);
  if (chance < 25) await put(store.put(key, newEntry(op, pick)), all, facts);
  else if (chance < 80)
    await put(
      store.update(key, (entry) => ({ ...(entry ?? newEntry(op, pick)), n: op })),
      all,
      facts,
    );
  else if (chance < 86) {
    if (await settled(store.delete(key), ...all))
      facts.set(key, { revision: store.revisionSync(), entry: undefined });
  } else if (chance < 94) {
    const text = "t".repeat(pick(80));
    const other = KEYS[(KEYS.indexOf(key) + 1) % KEYS.length] ?? "";
    await settled(
      store.transact(async (transaction) => {
        for (const one of [key, other]) await transaction.put(one, { both: op, text });
      }),
      ...all,
    );
    for (const one of [key, other]) {
      const record = await store.read(one);
      if (record !== undefined) facts.set(one, { revision: record.revision, entry: plain(record.entry) });
    }
  } else if (chance < 98) await settled(store.flush(), ...all);
  else await settled(store.checkpoint(), ...all);
}

export function newEntry(op: number, pick: (count: number) => number): Entry {
  const text = "x".repeat(pick(200));
  return pick(8) === 0 ? { op, text, big: bigText(`b${pick(6)}`) } : { op, text };
}

/** Enters what a write made of its session. */
async function put(
  written: Promise<
    { readonly key: string; readonly revision: number; readonly entry: Readonly<Entry> } | undefined
  >,
  all: readonly Process[],
  facts: Map<string, Fact>,
): Promise<void> {
  const record = await settled(written, ...all);
  if (record !== undefined) facts.set(record.key, { revision: record.revision, entry: plain(record.entry) });
}

/** A copy with its shared values loaded. */
export function plain(entry: Readonly<Entry>): Entry {
  return JSON.parse(JSON.stringify(entry)) as Entry;
}
