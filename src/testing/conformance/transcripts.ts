/** Conformance: items of transcripts go in at the end and come out by their numbers. */
import { strict as assert } from "node:assert";
import type { Item, Page } from "../../store/transcript-types.js";
import {
  failure,
  integersUpTo,
  keysOf,
  same,
  wrongArgument,
  type ConformanceStore,
  type Kit,
} from "./kit.js";

export function transcriptCases(kit: Kit): void {
  appendCases(kit);
  conditionCases(kit);
  idCases(kit);
  readCases(kit);
  iterateCases(kit);
  nameCases(kit);
  sharedCases(kit);
}

function appendCases(kit: Kit): void {
  kit.case("items are numbered from 1 and keep their order", async (store) => {
    const one = await store.append("a", ["x", "y"]);
    same([one.first, one.last, one.length, one.skipped], [1, 2, 2, []]);
    const two = await store.append("a", ["z"]);
    same([two.first, two.last, two.length], [3, 3, 3]);
    assert.ok(two.revision > one.revision);
    assert.equal(await store.revision(), two.revision);
    const page = await store.readItems("a");
    same(valuesOf(page), ["x", "y", "z"]);
    same(seqsOf(page), [1, 2, 3]);
    same(
      page.items.map(({ revision }) => revision),
      [one.revision, one.revision, two.revision],
    );
    for (const { time } of page.items) assert.ok(Number.isSafeInteger(time));
    same([page.last, page.length, page.next], [3, 3, undefined]);
    same(await store.transcript("a"), { last: 3, length: 3, revision: one.revision, cut: one.revision });
  });

  kit.case("a transcript needs no record, and is no session", async (store) => {
    await store.append("a", [1]);
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.read("a"), undefined);
    assert.deepEqual(await keysOf(store), []);
    assert.equal(await store.count(), 0);
    const record = await store.put("a", { turns: 0 }, { ifRevision: 0 });
    await store.append("a", [2]);
    assert.deepEqual(await store.read("a"), record, "an append leaves the record as it is");
    same(valuesOf(await store.readItems("a")), [1, 2]);
  });

  kit.case("appends that are not awaited come in the order of the calls", async (store) => {
    await Promise.all(integersUpTo(50).map((n) => store.append("a", [n])));
    same(valuesOf(await store.readItems("a")), integersUpTo(50));
  });

  kit.case("items are taken as they are at the call", async (store) => {
    const item = { text: "before" };
    const items = [item];
    const appending = [store.append("a", items), store.append("a", items)];
    item.text = "after";
    items.push({ text: "late" });
    await Promise.all(appending);
    same(valuesOf(await store.readItems("a")), [{ text: "before" }, { text: "before" }]);
  });

  kit.case("no items: no commit, and the answer says how it is", async (store) => {
    same(await store.append("a", []), { revision: 0, first: 0, last: 0, length: 0, skipped: [] });
    assert.equal(await store.transcript("a"), undefined);
    assert.equal(await store.revision(), 0);
    const { revision } = await store.append("a", [1, 2]);
    same(await store.append("a", []), { revision: 0, first: 0, last: 0, length: 2, skipped: [] });
    assert.equal(await store.revision(), revision);
    await failure(store.append("a", [], { ifLast: 1 }), "conflict");
    await failure(store.append("b", [], { ifLength: 1 }), "conflict");
  });

  kit.case("maxLength removes the oldest in the same commit", async (store) => {
    await store.append("a", [1, 2, 3]);
    const appended = await store.append("a", [4, 5], { maxLength: 3 });
    same([appended.first, appended.last, appended.length], [4, 5, 3]);
    const page = await store.readItems("a");
    same(valuesOf(page), [3, 4, 5]);
    same(seqsOf(page), [3, 4, 5]);
    const all = await store.append("a", [6, 7, 8, 9], { maxLength: 2 });
    same([all.first, all.last, all.length], [6, 9, 2]);
    same(valuesOf(await store.readItems("a")), [8, 9]);
    same(valuesOf(await store.readItems("b")), []);
  });

  kit.case("wrong arguments are TypeErrors that name them", async (store) => {
    await wrongArgument(() => store.append("", [1]), /key/);
    await wrongArgument(() => store.append("a", "text" as never), /items/);
    await wrongArgument(() => store.append("a", [1], { maxLenght: 3 } as never), /maxLenght/);
    await wrongArgument(() => store.append("a", [1], { maxLength: 0 }), /maxLength/);
    await wrongArgument(() => store.append("a", [1], { ifLast: -1 }), /ifLast/);
    await wrongArgument(() => store.append("a", [1], { ifLength: 1.5 }), /ifLength/);
    await wrongArgument(() => store.append("a", [1], { ids: [] }), /ids/);
    await wrongArgument(() => store.append("a", [1], { ids: [7 as never] }), /ids\[0\]/);
    await wrongArgument(() => store.readItems("a", { limit: 0 }), /limit/);
    await wrongArgument(() => store.readItems("a", { from: "1" as never }), /from/);
    await wrongArgument(() => store.readItems("a", { backward: true } as never), /backward/);
    await wrongArgument(() => store.iterateItems("a", { limit: 1 } as never), /limit/);
    assert.equal(await store.revision(), 0);
  });
}

