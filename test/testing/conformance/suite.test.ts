/**
 * Goal: the conformance suite can fail. Method: memory engines that each break one promise of the contract; for each of them
 * at least one case must go red, while the intact engine passes every case. A case that hangs counts as red.
 */
import { describe, expect, test } from "vitest";
import {
  isCheck,
  type Engine,
  type EngineChange,
  type EngineOp,
  type EngineRecord,
  type TranscriptOp,
} from "../../../src/engine/contract.js";
import { createMemoryEngine, type MemoryEngine } from "../../../src/engine/memory/memory-engine.js";
import { resolveOptions } from "../../../src/store/options.js";
import { createSessionStore } from "../../../src/store/session-store.js";
import { sessionStoreConformance, type ConformanceEntry } from "../../../src/testing/conformance/suite.js";

type Sabotage = (inner: MemoryEngine) => Partial<Engine>;

const HANGS_AFTER_MS = 1500;

/** Commits other ops on transcripts than it is given. */
const changing =
  (change: (op: TranscriptOp) => TranscriptOp): Sabotage =>
  (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "transcript" ? change(op) : op)),
        options,
      ),
  });

const SABOTAGES: Record<string, Sabotage> = {
  "ids of items are forgotten": changing(({ items, ...op }) => ({
    ...op,
    ...(items && { items: items.map(({ json }) => ({ json })) }),
  })),
  "ifLast is not checked": changing(({ ifLast: _, ...op }) => op),
  "ifLength is not checked": changing(({ ifLength: _, ...op }) => op),
  "ifCut is not checked": changing(({ ifCut: _, ...op }) => op),
  "truncations are forgotten": changing(({ truncate: _, ...op }) => op),
  "trims are forgotten": changing(({ trim: _, ...op }) => op),
  "removals keep what there was": changing(({ remove: _, ...op }) => op),
  "items go in backwards": changing((op) => ({ ...op, ...(op.items && { items: op.items.toReversed() }) })),
  "checks of transcripts are left out": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.filter((op) => op.kind !== "transcript" || !isCheck(op)),
        options,
      ),
  }),
  "a delete leaves the transcripts": (inner) => {
    const kept = new Map<string, readonly string[]>();
    return {
      commit: (ops, options) => {
        for (const { kind, key } of ops) if (kind === "delete") kept.set(key, inner.transcripts(key));
        return inner.commit(ops, options);
      },
      transcripts: (key) => [...new Set([...(kept.get(key) ?? []), ...inner.transcripts(key)])].sort(),
    };
  },
  "operations are forgotten": (inner) => ({
    operation: () => undefined,
    commit: (ops, options) =>
      inner.commit(ops, options?.skipUnchanged === undefined ? {} : { skipUnchanged: options.skipUnchanged }),
  }),
  "operations are known by their id alone": (inner) => ({
    operation: (operation) => inner.operation({ ...operation, hash: "" }),
    commit: (ops, options) =>
      inner.commit(ops, {
        ...options,
        ...(options?.operation && { operation: { ...options.operation, hash: "" } }),
      }),
  }),
  "pages ignore where they end": (inner) => ({
    items: (key, name, { to: _, ...query }) => inner.items(key, name, query),
  }),
  "pages never say that there is more": (inner) => ({
    items: (key, name, query) => ({ ...inner.items(key, name, query), more: false }),
  }),
  "an id is searched in the newest thousand items": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "transcript" ? withWindow(op, inner, 1000) : op)),
        options,
      ),
  }),
  "no base is ever checked": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.filter(({ kind }) => kind !== "check").map((op) => withoutBase(op, inner)),
        options,
      ),
  }),
  "base 0 is not checked": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind !== "transcript" && op.base === 0 ? withoutBase(op, inner) : op)),
        options,
      ),
  }),
  "check ops are ignored": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.filter(({ kind }) => kind !== "check"),
        options,
      ),
  }),
  "deletes forget their base": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "delete" ? { kind: "delete", key: op.key } : op)),
        options,
      ),
  }),
  "a commit is not atomic": (inner) => ({
    commit: (ops, options) => {
      const outcomes = ops.map((op) => inner.commit([op], options));
      return outcomes.find(({ status }) => status === "conflict") ?? outcomes.at(-1)!;
    },
  }),
  "every write counts, changed or not": (inner) => ({ commit: (ops) => inner.commit(ops) }),
  "reordered items count as unchanged": (inner) => ({
    commit: (ops, options) => {
      const sorted = (entry: unknown) => JSON.stringify(entry).split("").toSorted().join("");
      const same = (op: EngineOp) =>
        op.kind === "set" && sorted(op.entry) === sorted(inner.read(op.key)?.entry ?? 0);
      if (options?.skipUnchanged !== true || !ops.every(same)) return inner.commit(ops, options);
      return { status: "unchanged", records: ops.map(({ key }) => inner.read(key)) };
    },
  }),
  "entries are not frozen": (inner) => ({ read: (key) => thawed(inner.read(key)) }),
  "entries keep what the caller changes later": () => {
    const entries = new Map<string, object>();
    const engine = createMemoryEngine();
    return {
      commit: (ops, options) => {
        for (const op of ops) if (op.kind === "set") entries.set(op.key, op.entry);
        return engine.commit(ops, options);
      },
      read: (key) => {
        const record = engine.read(key);
        return record && { ...record, entry: entries.get(key) ?? record.entry };
      },
    };
  },
  "reads are one commit late": (inner) => {
    let before: EngineRecord | undefined;
    return {
      commit: (ops, options) => {
        before = inner.read(ops[0]!.key);
        return inner.commit(ops, options);
      },
      read: (key) => (before?.key === key ? before : inner.read(key)),
    };
  },
  "deleted sessions can be read": (inner) => {
    const seen = new Map<string, EngineRecord>();
    return {
      read: (key) => {
        const record = inner.read(key) ?? seen.get(key);
        if (record !== undefined) seen.set(key, record);
        return record;
      },
    };
  },
  "modifiedAt is 0": (inner) => ({ read: (key) => altered(inner.read(key), { modifiedAt: 0 }) }),
  "keys ignore case": (inner) => withKeys(inner, (key) => key.toLowerCase()),
  "keys are normalized to NFC": (inner) => withKeys(inner, (key) => key.normalize("NFC")),
  "keys are trimmed": (inner) => withKeys(inner, (key) => key.trim() || key),
  "keys end at a NUL": (inner) => withKeys(inner, (key) => key.split("\0")[0]! || key),
  "long keys are cut": (inner) => withKeys(inner, (key) => key.slice(0, 200)),
  "patch merges deeply": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => {
          if (op.kind !== "patch") return op;
          const entry = inner.read(op.key)?.entry as ConformanceEntry;
          const merge = ([name, value]: [string, unknown]) =>
            isObject(value) && isObject(entry[name]) ? [name, { ...entry[name], ...value }] : [name, value];
          return { ...op, fields: Object.fromEntries(Object.entries(op.fields).map(merge)) as object };
        }),
        options,
      ),
  }),
  "patch keeps fields that are undefined": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "patch" ? { ...op, fields: jsonCopy(op.fields) } : op)),
        options,
      ),
  }),
  "the order of fields is lost": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "set" ? { ...op, entry: sortedFields(op.entry) } : op)),
        options,
      ),
  }),
  "__proto__ is lost": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => (op.kind === "set" ? { ...op, entry: structuredCloneWithoutProto(op.entry) } : op)),
        options,
      ),
  }),
  "a field of $ is lost": (inner) => ({
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => {
          if (op.kind !== "set") return op;
          return { ...op, entry: JSON.parse(JSON.stringify(op.entry).replaceAll('"$$', '"$')) as object };
        }),
        options,
      ),
  }),
  "unchanged values are copied": (inner) => ({
    read: (key) => {
      const record = inner.read(key);
      return record && { ...record, entry: deepFrozen(jsonCopy(record.entry)) };
    },
  }),
  "lists ignore the prefix": (inner) => ({ scan: (query) => inner.scan({ ...query, prefix: "" }) }),
  "lists ignore the lower bound": (inner) => ({
    scan: (query) => inner.scan({ ...query, updatedAfter: undefined }),
  }),
  "bounds are inclusive": (inner) => ({
    scan: (query) =>
      inner.scan({
        ...query,
        updatedAfter: query.updatedAfter === undefined ? undefined : query.updatedAfter - 0.5,
      }),
  }),
  "lists are always ordered by key": (inner) => ({
    scan: (query) => inner.scan({ ...query, orderBy: "key" }),
  }),
  "lists never descend": (inner) => ({ scan: (query) => inner.scan({ ...query, descending: false }) }),
  "keys are ordered by locale": (inner) => ({
    scan: (query) => {
      const { records, next } = inner.scan(query);
      if (query.orderBy !== "key") return { records, next };
      const direction = query.descending ? -1 : 1;
      return { records: records.toSorted((a, b) => direction * a.key.localeCompare(b.key)), next };
    },
  }),
  "ties descend in ascending order": (inner) => ({
    scan: (query) => {
      if (query.orderBy !== "updatedAt" || !query.descending) return inner.scan(query);
      const { records, next } = inner.scan(query);
      const time = ({ entry }: EngineRecord) => Number((entry as ConformanceEntry)["updatedAt"] ?? 0);
      return { records: records.toSorted((a, b) => time(b) - time(a) || (a.key < b.key ? -1 : 1)), next };
    },
  }),
  "limit is ignored": (inner) => ({ scan: (query) => inner.scan({ ...query, limit: Infinity }) }),
  "there is never a next page": (inner) => ({ scan: (query) => ({ ...inner.scan(query), next: undefined }) }),
  "there is always a next page": (inner) => ({
    scan: (query) => {
      const { records, next } = inner.scan(query);
      const last = records.at(-1);
      return { records, next: next ?? (last && { key: last.key, updatedAt: 0 }) };
    },
  }),
  "pages repeat their last session": (inner) => ({
    scan: (query) => {
      const { records, next } = inner.scan(query);
      return { records, next: next && { ...next, key: next.key.slice(0, -1) } };
    },
  }),
  "count ignores the bounds": (inner) => ({
    count: (query) => inner.count({ ...query, updatedAfter: undefined }),
  }),
  "revision is behind": (inner) => ({ revision: () => Math.max(0, inner.revision() - 1) }),
  "watch begins at the first next()": (inner) => ({
    changes: async function* (options) {
      yield* inner.changes(options);
    },
  }),
  "watch ignores since": (inner) => ({
    changes: (options) => inner.changes({ ...options, since: undefined }),
  }),
  "watch repeats since": (inner) => ({
    changes: (options) =>
      inner.changes({
        ...options,
        since: options.since === undefined ? undefined : Math.max(0, options.since - 1),
      }),
  }),
  "watch ignores the prefix": (inner) => ({
    changes: (options) => inner.changes({ ...options, prefix: "" }),
  }),
  "watch drops a change now and then": (inner) => ({
    changes: (options) => filtered(inner.changes(options), (_, index) => index % 50 !== 49),
  }),
  "watch drops deletes": (inner) => ({
    changes: (options) => filtered(inner.changes(options), ({ kind }) => kind !== "delete"),
  }),
  "watch gives the latest state": (inner) => ({
    changes: (options) =>
      mapped(inner.changes(options), (change) => {
        const record = inner.read(change.key);
        return record === undefined || change.kind === "delete" ? change : { ...change, record };
      }),
  }),
  "watch does not stop": (inner) => ({
    changes: (options) => inner.changes({ ...options, signal: undefined }),
    close: async () => {},
  }),
  "an old revision gives a silent gap": (inner) => ({
    changes: (options) => mendGap(inner, options),
  }),
};

