/**
 * Goal: a run removes what was planned and nothing else, whoever works beside it, and whatever the disk does. Method: the real code on a
 * simulated disk, with another writer between any two calls of the run.
 */
import { describe, expect, it } from "vitest";
import { applyRetentionOn } from "../../../src/care/retention/apply.js";
import { planRetentionOn } from "../../../src/care/retention/plan.js";
import { retentionAttemptsOn } from "../../../src/care/retention/record.js";
import { restoreSessionOn } from "../../../src/care/retention/restore.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { DIRECTORY, type LegacyMachine } from "../../legacy/legacy-machine.js";
import { contentOf, type Store } from "../moving/support/stores.js";
import {
  archived,
  ARCHIVE,
  bytesOf,
  DAY,
  fill,
  machineWith,
  on,
  open,
  prune,
  WEEK,
} from "./support/archive-machine.js";

describe("what was changed since the plan stays", () => {
  const CHANGES: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
    "its entry": (store) => store.patch("old:1", { n: 7 }),
    "its entry, by an equal one": async (store) => store.put("old:1", (await store.get("old:1")) ?? {}),
    "an item": (store) => store.append("old:1", ["new"]),
    "an item of another transcript": (store) => store.append("old:1", ["new"], { transcript: "other" }),
    "a removal at the end": async (store) => {
      if ((await store.transcript("old:1")) === undefined) throw new Error("there is nothing to remove");
      await store.truncate("old:1", { afterSeq: 1 });
    },
    "a transcript that is made again": async (store) => {
      await store.removeTranscript("old:1", {});
      await store.append("old:1", ["x"]);
    },
  };

  it.each(Object.keys(CHANGES))("%s, between plan and run", async (name) => {
    const machine = await machineWith(fill);
    await on(machine.process(), async (store, host) => {
      const plan = await planRetentionOn(host, store, WEEK);
      await CHANGES[name]?.(store);
      const before = (await contentOf(store))["old:1"];
      const report = await applyRetentionOn(host, store, plan);
      expect(report).toMatchObject({ planned: 3, removed: 2, changed: 1, gone: 0 });
      expect((await contentOf(store))["old:1"]).toEqual(before);
      expect((await archived(host, store)).keys.sort()).toEqual(["old:0", "old:2"]);
    });
  });

  it.each(Object.keys(CHANGES))(
    "%s, while it is archived, at any call",
    { timeout: 60_000 },
    async (name) => {
      const machine = await machineWith(fill);
      let late = 0;
      for (let nth = 1; ; nth++) {
        const copy = machine.copy();
        const host = copy.process();
        const other = await open(copy.process());
        const run = await open(host);
        const plan = await planRetentionOn(host, run, WEEK);
        let calls = 0;
        let change: Promise<boolean> | undefined;
        host.fs.gate = () => {
          if (++calls !== nth) return undefined;
          change = (CHANGES[name]?.(other) ?? Promise.reject(new Error(name))).then(
            () => true,
            () => false, // there was no such session any more
          );
          return change.then(() => {});
        };
        const { removed, changed, gone } = await applyRetentionOn(host, run, plan);
        host.fs.gate = undefined;
        if (change === undefined) {
          expect(nth).toBeGreaterThan(5);
          expect(late).toBeGreaterThan(1);
          return;
        }
        const at = `${name} at deferred call ${nth}`;
        expect(removed + changed + gone, at).toBe(3);
        const now = (await contentOf(run, ["old:1"]))["old:1"];
        expect(now, at).toEqual((await contentOf(other, ["old:1"]))["old:1"]);
        // What somebody wrote is there, before the removal or behind it.
        expect(now !== undefined, at).toBe(await change);
        if (changed === 1) {
          expect(removed, at).toBe(2);
          expect(now?.entry, at).toBeDefined();
          late += 1;
        } else {
          // It came behind the removal: what was removed is in the archive as it was planned.
          expect(removed, at).toBe(3);
          await run.delete("old:1");
          await restoreSessionOn(host, run, "old:1");
          expect(
            bytesOf(await contentOf(run)).find((text) => text.startsWith("old:1")),
            at,
          ).toBe(
            bytesOf(await contentOf(await open(machine.copy().process()))).find((text) =>
              text.startsWith("old:1"),
            ),
          );
        }
        await Promise.all([other.close(), run.close()]);
      }
    },
  );
});