function conditionCases(kit: Kit): void {
  kit.case("ifLast and ifLength that hold let an append through", async (store) => {
    await store.append("a", [1], { ifLast: 0, ifLength: 0 });
    await store.append("a", [2], { ifLast: 1, ifLength: 1 });
    await store.truncate("a", { length: 1 });
    await store.append("a", [3], { ifLast: 2, ifLength: 1 });
    same(seqsOf(await store.readItems("a")), [1, 3]);
  });

  kit.case("ifLast and ifLength that do not hold are conflicts with both numbers", async (store) => {
    const { revision } = await store.append("a", [1, 2]);
    const last = await failure(store.append("a", [3], { ifLast: 1 }), "conflict");
    same(last.data, { key: "a", transcript: "main", expected: 1, actual: 2 });
    const length = await failure(store.append("a", [3], { ifLength: 3 }), "conflict");
    same(length.data, { key: "a", transcript: "main", expected: 3, actual: 2 });
    const missing = await failure(store.append("a", [3], { transcript: "x", ifLast: 1 }), "conflict");
    same(missing.data, { key: "a", transcript: "x", expected: 1, actual: 0 });
    for (const change of [
      () => store.truncate("a", { length: 0 }, { ifLast: 1 }),
      () => store.trim("a", { length: 0 }, { ifLength: 1 }),
      () => store.replaceSuffix("a", { from: 1, items: [1, 2] }, [], { ifLast: 1 }),
      () => store.removeTranscript("a", { ifLast: 0 }),
      () => store.removeTranscript("x", { ifLength: 2 }),
    ]) {
      await failure(change(), "conflict");
    }
    assert.equal(await store.revision(), revision);
  });

  kit.case("of many who append behind the same last item one succeeds", async (store) => {
    await store.append("a", ["start"]);
    const tries = integersUpTo(10).map((n) => store.append("a", [n], { ifLast: 1 }));
    const results = await Promise.allSettled(tries);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal((await store.transcript("a"))?.length, 2);
  });
}