describe("the suite", () => {
  test("has many cases, and the intact engine passes every one", async () => {
    const cases = collect(() => ({}));
    expect(cases.length).toBeGreaterThan(180);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { name, run } of cases)
      await run().catch((error: unknown) => expect.unreachable(`${name}: ${String(error)}`));
  });

  const names = Object.keys(SABOTAGES);
  const hangs = (name: string): boolean => name.startsWith("watch") || name.endsWith("gap");
  const goesRed = async (name: string): Promise<void> =>
    expect(await firstRed(collect(SABOTAGES[name]!))).toBeDefined();

  test.each(names.filter((name) => !hangs(name)))("goes red when %s", goesRed);
  // A case waits in vain then, so these are tried at the same time.
  test.concurrent.each(names.filter(hangs))("goes red when %s", goesRed);
});

interface Case {
  readonly name: string;
  readonly run: () => Promise<void>;
}

function collect(sabotage: Sabotage): Case[] {
  const cases: Case[] = [];
  sessionStoreConformance({
    test: (name, run) => cases.push({ name, run }),
    open: async (options) => {
      const resolved = resolveOptions(options);
      const inner = createMemoryEngine({ ...resolved, historyMax: 1000 });
      const engine = new Proxy(Object.assign(Object.create(null) as object, sabotage(inner)), {
        get: (broken: Partial<Engine>, method: keyof Engine) =>
          broken[method] ?? (inner as Engine)[method]?.bind(inner),
      }) as Engine;
      const store = createSessionStore<ConformanceEntry>(engine, resolved);
      return {
        store,
        forgetHistory: async () => {
          for (let commits = 0; commits < 1000; commits++) await store.put("filler", {});
        },
        dispose: () => store.close(),
      };
    },
    capabilities: {
      persistent: false,
      shared: false,
      syncReads: false,
      forgets: true,
      lazyValues: false,
      limits: ["entry_too_large", "value_too_deep"],
    },
  });
  return cases;
}

