/**
 * A transcript with lines that cannot be read keeps all the others: they are read one by one, its files are copied to the quarantine, and
 * what is behind the damage is appended anew. Items in front of it keep their numbers where the store can cut in front of the damage;
 * otherwise the transcript is made again, from 1.
 *
 * What cannot be read is looked for in copies of the store that the caller names. A copy counts only if it has the same transcript
 * and nothing was removed from the end of it since: then an item of a number is the very item, for no number is used twice.
 *
 * A process that appends meanwhile makes the commit fail, and the next run sees to it. A crash in the middle leaves the copies in
 * the quarantine, and of a transcript of more than 8 MiB the items that were appended up to then.
 */
import { isTranscriptDamaged, SessionStoreError } from "../../../errors.js";
import { Layout } from "../../../format/layout.js";
import { chunksIn } from "../../../engine/directory/transcripts/transcript-files.js";
import { contentOf } from "../sources.js";
import { folderNameForKey } from "../../../format/session-key.js";
import { parseItemLine } from "../../../format/transcript-lines.js";
import { plural } from "../../../plural.js";
import { openDirectoryStoreOn } from "../../../store/open.js";
import type { TranscriptInfo } from "../../../store/transcript-types.js";
import { storeIdIn, type Entry, type Patient, type Store } from "../patient.js";
import type { Finding } from "../types.js";
import { inside } from "./foundations.js";
import type { Surgery } from "./surgery.js";

interface Kept {
  readonly seq: number;
  readonly item: unknown;
  readonly id: string | undefined;
}

const PAGE = 256;
/** Well below what one commit may have. */
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_ITEMS = 50_000;

export async function salvageTranscript(
  surgery: Surgery,
  patient: Patient,
  store: Store,
  finding: Finding,
): Promise<void> {
  const { key, transcript } = finding;
  if (key === undefined) return;
  if (transcript === undefined) return keepOnly(surgery, patient, finding);
  await store.flush().catch(() => {}); // what the log has is then in files as well
  const info = await infoOf(store, key, transcript);
  const left = await itemsLeft(patient, store, key, transcript, info?.last ?? 0);
  const { front } = left;
  if (front === undefined && (await isWhole(store, key, transcript))) return; // the log had it
  const copied =
    info === undefined ? undefined : await itemsOfCopy(patient, key, transcript, info, left.items);
  const items = copied?.all ?? left.items;
  const lost =
    info === undefined || copied === undefined ? left.lost : Math.max(0, info.length - items.length);
  const kept = await keepFiles(surgery, patient, finding, key, transcript);
  const stays = items.filter(({ seq }) => seq <= (front ?? 0)).at(-1)?.seq ?? 0;
  await commit(store, key, transcript, items, stays, info?.last);
  const done =
    `${plural(left.items.length, "item")} of transcript ${JSON.stringify(transcript)} that can be read ` +
    `${left.items.length === 1 ? "was" : "were"} kept` +
    (copied === undefined ? "" : `, ${copied.count} restored from ${copied.from}`) +
    (lost > 0 ? `, ${plural(lost, "item")} cannot be read` : "");
  await surgery.did(patient, finding, inside(patient, finding.path), done, { kept, lost: lost > 0 });
}

/** @returns The items that are left together with those of the copy that has most of the others; undefined if none has any. */
async function itemsOfCopy(
  patient: Patient,
  key: string,
  transcript: string,
  info: TranscriptInfo,
  left: readonly Kept[],
): Promise<{ readonly all: readonly Kept[]; readonly count: number; readonly from: string } | undefined> {
  let best: { all: readonly Kept[]; count: number; from: string } | undefined;
  for (const path of patient.options.backups ?? []) {
    const others = await itemsIn(patient, path, key, transcript, info).catch((error: unknown) => {
      if (error instanceof SessionStoreError) return []; // a copy that cannot be read has nothing for us
      throw error;
    });
    const all = joined(left, others, info.length);
    const count = all.length - left.length;
    if (count > (best?.count ?? 0)) best = { all, count, from: patient.real(path) };
  }
  return best;
}

