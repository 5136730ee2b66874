/**
 * Goal: a plan is what its rules say, session by session, and what cannot be judged stays. Method: examples of every reason; random stores
 * and policies against an oracle that states the rules a second time, without an eye on speed; clocks that stand wrong.
 */
import { describe, expect, it } from "vitest";
import { planRetentionOn, type PlanOptions, type RetentionPlan } from "../../../src/care/retention/plan.js";
import { Planner, type Decision } from "../../../src/care/retention/planner.js";
import { checkPolicy } from "../../../src/care/retention/policy.js";
import type { RetentionPolicy, RetentionRule } from "../../../src/care/retention/policy-types.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { memoryStore, type Entry } from "../moving/support/stores.js";

const NOW = Date.UTC(2026, 10, 30, 12);
const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

type Sessions = Readonly<Record<string, Entry>>;

async function planOf(
  sessions: Sessions,
  policy: Omit<RetentionPolicy, "version">,
  { now = NOW, ...options }: PlanOptions & { readonly now?: number } = {},
): Promise<RetentionPlan> {
  const store = await memoryStore();
  for (const [key, entry] of Object.entries(sessions)) await store.put(key, entry);
  const runtime = new ManualRuntime({ now, yields: "event-loop" });
  const host = { fs: nodeFileSystem, runtime };
  return planRetentionOn(host, store, { mode: "enforce", maxShare: 1, ...policy, version: 1 }, options);
}

const reasonsOf = (plan: RetentionPlan): Record<string, string> =>
  Object.fromEntries([...plan.decisions()].map(({ key, action, reason }) => [key, `${action} ${reason}`]));

const removedBy = (plan: RetentionPlan): string[] => [...plan.removals()].map(({ key }) => key);

const at = (days: number): Entry => ({ updatedAt: NOW - days * DAY });

describe("one rule", () => {
  it("takes sessions for their age, by the millisecond", async () => {
    const plan = await planOf(
      { a: { updatedAt: NOW - 7 * DAY }, b: { updatedAt: NOW - 7 * DAY - 1 }, c: at(0) },
      { rules: [{ name: "r", olderThan: "7d" }] },
    );
    expect(reasonsOf(plan)).toEqual({ a: "keep within", b: "remove olderThan", c: "keep within" });
    expect(plan.explain("b")).toEqual({
      key: "b",
      revision: 2,
      action: "remove",
      reason: "olderThan",
      rule: "r",
      limit: "7d",
      updatedAt: NOW - 7 * DAY - 1,
    } satisfies Decision);
    expect(plan.explain("nobody")).toBeUndefined();
  });

  it("keeps the latest, and takes what is behind them; of equal times the first keys go first", async () => {
    const sessions = { a: at(1), b: at(1), c: at(2), d: at(9) };
    const max = await planOf(sessions, { rules: [{ name: "r", maxCount: 1 }] });
    expect(reasonsOf(max)).toEqual({
      a: "remove maxCount",
      b: "keep within",
      c: "remove maxCount",
      d: "remove maxCount",
    });
    const keep = await planOf(sessions, { rules: [{ name: "r", olderThan: "1h", keepNewest: 3 }] });
    expect(reasonsOf(keep)).toEqual({
      a: "keep keepNewest",
      b: "keep keepNewest",
      c: "keep keepNewest",
      d: "remove olderThan",
    });
    // Those that go for their age take no place.
    const both = await planOf(sessions, { rules: [{ name: "r", olderThan: "7d", maxCount: 3 }] });
    expect(removedBy(both)).toEqual(["d"]);
  });

  it("takes sessions whose own field says that their time is over", async () => {
    const plan = await planOf(
      {
        number: { expiresAt: NOW - 1 },
        text: { expiresAt: "2026-11-30T11:59:59Z" },
        zone: { expiresAt: "2026-11-30T12:59:59+01:00" },
        date: { expiresAt: "2026-11-30" },
        later: { expiresAt: NOW + 1 },
        odd: { expiresAt: "tomorrow" },
        seconds: { expiresAt: NOW / 1000 },
        none: {},
      },
      { rules: [{ name: "r", ttl: { field: "expiresAt" } }] },
    );
    expect(reasonsOf(plan)).toEqual({
      number: "remove ttl",
      text: "remove ttl",
      zone: "remove ttl",
      date: "remove ttl",
      later: "keep within",
      odd: "keep badField",
      seconds: "keep badField",
      none: "keep within",
    });
    expect(plan.rules).toEqual([{ name: "r", matched: 8, removed: 4, unjudged: 2 }]);
    const deep = await planOf(
      { a: { meta: { until: NOW - 1 } }, b: { meta: "x" }, ["__proto__"]: { meta: null } },
      { rules: [{ name: "r", ttl: { field: "meta.until" } }] },
    );
    expect(removedBy(deep)).toEqual(["a"]);
    // Only fields of the entry's own.
    const policy = checkPolicy({
      version: 1,
      mode: "enforce",
      rules: [{ name: "r", ttl: { field: "until" } }],
    });
    for (const [entry, removed] of [
      [Object.create({ until: NOW - 1 }), 0],
      [{ until: NOW - 1 }, 1],
    ] as const) {
      const planner = new Planner(policy, NOW);
      planner.add({ key: "a", entry: entry as Entry, revision: 1, modifiedAt: NOW });
      expect(await planner.finish(async () => {})).toMatchObject({ removed });
    }
  });

  it("keeps what has no time that can be believed, and says which", async () => {
    const plan = await planOf(
      {
        none: {},
        text: { updatedAt: "2020-01-01" },
        zero: { updatedAt: 0 },
        seconds: { updatedAt: NOW / 1000 },
        negative: { updatedAt: -5 },
        future: { updatedAt: NOW + 2 * DAY },
        ahead: { updatedAt: NOW + HOUR },
        old: at(9),
      },
      { rules: [{ name: "r", olderThan: "7d", maxCount: 1 }] },
    );
    expect(reasonsOf(plan)).toEqual({
      none: "keep noTime",
      text: "keep noTime",
      zero: "keep noTime",
      seconds: "keep unbelievableTime",
      negative: "keep unbelievableTime",
      future: "keep futureTime",
      ahead: "keep within",
      old: "remove olderThan",
    });
    expect(plan.rules).toEqual([{ name: "r", matched: 8, removed: 1, unjudged: 6 }]);
  });
});