it(
  "two runs at once archive into files of their own, and each session goes once",
  { timeout: 60_000 },
  async () => {
    const machine = await machineWith(fill);
    const [a, b] = [machine.process(), machine.process()];
    const [one, two] = [await open(a), await open(b)];
    const before = bytesOf(await contentOf(one));
    const reports = await Promise.all([prune(a, one), prune(b, two)]);
    const sum = (name: "removed" | "gone" | "changed"): number =>
      reports.reduce((all, report) => all + report[name], 0);
    expect(sum("removed")).toBe(3);
    expect(sum("gone") + sum("changed")).toBe(3);
    const { keys, warnings } = await archived(a, one);
    expect([...new Set(keys)].sort()).toEqual(["old:0", "old:1", "old:2"]);
    expect(warnings).toEqual([]);
    for (const key of new Set(keys)) await restoreSessionOn(a, one, key);
    expect(bytesOf(await contentOf(one))).toEqual(before);
    await Promise.all([one.close(), two.close()]);
  },
);

it("two runs and a gateway, however they come between each other", { timeout: 60_000 }, async () => {
  const machine = await machineWith(fill);
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 25; seed++) {
    const at = `seed ${seed}`;
    const random = seededRandom(seed);
    const copy = machine.copy();
    const hosts = [copy.process(), copy.process(), copy.process()] as const;
    const wait = async (most: number): Promise<void> => {
      for (let turns = Math.floor(random() * most); turns > 0; turns--)
        await new Promise((resolve) => setImmediate(resolve));
    };
    for (const { fs } of hosts) {
      const most = 1 + random() ** 2 * 12; // one is quick, another one slow
      fs.gate = () => wait(most);
    }
    const [a, b] = hosts;
    const [one, two, gateway] = await Promise.all(hosts.map(open));
    if (one === undefined || two === undefined || gateway === undefined) throw new Error(at);
    const before = await contentOf(one);
    const [first, second, written] = await Promise.all([
      prune(a, one),
      prune(b, two),
      wait(200)
        .then(() => gateway.patch("old:1", { n: "alive", updatedAt: a.runtime.now() }))
        .then(
          () => true,
          () => false, // it has gone
        ),
    ]);
    for (const { fs } of hosts) fs.gate = undefined;
    for (const { planned, removed, changed, gone } of [first, second])
      expect(removed + changed + gone, at).toBe(planned);
    const left = await contentOf(gateway);
    expect(left["old:1"] !== undefined, at).toBe(written);
    if (written) expect(left["old:1"]?.entry, at).toMatchObject({ n: "alive" });
    expect(first.removed + second.removed, at).toBe(6 - Object.keys(left).length);
    outcomes.add(`${written} ${first.removed} ${second.removed}`);
    const { keys, warnings } = await archived(a, one);
    expect(warnings, at).toEqual([]);
    const gone = Object.keys(before).filter((key) => left[key] === undefined);
    expect(
      gone.filter((key) => !keys.includes(key)),
      at,
    ).toEqual([]);
    for (const key of gone) await restoreSessionOn(a, one, key);
    const after = await contentOf(one);
    for (const key of gone) expect(JSON.stringify(after[key]), at).toBe(JSON.stringify(before[key]));
    await Promise.all([one.close(), two.close(), gateway.close()]);
  }
  expect(outcomes.size).toBeGreaterThan(3);
});

