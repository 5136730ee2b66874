/**
 * Goal: one holder at a time, as the store decides it; a lease ends when its holder gives it back, has ended, or has not renewed it
 * for as long as whoever waits has counted, and what he writes after that does not count.
 * Method: hosts with clocks of their own over one store of each engine; what is awaited is moved by hand.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BEAT, HOLDER } from "../../src/lease/lease-state.js";
import { openLeases } from "../../src/lease/index.js";
import { openSessionStore } from "../../src/store/open.js";
import {
  ENGINES,
  hostOf,
  pass,
  type Entry,
  settle,
  type Place,
  type Running,
  type TestHost,
} from "./scene.js";

const OWNER = { owner: "a", ttlMs: 900 };

/** What became of it so far. */
function progress<R>(work: Promise<R>): { done: boolean; work: Promise<R> } {
  const state = { done: false, work };
  void work.then(
    () => (state.done = true),
    () => (state.done = true),
  );
  return state;
}

describe.each(Object.entries(ENGINES))("over %s", (_engine, makePlace) => {
  let place: Place;
  let a: TestHost;
  let b: TestHost;

  beforeEach(async () => {
    place = await makePlace();
    a = await hostOf(place, undefined);
    b = await hostOf(place, undefined);
  });
  afterEach(async () => {
    await a.store.close();
    await b.store.close();
    place.end();
  });

  it("is given to one, refused to others by name, and free again when it is given back", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    expect(lease).toMatchObject({ key: "k", owner: "a", ttlMs: 900 });
    await expect(b.leases.acquire("k", { owner: "b" })).rejects.toMatchObject({
      code: "lease_held",
      data: { key: "k", owner: "a", token: lease.token },
    });
    await b.leases.acquire("another", { owner: "b" });
    expect(await lease.release()).toBe(true);
    expect(await lease.release()).toBe(false);
    expect(lease.signal.aborted).toBe(true);
    const next = await b.leases.acquire("k", { owner: "b" });
    expect(next.token).toBeGreaterThan(lease.token);
    await expect(lease.transact(() => 1)).rejects.toMatchObject({ code: "lease_lost" });
  });

  it("is not over while its holder renews it, however slow that host's clock is for others", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: Number.POSITIVE_INFINITY }));
    await settle();
    for (let round = 0; round < 12; round++) {
      await pass(a, 300, 300); // it renews itself
      await pass(b, 800, 400);
    }
    expect(waiting.done).toBe(false);
    await lease.transact((tx) => tx.put("s", { n: 1 }));
    await lease.release();
    await settle();
    expect((await waiting.work).owner).toBe("b");
  });

  it("is over when it was not renewed for as long as the waiter has counted, and what the holder writes is refused", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    await lease.transact((tx) => tx.put("s", { n: 1 }));
    a.runtime.setNow(a.runtime.now() + 3_600_000);
    const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 10_000 }));
    await settle();
    b.runtime.setNow(b.runtime.now() - 3_600_000); // a wall clock is nobody's witness
    await pass(b, 890);
    expect(waiting.done).toBe(false);
    await pass(b, 20, 10);
    const taken = await waiting.work;
    expect(await b.leases.read("k")).toMatchObject({ held: true, owner: "b", token: taken.token });
    expect((await b.leases.read("k"))?.reason).toMatch(/^not renewed: "a", token \d+$/);
    await expect(lease.transact((tx) => tx.put("s", { n: 2 }))).rejects.toMatchObject({
      code: "lease_lost",
      data: { key: "k", token: lease.token, owner: "b", now: taken.token },
    });
    expect(lease.signal.reason).toMatchObject({ code: "lease_lost" });
    await expect(lease.renew()).rejects.toMatchObject({ code: "lease_lost" });
    expect(await a.store.get("s")).toEqual({ n: 1 });
    await taken.transact((tx) => tx.put("s", { n: 3 }));
    expect(await a.store.get("s")).toEqual({ n: 3 });
  });

  it("a renewal that comes while the waiter sleeps for long makes him count anew", async () => {
    const lease = await a.leases.acquire("k", { ...OWNER, renew: false });
    const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 1e9 }));
    await settle();
    await pass(b, 800, 400);
    await lease.renew();
    b.runtime.advance(3_600_000); // stopped for an hour
    await settle();
    expect(waiting.done).toBe(false);
    await pass(b, 1000, 250);
    expect((await waiting.work).owner).toBe("b");
  });

  it("of several who wait one gets it", async () => {
    const lease = await a.leases.acquire("k", { ...OWNER, renew: false });
    const waiting = ["b", "c", "d"].map((owner) =>
      progress(b.leases.acquire("k", { owner, waitMs: 1500, ttlMs: 60_000 })),
    );
    await settle();
    await pass(b, 1000, 250);
    expect(waiting.filter(({ done }) => done)).toHaveLength(1);
    await pass(b, 1000, 250);
    const outcomes = await Promise.allSettled(waiting.map(({ work }) => work));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expect(lease.renew()).rejects.toMatchObject({ code: "lease_lost" });
  });

  it("is stolen at once, with a reason that stays to be read", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const stolen = await b.leases.steal("k", { owner: "operator", reason: "a hangs" });
    expect(stolen.token).toBeGreaterThan(lease.token);
    expect(await a.leases.read("k")).toMatchObject({ held: true, owner: "operator", reason: "a hangs" });
    await expect(lease.renew()).rejects.toMatchObject({ code: "lease_lost", data: { owner: "operator" } });
    expect(await lease.release()).toBe(false);
    expect(await a.leases.read("k")).toMatchObject({ held: true, owner: "operator" });
    const { items } = await a.store.readItems("lease:k", { transcript: HOLDER });
    expect(items.map(({ item }) => (item as { owner: string }).owner)).toEqual(["a", "operator"]);
  });

  it("a lease that was lost without its holder's knowing is not given back", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    await b.leases.steal("k", { owner: "b", reason: "test" });
    expect(await lease.release()).toBe(false);
    expect(await a.leases.read("k")).toMatchObject({ held: true, owner: "b" });
  });

  it("a token that was handed on counts as long as the lease does", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const write = (n: number) =>
      b.store.transact(async (tx) => {
        await b.leases.guard(tx, "k", lease.token);
        await tx.put("s", { n });
      });
    await write(1);
    await b.leases.steal("k", { owner: "b", reason: "test" });
    await expect(write(2)).rejects.toMatchObject({ code: "lease_lost" });
    expect(await a.store.get("s")).toEqual({ n: 1 });
  });

  it("a lease that is taken between a write's beginning and its commit makes the write fail", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    let attempts = 0;
    const write = lease.transact(async (tx) => {
      await tx.put("s", { n: 1 });
      if (++attempts === 1) await b.leases.steal("k", { owner: "b", reason: "test" });
    });
    await expect(write).rejects.toMatchObject({ code: "lease_lost" });
    expect(attempts).toBe(1);
    expect(await a.store.get("s")).toBeUndefined();
  });

  it("a renewal of the holder's own does not disturb his writes", async () => {
    const lease = await a.leases.acquire("k", { ...OWNER, renew: false });
    let attempts = 0;
    await lease.transact(async (tx) => {
      attempts++;
      await tx.put("s", { n: attempts });
      await lease.renew();
    });
    expect(attempts).toBe(1);
  });

  it("tokens grow although the lease was removed and made again", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    await a.store.delete("lease:k");
    await expect(lease.renew()).rejects.toMatchObject({ code: "lease_lost" });
    const next = await b.leases.acquire("k", OWNER);
    expect(next.token).toBeGreaterThan(lease.token);
    await expect(lease.transact((tx) => tx.put("s", { n: 1 }))).rejects.toMatchObject({ code: "lease_lost" });
  });

  it("watch tells of each that is taken or given back", async () => {
    const seen: unknown[] = [];
    const controller = new AbortController();
    const watching = (async () => {
      for await (const { key, held, owner, reason } of b.leases.watch({ signal: controller.signal }))
        seen.push({ key, held, owner, ...(reason !== undefined && { reason }) });
    })();
    const lease = await a.leases.acquire("k", OWNER);
    await lease.renew();
    await lease.release();
    await a.leases.steal("l", { owner: "b", reason: "why" });
    for (let wait = 0; wait < 200 && seen.length < 3; wait++) await settle();
    await a.store.delete("lease:l");
    await a.store.put("lease:l", { n: 1 });
    for (let wait = 0; wait < 200 && seen.length < 4; wait++) await settle();
    controller.abort();
    await watching;
    expect(seen).toEqual([
      { key: "k", held: true, owner: "a" },
      { key: "k", held: false, owner: "a", reason: "released" },
      { key: "l", held: true, owner: "b", reason: "why" },
      { key: "l", held: false, owner: "" },
    ]);
  });

  it("stays out of listings, and keeps little", async () => {
    const lease = await a.leases.acquire("k", { ...OWNER, renew: false });
    for (let round = 0; round < 120; round++) await lease.renew();
    expect((await a.store.list()).sessions).toEqual([]);
    expect((await a.store.transcript("lease:k", BEAT))?.length).toBe(1);
    await lease.release();
    for (let round = 0; round < 60; round++) await (await a.leases.acquire("k", OWNER)).release();
    expect((await a.store.transcript("lease:k", HOLDER))?.length).toBe(100);
  });

  it("ends its holder's work when it cannot be renewed in time", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const store = a.store as { transact: unknown };
    const transact = store.transact;
    store.transact = () => Promise.reject(new Error("the server is away"));
    await pass(a, 800);
    expect(lease.signal.aborted).toBe(false);
    await pass(a, 600);
    store.transact = transact;
    expect(lease.signal.reason).toMatchObject({ code: "lease_lost" });
    expect(a.runtime.pendingTimers).toBe(0);
  });

  it("a store that is away for a moment costs no lease", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const store = a.store as { transact: unknown };
    const transact = store.transact;
    store.transact = () => Promise.reject(new Error("the server is away"));
    await pass(a, 600);
    store.transact = transact;
    await pass(a, 2000);
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
  });

  it("gives up waiting with its signal, and leaves nothing behind", async () => {
    const lease = await a.leases.acquire("k", OWNER);
    const controller = new AbortController();
    const waiting = progress(
      b.leases.acquire("k", { owner: "b", waitMs: Number.POSITIVE_INFINITY, signal: controller.signal }),
    );
    await settle();
    expect(waiting.done).toBe(false);
    controller.abort(new Error("enough"));
    await expect(waiting.work).rejects.toThrow("enough");
    expect(b.runtime.pendingTimers).toBe(0);
    await lease.release();
    expect(a.runtime.pendingTimers).toBe(0);
  });

  it("what another program wrote there is a holder that does not renew", async () => {
    for (const item of [
      { owner: 7, ttlMs: -1 },
      { owner: "x", ttlMs: "long" },
      { ttlMs: 5 },
      ["odd"],
      null,
      "odd",
    ]) {
      await a.store.append("lease:k", [item], { transcript: HOLDER });
      expect(await a.leases.read("k")).toMatchObject({ held: true });
    }
    expect(await a.leases.read("k")).toMatchObject({ owner: "", ttlMs: 30_000 });
    const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 60_000 }));
    await settle();
    await pass(b, 31_000, 10_000);
    expect((await waiting.work).owner).toBe("b");
  });
});

