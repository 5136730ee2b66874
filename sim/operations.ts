/**
 * What simulated processes do with their stores, and what must be true of the answers.
 *
 *   I4  an answer is what the log said at some moment between the question and the answer
 */
import { SessionStoreError } from "../src/errors.js";
import type { TranscriptChange } from "../src/store/transcript-types.js";
import type { ListQuery, SessionRecord } from "../src/store/types.js";
import {
  FROM,
  TO,
  TOTAL,
  type Commit,
  type Fields,
  type Oracle,
  type State,
  type Version,
} from "./oracle.js";
import {
  acknowledge,
  assertExplained,
  assertHonest,
  keep,
  now,
  promise,
  type Running,
  type Scene,
} from "./operation.js";
import { BLOB_BYTES, type SimulatedProcess } from "./process.js";
import type { Operation } from "./schedule.js";
import type { ModelChange } from "./transcript-model.js";
import * as transcripts from "./transcript-operations.js";
import { readItems, readNames } from "./transcript-reads.js";
import { Violation } from "./violation.js";

const KEYS = ["a", "b", "c", "d e/é"];
const ALL_KEYS = [...KEYS, FROM, TO];
const BIG_VALUES = 4;
const FILLER = "x".repeat(220);

/** Starts one operation; resolves when it ended as it should, rejects with a {@link Violation} otherwise. */
export async function operate(scene: Scene, process: SimulatedProcess, operation: Operation): Promise<void> {
  const { store } = process;
  if (store === undefined) return;
  const keys = operation.kind === "read" ? ALL_KEYS : KEYS;
  const key = keys[Math.floor((operation.key * keys.length) / 1000)] ?? "a";
  const running = { scene, process, store, key, variant: operation.variant, token: scene.nextToken() };
  if (process.options.readOnly && !READS.has(operation.kind)) return;
  try {
    await WORK[operation.kind](running);
  } catch (error) {
    if (process.dead) return;
    assertHonest(running, error);
  }
}

const READS: ReadonlySet<Operation["kind"]> = new Set([
  "read",
  "list",
  "count",
  "watch",
  "read items",
  "read names",
]);

const WORK: Readonly<Record<Operation["kind"], (running: Running) => Promise<void>>> = {
  update: (running) =>
    acknowledge(running, () =>
      running.store.update(running.key, (entry) => ({ ...keep(entry), ...fieldsAfter(running, entry) })),
    ),
  put: (running) => acknowledge(running, () => running.store.put(running.key, fieldsOf(running))),
  create: (running) =>
    acknowledge(running, () =>
      running.store.put(running.key, { ...fieldsOf(running), prev: null }, { ifRevision: 0 }),
    ),
  patch: (running) =>
    acknowledge(running, () =>
      running.store.patch(running.key, { token: running.token, n: running.variant, prev: undefined }),
    ),
  transfer: (running) => acknowledge(running, () => transfer(running)),
  pair: (running) => acknowledge(running, () => writePair(running)),
  guard: (running) => acknowledge(running, () => writeGuarded(running)),
  delete: remove,
  read,
  list,
  count,
  watch,
  flush: ({ store }) => store.flush(),
  checkpoint: ({ store }) => store.checkpoint(),
  append: transcripts.append,
  "add turn": transcripts.addTurn,
  repeat: transcripts.repeat,
  "replace suffix": transcripts.replaceSuffix,
  truncate: transcripts.truncate,
  trim: transcripts.trim,
  "remove transcript": transcripts.removeTranscript,
  "read items": readItems,
  "read names": readNames,
};

function fieldsOf({ scene, process, token, variant }: Running): Fields {
  const big = `value ${variant % BIG_VALUES}`;
  return {
    token,
    n: variant,
    updatedAt: process.runtime.now() + variant,
    ...(variant % 3 === 0 && { filler: FILLER }),
    ...(scene.blobs && variant % 5 < 3 && { big: bigText(big), bigOf: big }),
  };
}

function fieldsAfter(running: Running, entry: Fields | undefined): Fields {
  return { ...fieldsOf(running), prev: entry?.["token"] ?? null };
}

/** A big value that can be recognised. */
function bigText(name: string): string {
  return `${name}:`.padEnd(BLOB_BYTES * 2, "big value ");
}

