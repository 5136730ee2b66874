/**
 * What a process knows that has read the log of a store, beginning with a hint or without one; and random work that brings hints about.
 */
import { expect } from "vitest";
import { SessionLog } from "../../../../src/engine/directory/session-log.js";
import { hintNumber, Layout } from "../../../../src/format/layout.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import type { HotTranscriptState } from "../../../../src/engine/directory/transcripts/hot-transcript.js";
import type { HotTranscriptsState } from "../../../../src/engine/directory/transcripts/hot-transcripts.js";
import { boot, pass, start, STORE, type Process } from "../../../support/processes.js";
import { startSmall } from "../transcripts/scene.js";

const INTERNAL = `${STORE}/.store`;

/** Numbers of the hints that there are, lowest first. */
export function hintsIn(disk: SimulatedDisk): number[] {
  return disk
    .names(INTERNAL)
    .map((name) => hintNumber(name) ?? 0)
    .filter((number) => number > 0)
    .toSorted((a, b) => a - b);
}

export function hintPath(number: number): string {
  return new Layout(STORE).hint(number);
}

export interface Reading {
  /** All that is known, as JSON; undefined: the log cannot be read whole. */
  readonly known: string | undefined;
  readonly revision: number;
  readonly recordsRevision: number;
  /** Revision of the latest change of a record that the live log has. */
  readonly latestChange: number;
  /** Commits that were read line by line. */
  readonly committed: number;
  /** Whether reading began behind what a hint says. */
  readonly resumed: boolean;
}

/** Reads a copy of the log. @param hint Number of the hint to begin with, 0 for none. */
export function readLog(disk: SimulatedDisk, hint: number): Reading {
  const { fs, runtime } = boot(disk.clone(), "reader");
  const storeId = String(JSON.parse(String(disk.readRaw(`${INTERNAL}/format.json`))).storeId);
  const root = fs.lstat(STORE);
  const log = new SessionLog({
    fs,
    runtime,
    layout: new Layout(STORE),
    storeId,
    parent: "/",
    path: STORE,
    root,
    readOnly: true,
    cacheBytes: 0,
    decode: (stored) => stored,
    onWarning: () => {},
    elsewhere: {
      knownRevision: () => undefined,
      revisionElsewhere: () => undefined,
      beginningBehind: () => undefined,
    },
  });
  let committed = 0;
  let resumed = false;
  log.listen({ resumed: () => (resumed = true) });
  const count = log.committed.bind(log);
  log.committed = (...args) => {
    committed++;
    count(...args);
  };
  for (const _step of log.begin(hint));
  const { revision, recordsRevision } = log;
  const snapshot = log.snapshot();
  const known =
    snapshot &&
    asJson(
      snapshot.segments.map(({ segment: _segment, ...rest }) => rest),
      log.segments.map(({ ledger }) => ledger.changed),
      { ...snapshot.transcripts, transcripts: withoutDeleted(snapshot.transcripts) },
    );
  const latestChange = Math.max(0, ...[...log.hot.values()].map((state) => state.revision));
  log.close();
  return { known, revision, recordsRevision, latestChange, committed, resumed };
}

/**
 * Maps as lists in the order of their keys, and members by name: who read line by line and who did not may have met them in different
 * orders. The order of a session's fields is its own. Of an item's text memory may have been freed, and a hint has none.
 */