async function firstRed(cases: readonly Case[]): Promise<string | undefined> {
  for (const { name, run } of cases) {
    let timer: NodeJS.Timeout | undefined;
    const hung = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("hung")), HANGS_AFTER_MS);
    });
    try {
      await Promise.race([run(), hung]);
    } catch {
      return name;
    } finally {
      clearTimeout(timer);
    }
  }
  return undefined;
}

function withoutBase(op: EngineOp, inner: MemoryEngine): EngineOp {
  if (op.kind === "transcript") return op;
  if (op.kind === "set") return { kind: "set", key: op.key, entry: op.entry };
  if (op.kind === "delete") return { kind: "delete", key: op.key };
  return { ...op, base: inner.read(op.key)?.revision ?? 0 };
}

/** As if an id of an older item were not known: such an item is appended without one. */
function withWindow(op: TranscriptOp, inner: MemoryEngine, window: number): TranscriptOp {
  const last = inner.transcript(op.key, op.transcript)?.last ?? 0;
  const seqs = inner.itemIds(op.key, op.transcript, op.items?.flatMap(({ id }) => id ?? []) ?? []);
  const items = op.items?.map((item) =>
    (seqs.get(item.id ?? "") ?? last) <= last - window ? { json: item.json } : item,
  );
  return { ...op, ...(items && { items }) };
}