function transfer({ store, token, variant }: Running): Promise<void> {
  const amount = variant % 10;
  return store.transact(async (tx) => {
    const [from, to] = [await tx.get(FROM), await tx.get(TO)];
    const have = from === undefined ? TOTAL : Number(from["tokens"]);
    const had = to === undefined ? 0 : Number(to["tokens"]);
    await tx.put(FROM, { tokens: have - amount, token, prev: from?.["token"] ?? null });
    await tx.put(TO, { tokens: had + amount, token: `${token}'`, prev: to?.["token"] ?? null });
  });
}

/** Two sessions at once, each computed from what it was. */
function writePair(running: Running): Promise<void> {
  const { store, key, token } = running;
  return store.transact(async (tx) => {
    for (const [index, name] of [key, otherKey(key)].entries()) {
      const before = await tx.get(name);
      const fields = { ...fieldsAfter(running, before), token: index === 0 ? token : `${token}'` };
      await tx.put(name, fields);
    }
  });
}

/** One session, as long as another one stays what it is. */
function writeGuarded(running: Running): Promise<void> {
  const { store, key } = running;
  return store.transact(async (tx) => {
    await tx.get(otherKey(key));
    await tx.put(key, fieldsAfter(running, await tx.get(key)));
  });
}

function otherKey(key: string): string {
  return KEYS[(KEYS.indexOf(key) + 1) % KEYS.length] ?? "a";
}

async function remove(running: Running): Promise<void> {
  const { scene, process, store, key } = running;
  const { oracle } = scene;
  const since = oracle.history.length;
  const { writer } = process.runtime;
  const deleted = await store.delete(key);
  if (!deleted || process.dead) return;
  oracle.readOn();
  const mine = oracle.history
    .slice(since)
    .find(
      (commit) =>
        commit.writer === writer && commit.changed.includes(key) && commit.after.get(key) === undefined,
    );
  if (mine === undefined && scene.logDamaged) return; // of a log that was cut off there is less history than before
  if (mine === undefined)
    throw new Violation(`${key} was deleted, says ${process.name}, and the log does not`);
  scene.committed();
  promise(running, mine.revision);
}

/** What the log may have said while a question was open. */
function possible(oracle: Oracle, since: number): State[] {
  oracle.readOn();
  return oracle.history.slice(since).map(({ after }) => after);
}

async function read(running: Running): Promise<void> {
  const { scene, process, store, key } = running;
  const { oracle } = scene;
  const since = now(running);
  const record = await store.read(key);
  if (process.dead || scene.damaged.has(key)) return;
  const states = possible(oracle, since);
  const version = states.map((state) => state.get(key)).find((known) => known?.revision === record?.revision);
  if (version === undefined && (record !== undefined || states.every((state) => state.has(key)))) {
    const revisions = states.map((state) => state.get(key)?.revision).join(", ");
    throw new Violation(`${process.name} reads ${key}@${record?.revision}, possible are ${revisions}`);
  }
  if (record === undefined || version === undefined) return;
  assertContentOrReplaced(oracle, process, record, version);
}

/** Shared values are read when they are touched. One that others have replaced meanwhile may be gone by then. */
function assertContentOrReplaced(
  oracle: Oracle,
  process: SimulatedProcess,
  record: SessionRecord<Fields>,
  version: Version,
): void {
  try {
    assertContent(process, record, version);
  } catch (error) {
    oracle.readOn();
    const replaced = oracle.state.get(record.key)?.revision !== record.revision;
    if (!replaced || !(error instanceof SessionStoreError) || error.code !== "blob_missing") throw error;
  }
}

/** The entry is the one that the log has, with the shared value that it names. */
export function assertContent(
  process: SimulatedProcess,
  { key, entry }: SessionRecord<Fields>,
  version: Version,
): void {
  const { big, ...fields } = entry;
  const { big: _reference, ...expected } = version.fields;
  if (JSON.stringify(fields) !== JSON.stringify(expected)) {
    throw new Violation(
      `${process.name} has ${key}@${version.revision} as ${JSON.stringify(fields)}, not ${JSON.stringify(expected)}`,
    );
  }
  const name = fields["bigOf"];
  if (big !== (typeof name === "string" ? bigText(name) : undefined)) {
    throw new Violation(`${process.name} has another shared value in ${key}@${version.revision}`);
  }
}

