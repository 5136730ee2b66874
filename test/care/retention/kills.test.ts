/**
 * Goal: whatever kills a run, a kill, a power cut, a full disk, no session is lost, none goes that the plan keeps, and the next run
 * finishes. Method: the real code on a simulated disk, dead before its Nth change of it for every N; then another process looks what is in
 * the store and what comes back from the archive, byte for byte, and prunes once more.
 */
import { describe, expect, it } from "vitest";
import { restoreSessionOn } from "../../../src/care/retention/restore.js";
import { SessionStoreError } from "../../../src/index.js";
import { failCall, killAtEveryChange, type LegacyMachine } from "../../legacy/legacy-machine.js";
import { contentOf } from "../moving/support/stores.js";
import { bytesOf, fill, machineWith, on, prune, restoreAll, ARCHIVE } from "./support/archive-machine.js";

const OLD = ["old:0", "old:1", "old:2"];
const NEW = ["new:0", "new:1", "new:2"];

/** What is there, and what comes back. */
async function check(machine: LegacyMachine, expected: string[], at: string): Promise<number> {
  const found = await on(machine.process(), async (store, host) => {
    const before = await contentOf(store);
    const left = Object.keys(before).length;
    for (const key of NEW) expect(Object.keys(before), at).toContain(key);
    expect(
      bytesOf(before).every((text) => expected.includes(text)),
      at,
    ).toBe(true);
    if (machine.disk.readRaw(`${ARCHIVE}/sessiondir-archive.json`) === undefined) {
      expect(left, at).toBe(6);
      return left;
    }
    // In the store or in the archive: together all there was.
    await restoreAll(host, store);
    expect(bytesOf(await contentOf(store)), at).toEqual(expected);
    return left;
  });
  await on(machine.process(), async (store, host) => {
    const again = await prune(host, store);
    expect(again, at).toMatchObject({ planned: 3, removed: 3 });
    expect(Object.keys(await contentOf(store)).sort(), at).toEqual(NEW);
    expect(await restoreAll(host, store), at).toEqual(OLD);
    expect(bytesOf(await contentOf(store)), at).toEqual(expected);
  });
  return found;
}

const before = (machine: LegacyMachine): Promise<string[]> =>
  on(machine.process(), async (store) => bytesOf(await contentOf(store)));

describe.each([undefined, "durable-only"] as const)("killed at every change, power cut: %s", (cut) => {
  it("every session is in the store or in the archive", { timeout: 120_000 }, async () => {
    const machine = await machineWith(fill);
    const expected = await before(machine.copy());
    const seen = new Set<number>();
    const changes = await killAtEveryChange(
      () => machine,
      (host) => on(host, (store) => prune(host, store)),
      async (killed, at) => {
        seen.add(await check(killed, expected, at));
      },
      cut,
    );
    expect(changes).toBeGreaterThan(15);
    expect(seen.has(6) && seen.has(3)).toBe(true);
  });

  it("a session that is brought back is there whole, or not yet", { timeout: 120_000 }, async () => {
    const machine = await machineWith(fill);
    const expected = await before(machine.copy());
    await on(machine.process(), (store, host) => prune(host, store));
    await killAtEveryChange(
      () => machine,
      (host) => on(host, (store) => restoreSessionOn(host, store, "old:0")),
      async (killed, at) => {
        await on(killed.process(), async (store, host) => {
          expect(
            bytesOf(await contentOf(store)).every((text) => expected.includes(text)),
            at,
          ).toBe(true);
          expect(await restoreAll(host, store), at).toEqual(OLD);
          expect(bytesOf(await contentOf(store)), at).toEqual(expected);
        });
      },
      cut,
    );
  });
});

it.each(["ENOSPC", "EIO"] as const)(
  "a disk that answers any call with %s is told, and nothing is lost",
  { timeout: 120_000 },
  async (code) => {
    const machine = await machineWith(fill);
    const expected = await before(machine.copy());
    for (let nth = 1; ; nth++) {
      const copy = machine.copy();
      const host = copy.process();
      const { struck, outcome } = await on(host, async (store) => {
        const failure = failCall(host.fs, nth, code);
        const result = await prune(host, store).catch((error: unknown) => error);
        host.fs.onCall = undefined;
        return { struck: failure.struck, outcome: result };
      }).catch((error: unknown) => ({ struck: true, outcome: error }));
      if (struck === undefined) {
        expect(outcome).toMatchObject({ removed: 3 });
        expect(nth).toBeGreaterThan(10);
        return;
      }
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(SessionStoreError);
      await check(copy, expected, `call ${nth}`);
    }
  },
);
