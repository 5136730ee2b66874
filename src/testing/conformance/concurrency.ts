/** Conformance: many writers at once, in one store and in several stores on the same data. */
import { strict as assert } from "node:assert";
import { SessionStoreError } from "../../errors.js";
import {
  failure,
  increment,
  integersUpTo,
  keysOf,
  same,
  take,
  type ConformanceStore,
  type Kit,
} from "./kit.js";

const ACCOUNTS = 6;
const TOKENS_EACH = 100;

export function concurrencyCases(kit: Kit): void {
  kit.case("1000 concurrent updates of one session all count", async (store) => {
    await Promise.all(integersUpTo(1000).map(() => store.update("a", increment)));
    same(await store.get("a"), { count: 1000 });
  });

  kit.case("300 concurrent async updates of one session all count", async (store) => {
    await Promise.all(
      integersUpTo(300).map((index) =>
        store.update("a", async (entry) => {
          if (index % 3 === 0) await Promise.resolve();
          return increment(entry);
        }),
      ),
    );
    same(await store.get("a"), { count: 300 });
  });

  kit.case("each of many concurrent updates gets a revision of its own, in order", async (store) => {
    const records = await Promise.all(integersUpTo(100).map(() => store.update("a", increment)));
    const revisions = records.map((record) => record!.revision);
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((one, other) => one - other),
    );
    assert.deepEqual(
      records.map((record) => record!.entry["count"]),
      integersUpTo(100).map((index) => index + 1),
    );
  });

  kit.case("300 concurrent transactions on two sessions all count", async (store) => {
    await Promise.all(
      integersUpTo(300).map(() =>
        store.transact(async (tx) => {
          const one = await tx.get("one");
          const two = await tx.get("two");
          assert.equal(one?.["count"], two?.["count"]);
          await tx.put("one", increment(one));
          await tx.put("two", increment(two));
        }),
      ),
    );
    same([await store.get("one"), await store.get("two")], [{ count: 300 }, { count: 300 }]);
  });

  kit.case("updates, patches and transactions of one session do not lose each other", async (store) => {
    await store.put("a", { count: 0 });
    await Promise.all(
      integersUpTo(60).flatMap((index) => [
        store.update("a", increment),
        store.patch("a", { [`mark${index}`]: true }),
        store.transact(async (tx) => tx.put("a", increment(await tx.get("a")))),
      ]),
    );
    const entry = await store.get("a");
    assert.equal(entry?.["count"], 120);
    assert.equal(Object.keys(entry).length, 61);
  });

  kit.case("of many that create with ifRevision 0, one wins", async (store) => {
    const results = await Promise.allSettled(
      integersUpTo(50).map((index) => store.put("a", { index }, { ifRevision: 0 })),
    );
    const won = results.filter((result) => result.status === "fulfilled");
    assert.equal(won.length, 1);
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      assert.ok(result.reason instanceof SessionStoreError && result.reason.code === "conflict");
    }
    assert.deepEqual(await store.read("a"), won[0]!.value);
  });

  kit.case("of many that replace the same revision, one wins", async (store) => {
    const { revision } = await store.put("a", {});
    const results = await Promise.allSettled(
      integersUpTo(50).map((index) => store.put("a", { index }, { ifRevision: revision })),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  });

  kit.case("of many that delete at once, one did it", async (store) => {
    await store.put("a", {});
    const results = await Promise.all(integersUpTo(20).map(() => store.delete("a")));
    assert.equal(results.filter(Boolean).length, 1);
  });

  kit.case("concurrent put and delete end in one or the other, and every view agrees", async (store) => {
    for (const round of integersUpTo(30)) {
      await store.put("a", { round });
      const put = () => store.put("a", { round, again: true });
      const remove = () => store.delete("a");
      await Promise.all(round % 2 === 0 ? [put(), remove()] : [remove(), put()]);
      const entry = await store.get("a");
      if (entry !== undefined) same(entry, { round, again: true });
      assert.equal(await store.count(), entry === undefined ? 0 : 1);
      assert.deepEqual(await keysOf(store), entry === undefined ? [] : ["a"]);
    }
  });

  kit.case("transfers keep the sum in every listing and every reading transaction", async (store) => {
    await Promise.all(integersUpTo(ACCOUNTS).map((n) => store.put(account(n), { tokens: TOKENS_EACH })));
    const observations = await whileTransferring(
      [store, store, store, store],
      [(running) => observeListings(store, running), (running) => observeTransactions(store, running)],
    );
    assert.ok(observations.every((count) => count > 0));
    assert.equal(await sumOfListing(store), ACCOUNTS * TOKENS_EACH);
  });

  if (kit.capabilities.shared) sharedCases(kit);
}

