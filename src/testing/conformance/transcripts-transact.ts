/** Conformance: transcripts in transactions, together with records, and operations that happen once. */
import { strict as assert } from "node:assert";
import type { Transaction } from "../../store/types.js";
import {
  failure,
  integersUpTo,
  rejection,
  same,
  wrongArgument,
  type ConformanceEntry,
  type ConformanceStore,
  type Kit,
} from "./kit.js";
import { seqsOf, valuesOf } from "./transcripts.js";

type Tx = Transaction<ConformanceEntry>;

export function transcriptTransactCases(kit: Kit): void {
  togetherCases(kit);
  ownWriteCases(kit);
  serializableCases(kit);
  deleteCases(kit);
  operationCases(kit);
}

/** Appends an item and counts it in the record. */
async function appendAndCount(tx: Tx, item: unknown): Promise<void> {
  const { length } = await tx.append("a", [item]);
  await tx.put("a", { length });
}

function togetherCases(kit: Kit): void {
  kit.case("items and records of several sessions change in one revision", async (store) => {
    await store.append("b", ["old"]);
    await store.transact(async (tx) => {
      await tx.put("a", { turns: 1 });
      await tx.append("a", ["x", "y"], { ids: ["1", "2"] });
      await tx.append("a", ["z"], { transcript: "sub" });
      await tx.truncate("b", { length: 0 });
    });
    const revision = await store.revision();
    assert.equal((await store.read("a"))?.revision, revision);
    const { items } = await store.readItems("a");
    same(
      items.map((item) => [item.seq, item.id, item.revision]),
      [
        [1, "1", revision],
        [2, "2", revision],
      ],
    );
    same(valuesOf(await store.readItems("a", { transcript: "sub" })), ["z"]);
    assert.equal((await store.transcript("b"))?.cut, revision);
  });

  kit.case("a throw writes nothing of it", async (store) => {
    await store.append("a", [1]);
    const revision = await store.revision();
    const thrown = new Error("mine");
    const failed = store.transact(async (tx) => {
      await tx.append("a", [2]);
      await tx.removeTranscript("a");
      throw thrown;
    });
    assert.equal(await rejection(failed), thrown);
    assert.equal(await store.revision(), revision);
    same(valuesOf(await store.readItems("a")), [1]);
  });

  const twoWriters = async (one: ConformanceStore, two: ConformanceStore): Promise<void> => {
    const work = async (store: ConformanceStore, who: string): Promise<void> => {
      for (const n of integersUpTo(15)) await store.transact((tx) => appendAndCount(tx, `${who} ${n}`));
    };
    await Promise.all([work(one, "one"), work(two, "two"), work(one, "three")]);
    for (const store of [one, two]) {
      assert.equal((await store.transcript("a"))?.length, 45);
      same(await store.get("a"), { length: 45 });
    }
    assert.equal(new Set(valuesOf(await one.readItems("a"))).size, 45);
  };

  kit.case("a record that counts the items always has the right number", (store) => twoWriters(store, store));

  if (kit.capabilities.shared) {
    kit.case("… with two stores on the same data too", async (store, { another }) =>
      twoWriters(store, await another!()),
    );
  }
}