describe("several rules", () => {
  const rules: readonly RetentionRule[] = [
    { name: "pinned", match: ({ entry }) => entry["pinned"] === true, keep: true },
    { name: "cron", keys: ["agent:*:cron:*", "cron"], olderThan: "1d" },
    { name: "rest", keys: "agent:*", olderThan: "30d" },
  ];

  it("the first that matches decides alone, and who is named never goes", async () => {
    const plan = await planOf(
      {
        "agent:a:cron:1": at(2),
        "agent:a:cron:2": { ...at(2), pinned: true },
        "agent:a:cron:3": at(2),
        "agent:a:main": at(2),
        "agent:a:old": at(31),
        cron: at(2),
        other: at(1000),
      },
      { rules, keep: ["agent:a:cron:3"] },
      { keep: ["*:old"] },
    );
    expect(reasonsOf(plan)).toEqual({
      "agent:a:cron:1": "remove olderThan",
      "agent:a:cron:2": "keep rule",
      "agent:a:cron:3": "keep named",
      "agent:a:main": "keep within",
      "agent:a:old": "keep named",
      cron: "remove olderThan",
      other: "keep noRule",
    });
  });

  it("a rule of code must say yes or no", async () => {
    const answer = (async () => true) as unknown as () => boolean;
    await expect(
      planOf({ a: at(1) }, { rules: [{ name: "r", match: answer, olderThan: "1h" }] }),
    ).rejects.toThrow(TypeError);
  });

  it("a policy that is off looks at nothing", async () => {
    const plan = await planOf({ a: at(9) }, { mode: "off", rules: [{ name: "r", olderThan: "1d" }] });
    expect(plan).toMatchObject({ sessions: 0, removed: 0, alarm: false });
  });
});

describe("the bytes of a store", () => {
  const text = "x".repeat(979); // 1,000 bytes as JSON with a time
  const big = (days: number): Entry => ({ t: text, updatedAt: NOW - days * DAY });
  const bytes = JSON.stringify(big(1)).length;

  it("the oldest go until there is room, and no more", async () => {
    const sessions = { a: big(4), b: big(3), c: big(2), d: big(1) };
    const within = await planOf(sessions, { store: { maxBytes: 4 * bytes } });
    expect(removedBy(within)).toEqual([]);
    const plan = await planOf(sessions, { store: { maxBytes: 4 * bytes - 1, highWater: 0.6 } });
    expect(reasonsOf(plan)).toMatchObject({ a: "remove maxBytes", b: "remove maxBytes", c: "keep noRule" });
    expect(plan.bytes).toEqual({ before: 4 * bytes, removed: 2 * bytes });
  });

  it("who is protected is passed over, and if nobody is left that is an alarm", async () => {
    const rules: RetentionRule[] = [
      { name: "forever", keys: "a", keep: true },
      { name: "latest", keys: "b", olderThan: "30d", keepNewest: 1 },
    ];
    const sessions = { a: big(4), b: big(3), c: big(2), d: { t: text } };
    const plan = await planOf(sessions, { rules, store: { maxBytes: 10 } });
    expect(removedBy(plan)).toEqual(["c"]);
    expect(plan.alarm).toBe(false);
    const stuck = await planOf(sessions, { rules, keep: ["c"], store: { maxBytes: 10 } });
    expect(stuck).toMatchObject({ removed: 0, alarm: true });
    expect(stuck.exceeded).toEqual([
      { limit: "maxBytes", allowed: 10, actual: stuck.bytes?.before ?? Number.NaN },
    ]);
  });

  it("a number that is exceeded by sessions that cannot be judged is an alarm", async () => {
    const plan = await planOf({ a: {}, b: {}, c: at(1) }, { rules: [{ name: "r", maxCount: 2 }] });
    expect(plan).toMatchObject({
      removed: 0,
      alarm: true,
      exceeded: [{ limit: "maxCount", rule: "r", allowed: 2, actual: 3 }],
    });
  });
});