/**
 * Both together, as the transcript has them. In front of everything that is left there may be items that were trimmed away since: they are
 * told from lost ones only by how many items there must be.
 */
function joined(left: readonly Kept[], others: readonly Kept[], length: number): Kept[] {
  const all = new Map([...others, ...left].map((item) => [item.seq, item]));
  const ordered = [...all.values()].sort((a, b) => a.seq - b.seq);
  const whole = ordered.slice(-length);
  const isWhole = whole.length === length && left.every(({ seq }) => seq >= (whole[0]?.seq ?? 0));
  return isWhole ? whole : ordered.filter(({ seq }) => seq >= (left[0]?.seq ?? Number.POSITIVE_INFINITY));
}

async function itemsIn(
  patient: Patient,
  path: string,
  key: string,
  transcript: string,
  { revision, cut, last }: TranscriptInfo,
): Promise<Kept[]> {
  const { fs, runtime, storeId, options } = patient;
  if (storeId === undefined || storeIdIn(fs, new Layout(path)) !== storeId) return [];
  const copy = await openDirectoryStoreOn<Entry>(fs, runtime, path, {
    readOnly: true,
    cacheBytes: 0,
    ...(options.trust !== undefined && { trust: options.trust }),
    onWarning: () => {},
  });
  try {
    const there = await copy.transcript(key, transcript);
    if (there?.revision !== revision || there.cut !== cut) return [];
    const items: Kept[] = [];
    for await (const { seq, item, id } of copy.iterateItems(key, { transcript, to: last }))
      items.push({ seq, item, id });
    return items;
  } finally {
    await copy.close();
  }
}

/** A file whose transcript nobody knows: nobody reads it either. */
async function keepOnly(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  if (patient.options.alone !== true) return;
  const path = inside(patient, finding.path);
  const kept = await surgery.putAside(patient, path, finding);
  await surgery.did(patient, finding, path, "the file was put aside: nothing says whose it is", {
    kept,
    lost: true,
  });
}

async function isWhole(store: Store, key: string, transcript: string): Promise<boolean> {
  try {
    for await (const item of store.iterateItems(key, { transcript })) void item;
    return true;
  } catch (error) {
    if (isTranscriptDamaged(error)) return false;
    throw error;
  }
}

/** A transcript whose end is damaged gives none of its items by number: so many failures in a row, and the files are asked alone. */
const FAILURES_MAX = 16;

/** Every item that the store or its files still have, in order. */
async function itemsLeft(
  patient: Patient,
  store: Store,
  key: string,
  transcript: string,
  last: number,
): Promise<{
  readonly items: readonly Kept[];
  /** About how many are not among them. */
  readonly lost: number;
  /** Up to this number the store gives all of them; undefined: to the end. */
  readonly front: number | undefined;
}> {
  const inFiles = itemsInFiles(patient, key, transcript);
  const found = new Map(inFiles.items);
  let from = 1;
  let limit = PAGE;
  const highest = Math.max(last, ...found.keys());
  let front: number | undefined;
  let failures = 0;
  while (from <= highest && failures < FAILURES_MAX) {
    try {
      const page = await store.readItems(key, { transcript, from, limit });
      for (const { seq, item, id } of page.items) found.set(seq, { seq, item, id });
      if (page.next === undefined) break;
      from = page.next;
      limit = Math.min(PAGE, limit * 2);
      failures = 0;
    } catch (error) {
      if (!isTranscriptDamaged(error)) throw error;
      if (limit === 1) {
        front ??= from - 1;
        from++;
        failures++;
      }
      limit = Math.max(1, limit >> 1);
    }
  }
  const items = [...found.values()].sort((a, b) => a.seq - b.seq);
  return { items, lost: inFiles.unreadable, front };
}

/** Undefined where the end cannot be read. */
async function infoOf(store: Store, key: string, transcript: string): Promise<TranscriptInfo | undefined> {
  try {
    return await store.transcript(key, transcript);
  } catch (error) {
    if (error instanceof SessionStoreError) return undefined;
    throw error;
  }
}