function ownWriteCases(kit: Kit): void {
  kit.case("a transaction sees its own items, with the numbers that they will have", async (store) => {
    await store.append("a", ["x", "y"]);
    const inside = await store.transact(async (tx) => {
      const appended = await tx.append("a", ["own", "own 2"], { ids: ["1", "2"] });
      same(appended, { revision: 0, first: 3, last: 4, length: 4, skipped: [] });
      same((await tx.append("a", ["own"], { ids: ["1"] })).skipped, [0]);
      same(await tx.append("a", []), { revision: 0, first: 0, last: 0, length: 4, skipped: [] });
      return [
        await tx.readItems("a"),
        await tx.readItems("a", { from: 2, limit: 2 }),
        await tx.readItems("a", { to: 3, limit: 2, backwards: true }),
        await tx.readItems("a", { limit: 2, backwards: true }),
      ];
    });
    same(inside.map(seqsOf), [
      [1, 2, 3, 4],
      [2, 3],
      [3, 2],
      [4, 3],
    ]);
    same(
      inside.map(({ next }) => next),
      [undefined, 4, 1, 2],
    );
    same(
      inside[0]!.items.map(({ revision }) => revision > 0),
      [true, true, false, false],
    );
    same(valuesOf(await store.readItems("a")), valuesOf(inside[0]!));
    same(seqsOf(await store.readItems("a")), [1, 2, 3, 4]);
  });

  kit.case("many changes of one transcript come to what they say one after the other", async (store) => {
    await store.append("a", [1, 2, 3, 4, 5], { ids: ["1", "2", "3", "4", "5"] });
    await store.transact(async (tx) => {
      same((await tx.trim("a", { length: 4 }))?.length, 4);
      same((await tx.truncate("a", { afterSeq: 4 }))?.length, 3);
      same((await tx.append("a", ["x", "again"], { ids: ["4", "5"] })).skipped, [0]);
      same(seqsOf(await tx.readItems("a")), [2, 3, 4, 6]);
      same((await tx.append("a", ["y", "z"], { maxLength: 5 })).length, 5);
      same(seqsOf(await tx.readItems("a", { backwards: true })), [8, 7, 6, 4, 3]);
      same((await tx.replaceSuffix("a", { from: 8, items: ["z"] }, ["Z"])).length, 5);
      await failure(tx.replaceSuffix("a", { from: 7, items: ["y"] }, []), "conflict");
      await failure(tx.append("a", [0], { ifLength: 6 }), "conflict");
      await tx.append("a", ["end"], { ifLength: 5 });
    });
    const page = await store.readItems("a");
    same(valuesOf(page), [3, 4, "again", "y", "Z", "end"]);
    same([page.length, page.last], [6, page.items.at(-1)?.seq]);
    assert.equal((await store.transcript("a"))?.length, 6);
  });

  kit.case("what is made, removed and begun again in a transaction", async (store) => {
    await store.append("a", ["old"], { ids: ["1"] });
    await store.transact(async (tx) => {
      assert.equal(await tx.removeTranscript("a"), true);
      assert.equal(await tx.removeTranscript("a"), false);
      assert.equal(await tx.transcript("a"), undefined);
      assert.deepEqual(await tx.transcripts("a"), []);
      same((await tx.append("a", ["new"], { ids: ["1"] })).first, 1);
      await tx.append("a", ["gone"], { transcript: "gone" });
      await tx.append("a", ["sub"], { transcript: "sub" });
      assert.equal(await tx.removeTranscript("a", { transcript: "gone" }), true);
      assert.deepEqual(await tx.transcripts("a"), ["main", "sub"]);
      same(await tx.transcript("a"), { last: 1, length: 1, revision: 0, cut: 0 });
    });
    assert.deepEqual(await store.transcripts("a"), ["main", "sub"]);
    same(valuesOf(await store.readItems("a")), ["new"]);
    assert.equal((await store.transcript("a"))?.revision, await store.revision());
  });

  kit.case("changes that are not awaited come in the order of the calls", async (store) => {
    await store.transact(async (tx) => {
      await Promise.all([
        ...integersUpTo(10).map((n) => tx.append("a", [n])),
        tx.truncate("a", { length: 8 }),
        tx.append("a", ["end"]),
      ]);
    });
    same(valuesOf(await store.readItems("a")), [...integersUpTo(8), "end"]);
  });

  kit.case("after its end a transaction refuses every method", async (store) => {
    const kept: Tx[] = [];
    await store.transact((tx) => void kept.push(tx));
    const tx = kept[0]!;
    for (const use of [
      () => tx.append("a", [1]),
      () => tx.readItems("a"),
      () => tx.transcript("a"),
      () => tx.transcripts("a"),
      () => tx.truncate("a", { length: 0 }),
      () => tx.trim("a", { length: 0 }),
      () => tx.replaceSuffix("a", { from: 1, items: [] }, [1]),
      () => tx.removeTranscript("a"),
    ]) {
      await wrongArgument(use, /transaction is over/);
    }
    assert.equal(await store.revision(), 0);
  });
}

