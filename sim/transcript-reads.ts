/**
 * What simulated processes read of transcripts, and what the log says that they must find: heads, names, and pages of any range, in both
 * directions, exactly.
 *
 * Readers go wrong at edges: numbers that were used and cut off, the items around them, where a file begins, and behind the end. So the
 * ranges begin and end there, and pages are short: reading on then begins at such a number as well.
 */
import { seededRandom } from "../src/testing/seeded-random.js";
import type { Page } from "../src/store/transcript-types.js";
import { now, type Running } from "./operation.js";
import { TURNS, type Commit, type Fields, type Oracle } from "./oracle.js";
import { lengthOf, placeOf, type ModelTranscript } from "./transcript-model.js";
import { Violation } from "./violation.js";

/** The second one is no part of a file name as it is. */
export const TRANSCRIPTS = ["main", "N/ß"];
export const FILLER = "z".repeat(150);

/** Pages that one operation reads. */
const PAGES = 3;

export interface Listed extends Running {
  readonly name: string;
}

export function listed(running: Running): Listed {
  return { ...running, name: TRANSCRIPTS[running.variant % 3 === 0 ? 1 : 0] ?? "main" };
}

export async function readItems(running: Running): Promise<void> {
  const { scene, process, store, key, variant, name } = listed(running);
  const { oracle } = scene;
  const random = seededRandom(variant + 1000 * oracle.history.length);
  for (let page = 0; page < PAGES; page++) {
    const since = now(running);
    const range = chooseRange(random, oracle.transcripts.get(placeOf(key, name)));
    const found = await store.readItems<Fields>(key, { transcript: name, ...range });
    if (process.dead || scene.damaged.has(key)) return;
    const possible = listsSince(oracle, since, key, name).map((list) => expectedPage(list, range));
    assertPage(process, key, name, range, found, possible);
  }
}

export async function readNames(running: Running): Promise<void> {
  const { scene, process, store, key } = running;
  const since = now(running);
  const names = await store.transcripts(key);
  if (process.dead || scene.damaged.has(key)) return;
  scene.oracle.readOn();
  const possible = scene.oracle.history.slice(since).map((commit) => namesIn(commit, key).join());
  if (!possible.includes(names.join()))
    throw new Violation(
      `${process.name} has ${names.join()} of ${key}, possible are ${possible.join(" | ")}`,
    );
}

/** Everything that a process says of a session's transcripts is as the log has it. */
export async function expectTranscripts(
  process: Pick<Running["process"], "store" | "name">,
  oracle: Oracle,
  key: string,
): Promise<void> {
  const { store, name: who } = process;
  const names = await store!.transcripts(key);
  const expected = namesIn(oracle.history.at(-1)!, key);
  if (names.join() !== expected.join())
    throw new Violation(`${who} has the transcripts ${names.join()} of ${key}, there are ${expected.join()}`);
  for (const name of [...TRANSCRIPTS, TURNS]) await expectTranscript(process, oracle, key, name);
}

/** The same of one of them. */
export async function expectTranscript(
  process: Pick<Running["process"], "store" | "name">,
  oracle: Oracle,
  key: string,
  name: string,
): Promise<void> {
  const list = oracle.transcripts.get(placeOf(key, name));
  for (const range of rangesOf(list)) {
    const found = await process.store!.readItems<Fields>(key, { transcript: name, ...range });
    assertPage(process, key, name, range, found, [expectedPage(list, range)]);
  }
}

export function listsSince(
  oracle: Oracle,
  since: number,
  key: string,
  name: string,
): (ModelTranscript | undefined)[] {
  oracle.readOn();
  return oracle.history.slice(since).map(({ transcripts }) => transcripts.get(placeOf(key, name)));
}

interface Range {
  readonly backwards: boolean;
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
}

/** Some range of a transcript that is about as it is now; others may change it before it is read. */
function chooseRange(random: () => number, list: ModelTranscript | undefined): Range {
  const edges = edgesOf(list);
  const edge = (): number => edges[Math.floor(random() * edges.length)] ?? 1;
  return {
    backwards: random() < 0.5,
    ...(random() < 0.6 && { from: edge() }),
    ...(random() < 0.6 && { to: edge() }),
    ...(random() < 0.7 && { limit: 1 + Math.floor(random() * 3) }),
  };
}

/** All of it, and from each edge of what is not a plain sequence of items a little in both directions. */
function rangesOf(list: ModelTranscript | undefined): Range[] {
  const all = [{ backwards: false }, { backwards: true }];
  if (list === undefined || !hasHoles(list)) return all;
  const near = edgesOf(list).flatMap((edge) => [
    { backwards: false, from: edge, limit: 2 },
    { backwards: true, to: edge, limit: 2 },
  ]);
  return [...all, ...near];
}

/** Whether numbers were used that no item has, apart from those in front of all. */
function hasHoles({ items, last }: ModelTranscript): boolean {
  const first = items[0]?.seq ?? last + 1;
  return items.length < last - first + 1;
}

/** Numbers at which a reading may go wrong, and the first one that was never used. */
function edgesOf(list: ModelTranscript | undefined): number[] {
  const { items = [], chunks = [], last = 0 } = list ?? {};
  const edges = new Set([1, last + 1]);
  let before = 0;
  for (const { seq } of [...items, { seq: last + 1 }]) {
    if (seq > before + 1) for (const edge of [before, before + 1, seq - 1, seq]) edges.add(edge);
    before = seq;
  }
  for (const { first } of chunks) for (const edge of [first - 1, first]) edges.add(edge);
  edges.delete(0);
  return [...edges].sort((a, b) => a - b);
}

function namesIn({ transcripts }: Commit, key: string): string[] {
  const beginning = placeOf(key, "");
  return [...transcripts.keys()]
    .filter((place) => place.startsWith(beginning))
    .map((place) => place.slice(beginning.length))
    .sort();
}

function assertPage(
  { name: who }: Pick<Running["process"], "name">,
  key: string,
  name: string,
  range: Range,
  page: Page<Fields>,
  possible: readonly string[],
): void {
  const found = describe(page.items, page);
  if (possible.includes(found)) return;
  throw new Violation(
    `${who} reads ${name} of ${key}, ${JSON.stringify(range)}, as\n  ${found}\npossible are\n  ` +
      [...new Set(possible)].join("\n  "),
  );
}

function expectedPage(list: ModelTranscript | undefined, range: Range): string {
  const { backwards, from = 0, to = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = range;
  const within = (list?.items ?? []).filter(({ seq }) => seq >= from && seq <= to);
  if (backwards) within.reverse();
  const items = within.slice(0, limit).map(({ value, ...item }) => ({ ...item, item: value as Fields }));
  const latest = within.length > limit ? items.at(-1) : undefined;
  const next = latest && latest.seq + (backwards ? -1 : 1);
  return describe(items, { last: list?.last ?? 0, length: lengthOf(list), next });
}

interface SeenItem {
  readonly seq: number;
  readonly item: Fields;
  readonly id?: string | undefined;
  readonly revision: number;
  readonly time: number;
}

interface SeenPage {
  readonly last: number;
  readonly length: number;
  readonly next?: number | undefined;
}

function describe(items: readonly SeenItem[], { last, length, next }: SeenPage): string {
  const texts = items.map(
    ({ seq, item, id, revision, time }) => `${seq}${id ?? ""}@${revision}/${time} ${JSON.stringify(item)}`,
  );
  return `${texts.join(", ")} (${length} up to ${last}, next ${next})`.replaceAll(FILLER, "…");
}
