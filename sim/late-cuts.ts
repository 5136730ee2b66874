/**
 * When everything has come to rest, a transcript is cut a few times more, and read around the cuts while they are only in the log, when
 * their files are made, and when the log has gone: what a schedule left on the disk is what these files begin with.
 *
 * Schedules alone rarely read a number that was cut off while the file of that cut is on its way.
 */
import { finished } from "./finish.js";
import type { SimulatedProcess } from "./process.js";
import type { Fields, Oracle } from "./oracle.js";
import { expectTranscript, TRANSCRIPTS } from "./transcript-reads.js";
import { placeOf } from "./transcript-model.js";
import type { World } from "./world.js";

/** It takes longer than an ordinary schedule: one in so many. */
const EVERY = 12;
const KEY = "a";

export async function cutLate(world: World): Promise<void> {
  const { schedule, oracle, damaged, processes } = world;
  if (schedule.seed % EVERY !== 0 || damaged.size > 0 || oracle.damaged) return;
  const writer = processes.at(-1);
  const store = writer?.store;
  if (writer === undefined || store === undefined) return;
  const other = processes.find((process) => process !== writer && isAtRest(process));
  const readers = other === undefined ? [writer] : [writer, other];
  const name = mostUsedIn(oracle);
  const options = { transcript: name };
  const items = (count: number): Fields[] =>
    Array.from({ length: count }, () => ({ token: world.nextToken() }));
  /** Appends so many items, and keeps of all only so many. */
  const cut = async (count: number, keep: (length: number) => number): Promise<void> => {
    const { length } = await store.append(KEY, items(count), options);
    await store.truncate(KEY, { length: keep(length) }, options);
  };
  const steps: (() => Promise<unknown>)[] = [
    () => cut(4, (length) => length - 2),
    () => store.checkpoint(),
    () => cut(2, (length) => length - 1),
    () => store.flush(),
    () => cut(1, (length) => Math.ceil(length / 2)),
    () => store.append(KEY, items(1), options),
    () => store.checkpoint(),
  ];
  for (const step of steps) {
    await finished(world, writer, step());
    world.readOn();
    for (const reader of readers) await finished(world, reader, expectTranscript(reader, oracle, KEY, name));
  }
}

function isAtRest({ store, dead, busy }: SimulatedProcess): boolean {
  return store !== undefined && !dead && !busy;
}

/** The one that the schedule has used most. */
function mostUsedIn({ transcripts }: Oracle): string {
  const lastOf = (name: string): number => transcripts.get(placeOf(KEY, name))?.last ?? 0;
  return TRANSCRIPTS.toSorted((a, b) => lastOf(b) - lastOf(a))[0] ?? "main";
}