function serializableCases(kit: Kit): void {
  /** Runs a transaction whose first attempt meets what another writer does in between. @returns Attempts. */
  const attempts = async (
    store: ConformanceStore,
    before: (tx: Tx) => Promise<unknown>,
    meanwhile: () => Promise<unknown>,
  ): Promise<number> => {
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      await before(tx);
      if (runs === 1) await meanwhile();
      await tx.put("result", {});
    });
    return runs;
  };

  kit.case("what was read up to the end must still be the end", async (store) => {
    await store.append("a", [1, 2, 3]);
    const append = () => store.append("a", ["other"]);
    assert.equal(await attempts(store, (tx) => tx.readItems("a"), append), 2);
    assert.equal(await attempts(store, (tx) => tx.readItems("a", { backwards: true, limit: 1 }), append), 2);
    assert.equal(await attempts(store, (tx) => tx.transcript("a"), append), 2);
    assert.equal(await attempts(store, (tx) => tx.append("a", ["own"]), append), 2);
    const trim = () => store.trim("a", { length: 3 });
    assert.equal(await attempts(store, (tx) => tx.readItems("a"), trim), 2);
    const make = () => store.append("b", [1]);
    assert.equal(await attempts(store, (tx) => tx.readItems("b"), make), 2);
  });

  kit.case("what was read below the end is not disturbed by appends, but by truncations", async (store) => {
    await store.append("a", [1, 2, 3]);
    const below = (tx: Tx) => tx.readItems("a", { limit: 2 });
    const range = (tx: Tx) => tx.readItems("a", { to: 2, backwards: true });
    assert.equal(await attempts(store, below, () => store.append("a", [4])), 1);
    assert.equal(await attempts(store, range, () => store.append("a", [5])), 1);
    assert.equal(await attempts(store, below, () => store.truncate("a", { length: 4 })), 2);
    assert.equal(await attempts(store, below, () => store.removeTranscript("a")), 2);
  });

  kit.case("transactions that only read give no mixture of moments", async (store) => {
    await store.transact((tx) => appendAndCount(tx, 0));
    let runs = 0;
    const [length, counted] = await store.transact(async (tx) => {
      runs += 1;
      const page = await tx.readItems("a");
      if (runs === 1) await store.transact((other) => appendAndCount(other, 1));
      return [page.length, (await tx.get("a"))?.["length"]];
    });
    same([length, counted, runs], [2, 2, 2]);
    const revision = await store.revision();
    await store.transact(async (tx) => {
      await tx.readItems("a");
      await tx.transcripts("a");
      await tx.truncate("a", { length: 9 });
    });
    assert.equal(await store.revision(), revision, "no revision for nothing");
  });

  kit.case("two transactions cannot both act on an end that the other moves", async (store) => {
    const claim = (name: string) => async (tx: Tx) => {
      const { length } = await tx.readItems("log");
      await Promise.resolve();
      if (length === 0) await tx.append("log", [name]);
    };
    await Promise.all([store.transact(claim("one")), store.transact(claim("two"))]);
    assert.equal((await store.transcript("log"))?.length, 1);
  });
}

function deleteCases(kit: Kit): void {
  kit.case("delete in a transaction takes the transcripts along", async (store) => {
    await store.put("a", {});
    await store.append("a", [1]);
    await store.append("b", [2]);
    await store.transact(async (tx) => {
      assert.equal(await tx.delete("a"), true);
      assert.deepEqual(await tx.transcripts("a"), []);
      same((await tx.readItems("a")).items, []);
      assert.equal(await tx.delete("b"), true);
      assert.equal(await tx.delete("b"), false);
      assert.equal(await tx.delete("c"), false);
    });
    assert.deepEqual([await store.transcripts("a"), await store.transcripts("b")], [[], []]);
    assert.equal(await store.get("a"), undefined);
  });

  kit.case(
    "a session that is deleted and put again in a transaction has nothing of the old one",
    async (store) => {
      await store.put("a", { life: 1 });
      await store.append("a", ["old"]);
      await store.append("a", ["old"], { transcript: "sub" });
      await store.transact(async (tx) => {
        await tx.delete("a");
        await tx.put("a", { life: 2 });
        same((await tx.append("a", ["new"])).first, 1);
      });
      same(await store.get("a"), { life: 2 });
      assert.deepEqual(await store.transcripts("a"), ["main"]);
      same(valuesOf(await store.readItems("a")), ["new"]);
    },
  );

  kit.case("a transcript begun again after a delete needs a record, if there was one", async (store) => {
    await store.put("a", {});
    const begun = (tx: Tx, key: string) => tx.delete(key).then(() => tx.append(key, ["new"]));
    await wrongArgument(() => store.transact((tx) => begun(tx, "a")), /"a".*record/);
    assert.notEqual(await store.get("a"), undefined);
    await store.append("b", ["old"]);
    await store.transact((tx) => begun(tx, "b"));
    same(valuesOf(await store.readItems("b")), ["new"]);
  });

  kit.case("a delete because of what was read must find it so", async (store) => {
    await store.put("a", {});
    await store.append("a", [1]);
    let runs = 0;
    await store.transact(async (tx) => {
      runs += 1;
      const { length } = await tx.readItems("a");
      if (runs === 1) await store.append("a", [2]);
      if (length === 1) await tx.delete("a");
    });
    assert.equal(runs, 2);
    same(valuesOf(await store.readItems("a")), [1, 2]);
  });
}