/** What the lines of the files say, whatever is between them. */
function itemsInFiles(
  patient: Patient,
  key: string,
  transcript: string,
): { readonly items: Map<number, Kept>; readonly unreadable: number } {
  const { fs, layout } = patient;
  const items = new Map<number, Kept>();
  let unreadable = 0;
  let gone = 0;
  const positions = new Map<number, number>();
  const ids = chunksIn(fs, layout, key).get(folderNameForKey(transcript)) ?? [];
  for (const id of ids.filter(({ first }, index) => ids[index + 1]?.first !== first)) {
    const bytes = contentOf(patient, layout.chunk(key, transcript, id));
    if (bytes === undefined) {
      unreadable++;
      continue;
    }
    let start = bytes.indexOf(0x0a) + 1;
    for (let end = bytes.indexOf(0x0a, start); start < bytes.length; end = bytes.indexOf(0x0a, start)) {
      const line = bytes.subarray(start, end < 0 ? bytes.length : end);
      const parsed = parseItemLine(line);
      if (parsed === undefined) unreadable++;
      else {
        const { seq, item, id: itemId, position } = parsed;
        items.set(seq, { seq, item, id: itemId });
        positions.set(seq, position);
        gone = Math.max(gone, parsed.gone);
      }
      if (end < 0) break;
      start = end + 1;
    }
  }
  for (const [seq, position] of positions) if (position <= gone) items.delete(seq); // trimmed away
  return { items, unreadable };
}

/**
 * Cuts the transcript behind the last item in front of the damage, or removes it where that cannot be done, and appends the items that
 * remain: in one commit as far as they fit into one, so that nothing between the two can be cut short.
 * @param last The number that it must end with: an item that somebody has appended since must not go. Undefined where the end
 *   cannot be read, so that nobody can append either.
 */
async function commit(
  store: Store,
  key: string,
  transcript: string,
  items: readonly Kept[],
  stays: number,
  last: number | undefined,
): Promise<void> {
  const options = { transcript, ...(last !== undefined && { ifLast: last }) };
  const write = async (isCut: boolean): Promise<void> => {
    const rest = isCut ? items.filter(({ seq }) => seq > stays) : items;
    const [first = [], ...others] = batches(rest);
    await store.transact(async (tx) => {
      if (isCut) await tx.truncate(key, { afterSeq: stays }, options);
      else await tx.removeTranscript(key, options);
      if (first.length > 0) await tx.append(key, valuesOf(first), { transcript, ids: idsOf(first) });
    });
    for (const batch of others) await store.append(key, valuesOf(batch), { transcript, ids: idsOf(batch) });
  };
  if (stays > 0) {
    try {
      return await write(true);
    } catch (error) {
      if (!isTranscriptDamaged(error)) throw error; // it cannot be cut there
    }
  }
  await write(false);
}

function valuesOf(items: readonly Kept[]): unknown[] {
  return items.map(({ item }) => item);
}

function idsOf(items: readonly Kept[]): (string | undefined)[] {
  return items.map(({ id }) => id);
}

async function keepFiles(
  surgery: Surgery,
  patient: Patient,
  finding: Finding,
  key: string,
  transcript: string,
): Promise<string | undefined> {
  const { fs, layout } = patient;
  let kept: string | undefined;
  for (const id of chunksIn(fs, layout, key).get(folderNameForKey(transcript)) ?? []) {
    const path = layout.chunk(key, transcript, id);
    const copy = await surgery.keepCopy(patient, path, finding);
    if (path === inside(patient, finding.path) || kept === undefined) kept = copy;
  }
  return kept;
}

function* batches(items: readonly Kept[]): Generator<readonly Kept[]> {
  let batch: Kept[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = JSON.stringify(item.item).length;
    if (batch.length > 0 && (bytes + more > BATCH_BYTES || batch.length >= BATCH_ITEMS)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}
