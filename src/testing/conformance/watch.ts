/** Conformance: watch. */
import { strict as assert } from "node:assert";
import type { SessionChange } from "../../store/types.js";
import {
  failure,
  increment,
  integersUpTo,
  take,
  wrongArgument,
  type ConformanceEntry,
  type Kit,
} from "./kit.js";

export function watchCases(kit: Kit): void {
  kit.case("a watch begins at the call, not at the first next()", async (store) => {
    await store.put("before", {});
    const changes = store.watch();
    const record = await store.put("a", { turns: 1 });
    await store.delete("a");
    const [put, deleted] = await take(changes, 2);
    const { revision, modifiedAt } = record;
    assert.deepEqual(put, { key: "a", revision, kind: "put", modifiedAt, last: true, record });
    const { modifiedAt: deletedAt, ...rest } = deleted!;
    assert.deepEqual(rest, { key: "a", revision: await store.revision(), kind: "delete", last: true });
    assert.ok(Number.isSafeInteger(deletedAt), "a delete has the time of its commit");
  });

  kit.case("since gives what came after that revision, then goes on", async (store) => {
    await store.put("a", { n: 1 });
    const { revision } = await store.put("b", { n: 2 });
    await store.put("c", { n: 3 });
    await store.patch("a", { n: 4 });
    const watching = take(store.watch({ since: revision }), 3);
    await store.put("d", { n: 5 });
    const changes = await watching;
    assert.deepEqual(
      changes.map(({ key, record }) => [key, record?.entry["n"]]),
      [
        ["c", 3],
        ["a", 4],
        ["d", 5],
      ],
    );
  });

  kit.case("since 0 gives everything from the beginning", async (store) => {
    await store.put("a", {});
    await store.put("b", {});
    const changes = await take(store.watch({ since: 0 }), 2);
    assert.deepEqual(
      changes.map(({ key }) => key),
      ["a", "b"],
    );
  });

  kit.case("each change carries the state right after it, not the latest", async (store) => {
    const { revision } = await store.put("a", { n: 0 });
    for (const n of [1, 2, 3]) await store.put("a", { n });
    const changes = await take(store.watch({ since: revision }), 3);
    assert.deepEqual(
      changes.map(({ record }) => record?.entry["n"]),
      [1, 2, 3],
    );
    for (const { record, revision } of changes) assert.equal(record?.revision, revision);
  });

  kit.case("a prefix leaves out everything else", async (store) => {
    const watching = take(store.watch({ prefix: "agent:a:" }), 3);
    await store.put("agent:b:1", {});
    await store.put("agent:a:1", {});
    await store.transact(async (tx) => {
      await tx.put("agent:b:2", {});
      await tx.put("agent:a:2", {});
    });
    await store.delete("agent:b:1");
    await store.delete("agent:a:1");
    assert.deepEqual(
      (await watching).map(({ key, kind }) => `${kind} ${key}`),
      ["put agent:a:1", "put agent:a:2", "delete agent:a:1"],
    );
  });

  kit.case("a transaction's changes come together, with one revision", async (store) => {
    await store.put("b", {});
    const watching = take(store.watch(), 3);
    await store.transact(async (tx) => {
      await tx.put("a", { n: 1 });
      await tx.delete("b");
    });
    await store.put("after", {});
    const changes = await watching;
    assert.deepEqual(
      new Set(changes.slice(0, 2).map(({ key, kind }) => `${kind} ${key}`)),
      new Set(["put a", "delete b"]),
    );
    assert.equal(changes[0]?.revision, changes[1]?.revision);
    assert.equal(changes[2]?.key, "after");
  });

  kit.case("a cursor that is saved at the last change of each commit misses nothing", async (store) => {
    const write = (n: number): Promise<void> =>
      store.transact(async (tx) => {
        for (const key of ["a:1", "b:1", "a:2", "b:2"]) await tx.put(key, { n });
        await tx.get("only read");
      });
    await store.put("a:0", {});
    for (const n of [1, 2]) await write(n);
    for (const prefix of ["", "a:", "b:"]) {
      const all = await take(store.watch({ since: 0, prefix }), { "": 9, "a:": 5, "b:": 4 }[prefix] ?? 0);
      const revisions = all.map(({ revision }) => revision);
      assert.deepEqual(
        all.map(({ last }) => last),
        revisions.map((revision, index) => revision !== revisions[index + 1]),
      );
      // A consumer that stops anywhere and goes on from what it saved sees the rest of that commit.
      for (let stop = 0; stop < all.length; stop++) {
        const seen = all.slice(0, stop + 1);
        const since = seen.findLast(({ last }) => last)?.revision ?? 0;
        const rest = all.filter(({ revision }) => revision > since);
        if (rest.length === 0) continue;
        assert.deepEqual(await take(store.watch({ since, prefix }), rest.length), rest);
      }
    }
  });

  kit.case(
    "a revision that never was is revision_unknown at once, which says where to go on",
    async (store) => {
      await store.put("a", {});
      const head = await store.revision();
      for (const since of [head + 1, head + 1000]) {
        const error = await failure(collect(store.watch({ since })), "revision_unknown");
        assert.deepEqual(error.data, { since, revision: head });
      }
      const watching = take(store.watch({ since: head }), 1);
      await store.put("b", {});
      assert.equal((await watching)[0]?.key, "b");
    },
  );

  kit.case("what writes nothing is no change", async (store) => {
    await store.put("a", { n: 1 });
    const watching = take(store.watch(), 1);
    await store.update("a", (entry) => ({ ...entry }));
    await store.update("a", () => undefined);
    await store.patch("a", { n: 1 });
    await store.delete("missing");
    await store.transact(async (tx) => {
      await tx.get("a");
      await tx.delete("missing");
    });
    await failure(store.put("a", {}, { ifRevision: 0 }), "conflict");
    await store.put("end", {});
    assert.equal((await watching)[0]?.key, "end");
  });

  kit.case("600 commits arrive in order, none missing", async (store) => {
    const watching = take(store.watch(), 600);
    await Promise.all(integersUpTo(600).map((n) => store.update(`s${n % 10}`, increment)));
    const changes = await watching;
    const revisions = changes.map(({ revision }) => revision);
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((one, other) => one - other),
    );
    const counts = new Map<string, number>();
    for (const { key, record } of changes) {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      assert.equal(record?.entry["count"], count);
    }
    assert.deepEqual(
      [...counts.values()],
      integersUpTo(10).map(() => 60),
    );
  });

  kit.case("watches do not disturb each other", async (store) => {
    const one = take(store.watch(), 1);
    const two = take(store.watch({ prefix: "b" }), 1);
    const three = take(store.watch(), 3);
    await store.put("a", {});
    await store.put("b", {});
    await store.put("c", {});
    assert.deepEqual([(await one)[0]?.key, (await two)[0]?.key], ["a", "b"]);
    assert.equal((await three).length, 3);
  });

  kit.case("an abort ends the iteration without an error, also while it waits", async (store) => {
    const controller = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { key } of store.watch({ signal: controller.signal })) seen.push(key);
    })();
    await store.put("a", {});
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error("enough"));
    await watching;
    await store.put("b", {});
    assert.deepEqual(seen, ["a"]);
  });

  kit.case("an abort from inside the loop ends it before the next change", async (store) => {
    const controller = new AbortController();
    const changes = store.watch({ signal: controller.signal });
    await store.put("a", {});
    await store.put("b", {});
    const seen: string[] = [];
    for await (const { key } of changes) {
      seen.push(key);
      controller.abort();
    }
    assert.deepEqual(seen, ["a"]);
  });

  kit.case("a signal that aborted before ends it at once", async (store) => {
    await store.put("a", {});
    assert.deepEqual(await collect(store.watch({ since: 0, signal: AbortSignal.abort() })), []);
  });

  kit.case("return() ends a watch that waits", async (store) => {
    const iterator = store.watch()[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await iterator.return?.();
    assert.equal((await waiting).done, true);
    assert.equal((await iterator.next()).done, true);
  });

  kit.case("closing the store ends its watches", async (store) => {
    const waiting = collect(store.watch());
    const notStarted = store.watch({ since: 0 });
    await store.put("a", {});
    await store.close();
    assert.ok((await waiting).length <= 1);
    assert.deepEqual(await collect(notStarted), []);
  });

  kit.case("wrong options are TypeErrors", async (store) => {
    await wrongArgument(() => store.watch({ since: -1 }), /since/);
    await wrongArgument(() => store.watch({ since: 1.5 }), /since/);
    await wrongArgument(() => store.watch({ prefix: 1 as never }), /prefix/);
    await wrongArgument(() => store.watch({ signal: {} as never }), /signal/);
    await wrongArgument(() => store.watch({ from: 1 } as never), /from/);
  });

  if (kit.capabilities.forgets) {
    kit.case(
      "changes that are gone are revision_too_old, which says where to go on",
      async (store, fixture) => {
        await store.put("a", {});
        await fixture.forgetHistory!();
        const error = await failure(collect(store.watch({ since: 0 })), "revision_too_old");
        const { revision } = error.data;
        assert.ok(typeof revision === "number" && revision <= (await store.revision()));
        const watching = take(store.watch({ since: revision }), 1);
        const put = await store.put("next", {});
        assert.equal((await watching).at(-1)?.revision, put.revision);
      },
    );
  }
}

async function collect(
  changes: AsyncIterable<SessionChange<ConformanceEntry>>,
): Promise<SessionChange<ConformanceEntry>[]> {
  const collected: SessionChange<ConformanceEntry>[] = [];
  for await (const change of changes) collected.push(change);
  return collected;
}