function operationCases(kit: Kit): void {
  kit.case("an operation happens once; its repetition is a success without effect", async (store) => {
    const operation = { id: "turn-1", content: { text: "hi", n: 1 } };
    let runs = 0;
    const run = () =>
      store.transact(
        async (tx) => {
          runs += 1;
          await appendAndCount(tx, "hi");
          return "done";
        },
        { operation },
      );
    const first = await run();
    const { revision } = first;
    same(first, { repeated: false, result: "done", revision });
    assert.equal(revision, await store.revision());
    same(await run(), { repeated: true, revision });
    // Content is compared as JSON, the order of fields aside.
    const same1 = { ...operation, content: { n: 1, text: "hi" } };
    same(await store.transact(() => assert.fail("called again"), { operation: same1 }), {
      repeated: true,
      revision,
    });
    assert.equal(runs, 1);
    same(await store.get("a"), { length: 1 });
  });

  kit.case("the same id with another content is operation_mismatch", async (store) => {
    const work = (tx: Tx) => tx.append("a", [1]);
    const { revision } = await store.transact(work, { operation: { id: "x", content: [1, 2] } });
    for (const content of [[2, 1], [1], undefined, null, "[1,2]", {}]) {
      const failed = store.transact(work, { operation: { id: "x", content } });
      const error = await failure(failed, "operation_mismatch");
      same(error.data, { operation: "x", revision });
    }
    assert.equal((await store.transcript("a"))?.length, 1);
    const other = await store.transact(work, { operation: { id: "y" } });
    assert.equal(other.repeated, false);
  });

  kit.case("an operation at once from many sides is committed once", async (store, { another }) => {
    const stores = another === undefined ? [store] : [store, await another()];
    const results = await Promise.all(
      integersUpTo(8).map((n) =>
        stores[n % stores.length]!.transact((tx) => appendAndCount(tx, "x"), { operation: { id: "once" } }),
      ),
    );
    assert.equal(results.filter(({ repeated }) => !repeated).length, 1);
    assert.equal(new Set(results.map(({ revision }) => revision)).size, 1);
    same(await store.get("a"), { length: 1 });
  });

  kit.case("an operation that writes nothing, or throws, is not remembered", async (store) => {
    const operation = { id: "x" };
    same(await store.transact((tx) => tx.get("a"), { operation }), { repeated: false });
    const thrown = new Error("mine");
    const throwing = store.transact(() => Promise.reject(thrown), { operation });
    assert.equal(await rejection(throwing), thrown);
    assert.equal(await store.revision(), 0);
    const { repeated } = await store.transact((tx) => tx.put("a", {}), { operation });
    assert.equal(repeated, false);
  });

  kit.case("ids and contents of operations are checked", async (store) => {
    const run = (operation: unknown) => store.transact(() => 1, { operation } as never);
    await wrongArgument(() => run({}), /operation\.id/);
    await wrongArgument(() => run({ id: "" }), /operation\.id/);
    await wrongArgument(() => run("x"), /operation/);
    await wrongArgument(() => run({ id: "x", contents: 1 }), /contents/);
    await wrongArgument(() => run({ id: "x", content: { f: Number.NaN } }), /operation\.content\.f/);
    await failure(run({ id: "x".repeat(201) }), "id_too_long");
  });

  if (kit.capabilities.persistent) {
    kit.case("operations outlive the store", async (store, { reopen }) => {
      const operation = { id: "x", content: 1 };
      const { revision } = await store.transact((tx) => tx.put("a", {}), { operation });
      const again = await reopen!();
      same(await again.transact(() => assert.fail("called again"), { operation }), {
        repeated: true,
        revision,
      });
      await failure(
        again.transact(() => 1, { operation: { id: "x", content: 2 } }),
        "operation_mismatch",
      );
    });
  }
}