it("a plan that is stopped, or not for enforcing, changes nothing but the record", async () => {
  const machine = await machineWith(fill);
  await on(machine.process(), async (store, host) => {
    const before = bytesOf(await contentOf(store));
    const stopped = await planRetentionOn(host, store, { ...WEEK, maxShare: 0.49 });
    await expect(applyRetentionOn(host, store, stopped)).rejects.toMatchObject({
      code: "retention_stopped",
      data: { reason: "share", removing: 3, sessions: 6, allowed: 2 },
    });
    for (const mode of ["off", "warn"] as const) {
      const plan = await planRetentionOn(host, store, { ...WEEK, mode });
      await expect(applyRetentionOn(host, store, plan)).rejects.toThrow(TypeError);
    }
    expect(bytesOf(await contentOf(store))).toEqual(before);
    expect(machine.names()).not.toContain("sessions.archive");
    const said = await planRetentionOn(host, store, { ...WEEK, maxShare: 0.49 }, { yesRemove: 3 });
    expect(await applyRetentionOn(host, store, said)).toMatchObject({ removed: 3 });
    const attempts = await retentionAttemptsOn(host, store);
    expect(attempts.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual([
      "prune stopped",
      "prune done",
    ]);
    expect(attempts[0]).toMatchObject({ error: { code: "retention_stopped" }, figures: { planned: 3 } });
  });
});

it("an abort ends it between two batches, and a new plan does the rest", async () => {
  const machine = await machineWith(async (store, { runtime }) => {
    for (let n = 0; n < 300; n++) await store.put(`old:${n}`, { n, updatedAt: runtime.now() - 9 * DAY });
  });
  await on(machine.process(), async (store, host) => {
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number, total: number): void => {
      expect(total).toBe(300);
      seen.push(done);
      if (done > 200) controller.abort(new Error("enough"));
    };
    const all = { ...WEEK, maxShare: 1 };
    await expect(prune(host, store, all, { signal: controller.signal, onProgress })).rejects.toThrow(
      "enough",
    );
    expect(seen).toEqual([128, 256]);
    expect(await store.count()).toBe(44);
    expect(await prune(host, store, all)).toMatchObject({ planned: 44, removed: 44 });
    expect((await archived(host, store)).keys).toHaveLength(300);
    const attempts = await retentionAttemptsOn(host, store);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["stopped", "done"]);
  });
});

it("what cannot be read back from the archive is not removed", async () => {
  const machine = await machineWith(fill);
  await on(machine.process(), async (store, host) => {
    const before = bytesOf(await contentOf(store));
    const file = `${ARCHIVE}/2026-11.jsonl.gz`;
    let spoiled = 0;
    host.fs.onCall = (call) => {
      const bytes = Buffer.from(machine.disk.readRaw(file) ?? "");
      if (call.name !== "fdatasync" || bytes.length === 0) return;
      // The disk took the bytes, and has others.
      spoiled += 1;
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      machine.disk.writeRaw(file, bytes);
    };
    await expect(prune(host, store)).rejects.toMatchObject({ code: "archive_damaged", data: { path: file } });
    host.fs.onCall = undefined;
    expect(spoiled).toBeGreaterThan(0);
    expect(machine.disk.names(ARCHIVE)).toEqual(["sessiondir-archive.json"]);
    expect(bytesOf(await contentOf(store))).toEqual(before);
  });
});

it("a plan is for the store that it was made for", async () => {
  const [machine, other] = [await machineWith(fill), await machineWith(async () => {})];
  await on(machine.process(), async (store, host) => {
    const plan = await planRetentionOn(host, store, WEEK);
    await on(other.process(), async (another, elsewhere) => {
      await expect(applyRetentionOn(elsewhere, another, { ...plan, storeId: "x" })).rejects.toThrow(
        TypeError,
      );
    });
    expect(await applyRetentionOn(host, store, plan)).toMatchObject({ removed: 3 });
  });
});