async function list(running: Running): Promise<void> {
  const { scene, process, store, variant } = running;
  const { oracle, damaged } = scene;
  const since = now(running);
  const query = QUERIES[variant % QUERIES.length] ?? {};
  const { sessions } = await store.list(query);
  if (process.dead || damaged.size > 0 || scene.logDamaged) return;
  const states = possible(oracle, since);
  const found = sessions.map(({ key, revision }) => `${key}@${revision}`).join(" ");
  const state = states.find((state) => expectedListing(state, query) === found);
  if (state === undefined) {
    const expected = [...new Set(states.map((state) => expectedListing(state, query)))].join("\n  ");
    throw new Violation(`${process.name} lists ${found}, possible are\n  ${expected}`);
  }
  for (const record of sessions) assertContentOrReplaced(oracle, process, record, state.get(record.key)!);
}

const QUERIES: readonly ListQuery[] = [
  {},
  { orderBy: "updatedAt", descending: true, limit: 3 },
  { orderBy: "updatedAt" },
  { descending: true, limit: 2 },
  { prefix: "f" },
  {},
];

function expectedListing(state: State, query: ListQuery): string {
  const rows = [...state].filter(([key]) => key.startsWith(query.prefix ?? ""));
  const byKey = (a: string, b: string): number => (a < b ? -1 : 1);
  const time = ({ fields }: Version): number => Number(fields["updatedAt"] ?? 0);
  rows.sort(([a, first], [b, second]) =>
    query.orderBy === "updatedAt" ? time(first) - time(second) || byKey(a, b) : byKey(a, b),
  );
  if (query.descending === true) rows.reverse();
  return rows
    .slice(0, query.limit)
    .map(([key, { revision }]) => `${key}@${revision}`)
    .join(" ");
}

async function count(running: Running): Promise<void> {
  const { scene, process, store } = running;
  const since = now(running);
  const found = await store.count();
  if (process.dead || scene.damaged.size > 0 || scene.logDamaged) return;
  const sizes = possible(scene.oracle, since).map((state) => state.size);
  if (!sizes.includes(found)) {
    throw new Violation(`${process.name} counts ${found}, possible are ${sizes.join(", ")}`);
  }
}

/** Follows the store for as long as the process lives; every change must come, once, in order. */
function watch({ scene, process, store, variant }: Running): Promise<void> {
  const { oracle } = scene;
  oracle.readOn();
  const back = variant % 2 === 0 ? undefined : Math.max(0, oracle.revision - (variant % 7));
  const before = oracle.revision;
  const iterable = store.watch(back === undefined ? {} : { since: back });
  // Others may commit during the call: it is for the store to say whether its "now" is before or behind that.
  oracle.readOn();
  const latest = oracle.revision;
  let after = back;
  let place = 0;
  // Not awaited: it ends with the process. Only what it finds matters.
  const follow = async (): Promise<void> => {
    for await (const change of iterable) {
      if (process.dead) return;
      oracle.readOn();
      after ??= Math.min(latest, Math.max(before, change.revision - 1));
      const next = nextChange(oracle, after, place);
      if (
        next?.key !== change.key ||
        next.commit.revision !== change.revision ||
        !isSame(next.list, change.transcript)
      ) {
        throw new Violation(
          `${process.name} is told of ${change.key}@${change.revision} ${JSON.stringify(change.transcript)}, next is ` +
            `${next?.key}@${next?.commit.revision} ${JSON.stringify(next?.list)}`,
        );
      }
      const { changed, lists } = next.commit;
      const last = place + 1 === changed.length + lists.length;
      if (change.last !== last)
        throw new Violation(
          `${process.name} is told that ${change.key}@${change.revision} is last: ${change.last}`,
        );
      after = last ? change.revision : after;
      place = last ? 0 : place + 1;
    }
  };
  void follow().catch((error: unknown) => {
    if (process.dead || (error instanceof SessionStoreError && error.code === "revision_too_old")) return;
    try {
      assertExplained(scene, process, error, "watching");
    } catch (violation) {
      scene.failed(violation);
    }
  });
  return Promise.resolve();
}

interface NextChange {
  readonly key: string | undefined;
  readonly list: ModelChange | undefined;
  readonly commit: Commit;
}

function nextChange(oracle: Oracle, after: number, place: number): NextChange | undefined {
  const commit = oracle.history.find(
    ({ revision, changed, lists }) => revision > after && changed.length + lists.length > 0,
  );
  if (commit === undefined) return undefined;
  const list = commit.lists[place - commit.changed.length];
  return { key: commit.changed[place] ?? list?.key, list: list?.change, commit };
}

function isSame(expected: ModelChange | undefined, told: TranscriptChange | undefined): boolean {
  const names = ["name", "removed", "truncatedAfter", "first", "last", "length"] as const;
  return names.every((name) => expected?.[name] === told?.[name]);
}