describe("a holder on this machine", () => {
  it("that has ended is noticed without waiting; one that sleeps, or runs elsewhere, is not taken for ended", async () => {
    const place = await ENGINES["directory"]!();
    const running: Running = new Map();
    const a = await hostOf(place, { pid: 7, space: "here", running });
    const b = await hostOf(place, { pid: 8, space: "here", running });
    const c = await hostOf(place, { pid: 9, space: "elsewhere", running: new Map() });
    await a.leases.acquire("k", { owner: "a", ttlMs: 60_000 });
    await expect(b.leases.acquire("k", { owner: "b" })).rejects.toMatchObject({ code: "lease_held" });
    const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 60_000 }));
    await settle();
    running.delete(7);
    await expect(c.leases.acquire("k", { owner: "c" })).rejects.toMatchObject({ code: "lease_held" });
    expect(await b.leases.read("k")).toMatchObject({ held: true, gone: true });
    await pass(b, 300);
    expect((await waiting.work).owner).toBe("b");
    expect((await b.leases.read("k"))?.reason).toMatch(/^ended: "a"/);
    running.set(8, 999); // the id was used again
    const again = await hostOf(place, { pid: 10, space: "here", running });
    expect((await again.leases.acquire("k", { owner: "d" })).owner).toBe("d");
    for (const { store } of [a, b, c, again]) await store.close();
    place.end();
  });
});