describe("too many at once", () => {
  const sessions = { a: at(9), b: at(9), c: at(1), d: at(1) };
  const rules = [{ name: "r", olderThan: "7d" }];

  it("a plan that removes more than the share is stopped, exactly the share is not", async () => {
    expect((await planOf(sessions, { rules, maxShare: 0.5 })).stop).toBeUndefined();
    expect((await planOf({ ...sessions, c: at(9) }, { rules, maxShare: 0.5 })).stop).toEqual({
      reason: "share",
      allowed: 2,
    });
    expect((await planOf(sessions, { rules, maxShare: 0 })).stop).toEqual({ reason: "share", allowed: 0 });
    expect((await planOf({ c: at(1) }, { rules, maxShare: 0 })).stop).toBeUndefined();
  });

  it("the number that was said counts in place of the share, in both directions", async () => {
    const all = { ...sessions, c: at(9), d: at(9) };
    expect((await planOf(all, { rules, maxShare: 0.1 }, { yesRemove: 4 })).stop).toBeUndefined();
    expect((await planOf(all, { rules, maxShare: 1 }, { yesRemove: 3 })).stop).toEqual({
      reason: "number",
      allowed: 3,
    });
  });

  it("a clock that is far ahead of every session is not believed, nor one that stands behind", async () => {
    const ahead = NOW + 3000 * DAY;
    const plan = await planOf(sessions, { rules }, { now: ahead });
    expect(plan.removed).toBeGreaterThan(0);
    expect(plan.stop).toMatchObject({ reason: "clock", allowed: 0 });
    expect((await planOf(sessions, { rules }, { now: ahead, yesRemove: 4 })).stop).toBeUndefined();
    for (const now of [0, NOW - 1000 * DAY]) {
      const behind = await planOf(
        sessions,
        { rules: [{ name: "r", olderThan: "7d", maxCount: 1 }] },
        { now },
      );
      expect(behind.removed).toBe(0);
    }
  });
});

/** The rules once more. */
function oracle(sessions: Sessions, policy: RetentionPolicy): Set<string> {
  const glob = (pattern: string, key: string): boolean =>
    new RegExp(
      `^${pattern
        .split("*")
        .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"))
        .join("[^]*")}$`,
      "u",
    ).test(key);
  const span = (text: string): number => Number.parseFloat(text) * (text.endsWith("h") ? HOUR : DAY);
  const timeOf = (key: string): number | undefined => {
    const time = sessions[key]?.["updatedAt"];
    return typeof time === "number" && time >= Date.UTC(2000, 0, 1) && time <= NOW + DAY ? time : undefined;
  };
  const ruleOf = (key: string): RetentionRule | undefined =>
    policy.rules?.find(({ keys = "*" }) => [keys].flat().some((pattern) => glob(pattern, key)));
  const kept = (key: string): boolean => (policy.keep ?? []).some((pattern) => glob(pattern, key));
  const newestFirst = (keys: string[]): string[] =>
    keys.sort((a, b) => (timeOf(b) ?? 0) - (timeOf(a) ?? 0) || (a < b ? 1 : -1));
  const gone = new Set<string>();
  const protectedOnes = new Set(Object.keys(sessions).filter(kept));
  for (const rule of policy.rules ?? []) {
    const mine = Object.keys(sessions).filter((key) => ruleOf(key) === rule && !kept(key));
    if (rule.keep === true) for (const key of mine) protectedOnes.add(key);
    if (rule.keep === true) continue;
    const timed = newestFirst(mine.filter((key) => timeOf(key) !== undefined));
    const latest = new Set(timed.slice(0, rule.keepNewest ?? 0));
    for (const key of latest) protectedOnes.add(key);
    for (const key of mine) {
      const time = timeOf(key);
      const { expiresAt } = sessions[key] as { expiresAt?: number };
      const isOver = rule.ttl !== undefined && expiresAt !== undefined && expiresAt <= NOW;
      const isOld = rule.olderThan !== undefined && time !== undefined && NOW - time > span(rule.olderThan);
      if ((isOver || isOld) && !latest.has(key)) gone.add(key);
    }
    if (rule.maxCount !== undefined)
      for (const key of timed.filter((one) => !gone.has(one)).slice(rule.maxCount)) gone.add(key);
  }
  if (policy.store !== undefined) {
    const size = (key: string): number => Buffer.byteLength(JSON.stringify(sessions[key]));
    const left = (): number =>
      Object.keys(sessions)
        .filter((key) => !gone.has(key))
        .reduce((sum, key) => sum + size(key), 0);
    const { maxBytes, highWater = 0.8 } = policy.store;
    if (left() > Number(maxBytes))
      for (const key of newestFirst(
        Object.keys(sessions).filter((one) => timeOf(one) !== undefined),
      ).reverse()) {
        if (left() <= Math.floor(Number(maxBytes) * highWater)) break;
        if (!protectedOnes.has(key)) gone.add(key);
      }
  }
  return gone;
}

