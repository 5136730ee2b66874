/** Conformance: transact. */
import { strict as assert } from "node:assert";
import type { Transaction } from "../../store/types.js";
import {
  failure,
  increment,
  keysOf,
  rejection,
  same,
  wrongArgument,
  type ConformanceEntry,
  type Kit,
} from "./kit.js";

export function transactCases(kit: Kit): void {
  kit.case("several sessions change together, in one revision", async (store) => {
    await store.put("b", { turns: 1 });
    await store.put("c", {});
    await store.transact(async (tx) => {
      await tx.put("a", { new: true });
      await tx.patch("b", { turns: 2 });
      await tx.delete("c");
    });
    const a = await store.read("a");
    const b = await store.read("b");
    same([a?.entry, b?.entry], [{ new: true }, { turns: 2 }]);
    assert.equal(a?.revision, b?.revision);
    assert.equal(a?.revision, await store.revision());
    assert.deepEqual(await keysOf(store), ["a", "b"]);
  });

  kit.case("the result of the function comes out", async (store) => {
    await store.put("a", { count: 7 });
    assert.equal(await store.transact(async (tx) => (await tx.get("a"))?.["count"]), 7);
    assert.equal(await store.transact(() => "plain"), "plain");
    assert.equal(await store.transact(() => undefined), undefined);
  });

  kit.case("a throw aborts: nothing is written and the error comes out", async (store) => {
    const before = await store.put("a", { turns: 1 });
    const thrown = new Error("mine");
    const failed = store.transact(async (tx) => {
      await tx.put("a", { turns: 2 });
      await tx.put("b", {});
      throw thrown;
    });
    assert.equal(await rejection(failed), thrown);
    assert.deepEqual(await store.read("a"), before);
    assert.deepEqual(await keysOf(store), ["a"]);
    assert.equal(await store.revision(), before.revision);
  });

  kit.case("nobody outside sees writes before the end", async (store) => {
    await store.put("a", { turns: 1 });
    await store.transact(async (tx) => {
      await tx.put("a", { turns: 2 });
      await tx.put("b", {});
      same(await store.get("a"), { turns: 1 });
      assert.equal(await store.count(), 1);
    });
    assert.equal(await store.count(), 2);
  });

  kit.case("a transaction sees its own writes", async (store) => {
    await store.put("a", { one: 1 });
    await store.put("gone", {});
    await store.transact(async (tx) => {
      await tx.patch("a", { two: 2, one: undefined });
      same(await tx.get("a"), { two: 2 });
      await tx.patch("a", { three: 3 });
      same(await tx.get("a"), { two: 2, three: 3 });
      await tx.put("new", { fresh: true });
      same(await tx.get("new"), { fresh: true });
      await tx.patch("new", { more: 1 });
      assert.equal(await tx.delete("gone"), true);
      assert.equal(await tx.get("gone"), undefined);
      assert.equal(await tx.delete("gone"), false);
    });
    same(await store.get("a"), { two: 2, three: 3 });
    same(await store.get("new"), { fresh: true, more: 1 });
    assert.equal(await store.get("gone"), undefined);
  });

  kit.case("read gives key, entry and the revision before the transaction", async (store) => {
    const before = await store.put("a", { turns: 1 });
    await store.transact(async (tx) => {
      assert.deepEqual(await tx.read("a"), before);
      assert.equal(await tx.read("missing"), undefined);
      await tx.put("a", { turns: 2 });
      const own = await tx.read("a");
      same(own?.entry, { turns: 2 });
      assert.equal(own?.revision, before.revision);
      await tx.put("new", {});
      assert.equal((await tx.read("new"))?.revision, 0);
    });
  });

  kit.case("put then delete leaves nothing, delete then put leaves the new one", async (store) => {
    await store.put("b", { life: 1 });
    await store.transact(async (tx) => {
      await tx.put("a", {});
      assert.equal(await tx.delete("a"), true);
      await tx.delete("b");
      await tx.put("b", { life: 2 });
    });
    assert.equal(await store.get("a"), undefined);
    same(await store.get("b"), { life: 2 });
  });

  kit.case("patch of a missing session is not_found; who catches it can go on", async (store) => {
    await failure(
      store.transact((tx) => tx.patch("a", { turns: 1 })),
      "not_found",
    );
    await store.transact(async (tx) => {
      await tx.patch("a", { turns: 1 }).catch(() => tx.put("a", { turns: 0 }));
    });
    same(await store.get("a"), { turns: 0 });
  });

  kit.case("a transaction that only reads makes no revision", async (store) => {
    const { revision } = await store.put("a", {});
    await store.transact(async (tx) => {
      await tx.get("a");
      await tx.get("b");
      await tx.read("c");
      assert.equal(await tx.delete("d"), false);
    });
    assert.equal(await store.revision(), revision);
  });

  kit.case("a key reads the same until the end of the transaction", async (store) => {
    await store.put("a", { turns: 1 });
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const first = await tx.get("a");
      if (runs === 1) await store.put("a", { turns: 2 });
      same(await tx.get("a"), first);
    });
  });

  kit.case("what was read and written is written on top of what was read", async (store) => {
    await store.put("a", { count: 10 });
    const seen: unknown[] = [];
    await store.transact(async (tx) => {
      const entry = await tx.get("a");
      seen.push(entry?.["count"]);
      if (seen.length === 1) await store.put("a", { count: 100 });
      await tx.put("a", increment(entry));
    });
    assert.deepEqual(seen, [10, 100]);
    same(await store.get("a"), { count: 101 });
  });

  kit.case("what was only read must still hold when the writes count", async (store) => {
    await store.put("policy", { open: true });
    let runs = 0;
    const admitted = await store.transact(async (tx) => {
      runs += 1;
      const policy = await tx.get("policy");
      if (runs === 1) await store.put("policy", { open: false });
      if (policy?.["open"] !== true) return false;
      await tx.put("guest", {});
      return true;
    });
    assert.equal(admitted, false);
    assert.equal(runs, 2);
    assert.equal(await store.get("guest"), undefined);
  });

  kit.case("what was read and deleted must still be what was read", async (store) => {
    await store.put("a", { idle: true });
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const entry = await tx.get("a");
      if (runs === 1) await store.put("a", { idle: false });
      if (entry?.["idle"] === true) await tx.delete("a");
    });
    assert.equal(runs, 2);
    same(await store.get("a"), { idle: false });
  });

  kit.case("what was found missing must still be missing", async (store) => {
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const leader = await tx.get("leader");
      if (runs === 1) await store.put("leader", { name: "other" });
      if (leader === undefined) await tx.put("leader", { name: "me" });
    });
    same(await store.get("leader"), { name: "other" });
    assert.equal(runs, 2);
  });

  kit.case("a blind write is not disturbed by other writers", async (store) => {
    await store.put("a", { by: "before" });
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      await store.put("a", { by: "other" });
      await tx.put("a", { by: "me" });
    });
    assert.equal(runs, 1);
    same(await store.get("a"), { by: "me" });
  });

  kit.case("two transactions cannot both act on what the other changes (write skew)", async (store) => {
    await store.put("alice", { onCall: true });
    await store.put("bob", { onCall: true });
    const leave = async (tx: Transaction<ConformanceEntry>, me: string, other: string) => {
      const mine = await tx.get(me);
      const theirs = await tx.get(other);
      await Promise.resolve();
      if (mine?.["onCall"] === true && theirs?.["onCall"] === true) await tx.patch(me, { onCall: false });
    };
    await Promise.all([
      store.transact((tx) => leave(tx, "alice", "bob")),
      store.transact((tx) => leave(tx, "bob", "alice")),
    ]);
    const onCall = [await store.get("alice"), await store.get("bob")].filter((entry) => entry?.["onCall"]);
    assert.equal(onCall.length, 1);
  });

  kit.case("no result comes from a mixture of moments, also when nothing is written", async (store) => {
    await store.put("a", { tokens: 50 });
    await store.put("b", { tokens: 50 });
    let runs = 0;
    const sum = await store.transact(async (tx) => {
      runs += 1;
      const a = await tx.get("a");
      if (runs === 1) {
        await store.transact(async (other) => {
          await other.put("a", { tokens: 20 });
          await other.put("b", { tokens: 80 });
        });
      }
      const b = await tx.get("b");
      return Number(a?.["tokens"]) + Number(b?.["tokens"]);
    });
    assert.equal(sum, 100);
    assert.equal(runs, 2);
  });

  kit.case("no error comes from a mixture of moments either", async (store) => {
    await store.put("a", { half: "old" });
    await store.put("b", { half: "old" });
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const a = await tx.get("a");
      if (runs === 1) {
        await store.transact(async (other) => {
          await other.put("a", { half: "new" });
          await other.put("b", { half: "new" });
        });
      }
      const b = await tx.get("b");
      if (a?.["half"] !== b?.["half"]) throw new Error("the halves differ");
    });
    assert.equal(runs, 2);
  });

  kit.case("a transaction is over when its function has returned", async (store) => {
    const kept: Transaction<ConformanceEntry>[] = [];
    await store.transact((tx) => void kept.push(tx));
    const tx = kept[0]!;
    for (const use of [
      () => tx.get("a"),
      () => tx.read("a"),
      () => tx.put("a", {}),
      () => tx.patch("a", {}),
      () => tx.delete("a"),
    ]) {
      await wrongArgument(use, /transaction is over/);
    }
    assert.equal(await store.count(), 0);
  });

  kit.case("wrong arguments are TypeErrors and abort", async (store) => {
    await wrongArgument(() => store.transact(undefined as never), /fn/);
    await wrongArgument(() => store.transact((tx) => tx.get("")), /key/);
    await wrongArgument(() => store.transact((tx) => tx.put("a", null as never)), /entry/);
    await store.put("a", {});
    await wrongArgument(() => store.transact((tx) => tx.patch("a", [] as never)), /fields/);
    same(await store.get("a"), {});
  });

  kit.case("an aborted signal runs nothing", async (store) => {
    const reason = new Error("enough");
    let runs = 0;
    const aborted = store.transact(() => void (runs += 1), { signal: AbortSignal.abort(reason) });
    assert.equal(await rejection(aborted), reason);
    assert.equal(runs, 0);
  });

  kit.case("a signal that aborts while the function runs writes nothing", async (store) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const aborted = store.transact(
      async (tx) => {
        await tx.put("a", {});
        controller.abort(reason);
      },
      { signal: controller.signal },
    );
    assert.equal(await rejection(aborted), reason);
    assert.equal(await store.count(), 0);
  });

  kit.case("a hundred sessions in one transaction", async (store) => {
    await store.transact(async (tx) => {
      for (let index = 0; index < 100; index++) await tx.put(`s${index}`, { index });
    });
    const { sessions } = await store.list();
    assert.equal(sessions.length, 100);
    assert.equal(new Set(sessions.map(({ revision }) => revision)).size, 1);
  });
}