function asJson(...values: readonly unknown[]): string {
  const plain = (name: string, value: unknown): unknown => {
    if (name === "stored") return JSON.stringify(value);
    if (value instanceof Map) return [...value].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    if (["transcripts", "deletes", "states"].includes(name)) return sorted(value as readonly unknown[]);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const members = Object.entries(value).filter(([member]) => member !== "json" && member !== "decode");
    return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  return JSON.stringify(values, plain, 1);
}

/**
 * Without what went with its session in the live log: that is told by the delete, and who has read what there was before remembers
 * that besides.
 */
function withoutDeleted({ transcripts, deletes }: HotTranscriptsState): HotTranscriptState[] {
  const deletedAt = new Map(deletes.map(([key, list]) => [key, list.at(-1)?.revision]));
  return transcripts
    .filter(({ key, head, revision }) => head !== undefined || deletedAt.get(key) !== revision)
    .map((state) => {
      const cuts = state.cuts.slice(state.cuts.findLastIndex(({ keep, below }) => keep + below === 0) + 1);
      return deletedAt.has(state.key) ? { ...state, base: undefined, cuts } : state;
    });
}

/** By key, and name. */
function sorted(list: readonly unknown[]): unknown[] {
  const placeOf = (entry: unknown): string => {
    if (Array.isArray(entry)) return String(entry[0]);
    const { key, name = "" } = entry as { readonly key: string; readonly name?: string };
    return `${key} ${name}`;
  };
  return list.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

/** One random change of a session or a transcript. */
export async function change({ store }: Process, random: () => number): Promise<void> {
  const pick = (count: number): number => Math.floor(random() * count);
  const key = `k${pick(4)}`;
  const transcript = `t${pick(2)}`;
  const items = Array.from({ length: 1 + pick(3) }, () => ({ text: "x".repeat(pick(60)), n: pick(1000) }));
  switch (pick(12)) {
    case 0:
      await store.put(key, { n: pick(1000), ["__proto__"]: "own", big: "b".repeat(pick(2) * 400) });
      break;
    case 1:
      await store.delete(key);
      break;
    case 2:
      await store.truncate(key, { length: pick(6) }, { transcript });
      break;
    case 3:
      await store.trim(key, { length: 1 + pick(6) }, { transcript });
      break;
    case 4:
      await store.removeTranscript(key, { transcript });
      break;
    case 5:
      await store.transact(
        async (tx) => {
          await tx.put(key, { n: pick(1000) });
          await tx.append(`k${pick(4)}`, items, { transcript });
        },
        { operation: { id: `o${pick(30)}`, content: key } },
      );
      break;
    case 6:
    case 7:
      await store.update(key, (entry) => ({ ...entry, n: pick(1000) }));
      break;
    default:
      await store.append(key, items, { transcript, ids: items.map(() => `i${pick(40)}`) });
  }
}

export interface Work {
  readonly disk: SimulatedDisk;
  readonly processes: Process[];
}

/** Random work; after each step `look` may look at the disk. */
export async function work(seed: number, steps: number, look: (disk: SimulatedDisk) => void): Promise<Work> {
  const random = seededRandom(seed);
  const disk = new SimulatedDisk({ random });
  const segmentBytes = random() < 0.5 ? 4096 : 16_384;
  const begin = (name: string): Promise<Process> => startSmall(disk, name, { segmentBytes });
  const processes = [await begin("a"), await begin("b")];
  for (let step = 0; step < steps; step++) {
    const chosen = Math.floor(random() * 2);
    await change(processes[chosen] as Process, random).catch(ignoreConflict);
    if (random() < 0.2) await pass(600, ...processes);
    if (random() < 0.03) {
      (processes[chosen] as Process).fs.kill();
      processes[chosen] = await begin(`p${step}`);
    }
    if (step % 2 === 0) look(disk);
  }
  return { disk, processes };
}

function ignoreConflict(error: unknown): void {
  if ((error as { code?: string }).code !== "operation_mismatch") throw error;
}

/** A log with a hint and a few commits behind it. */
export async function hinted(): Promise<{ disk: SimulatedDisk; hint: number }> {
  const { disk, processes } = await work(3, 40, () => {});
  await pass(5000, ...processes);
  for (const { fs } of processes) fs.kill();
  const [hint = 0] = hintsIn(disk).toReversed();
  const later = await start(disk, "later");
  await later.store.put("k9", {});
  later.fs.kill();
  expect(readLog(disk, hint)).toMatchObject({ resumed: true, known: readLog(disk, 0).known });
  return { disk, hint };
}