it("random stores and policies: what an oracle says, and the same again", { timeout: 60_000 }, async () => {
  const seed = 17;
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const maybe = <T>(value: T): T | undefined => (random() < 0.4 ? value : undefined);
  const seen = new Set<string>();
  for (let round = 0; round < 250; round++) {
    const sessions: Record<string, Entry> = {};
    for (let n = below(30); n >= 0; n--) {
      const key = `${"ab"[below(2)]}:${"xy"[below(2)]}:${below(20)}`;
      const updatedAt =
        random() < 0.15 ? [0, 1e9, NOW + 9 * DAY, undefined][below(4)] : NOW - below(8) * 12 * HOUR;
      const expiresAt = maybe(NOW + (below(3) - 1) * HOUR);
      sessions[key] = {
        ...(updatedAt !== undefined && { updatedAt }),
        ...(expiresAt && { expiresAt }),
        n: "x".repeat(below(50)),
      };
    }
    const rules = Array.from({ length: below(4) }, (_, index): RetentionRule => {
      const base = { name: `${index}`, keys: ["*", "a:*", "*:x:*", ["b:y:*", "a:x:1*"]][below(4)] };
      if (random() < 0.15) return { ...base, keep: true };
      const maxCount = maybe(1 + below(5));
      return {
        ...base,
        olderThan: maybe(`${below(90) + 1}h`) ?? (maxCount === undefined ? "2d" : undefined),
        maxCount,
        ttl: maybe({ field: "expiresAt" }),
        keepNewest: maybe(1 + below(maxCount ?? 4)),
      };
    });
    const policy: RetentionPolicy = {
      version: 1,
      mode: "enforce",
      maxShare: 1,
      rules,
      keep: maybe(["*:1", "a:x:*"].slice(below(2))),
      store: maybe({ maxBytes: 1 + below(1500), highWater: (1 + below(10)) / 10 }),
    };
    const plan = await planOf(sessions, policy);
    const told = JSON.stringify({ seed, round, sessions, policy });
    expect(new Set(removedBy(plan)), told).toEqual(oracle(sessions, policy));
    expect([...plan.decisions()], told).toEqual([...(await planOf(sessions, policy)).decisions()]);
    for (const reason of Object.keys(plan.reasons)) seen.add(reason);
  }
  // Every reason came up, but for what the examples above have.
  expect([...seen].sort()).toEqual(
    [
      "futureTime",
      "keepNewest",
      "maxBytes",
      "maxCount",
      "named",
      "noRule",
      "noTime",
      "olderThan",
      "rule",
      "ttl",
      "unbelievableTime",
      "within",
    ].sort(),
  );
});

it("keeps a session whose ttl field names a day that no calendar has", async () => {
  const plan = await planOf(
    {
      day: { expiresAt: "2026-02-31" },
      time: { expiresAt: "2026-11-31T00:00:00Z" },
      leap: { expiresAt: "2024-02-29" },
    },
    { rules: [{ name: "r", ttl: { field: "expiresAt" } }] },
    { now: NOW + 30 * DAY },
  );
  expect(reasonsOf(plan)).toEqual({ day: "keep badField", time: "keep badField", leap: "remove ttl" });
});

it("lets exactly the share go that the policy says, whatever the product is rounded to", async () => {
  const sessions = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`s${n}`, at(n < 29 ? 9 : 0)]));
  const rules = [{ name: "r", olderThan: "7d" }];
  expect(Math.floor(0.29 * 100)).toBe(28);
  expect((await planOf(sessions, { rules, maxShare: 0.29 })).stop).toBeUndefined();
  expect((await planOf({ ...sessions, s29: at(9) }, { rules, maxShare: 0.29 })).stop).toEqual({
    reason: "share",
    allowed: 29,
  });
});