function sharedCases(kit: Kit): void {
  kit.case("a store sees at once what another store committed", async (store, { another }) => {
    const other = await another!();
    const record = await store.put("a", { by: "first" });
    assert.deepEqual(await other.read("a"), record);
    assert.equal(await other.revision(), record.revision);
    await other.patch("a", { by: "second" });
    same(await store.get("a"), { by: "second" });
    await store.delete("a");
    assert.equal(await other.get("a"), undefined);
    assert.equal(await other.count(), 0);
  });

  kit.case("two stores count together", async (store, { another }) => {
    const other = await another!();
    await Promise.all(
      integersUpTo(200).map((index) => (index % 2 === 0 ? store : other).update("a", increment)),
    );
    same(await store.get("a"), { count: 200 });
    same(await other.get("a"), { count: 200 });
  });

  kit.case("ifRevision holds across stores", async (store, { another }) => {
    const other = await another!();
    const { revision } = await store.put("a", {});
    await other.put("a", { by: "other" });
    await failure(store.put("a", { by: "me" }, { ifRevision: revision }), "conflict");
    await failure(other.put("b", {}, { ifRevision: revision }), "conflict");
    const created = await Promise.allSettled([
      store.put("c", {}, { ifRevision: 0 }),
      other.put("c", {}, { ifRevision: 0 }),
    ]);
    assert.equal(created.filter(({ status }) => status === "fulfilled").length, 1);
  });

  kit.case("an async update runs again when another store was faster", async (store, { another }) => {
    const other = await another!();
    const seen: unknown[] = [];
    await store.put("a", { count: 1 });
    await store.update("a", async (entry) => {
      seen.push(entry?.["count"]);
      if (seen.length === 1) await other.update("a", increment);
      return increment(entry);
    });
    assert.deepEqual(seen, [1, 2]);
    same(await other.get("a"), { count: 3 });
  });

  kit.case("transfers in two stores keep the sum in both", async (store, { another }) => {
    const other = await another!();
    await Promise.all(integersUpTo(ACCOUNTS).map((n) => store.put(account(n), { tokens: TOKENS_EACH })));
    await whileTransferring(
      [store, other, store, other],
      [store, other].map((seen) => (running) => observeListings(seen, running)),
    );
    assert.equal(await sumOfListing(store), ACCOUNTS * TOKENS_EACH);
    assert.equal(await sumOfListing(other), ACCOUNTS * TOKENS_EACH);
  });

  kit.case("a watch follows what another store commits", async (store, { another }) => {
    const other = await another!();
    const watching = take(store.watch(), 3);
    await other.put("a", { n: 1 });
    await store.put("b", { n: 2 });
    await other.delete("a");
    const changes = await watching;
    assert.deepEqual(
      changes.map(({ key, kind }) => [key, kind]),
      [
        ["a", "put"],
        ["b", "put"],
        ["a", "delete"],
      ],
    );
  });
}

function account(index: number): string {
  return `account-${index % ACCOUNTS}`;
}

/** Runs the observers for as long as one writer a store moves tokens around, failed writers included. */
async function whileTransferring(
  writers: readonly ConformanceStore[],
  observers: readonly ((running: () => boolean) => Promise<number>)[],
): Promise<number[]> {
  let running = true;
  const writing = Promise.all(
    writers.map(async (store, writer) => {
      for (const step of integersUpTo(25)) await transfer(store, writer + step, writer * step + 1);
    }),
  ).finally(() => (running = false));
  const [observations] = await Promise.all([
    Promise.all(observers.map((observe) => observe(() => running))),
    writing,
  ]);
  return observations;
}

async function transfer(store: ConformanceStore, from: number, to: number): Promise<void> {
  if (from % ACCOUNTS === to % ACCOUNTS) return;
  await store.transact(async (tx) => {
    const source = Number((await tx.get(account(from)))?.["tokens"]);
    const target = Number((await tx.get(account(to)))?.["tokens"]);
    await tx.patch(account(from), { tokens: source - 7 });
    await tx.patch(account(to), { tokens: target + 7 });
  });
}

async function sumOfListing(store: ConformanceStore): Promise<number> {
  const { sessions } = await store.list({ prefix: "account-" });
  return sessions.reduce((sum, { entry }) => sum + Number(entry["tokens"]), 0);
}

async function observeListings(store: ConformanceStore, running: () => boolean): Promise<number> {
  let count = 0;
  while (running()) {
    assert.equal(await sumOfListing(store), ACCOUNTS * TOKENS_EACH);
    count += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return count;
}

async function observeTransactions(store: ConformanceStore, running: () => boolean): Promise<number> {
  let count = 0;
  while (running()) {
    const sum = await store.transact(async (tx) => {
      let tokens = 0;
      for (const index of integersUpTo(ACCOUNTS))
        tokens += Number((await tx.get(account(index)))?.["tokens"]);
      return tokens;
    });
    assert.equal(sum, ACCOUNTS * TOKENS_EACH);
    count += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return count;
}