function withKeys(inner: MemoryEngine, change: (key: string) => string): Partial<Engine> {
  return {
    read: (key) => altered(inner.read(change(key)), { key }),
    commit: (ops, options) =>
      inner.commit(
        ops.map((op) => ({ ...op, key: change(op.key) })),
        options,
      ),
  };
}

function altered(record: EngineRecord | undefined, fields: Partial<EngineRecord>): EngineRecord | undefined {
  return record && { ...record, ...fields };
}

function thawed(record: EngineRecord | undefined): EngineRecord | undefined {
  return record && { ...record, entry: jsonCopy(record.entry) };
}

function jsonCopy(value: object): object {
  return JSON.parse(JSON.stringify(value)) as object;
}

function deepFrozen(value: object): object {
  for (const item of Object.values(value) as unknown[]) if (isObject(item)) deepFrozen(item);
  return Object.freeze(value);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function sortedFields(entry: object): object {
  return Object.fromEntries(Object.entries(entry).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function structuredCloneWithoutProto(entry: object): object {
  return JSON.parse(JSON.stringify(entry), (name, value: unknown) =>
    name === "__proto__" ? undefined : value,
  ) as object;
}

async function* filtered(
  changes: AsyncIterable<EngineChange>,
  keep: (change: EngineChange, index: number) => boolean,
): AsyncGenerator<EngineChange> {
  let index = 0;
  for await (const change of changes) {
    if (keep(change, index++)) yield change;
  }
}

async function* mapped(
  changes: AsyncIterable<EngineChange>,
  map: (change: EngineChange) => EngineChange,
): AsyncGenerator<EngineChange> {
  for await (const change of changes) yield map(change);
}

async function* mendGap(
  inner: MemoryEngine,
  options: Parameters<Engine["changes"]>[0],
): AsyncGenerator<EngineChange> {
  try {
    yield* inner.changes(options);
  } catch {
    yield* inner.changes({ ...options, since: undefined });
  }
}