function idCases(kit: Kit): void {
  kit.case("an item whose id is there is left out, the rest of the call counts", async (store) => {
    const first = await store.append("a", ["one", "two"], { ids: ["1", "2"] });
    same([first.first, first.last, first.skipped], [1, 2, []]);
    const again = await store.append("a", ["one", "three", "two"], { ids: ["1", "3", "2"] });
    same([again.first, again.last, again.length, again.skipped], [3, 3, 3, [0, 2]]);
    const nothing = await store.append("a", ["one"], { ids: ["1"] });
    same([nothing.first, nothing.last, nothing.length, nothing.skipped], [0, 0, 3, [0]]);
    same(
      (await store.readItems("a")).items.map(({ item, id }) => [item, id]),
      [
        ["one", "1"],
        ["two", "2"],
        ["three", "3"],
      ],
    );
  });

  kit.case("an id twice in one call counts once, the first", async (store) => {
    const { skipped, last } = await store.append("a", ["x", "y", "z"], { ids: ["1", "1", undefined] });
    same([skipped, last], [[1], 2]);
    same(valuesOf(await store.readItems("a")), ["x", "z"]);
  });

  kit.case("ids are those of one transcript, and exact over all of it", async (store) => {
    const ids = integersUpTo(1500).map((n) => `id-${n}`);
    for (let start = 0; start < ids.length; start += 500) {
      const batch = ids.slice(start, start + 500);
      await store.append("a", batch, { ids: batch });
    }
    same((await store.append("a", ["again"], { ids: ["id-0"] })).skipped, [0]);
    same((await store.append("a", ["again"], { ids: ["id-0"], transcript: "other" })).skipped, []);
    same((await store.append("b", ["again"], { ids: ["id-0"] })).skipped, []);
    assert.equal((await store.transcript("a"))?.length, 1500);
  });

  kit.case("an item that was removed takes its id with it", async (store) => {
    await store.append("a", [1, 2, 3], { ids: ["1", "2", "3"] });
    await store.truncate("a", { length: 2 });
    await store.trim("a", { length: 1 });
    const { skipped, first } = await store.append("a", [1, 2, 3], { ids: ["1", "2", "3"] });
    same([skipped, first], [[1], 4]);
    same(valuesOf(await store.readItems("a")), [2, 1, 3]);
  });

  kit.case("odd ids are ids; too long ones, empty ones and halves are refused", async (store) => {
    const ids = ["__proto__", "constructor", " ", "\u0000", 'a"b', "ä".repeat(100), "x".repeat(200), "😀"];
    await store.append("a", ids, { ids });
    same(
      (await store.readItems("a")).items.map(({ id }) => id),
      ids,
    );
    same((await store.append("a", ids, { ids })).skipped, integersUpTo(ids.length));
    const error = await failure(store.append("a", [1, 2], { ids: ["ok", "ä".repeat(101)] }), "id_too_long");
    same([error.data["limit"], error.data["actual"]], [200, 202]);
    await wrongArgument(() => store.append("a", [1], { ids: [""] }), /ids\[0\]/);
    await wrongArgument(() => store.append("a", [1], { ids: ["\ud800"] }), /ids\[0\]/);
    assert.equal((await store.transcript("a"))?.length, ids.length);
  });
}

