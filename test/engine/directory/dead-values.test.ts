/**
 * Goal: what commits leave behind is counted once, as it becomes dead, and not when it stays in use.
 * Method: records as the log has them, one after the other.
 */
import { expect, it } from "vitest";
import { DeadValues } from "../../../src/engine/directory/dead-values.js";
import { SessionState } from "../../../src/engine/directory/session-table.js";
import { applyPatch } from "../../../src/format/stored-patch.js";
import type { StoredObject } from "../../../src/format/stored-value.js";

const reference = (digit: string, bytes: number, nested = false): StoredObject => ({
  $blob: `sha256:${digit.repeat(64)}`,
  bytes,
  ...(nested && { nested: 1 }),
});
const A = reference("a", 100);
const B = reference("b", 20);

class Log {
  readonly dead = new DeadValues();
  readonly #states = new Map<string, SessionState>();

  set(key: string, stored: StoredObject | undefined): void {
    this.#change(key, stored, stored === undefined ? { k: key, d: 1 } : { k: key, s: stored });
  }

  patch(key: string, p: StoredObject, u: readonly string[] = []): void {
    const before = this.#states.get(key)?.stored ?? {};
    this.#change(key, applyPatch(before, p, u), { k: key, b: 1, p, u: [...u] });
  }

  #change(key: string, stored: StoredObject | undefined, op: Parameters<DeadValues["changed"]>[2]): void {
    const state = new SessionState(key, 1, 0, stored, (value) => value);
    this.dead.changed(state, this.#states.get(key), op);
    this.#states.set(key, state);
  }
}

it("counts what a set, a patch and a delete give up", () => {
  const log = new Log();
  log.set("k", { v: A, w: { deep: B } });
  expect(log.dead.bytes).toBe(0);
  log.set("k", { w: { deep: B } });
  expect(log.dead.bytes).toBe(100);
  log.patch("k", { w: 1 });
  expect(log.dead.bytes).toBe(120);
  log.set("l", { v: reference("c", 3) });
  log.patch("l", {}, ["v"]);
  log.set("m", { v: reference("d", 4) });
  log.set("m", undefined);
  expect(log.dead.bytes).toBe(127);
  expect(log.dead.inSegment).toBe(127);
});

it("does not count what stays in use, or is used again", () => {
  const log = new Log();
  log.set("k", { v: A });
  log.set("k", { v: A, n: 1 });
  log.patch("k", { v: { moved: A } });
  log.patch("k", { n: 2 });
  expect(log.dead.bytes).toBe(0);
  log.patch("k", { v: B });
  expect(log.dead.bytes).toBe(100);
  log.set("other", { v: A });
  expect(log.dead.bytes).toBe(0);
});

it("counts a value once that many sessions give up", () => {
  const log = new Log();
  for (const key of ["k", "l", "m"]) log.set(key, { v: A });
  for (const key of ["k", "l", "m"]) log.set(key, { v: B });
  expect(log.dead.bytes).toBe(100);
});

it("counts values within values when somebody looks, and something for sessions that nobody here has seen", () => {
  const log = new Log();
  log.set("k", { v: reference("a", 10, true) });
  log.set("k", {});
  log.dead.countNested(() => [{ hash: "e".repeat(64), bytes: 5000, nested: false }]);
  expect(log.dead.bytes).toBe(5010);
  log.dead.countNested(() => [{ hash: "f".repeat(64), bytes: 5000, nested: false }]);
  expect(log.dead.bytes).toBe(5010);
  log.set("never seen", undefined);
  expect(log.dead.bytes).toBeGreaterThan(6000);
});

it("forgets what was removed: by this process all, by others what is gone", () => {
  const log = new Log();
  log.set("k", { v: A });
  log.set("k", { v: B });
  log.set("k", {});
  log.dead.sealed();
  expect(log.dead).toMatchObject({ bytes: 120, inSegment: 0 });
  log.dead.forgetFirst((hash) => hash.startsWith("a"));
  expect(log.dead.bytes).toBe(20);
  log.dead.removed();
  expect(log.dead.bytes).toBe(0);
});
