/**
 * What must be true of a store in the end, whatever happened: every process sees what the log says, and the disk
 * holds that and nothing else.
 */
import { expect } from "vitest";
import { Layout, stageNumber } from "../../src/format/layout.js";
import { parseEntryDocument } from "../../src/format/entry-document.js";
import { folderNameForKey } from "../../src/format/session-key.js";
import { referencesIn } from "../../src/format/stored-references.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import type { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SessionRecord } from "../../src/store/types.js";
import type { State } from "./log-witness.js";
import { settled, STORE, bigText, type Entry, type Machine, type Process } from "./processes.js";

const layout = new Layout(STORE);

/** Entry without its shared values, and its revision, as one comparable line. */
function line(revision: number, fields: object): string {
  const plain = Object.entries(fields).filter(([name]) => name !== "big");
  return `${revision} ${JSON.stringify(Object.fromEntries(plain))}`;
}

function linesOf(state: State): Record<string, string> {
  return Object.fromEntries(
    [...state]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { revision, stored }]) => [key, line(revision, stored)]),
  );
}

function lineOf({ entry, revision }: SessionRecord<Entry>): string {
  // Touching a shared value loads it, and it must be the one that the entry says.
  if ("big" in entry) expect(entry["big"]).toBe(bigText(String(entry["bigOf"])));
  return line(revision, entry);
}

/** What a process answers, session by session and as a listing. */
export async function expectAnswers(
  process: Process,
  state: State,
  keys: Iterable<string> = [],
): Promise<void> {
  const expected = linesOf(state);
  const { store } = process;
  for (const key of new Set([...state.keys(), ...keys])) {
    const record = await settled(store.read(key), process);
    expect(record && lineOf(record), `${process.name} reads ${key}`).toBe(expected[key]);
  }
  await expectListing(process, state);
}

export async function expectListing(process: Process, state: State): Promise<void> {
  const { sessions } = await settled(process.store.list(), process);
  const listed = Object.fromEntries(sessions.map((record) => [record.key, lineOf(record)]));
  expect(listed, `${process.name} lists`).toEqual(linesOf(state));
  expect(await process.store.count(), `${process.name} counts`).toBe(state.size);
}

/** Checkpoints until nothing waits to be removed any more; shared values take a second round. */
export async function quiesce(process: Process, ...others: readonly Machine[]): Promise<void> {
  const { store } = process;
  await settled(store.checkpoint(), process, ...others);
  for (let round = 0; round < 3; round++) {
    await settled(store.put("quiesce", { round }), process, ...others);
    await settled(store.checkpoint(), process, ...others);
  }
}

/**
 * The disk holds the sessions, one log segment, its empty staging folder, one catalog with its parts, a reserve, and
 * nothing else.
 */
export function expectTidy(disk: SimulatedDisk, state: State): void {
  const tree = disk.tree(STORE);
  const names = Object.keys(tree).map((path) => path.slice(STORE.length + 1));
  const inStore = names
    .filter((name) => name.startsWith(".store/"))
    .map((name) => name.slice(".store/".length));
  const segments = inStore.filter((name) => /^log\/./.test(name));
  expect(segments, "segments").toHaveLength(1);
  expect(inStore, "the reserve").toContain("reserve");
  const header = JSON.parse(tree[`${STORE}/.store/${segments[0]}`]!.split("\n")[0]!.slice(9)) as {
    segment: number;
    stage: string;
  };
  expect(stageNumber(header.stage)).toBe(header.segment);
  const blobs = new Set([...state.values()].flatMap(({ stored }) => hashes(stored)));
  const folders = new Set([...blobs].map((hash) => `blobs/${hash.slice(0, 2)}/`));
  const catalogs = inStore.filter((name) => name.startsWith("catalog-"));
  const known = new Set([
    "",
    "blobs/",
    "durable",
    "format.json",
    "log/",
    "quarantine/",
    "reserve",
    "stage/",
    "trash/",
  ]);
  const rest = inStore.filter(
    (name) => !known.has(name) && !segments.includes(name) && !catalogs.includes(name),
  );
  const files = rest.filter((name) => !/^blobs\/..\/$/.test(name)).sort();
  expect(files, "files in .store").toEqual(
    [
      `stage/${header.stage}/`,
      ...[...blobs].map((hash) => layout.blob(hash).slice(layout.store.length + 1)),
    ].sort(),
  );
  for (const folder of folders) expect(rest).toContain(folder);
  const catalog = `catalog-${header.segment - 1}`;
  expect(catalogs.sort(), "catalogs").toEqual(
    [catalog, ...partsNamedIn(tree[`${STORE}/.store/${catalog}`])].sort(),
  );
  expectSessionFolders(tree, state);
}

/** Names of the files that a catalog names. */
export function partsNamedIn(catalog: string | undefined): string[] {
  const { parts } = JSON.parse(catalog?.slice(9) ?? '{"parts":[]}') as { parts: readonly { name: string }[] };
  return parts.map(({ name }) => `catalog-${name}`);
}

function expectSessionFolders(tree: Record<string, string>, state: State): void {
  const found = Object.keys(tree)
    .map((path) => path.slice(STORE.length + 1))
    .filter((name) => !name.startsWith(".store/"));
  const expected = [...state.keys()].flatMap((key) => {
    const folder = folderNameForKey(key);
    return [`${folder}/`, `${folder}/meta.json`];
  });
  expect(found.sort(), "session folders").toEqual(expected.sort());
  for (const [key, { revision, stored }] of state) {
    const parsed = parseEntryDocument(Buffer.from(tree[`${STORE}/${folderNameForKey(key)}/meta.json`]!));
    expect(parsed.ok && line(parsed.revision, parsed.stored), `meta.json of ${key}`).toBe(
      line(revision, stored),
    );
  }
}

function hashes(stored: StoredObject): string[] {
  return referencesIn(stored).map(({ hash }) => hash);
}