function readCases(kit: Kit): void {
  kit.case("a transcript that does not exist has no items", async (store) => {
    same(await store.readItems("a"), { items: [], last: 0, length: 0 });
    same(await store.readItems("a", { backwards: true, transcript: "x" }), { items: [], last: 0, length: 0 });
    assert.equal(await store.transcript("a"), undefined);
    assert.deepEqual(await store.transcripts("a"), []);
  });

  kit.case("ranges are inclusive, in both directions", async (store) => {
    await store.append("a", integersUpTo(10));
    for (const [options, seqs] of [
      [{}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
      [{ from: 4, to: 6 }, [4, 5, 6]],
      [{ from: 4, to: 6, backwards: true }, [6, 5, 4]],
      [{ from: 9 }, [9, 10]],
      [{ to: 2 }, [1, 2]],
      [{ to: 2, backwards: true }, [2, 1]],
      [{ from: 9, backwards: true }, [10, 9]],
      [{ from: 11 }, []],
      [{ from: 6, to: 5 }, []],
      [{ to: 0, backwards: true }, []],
      [{ from: 10, to: 99 }, [10]],
      [{ from: 0, limit: 1 }, [1]],
    ] as const) {
      const page = await store.readItems("a", options);
      same(seqsOf(page), seqs);
      same([page.last, page.length], [10, 10]);
    }
  });

  kit.case("pages put together are the range, forwards and backwards", async (store) => {
    await store.append("a", integersUpTo(10));
    await store.truncate("a", { length: 7 });
    await store.append("a", ["x", "y"]); // 11 and 12
    const forwards: number[] = [];
    for (let from: number | undefined = 2; from !== undefined;) {
      const page: Page<unknown> = await store.readItems("a", { from, to: 11, limit: 3 });
      assert.ok(page.items.length <= 3 && page.items.length > 0);
      forwards.push(...seqsOf(page));
      from = page.next;
    }
    same(forwards, [2, 3, 4, 5, 6, 7, 11]);
    const backwards: number[] = [];
    for (let to: number | undefined = 12; to !== undefined;) {
      const page: Page<unknown> = await store.readItems("a", { from: 2, to, limit: 4, backwards: true });
      backwards.push(...seqsOf(page));
      to = page.next;
    }
    same(backwards, [12, 11, 7, 6, 5, 4, 3, 2]);
  });

  kit.case("next is absent where a page ends exactly at the end", async (store) => {
    await store.append("a", [1, 2]);
    assert.equal((await store.readItems("a", { limit: 2 })).next, undefined);
    assert.equal((await store.readItems("a", { limit: 2, backwards: true })).next, undefined);
    assert.equal((await store.readItems("a", { limit: 1, to: 1 })).next, undefined);
    assert.equal((await store.readItems("a", { limit: 1 })).next, 2);
    assert.equal((await store.readItems("a", { limit: 1, backwards: true })).next, 1);
  });

  kit.case("a page has at most a thousand items by default", async (store) => {
    for (let batch = 0; batch < 3; batch++) await store.append("a", integersUpTo(500));
    const seqs: number[] = [];
    for (let from: number | undefined = 1; from !== undefined;) {
      const page: Page<unknown> = await store.readItems("a", { from });
      assert.ok(page.items.length <= 1000);
      seqs.push(...seqsOf(page));
      from = page.next;
    }
    same(
      seqs,
      integersUpTo(1500).map((n) => n + 1),
    );
  });

  kit.case("items that come out are the caller's own", async (store) => {
    await store.append("a", [{ list: [1] }]);
    const { items } = await store.readItems<{ list: number[] }>("a");
    items[0]!.item.list.push(2);
    same(valuesOf(await store.readItems("a")), [{ list: [1] }]);
  });
}

function iterateCases(kit: Kit): void {
  kit.case("an iteration gives a range, a page at a time", async (store) => {
    await store.append("a", integersUpTo(10));
    const seqs = async (options?: Parameters<typeof store.iterateItems>[1]) =>
      (await all(store.iterateItems("a", options))).map(({ seq }) => seq);
    same(await seqs(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    same(await seqs({ pageItems: 3 }), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    same(await seqs({ pageItems: 3, backwards: true }), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    same(await seqs({ pageItems: 2, from: 3, to: 7 }), [3, 4, 5, 6, 7]);
    same(await all(store.iterateItems("none")), []);
  });

  kit.case("an iteration goes on by number while others append and trim", async (store) => {
    await store.append("a", integersUpTo(20));
    const seqs: number[] = [];
    for await (const { seq } of store.iterateItems("a", { pageItems: 4 })) {
      seqs.push(seq);
      if (seq < 20) await store.append("a", [`behind ${seq}`]);
      if (seq === 10) await store.trim("a", { beforeSeq: 15 });
    }
    // The page that was in hand when the oldest went is still given.
    same(
      seqs.slice(0, 12),
      integersUpTo(12).map((n) => n + 1),
    );
    same(
      seqs.slice(12),
      integersUpTo(seqs.length - 12).map((n) => n + 15),
    );
    assert.ok(seqs.length >= 18, "what was there at the beginning, and is, was given");
  });

  kit.case("an iteration ends where its transcript is removed and begun again", async (store) => {
    await store.append("a", [1, 2, 3, 4]);
    const items: unknown[] = [];
    for await (const { item } of store.iterateItems("a", { pageItems: 2 })) {
      items.push(item);
      if (items.length !== 1) continue;
      await store.removeTranscript("a");
      await store.append("a", ["x", "y", "z"]);
    }
    same(items, [1, 2]);
  });

  kit.case("an aborted iteration ends with the signal's reason", async (store) => {
    await store.append("a", [1, 2, 3]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const seen: unknown[] = [];
    const iterating = (async () => {
      for await (const { item } of store.iterateItems("a", { signal: controller.signal })) {
        seen.push(item);
        controller.abort(reason);
      }
    })();
    await assert.rejects(iterating, (error) => error === reason);
    same(seen, [1]);
  });
}

function nameCases(kit: Kit): void {
  kit.case("transcripts of a session are independent, and named in order", async (store) => {
    const names = [
      "sub/agent-1",
      "main",
      "Z",
      "..",
      ".hidden",
      "%41",
      "ä",
      "😀",
      "__proto__",
      "con",
      "a b",
      "x".repeat(200),
    ];
    for (const name of names) await store.append("a", [name], { transcript: name });
    await store.append("b", ["other"]);
    assert.deepEqual(await store.transcripts("a"), names.toSorted());
    for (const name of names) {
      same(valuesOf(await store.readItems("a", { transcript: name })), [name]);
      assert.equal((await store.transcript("a", name))?.length, 1);
    }
    assert.equal(await store.removeTranscript("a", { transcript: "Z" }), true);
    assert.deepEqual(await store.transcripts("a"), names.filter((name) => name !== "Z").sort());
  });

  kit.case("names that are none are TypeErrors, those that are too long have a code", async (store) => {
    for (const transcript of ["", "\ud800", 7 as never, null as never]) {
      await wrongArgument(() => store.append("a", [1], { transcript }), /transcript/);
      await wrongArgument(() => store.readItems("a", { transcript }), /transcript/);
      await wrongArgument(() => store.transcript("a", transcript), /transcript/);
      await wrongArgument(() => store.removeTranscript("a", { transcript }), /transcript/);
    }
    for (const transcript of ["x".repeat(201), "😀".repeat(101)]) {
      const error = await failure(store.append("a", [1], { transcript }), "transcript_name_too_long");
      same(error.data, { key: "a", transcript, limit: 200, actual: transcript.length });
      await failure(store.readItems("a", { transcript }), "transcript_name_too_long");
    }
    assert.deepEqual(await store.transcripts("a"), []);
  });

  kit.case("names have up to 200 characters of any kind", async (store) => {
    const names = [
      "X".repeat(200),
      `${"X".repeat(199)}Y`,
      "😀".repeat(100),
      "ß".repeat(200),
      "x".repeat(200),
    ].sort();
    for (const [index, transcript] of names.entries()) await store.append("a", [index], { transcript });
    same(await store.transcripts("a"), names);
    for (const [index, transcript] of names.entries())
      same(valuesOf(await store.readItems("a", { transcript })), [index]);
  });

  kit.caseWith({ normalizeKey: (key) => key.toLowerCase() }, "keys are normalized", async (store) => {
    await store.append("A", [1]);
    await store.append("a", [2]);
    same(valuesOf(await store.readItems("A")), [1, 2]);
    assert.deepEqual(await store.transcripts("A"), ["main"]);
    assert.equal(await store.delete("A"), true);
  });
}

function sharedCases(kit: Kit): void {
  if (!kit.capabilities.shared) return;

  kit.case(
    "two stores append to one transcript, each batch twice: every item once, in one order",
    async (store, fixture) => {
      const other = await fixture.another!();
      const work = async (own: ConformanceStore, who: string): Promise<void> => {
        for (let batch = 0; batch < 10; batch++) {
          const items = integersUpTo(3).map((n) => `${who}-${batch}-${n}`);
          for (const retry of [false, true]) {
            const { skipped } = await own.append("a", items, { ids: items });
            assert.equal(skipped.length, retry ? 3 : 0);
          }
        }
      };
      await Promise.all([work(store, "one"), work(other, "two")]);
      const page = await store.readItems<string>("a");
      assert.deepEqual(await other.readItems("a"), page);
      same(
        seqsOf(page),
        integersUpTo(60).map((n) => n + 1),
      );
      assert.equal(new Set(valuesOf(page)).size, 60);
      for (const who of ["one", "two"]) {
        const own = valuesOf(page).filter((item) => String(item).startsWith(who));
        same(
          own,
          integersUpTo(10).flatMap((batch) => integersUpTo(3).map((n) => `${who}-${batch}-${n}`)),
        );
      }
    },
  );

  kit.case("another store sees what was appended and removed", async (store, fixture) => {
    const other = await fixture.another!();
    await store.append("a", [1, 2, 3]);
    same(valuesOf(await other.readItems("a")), [1, 2, 3]);
    await other.truncate("a", { length: 1 });
    same(await store.transcript("a"), await other.transcript("a"));
    await other.append("a", [4]);
    same(seqsOf(await store.readItems("a")), [1, 4]);
    await store.delete("a");
    same(await other.readItems("a"), { items: [], last: 0, length: 0 });
  });
}

export function valuesOf(page: Page<unknown>): unknown[] {
  return page.items.map(({ item }) => item);
}

export function seqsOf(page: Page<unknown>): number[] {
  return page.items.map(({ seq }) => seq);
}

async function all<I>(items: AsyncIterable<Item<I>>): Promise<Item<I>[]> {
  const found: Item<I>[] = [];
  for await (const item of items) found.push(item);
  return found;
}
