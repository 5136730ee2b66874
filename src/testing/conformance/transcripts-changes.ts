/** Conformance: items of transcripts go: truncate, trim, replaceSuffix, removeTranscript, delete, and what comes after. */
import { strict as assert } from "node:assert";
import { failure, integersUpTo, keysOf, rejection, same, take, wrongArgument, type Kit } from "./kit.js";
import { seqsOf, valuesOf } from "./transcripts.js";

export function transcriptChangeCases(kit: Kit): void {
  truncateCases(kit);
  suffixCases(kit);
  removeCases(kit);
  endCases(kit);
}

function truncateCases(kit: Kit): void {
  kit.case("truncate keeps the oldest; numbers go on", async (store) => {
    const made = await store.append("a", [1, 2, 3, 4, 5]);
    const bySeq = await store.truncate("a", { afterSeq: 4 });
    const cut = await store.revision();
    same(bySeq, { last: 5, length: 4, revision: made.revision, cut });
    const byLength = await store.truncate("a", { length: 2 });
    same([byLength?.last, byLength?.length], [5, 2]);
    assert.ok(byLength!.cut > cut);
    const { first } = await store.append("a", [6]);
    assert.equal(first, 6);
    same(seqsOf(await store.readItems("a")), [1, 2, 6]);
    // 5 was used, and is not there.
    same(seqsOf(await store.readItems("a", { from: 3, to: 5 })), []);
    same((await store.truncate("a", { afterSeq: 5 }))?.length, 2);
    same(await store.truncate("a", { length: 0 }), await store.transcript("a"));
    same(await store.readItems("a"), { items: [], last: 6, length: 0 });
    assert.equal((await store.append("a", [7])).first, 7);
  });

  kit.case("trim keeps the newest, and leaves last and cut as they are", async (store) => {
    const { revision } = await store.append("a", [1, 2, 3, 4, 5]);
    same(await store.trim("a", { beforeSeq: 3 }), { last: 5, length: 3, revision, cut: revision });
    same(await store.trim("a", { length: 2 }), { last: 5, length: 2, revision, cut: revision });
    const page = await store.readItems("a", { from: 1 });
    same(seqsOf(page), [4, 5]);
    same(seqsOf(await store.readItems("a", { to: 3, backwards: true })), []);
    same(await store.trim("a", { beforeSeq: 99 }), { last: 5, length: 0, revision, cut: revision });
    assert.equal((await store.append("a", [6])).first, 6);
  });

  kit.case("what removes nothing writes nothing", async (store) => {
    const { revision } = await store.append("a", [1, 2]);
    const info = await store.transcript("a");
    same(await store.truncate("a", { afterSeq: 2 }), info);
    same(await store.truncate("a", { length: 2 }), info);
    same(await store.trim("a", { length: 9 }), info);
    same(await store.trim("a", { beforeSeq: 1 }), info);
    assert.equal(await store.truncate("b", { length: 0 }), undefined);
    assert.equal(await store.trim("b", { length: 0 }), undefined);
    assert.equal(await store.revision(), revision);
    assert.deepEqual(await store.transcripts("b"), []);
  });

  kit.case("what to keep must be said in one way", async (store) => {
    await store.append("a", [1]);
    for (const keep of [{}, { length: 1, afterSeq: 1 }, { beforeSeq: 1 }, { length: -1 }, null] as never[]) {
      await wrongArgument(() => store.truncate("a", keep), /keep/);
    }
    for (const keep of [{}, { length: 1, beforeSeq: 1 }, { afterSeq: 1 }, { beforeSeq: "1" }] as never[]) {
      await wrongArgument(() => store.trim("a", keep), /keep/);
    }
    assert.equal((await store.transcript("a"))?.length, 1);
  });

  kit.case("truncations, trims and appends in any order leave what a list would", async (store) => {
    let model: { seq: number; n: number }[] = [];
    let last = 0;
    for (let step = 0; step < 40; step++) {
      const items = integersUpTo((step * 7) % 5).map((n) => step * 10 + n);
      await store.append("a", items);
      for (const n of items) model.push({ seq: ++last, n });
      if (step % 3 === 0) {
        const length = (step * 5) % 9;
        await store.truncate("a", { length });
        model = model.slice(0, length);
      }
      if (step % 4 === 0) {
        await store.trim("a", { beforeSeq: Math.max(1, last - 6) });
        model = model.filter(({ seq }) => seq >= last - 6);
      }
      const page = await store.readItems("a");
      same(
        page.items.map(({ seq, item }) => ({ seq, n: item })),
        model,
      );
      same([page.last, page.length], [last, model.length]);
    }
  });
}