it("a holder on this machine that runs has all of his time", async () => {
  const place = await ENGINES["directory"]!();
  const running: Running = new Map();
  const a = await hostOf(place, { pid: 7, space: "here", running });
  const b = await hostOf(place, { pid: 8, space: "here", running });
  await a.leases.acquire("k", { owner: "a", ttlMs: 1000, renew: false });
  const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 60_000 }));
  await settle();
  await pass(b, 950, 50);
  expect(waiting.done).toBe(false);
  await pass(b, 100, 50);
  expect((await waiting.work).owner).toBe("b");
  for (const { store } of [a, b]) await store.close();
  place.end();
});

it("a store that makes other keys of them is waited for all the same", async () => {
  const store = await openSessionStore<Entry>("memory:", { normalizeKey: (key) => `other ${key}` });
  const place = { open: () => Promise.resolve(store), end: () => {} };
  const [a, b] = [await hostOf(place, undefined), await hostOf(place, undefined)];
  const lease = await a.leases.acquire("k", { owner: "a", ttlMs: 1e6 });
  const waiting = progress(b.leases.acquire("k", { owner: "b", waitMs: 1e6 }));
  await settle();
  await lease.release();
  await pass(b, 1100, 500);
  expect((await waiting.work).owner).toBe("b");
});

