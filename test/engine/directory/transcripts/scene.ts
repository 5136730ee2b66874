/**
 * Stores with small chunk files, and a twin in memory of what they must say: each change is made to both, one after the other, so that
 * numbers, ids and lengths can be compared without knowing how either gets at them.
 */
import { expect } from "vitest";
import { openDirectoryEngine } from "../../../../src/engine/directory/directory-engine.js";
import { partsOfChunkName } from "../../../../src/format/layout.js";
import { folderNameForKey } from "../../../../src/format/session-key.js";
import { parseChunkHeader, parseItemLine, type ItemLine } from "../../../../src/format/transcript-lines.js";
import { openSessionStore } from "../../../../src/store/open.js";
import { resolveOptions } from "../../../../src/store/options.js";
import { createDirectorySessionStore } from "../../../../src/store/session-store.js";
import type { SessionStore } from "../../../../src/store/types.js";
import type { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import {
  BLOB_BYTES,
  boot,
  STORE,
  type Entry,
  type Machine,
  type Process,
  type ProcessOptions,
} from "../../../support/processes.js";

/** A few items. */
export const CHUNK_BYTES = 500;

export function startSmall(
  disk: SimulatedDisk,
  name: string,
  options: ProcessOptions & { readonly chunkBytes?: number } = {},
): Promise<Process> {
  return openSmall(boot(disk, name), options);
}

export async function openSmall(
  machine: Machine,
  { through, chunkBytes = CHUNK_BYTES, ...rest }: ProcessOptions & { readonly chunkBytes?: number } = {},
): Promise<Process> {
  const { fs, runtime, warnings } = machine;
  const resolved = resolveOptions<Entry>({
    blobThresholdBytes: BLOB_BYTES,
    onWarning: (warning) => void warnings.push(warning),
    ...rest,
  });
  const own = { segmentBytes: rest.segmentBytes ?? 1024 * 1024, reserveBytes: 4096, chunkBytes };
  const fileSystem = through?.(fs) ?? fs;
  const engine = await openDirectoryEngine({ ...resolved, ...own, path: STORE, fileSystem, runtime });
  const store = createDirectorySessionStore<Entry>(engine, { ...resolved, runtime });
  return { ...machine, name: fs.process, store };
}

/** A change, made to any store. */
export type Change = (store: SessionStore<Entry>) => Promise<unknown>;

/** What is in a transcript. */
export interface Contents {
  readonly items: readonly (readonly [seq: number, item: unknown, id: string | undefined])[];
  readonly last: number;
  readonly length: number;
}

/** All transcripts of the sessions that a test knows, by key and name. */
export type State = Readonly<Record<string, Contents>>;

export class Twin {
  readonly #memory = openSessionStore<Entry>("memory:");

  constructor(readonly keys: readonly string[]) {}

  async apply(change: Change): Promise<void> {
    await change(await this.#memory);
  }

  async state(): Promise<State> {
    return stateOf(await this.#memory, this.keys);
  }
}

export async function stateOf(store: SessionStore<Entry>, keys: readonly string[]): Promise<State> {
  const state: Record<string, Contents> = {};
  for (const key of keys)
    for (const name of await store.transcripts(key))
      state[`${key}/${name}`] = await contentsOf(store, key, name);
  return state;
}

export async function contentsOf(store: SessionStore<Entry>, key: string, name = "main"): Promise<Contents> {
  const { items, last, length } = await store.readItems(key, { transcript: name });
  return { items: items.map(({ seq, item, id }) => [seq, item, id]), last, length };
}

/** A process says the same, forwards, backwards, and of each item alone. */
export async function expectState(process: Process, state: State, keys: readonly string[]): Promise<void> {
  const { store, name: who } = process;
  expect(await stateOf(store, keys), who).toEqual(state);
  for (const [path, { items }] of Object.entries(state)) {
    const [key = "", transcript = ""] = path.split("/");
    const backwards = await store.readItems(key, { transcript, backwards: true });
    expect(backwards.items.map(({ seq }) => seq).toReversed(), `${who}, ${path} backwards`).toEqual(
      items.map(([seq]) => seq),
    );
    for (const [seq, item] of items)
      for (const back of [false, true]) {
        const found = await store.readItems(key, { transcript, from: seq, to: seq, backwards: back });
        expect(found.items, `${who}, ${path} ${seq}`).toMatchObject([{ seq, item }]);
      }
  }
}

/** Names of a session's chunk files, in order. */
export function chunkNames(disk: SimulatedDisk, key: string): string[] {
  return disk
    .names(`${STORE}/${folderNameForKey(key)}`)
    .filter((name) => partsOfChunkName(name) !== undefined)
    .sort();
}

/** Items as a person finds them in the files, by transcript; each file is whole. */
export function linesInFiles(disk: SimulatedDisk, key: string): Record<string, ItemLine[]> {
  const found: Record<string, ItemLine[]> = {};
  for (const file of chunkNames(disk, key)) {
    const text = disk.readRaw(`${STORE}/${folderNameForKey(key)}/${file}`) ?? Buffer.alloc(0);
    const [first = "", ...lines] = text.toString().split("\n");
    expect(lines.pop(), `${file} ends with a newline`).toBe("");
    const header = parseChunkHeader(Buffer.from(first));
    if (header === undefined) throw new Error(`the first line of ${file} is damaged`);
    expect(header.key).toBe(key);
    for (const line of lines) {
      const item = parseItemLine(Buffer.from(line));
      if (item === undefined) throw new Error(`${file} has a damaged line: ${line}`);
      (found[`${key}/${header.transcript}`] ??= []).push(item);
    }
  }
  return found;
}

/** The files are the transcripts: each item once and in order, apart from trimmed ones in front. */
export function expectFiles(disk: SimulatedDisk, state: State, keys: readonly string[]): void {
  for (const key of keys) {
    const lines = linesInFiles(disk, key);
    for (const [path, items] of Object.entries(lines)) {
      const expected = state[path];
      expect(expected, `${path} is dead, and in files`).toBeDefined();
      const oldest = expected?.items[0]?.[0] ?? Number.POSITIVE_INFINITY;
      const there = items.map(({ seq, item, id }) => [seq, item, id] as const);
      expect(
        there.filter(([seq]) => seq >= oldest),
        `${path} in files`,
      ).toEqual(expected?.items);
      expect(there.map(([seq]) => seq)).toEqual(there.map(([seq]) => seq).toSorted((a, b) => a - b));
    }
  }
  const inFiles = keys.flatMap((key) => Object.keys(linesInFiles(disk, key)));
  for (const [path, { items }] of Object.entries(state))
    if (items.length > 0) expect(inFiles, "transcripts in files").toContain(path);
}

/** Names in the staging folders, which a process at rest leaves empty. */
export function staged(disk: SimulatedDisk): string[] {
  const stage = `${STORE}/.store/stage`;
  return disk.names(stage).flatMap((folder) => disk.names(`${stage}/${folder}`));
}

/** Items that can be told apart, with ids. */
export function batch(from: number, count: number): { readonly items: object[]; readonly ids: string[] } {
  const numbers = Array.from({ length: count }, (_, index) => from + index);
  return { items: numbers.map((n) => ({ n, text: "x".repeat(40) })), ids: numbers.map((n) => `id-${n}`) };
}

export function append(key: string, from: number, count: number, transcript = "main"): Change {
  const { items, ids } = batch(from, count);
  return (store) => store.append(key, items, { ids, transcript });
}