function suffixCases(kit: Kit): void {
  kit.case("replaceSuffix puts items in the place of the expected ones", async (store) => {
    await store.append("a", [{ t: "1" }, { t: "draft", n: 1 }, { t: "3" }]);
    // The order of fields is not part of what is compared.
    const expected = { from: 2, items: [{ n: 1, t: "draft" }, { t: "3" }] };
    const { revision, ...replaced } = await store.replaceSuffix("a", expected, [{ t: "final" }], {
      ids: ["f"],
    });
    same(replaced, { first: 4, last: 4, length: 2, skipped: [] });
    assert.equal(revision, await store.revision());
    const page = await store.readItems("a");
    same(seqsOf(page), [1, 4]);
    same(valuesOf(page), [{ t: "1" }, { t: "final" }]);
    assert.equal((await store.transcript("a"))?.cut, revision);
  });

  kit.case("a maximum may reach into the items that replaceSuffix puts there", async (store) => {
    await store.append("a", [1, 2, 3, 4, 5]);
    const replaced = await store.replaceSuffix("a", { from: 4, items: [4, 5] }, ["x", "y", "z"], {
      maxLength: 2,
    });
    assert.equal(replaced.length, 2);
    for (const backwards of [false, true]) {
      const page = await store.readItems("a", { backwards });
      same(seqsOf(page), backwards ? [8, 7] : [7, 8]);
      assert.equal(page.length, 2);
    }
    await store.flush();
    await store.append("a", ["last"]);
    same(valuesOf(await store.readItems("a")), ["y", "z", "last"]);
  });

  kit.case("replaceSuffix of other items is a conflict that says where", async (store) => {
    const { revision } = await store.append("a", ["x", "y", "z"]);
    for (const [from, items, actual, seq] of [
      [2, ["y", "other"], 2, 3],
      [2, ["y"], 2, 3],
      [3, ["z", "more"], 1, 4],
      [1, ["other", "y", "z"], 3, 1],
      [4, ["more"], 0, 4],
      [1, [], 1, 1],
    ] as const) {
      const error = await failure(store.replaceSuffix("a", { from, items }, ["new"]), "conflict");
      same(error.data, { key: "a", transcript: "main", expected: items.length, actual, seq });
    }
    await failure(store.replaceSuffix("none", { from: 1, items: ["x"] }, []), "conflict");
    assert.equal(await store.revision(), revision);
  });

  kit.case("replaceSuffix with nothing expected appends, with nothing to put it truncates", async (store) => {
    const made = await store.replaceSuffix("a", { from: 1, items: [] }, [1, 2]);
    same([made.first, made.last], [1, 2]);
    assert.equal((await store.replaceSuffix("a", { from: 3, items: [] }, [3])).first, 3);
    const cut = await store.replaceSuffix("a", { from: 3, items: [3] }, []);
    same([cut.first, cut.last, cut.length], [0, 0, 2]);
    const revision = await store.revision();
    same((await store.replaceSuffix("a", { from: 3, items: [] }, [])).revision, 0);
    assert.equal(await store.revision(), revision);
    await wrongArgument(() => store.replaceSuffix("a", { from: 0, items: [] }, []), /from/);
    await wrongArgument(() => store.replaceSuffix("a", { from: 1 } as never, []), /items/);
    await wrongArgument(() => store.replaceSuffix("a", undefined as never, []), /expected/);
  });

  kit.case("of many who replace the same suffix one succeeds", async (store) => {
    await store.append("a", ["base", "old"]);
    const tries = integersUpTo(8).map((n) =>
      store.replaceSuffix("a", { from: 2, items: ["old"] }, [`new ${n}`]),
    );
    const results = await Promise.allSettled(tries);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    same((await store.transcript("a"))?.length, 2);
  });
}