describe("arguments", () => {
  it.each([
    [{}, /owner must be a text/],
    [{ owner: "" }, /owner must be a text/],
    [{ owner: "x".repeat(1001) }, /owner must be a text/],
    [{ owner: "a", ttlMs: 99 }, /ttlMs must be an integer of at least 100/],
    [{ owner: "a", ttlMs: 2 ** 31 }, /ttlMs must be at most/],
    [{ owner: "a", waitMs: -1 }, /waitMs must be/],
    [{ owner: "a", waitMs: Number.NaN }, /waitMs must be/],
    [{ owner: "a", renew: "no" }, /renew must be true or false/],
    [{ owner: "a", reason: "x" }, /options has no option "reason"/],
    [{ owner: "a", signal: 1 }, /signal must be an AbortSignal/],
  ])("acquire refuses %j", async (options, message) => {
    const place = await ENGINES["memory"]!();
    const leases = openLeases(await place.open());
    await expect(leases.acquire("k", options as never)).rejects.toThrow(message);
    expect(await leases.read("k")).toBeUndefined();
  });

  it("keys, prefixes, reasons and tokens are checked", async () => {
    const store = await (await ENGINES["memory"]!()).open();
    expect(() => openLeases(store, { prefix: "" })).toThrow(/prefix must be a string/);
    expect(() => openLeases(store, { prefixes: "x" } as never)).toThrow(/no option "prefixes"/);
    const leases = openLeases(store);
    await expect(leases.acquire("", { owner: "a" })).rejects.toThrow(/key must be a string/);
    await expect(leases.steal("k", { owner: "a" } as never)).rejects.toThrow(/reason must be a text/);
    await expect(store.transact((tx) => leases.guard(tx, "k", 0))).rejects.toThrow(/token must be/);
  });
});
