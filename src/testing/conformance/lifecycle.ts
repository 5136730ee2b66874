/** Conformance: closing, read-only stores, reopening, stats and flush. */
import { strict as assert } from "node:assert";
import type { DirectorySessionStore } from "../../store/types.js";
import {
  failure,
  gate,
  increment,
  integersUpTo,
  same,
  wrongArgument,
  type ConformanceEntry,
  type ConformanceStore,
  type Kit,
} from "./kit.js";

export function lifecycleCases(kit: Kit): void {
  kit.case("every method of a closed store fails with closed", async (store) => {
    await store.put("a", {});
    await store.close();
    for (const use of everyMethod(store)) await failure((async () => use())(), "closed");
  });

  kit.case("close may be called again, and at the same time", async (store) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
    await store[Symbol.asyncDispose]();
  });

  kit.case("close waits for what runs, and lets it finish", async (store) => {
    const slow = gate();
    const running = store.update("a", async () => {
      await slow.opened;
      return { done: true };
    });
    const waiting = store.update("a", (entry) => ({ ...entry, after: true }));
    let closed = false;
    const closing = store.close().then(() => (closed = true));
    await failure(store.get("a"), "closed");
    assert.equal(closed, false);
    slow.open();
    same((await running)?.entry, { done: true });
    same((await waiting)?.entry, { done: true, after: true });
    await closing;
  });

  kit.case("close waits for a running transaction", async (store) => {
    const slow = gate();
    const running = store.transact(async (tx) => {
      await slow.opened;
      await tx.put("a", {});
      return (await tx.read("a"))?.key;
    });
    const closing = store.close();
    slow.open();
    assert.equal(await running, "a");
    await closing;
  });

  kit.case("await using closes", async (store) => {
    {
      await using scoped = store;
      await scoped.put("a", {});
    }
    await failure(store.get("a"), "closed");
  });

  kit.case("stats count sessions and know the revision", async (store) => {
    for (const n of integersUpTo(5)) await store.put(`s${n}`, {});
    await store.delete("s0");
    const stats = await store.stats();
    assert.equal(stats.sessions, 4);
    assert.equal(stats.revision, await store.revision());
    assert.ok(["directory", "memory", "postgres"].includes(stats.engine));
  });

  kit.case("stats count transcripts if they are asked to", async (store) => {
    assert.equal((await store.stats()).transcripts, undefined);
    const nothing = { count: 0, items: 0, bytes: 0, damaged: 0 };
    same((await store.stats({ transcripts: true })).transcripts, nothing);
    const long = "k".repeat(300);
    await store.append("a", ["x", "y", "z"]);
    await store.append("a", [1], { transcript: "t".repeat(200) });
    await store.append(long, [1, 2]);
    await store.truncate("a", { length: 2 });
    await store.trim("a", { length: 1 });
    for (const round of ["in the log", "in files"]) {
      const { transcripts } = await store.stats({ transcripts: true });
      same([round, transcripts?.count, transcripts?.items, transcripts?.damaged], [round, 3, 4, 0]);
      await store.flush();
    }
    await store.removeTranscript("a");
    await store.delete(long);
    const left = (await store.stats({ transcripts: true })).transcripts;
    same([left?.count, left?.items], [1, 1]);
    await wrongArgument(() => store.stats({ transcript: true } as object), /transcript/);
  });

  kit.case("flush changes nothing that can be seen", async (store) => {
    await store.flush();
    const record = await store.put("a", { turns: 1 });
    await store.delete("gone");
    await store.flush();
    assert.deepEqual(await store.read("a"), record);
    assert.equal(await store.revision(), record.revision);
    await store.flush();
    assert.equal(await store.count(), 1);
  });

  kit.case("flush beside writers", async (store) => {
    await Promise.all(
      integersUpTo(60).map(async (n) => {
        await store.update("a", increment);
        if (n % 10 === 0) await store.flush();
      }),
    );
    await store.flush();
    same(await store.get("a"), { count: 60 });
  });

  if (kit.capabilities.syncReads) {
    kit.case("getSync, listSync and checkpoint of a closed store fail with closed", async (store) => {
      const now = store as DirectorySessionStore<ConformanceEntry>;
      await store.close();
      for (const use of [() => now.getSync("a"), () => now.listSync(), () => now.checkpoint()]) {
        await failure((async () => use())(), "closed");
      }
    });

    kit.case("recordsRevisionSync changes with records, and not with transcripts", async (store) => {
      const now = store as DirectorySessionStore<ConformanceEntry>;
      const { revision } = await store.put("a", {});
      assert.equal(now.recordsRevisionSync(), revision);
      await store.append("a", [1, 2]);
      await store.truncate("a", { length: 1 });
      assert.equal(now.recordsRevisionSync(), revision);
      await store.transact(async (tx) => {
        await tx.append("a", [3]);
        await tx.patch("a", { turns: 1 });
      });
      assert.equal(now.recordsRevisionSync(), now.revisionSync());
    });

    kit.case("checkpoint changes nothing that can be seen", async (store) => {
      const now = store as DirectorySessionStore<ConformanceEntry>;
      await now.checkpoint();
      const a = await store.put("a", { turns: 1 });
      await store.put("b", {});
      await store.delete("b");
      await now.checkpoint();
      assert.deepEqual(await store.read("a"), a);
      assert.equal(await store.get("b"), undefined);
      const next = await store.update("a", (entry) => ({ ...entry, turns: 2 }));
      assert.ok(next !== undefined && next.revision > a.revision);
      await now.checkpoint();
      assert.deepEqual(await store.read("a"), next);
      assert.equal(await store.count(), 1);
    });
  }

  if (kit.capabilities.persistent) persistenceCases(kit);
}