function removeCases(kit: Kit): void {
  kit.case("a transcript that is removed and made again begins at 1", async (store) => {
    const first = await store.append("a", ["old", "older"], { ids: ["1", "2"] });
    await store.append("a", ["kept"], { transcript: "other" });
    assert.equal(await store.removeTranscript("a"), true);
    assert.equal(await store.removeTranscript("a"), false);
    assert.equal(await store.transcript("a"), undefined);
    assert.deepEqual(await store.transcripts("a"), ["other"]);
    same(await store.readItems("a"), { items: [], last: 0, length: 0 });
    const again = await store.append("a", ["new"], { ids: ["1"], ifLast: 0 });
    same([again.first, again.skipped], [1, []]);
    assert.ok((await store.transcript("a"))!.revision > first.revision);
    same(valuesOf(await store.readItems("a")), ["new"]);
  });

  kit.case("of two who remove it at once one did", async (store) => {
    await store.append("a", [1]);
    const removed = await Promise.all([store.removeTranscript("a"), store.removeTranscript("a")]);
    same(removed.sort(), [false, true]);
  });

  kit.case("delete takes the transcripts along, in one revision", async (store) => {
    await store.put("a", { turns: 1 });
    await store.append("a", [1]);
    await store.append("a", [2], { transcript: "sub" });
    await store.append("b", [3]);
    const changes = store.watch();
    assert.equal(await store.delete("a"), true);
    const [change] = await take(changes, 1);
    assert.deepEqual(
      [change?.kind, change?.last, change?.revision],
      ["delete", true, await store.revision()],
    );
    assert.deepEqual(await store.transcripts("a"), []);
    same(await store.readItems("a"), { items: [], last: 0, length: 0 });
    same(valuesOf(await store.readItems("b")), [3]);
    await store.put("a", { turns: 2 });
    assert.deepEqual(await store.transcripts("a"), [], "nothing of the old one comes back");
    assert.equal((await store.append("a", ["new"])).first, 1);
  });

  kit.case("delete of what has transcripts and no record is true once", async (store) => {
    await store.append("a", [1]);
    assert.equal(await store.delete("a"), true);
    assert.equal(await store.delete("a"), false);
    assert.deepEqual(await store.transcripts("a"), []);
    await store.append("a", [2]);
    await failure(store.delete("a", { ifRevision: 1 }), "conflict");
    same(valuesOf(await store.readItems("a")), [2]);
    assert.deepEqual(await keysOf(store), []);
  });
}

function endCases(kit: Kit): void {
  kit.case("a closed store refuses every method of transcripts", async (store) => {
    await store.append("a", [1]);
    const begun = store.iterateItems("a")[Symbol.asyncIterator]();
    await store.close();
    for (const use of [
      () => store.append("a", [1]),
      () => store.readItems("a"),
      () => store.transcript("a"),
      () => store.transcripts("a"),
      () => store.truncate("a", { length: 0 }),
      () => store.trim("a", { length: 0 }),
      () => store.replaceSuffix("a", { from: 1, items: [1] }, []),
      () => store.removeTranscript("a"),
      () => begun.next(),
      async () => store.iterateItems("a"),
    ]) {
      await failure(use(), "closed");
    }
  });

  kit.case("an aborted signal writes nothing", async (store) => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await store.append("a", [1]);
    const revision = await store.revision();
    for (const use of [
      () => store.append("a", [2], { signal }),
      () => store.truncate("a", { length: 0 }, { signal }),
      () => store.trim("a", { length: 0 }, { signal }),
      () => store.replaceSuffix("a", { from: 1, items: [1] }, [], { signal }),
      () => store.removeTranscript("a", { signal }),
    ]) {
      assert.equal(await rejection(use()), reason);
    }
    assert.equal(await store.revision(), revision);
  });

  if (kit.capabilities.persistent) {
    kit.case("transcripts outlive the store; read-only they can be read", async (store, { reopen }) => {
      await store.append("a", [1, 2, 3], { ids: ["1", "2", "3"] });
      await store.truncate("a", { length: 2 });
      const info = await store.transcript("a");
      const page = await store.readItems("a");
      const again = await reopen!();
      same(await again.transcript("a"), info);
      same(await again.readItems("a"), page);
      same((await again.append("a", ["x", "y"], { ids: ["1", "3"] })).skipped, [0]);
      const reader = await reopen!({ readOnly: true });
      same(seqsOf(await reader.readItems("a")), [1, 2, 4]);
      await failure(reader.append("a", [1]), "read_only");
      await failure(reader.truncate("a", { length: 0 }), "read_only");
      await failure(reader.trim("a", { length: 0 }), "read_only");
      await failure(reader.replaceSuffix("a", { from: 1, items: [] }, []), "read_only");
      await failure(reader.removeTranscript("a"), "read_only");
      await failure(
        reader.transact((tx) => tx.append("a", [1])),
        "read_only",
      );
      assert.equal(await reader.transact(async (tx) => (await tx.readItems("a")).length), 3);
    });
  } else {
    kit.caseWith({ readOnly: true }, "a read-only store takes no items", async (store) => {
      await failure(store.append("a", [1]), "read_only");
      await failure(store.removeTranscript("a"), "read_only");
      same(await store.readItems("a"), { items: [], last: 0, length: 0 });
    });
  }
}