it("a disk that is full on the way tells how far it came", async () => {
  const machine = await machineWith(async (store, { runtime }) => {
    for (let n = 100; n < 400; n++) await store.put(`old:${n}`, { n, updatedAt: runtime.now() - 9 * DAY });
  });
  await on(machine.process(), async (store, host) => {
    host.fs.onCall = (call) => {
      const isFull = machine.names().includes("sessions.archive") && archivedBytes(machine) > 1500;
      if (call.name === "write" && isFull) throw systemError("ENOSPC", call);
    };
    const outcome = await prune(host, store, { ...WEEK, maxShare: 1 }).catch((error: unknown) => error);
    host.fs.onCall = undefined;
    const left = await store.count();
    expect(left).toBeLessThan(300);
    expect(outcome).toMatchObject({ code: "disk_full", data: { removed: 300 - left, planned: 300 } });
    expect((outcome as Error).message).toContain(`${300 - left} of 300 sessions are archived`);
    const { keys, warnings } = await archived(host, store);
    const there = new Set(Object.keys(await contentOf(store)));
    for (let n = 100; n < 400; n++)
      expect(there.has(`old:${n}`) || keys.includes(`old:${n}`), `old:${n}`).toBe(true);
    expect(warnings).toEqual([]);
  });
});

const archivedBytes = ({ disk }: LegacyMachine): number =>
  disk
    .names(ARCHIVE)
    .filter((name) => name.endsWith(".gz"))
    .reduce((sum, name) => sum + (disk.readRaw(`${ARCHIVE}/${name}`)?.length ?? 0), 0);

it("a session that cannot be read stays, and is told", async () => {
  const machine = await machineWith(async (store, host) => {
    await fill(store, host);
    await store.flush();
  });
  await on(machine.process(), (store) => (store as unknown as { checkpoint(): Promise<void> }).checkpoint());
  const file = `${DIRECTORY}/old%3A1/meta.json`;
  const raw = Buffer.from(machine.disk.readRaw(file) ?? "");
  raw[raw.length - 10] = (raw[raw.length - 10] ?? 0) ^ 1;
  machine.disk.writeRaw(file, raw);
  await on(machine.process(), async (store, host) => {
    const plan = await planRetentionOn(host, store, WEEK);
    expect(plan.explain("old:1")).toMatchObject({ action: "keep", reason: "damaged" });
    expect(await applyRetentionOn(host, store, plan)).toMatchObject({ planned: 2, removed: 2 });
    expect(machine.disk.readRaw(file)).toEqual(raw);
  });
});

it("bytes of a store are those of its files", async () => {
  const machine = await machineWith(async (store, host) => {
    await fill(store, host);
    await (store as unknown as { checkpoint(): Promise<void> }).checkpoint();
  });
  await on(machine.process(), async (store, host) => {
    const sizes = new Map<string, number>();
    for (const folder of machine.disk.names(DIRECTORY).filter((name) => !name.startsWith(".")))
      for (const name of machine.disk.names(`${DIRECTORY}/${folder}`)) {
        const bytes = machine.disk.readRaw(`${DIRECTORY}/${folder}/${name}`)?.length ?? 0;
        sizes.set(folder, (sizes.get(folder) ?? 0) + bytes);
      }
    const { directory } = await store.stats();
    const own = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const total = own + (directory?.blobBytes ?? 0);
    expect(directory?.blobBytes).toBeGreaterThan(5000);
    const planOf = (maxBytes: number): ReturnType<typeof planRetentionOn> =>
      planRetentionOn(host, store, { version: 1, mode: "enforce", store: { maxBytes, highWater: 1 } });
    expect(await planOf(total)).toMatchObject({ removed: 0, bytes: { before: total } });
    const plan = await planOf(total - 1);
    expect([...plan.removals()].map(({ key }) => key)).toEqual(["old:0"]);
    expect(plan.bytes).toEqual({ before: total, removed: sizes.get("old%3A0") });
    expect(await applyRetentionOn(host, store, plan)).toMatchObject({ removed: 1 });
  });
});