function persistenceCases(kit: Kit): void {
  kit.case("everything is there after reopening", async (store, { reopen }) => {
    for (const n of integersUpTo(30)) await store.put(`s${n}`, { n, updatedAt: 100 - n });
    await store.delete("s3");
    await store.patch("s4", { patched: true });
    const before = await store.list({ orderBy: "updatedAt" });
    const revision = await store.revision();
    const again = await reopen!();
    assert.deepEqual(await again.list({ orderBy: "updatedAt" }), before);
    assert.equal(await again.revision(), revision);
    assert.equal(await again.count(), 29);
    assert.equal(await again.get("s3"), undefined);
  });

  kit.case("revisions go on after reopening, deletes included", async (store, { reopen }) => {
    await store.put("a", {});
    await store.delete("a");
    const revision = await store.revision();
    let again = await reopen!();
    assert.equal(await again.revision(), revision);
    const put = await again.put("a", {}, { ifRevision: 0 });
    assert.ok(put.revision > revision);
    again = await reopen!();
    assert.deepEqual(await again.read("a"), put);
    await again.put("a", { turns: 1 }, { ifRevision: put.revision });
  });

  kit.case("many reopenings with updates in between", async (store, { reopen }) => {
    let current = store;
    for (const n of integersUpTo(8)) {
      await Promise.all(integersUpTo(5).map(() => current.update("a", increment)));
      if (n % 2 === 0) await current.flush();
      current = await reopen!();
    }
    same(await current.get("a"), { count: 40 });
  });

  kit.case("a cursor is good after reopening", async (store, { reopen }) => {
    for (const key of ["a", "b", "c"]) await store.put(key, {});
    const { cursor } = await store.list({ limit: 1 });
    const again = await reopen!();
    const { sessions } = await again.list({ cursor });
    assert.deepEqual(
      sessions.map(({ key }) => key),
      ["b", "c"],
    );
  });

  kit.case("a read-only store reads everything and writes nothing", async (store, { reopen }) => {
    const a = await store.put("a", { turns: 1 });
    const b = await store.put("b", { turns: 2 });
    const again = await reopen!({ readOnly: true });
    assert.deepEqual((await again.list()).sessions, [a, b]);
    assert.deepEqual(await again.read("a"), a);
    assert.equal(await again.count(), 2);
    assert.equal(await again.transact(async (tx) => (await tx.get("a"))?.["turns"]), 1);
    for (const write of everyWrite(again)) await failure(write(), "read_only");
    assert.equal(await again.revision(), b.revision);
    const writable = await reopen!();
    assert.deepEqual((await writable.list()).sessions, [a, b]);
  });
}

function everyWrite(store: ConformanceStore): (() => Promise<unknown>)[] {
  return [
    () => store.put("a", {}),
    () => store.patch("a", { turns: 9 }),
    () => store.update("a", () => undefined),
    () => store.update("a", () => ({})),
    () => store.delete("a"),
    () => store.transact((tx) => tx.put("a", {})),
    () => store.transact((tx) => tx.patch("a", {})),
    () => store.transact((tx) => tx.delete("a")),
  ];
}

function everyMethod(store: ConformanceStore): (() => unknown)[] {
  return [
    ...everyWrite(store),
    () => store.get("a"),
    () => store.read("a"),
    () => store.list(),
    () => store.count(),
    () => store.watch(),
    () => store.revision(),
    () => store.stats(),
    () => store.flush(),
    () => store.transact(() => 1),
  ];
}
