/**
 * Whether two stores have the same sessions: keys, entries, and the items of all transcripts with their ids, in their order. Revisions,
 * times and numbers of items are a store's own. Pages of a few sessions are in memory, and the keys.
 */
import { equalJson } from "../../format/equal-json.js";
import { throwIfAborted } from "../../store/retry.js";
import type { Item } from "../../store/transcript-types.js";
import type { AnyStore } from "./options.js";
import { selectedKeys } from "./selected-keys.js";

export interface CompareOptions {
  /** Sessions of the second store that the first one lacks are no difference. Default false. */
  readonly ignoreOthers?: boolean | undefined;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears how many sessions were compared so far. */
  readonly onProgress?: ((sessions: number) => void) | undefined;
}

export interface Difference {
  readonly key: string;
  /** `missing`: only the first store has it; `surplus`: only the second. */
  readonly what: "missing" | "surplus" | "entry" | "transcript";
  /** Of a transcript: its name. */
  readonly transcript?: string;
}

export interface CompareReport {
  readonly equal: boolean;
  /** Of the first store. */
  readonly sessions: number;
  readonly transcripts: number;
  readonly items: number;
  /** The first hundred. */
  readonly differences: readonly Difference[];
  readonly differenceCount: number;
}

/** Sessions that are compared at once. */
const AT_ONCE = 16;
const PAGE_ITEMS = 200;
export const TOLD_MAX = 100;

interface Tally {
  transcripts: number;
  items: number;
}

/**
 * Compares two stores, session by session, as they are when it comes to each.
 * @throws What reading throws, also of a session that is damaged.
 * @example
 * const { equal, differences } = await compareStores(store, await openSessionStore("copy.d"));
 */
export async function compareStores(
  from: AnyStore,
  to: AnyStore,
  options: CompareOptions = {},
): Promise<CompareReport> {
  return compareSome(from, to, options, () => false);
}

/** @param leavesOut Keys that are compared in neither store. */
export async function compareSome(
  from: AnyStore,
  to: AnyStore,
  { ignoreOthers = false, signal, onProgress }: CompareOptions,
  leavesOut: (key: string) => boolean,
): Promise<CompareReport> {
  const tally: Tally = { transcripts: 0, items: 0 };
  const differences: Difference[] = [];
  let differenceCount = 0;
  const differs = (difference: Difference | undefined): void => {
    if (difference === undefined) return;
    differenceCount += 1;
    if (differences.length < TOLD_MAX) differences.push(difference);
  };
  const seen = new Set<string>();
  for await (const keys of pagesOf(selectedKeys(from, {}, () => {}))) {
    throwIfAborted(signal);
    const wanted = keys.filter((key) => !leavesOut(key));
    for (const key of wanted) seen.add(key);
    for (const found of await Promise.all(wanted.map((key) => differenceOf(from, to, key, tally))))
      differs(found);
    onProgress?.(seen.size);
  }
  if (!ignoreOthers)
    for await (const key of selectedKeys(to, {}, () => {})) {
      throwIfAborted(signal);
      if (!seen.has(key) && !leavesOut(key)) differs({ key, what: "surplus" });
    }
  return { equal: differenceCount === 0, sessions: seen.size, ...tally, differences, differenceCount };
}

/** Undefined: it is the same in both, or gone from both. */
export async function differenceOf(
  from: AnyStore,
  to: AnyStore,
  key: string,
  tally: Tally = { transcripts: 0, items: 0 },
): Promise<Difference | undefined> {
  const [one, other] = await Promise.all([from.read(key), to.read(key)]);
  const [names, otherNames] = await Promise.all([namesOf(from, key), namesOf(to, key)]);
  tally.transcripts += names.length;
  const [hasOne, hasOther] = [
    one !== undefined || names.length > 0,
    other !== undefined || otherNames.length > 0,
  ];
  if (hasOne !== hasOther) return { key, what: hasOne ? "missing" : "surplus" };
  if ((one === undefined) !== (other === undefined)) return { key, what: "entry" };
  if (one !== undefined && other !== undefined && !equalJson(one.entry, other.entry))
    return { key, what: "entry" };
  const surplus = otherNames.find((name) => !names.includes(name));
  if (surplus !== undefined) return { key, what: "transcript", transcript: surplus };
  for (const transcript of names) {
    const same =
      otherNames.includes(transcript) && (await isSameTranscript(from, to, key, transcript, tally));
    if (!same) return { key, what: "transcript", transcript };
  }
  return undefined;
}

/** Of transcripts that have items. */
async function namesOf(store: AnyStore, key: string): Promise<string[]> {
  const names = await store.transcripts(key);
  const lengths = await Promise.all(names.map((name) => store.transcript(key, name)));
  return names.filter((_, index) => (lengths[index]?.length ?? 0) > 0);
}

async function isSameTranscript(
  from: AnyStore,
  to: AnyStore,
  key: string,
  transcript: string,
  tally: Tally,
): Promise<boolean> {
  const range = { transcript, pageItems: PAGE_ITEMS };
  const others = to.iterateItems(key, range)[Symbol.asyncIterator]();
  try {
    for await (const item of from.iterateItems(key, range)) {
      tally.items += 1;
      const other = await others.next();
      if (other.done === true || !isSameItem(item, other.value)) return false;
    }
    return (await others.next()).done === true;
  } finally {
    await others.return?.();
  }
}

function isSameItem(one: Item<unknown>, other: Item<unknown>): boolean {
  return one.id === other.id && JSON.stringify(one.item) === JSON.stringify(other.item);
}

async function* pagesOf(keys: AsyncIterable<string>): AsyncGenerator<string[]> {
  let page: string[] = [];
  for await (const key of keys) {
    page.push(key);
    if (page.length < AT_ONCE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
