/**
 * Goal: what the log says is remembered until its segment is checkpointed, what files say as long as there is room,
 * and neither outlives its truth.
 * Method: states of known sizes are entered, released and evicted.
 */
import { describe, expect, it } from "vitest";
import { SessionState, SessionTable } from "../../../src/engine/directory/session-table.js";

const decode = (stored: object): object => stored;
const stateOf = (key: string, revision = 1, text = ""): SessionState =>
  new SessionState(key, revision, 0, { text }, decode);
const deleted = (key: string, revision: number): SessionState =>
  new SessionState(key, revision, 0, undefined, decode);

describe("a state", () => {
  it("is the base that writers name: 0 for none", () => {
    expect(stateOf("a", 7).base).toBe(7);
    expect(deleted("a", 7).base).toBe(0);
    expect(() => deleted("a", 7).entry).toThrow(/deleted/);
  });

  it("has a size that grows with what is in it", () => {
    const sizes = [{}, { a: 1 }, { a: "x".repeat(100) }, { a: Array.from({ length: 100 }, () => "x") }].map(
      (stored) => new SessionState("a", 1, 0, stored, decode).bytes,
    );
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(new Set(sizes).size).toBe(sizes.length);
    expect(sizes[2]! - sizes[1]!).toBeGreaterThanOrEqual(100);
  });
});

describe("the table", () => {
  it("keeps what the log says whatever the room", () => {
    const table = new SessionTable(0, () => {});
    const states = Array.from({ length: 100 }, (_, index) => stateOf(`k${index}`, 1, "x".repeat(1000)));
    for (const state of states) table.commit(1, state);
    for (const state of states) expect(table.get(state.key)).toBe(state);
    expect(table.coldBytes).toBe(0);
  });

  it("keeps no file's state where there is no room", () => {
    const table = new SessionTable(0, () => {});
    table.learn(stateOf("a"));
    expect(table.get("a")).toBeUndefined();
    expect(table.size).toBe(0);
    expect(table.coldBytes).toBe(0);
  });

  it("forgets a file's state when the log mentions its key", () => {
    const table = new SessionTable(10_000, () => {});
    table.learn(stateOf("a", 1));
    const later = stateOf("a", 2);
    table.commit(2, later);
    expect(table.get("a")).toBe(later);
    expect(table.size).toBe(1);
    expect(table.coldBytes).toBe(0);
  });

  it("turns what a checkpointed segment made cold, unless a later one changed it", () => {
    const table = new SessionTable(100_000, () => {});
    const first = new Map(["a", "b", "c"].map((key) => [key, stateOf(key, 1)]));
    for (const state of first.values()) table.commit(1, state);
    const later = stateOf("b", 2);
    table.commit(2, later);
    table.commit(2, deleted("c", 3));
    table.release(1);
    expect([...table.hot.keys()]).toEqual(["b", "c"]);
    expect(table.get("a")).toBe(first.get("a"));
    expect(table.get("b")).toBe(later);
    expect(table.get("c")?.stored).toBeUndefined();
    expect(table.coldBytes).toBe(first.get("a")!.bytes);
  });

  it("lets many sessions cool down in slices, and what changes meanwhile stays hot", () => {
    const works: Generator<void, void>[] = [];
    const table = new SessionTable(10_000_000, () => {}, (work) => void works.push(work)); // prettier-ignore
    const states = Array.from({ length: 1000 }, (_, index) => stateOf(`k${index}`));
    for (const state of states) table.commit(1, state);
    table.release(1);
    expect(table.changedIn(1).size).toBe(0);
    const later = stateOf("k999", 2);
    let steps = 0;
    for (const work of works) {
      while (work.next().done !== true) {
        steps++;
        if (steps === 3) table.commit(2, later);
        for (const state of states.slice(0, 999)) expect(table.get(state.key)).toBe(state);
        expect(table.size).toBe(1000);
      }
    }
    expect(steps).toBeGreaterThan(10);
    expect([...table.hot.keys()]).toEqual(["k999"]);
    expect(table.get("k999")).toBe(later);
  });

  it.each(["discard", "clear"] as const)("knows nothing of what was cooling down after %s", (how) => {
    const works: Generator<void, void>[] = [];
    const table = new SessionTable(10_000_000, () => {}, (work) => void works.push(work)); // prettier-ignore
    for (let index = 0; index < 1000; index++) table.commit(1, stateOf(`k${index}`));
    table.release(1);
    works[0]?.next();
    if (how === "discard") table.discard(2);
    else table.clear();
    for (const work of works) while (work.next().done !== true);
    expect(table.size).toBe(0);
    expect(table.coldBytes).toBe(0);
  });

  it("knows what each live segment made of a session, and forgets that with the segment", () => {
    const table = new SessionTable(100_000, () => {});
    const states = [1, 2, 3].map((revision) => stateOf("a", revision));
    table.commit(1, states[0]!);
    table.commit(1, states[1]!);
    table.commit(2, states[2]!);
    expect([...table.changedIn(1).values()]).toEqual([states[1]]);
    expect(table.statesFrom(1, "a")).toEqual([states[1], states[2]]);
    expect(table.statesFrom(2, "a")).toEqual([states[2]]);
    expect(table.statesFrom(2, "b")).toEqual([]);
    table.release(1);
    expect(table.changedIn(1).size).toBe(0);
    expect(table.statesFrom(1, "a")).toEqual([states[2]]);
    table.clear();
    expect(table.changedIn(2).size).toBe(0);
    expect(table.hot.size).toBe(0);
  });

  it("believes nothing any more when a segment goes that it could not read whole, unless a later one tells of it", () => {
    const table = new SessionTable(100_000, () => {});
    table.learn(stateOf("file"));
    table.commit(1, stateOf("a", 1));
    table.commit(1, stateOf("b", 1));
    table.commit(2, stateOf("b", 2));
    table.discard(1);
    expect(["file", "a", "b"].map((key) => table.get(key)?.revision)).toEqual([undefined, undefined, 2]);
    expect(table.coldBytes).toBe(0);
  });

  it("says so when it lets go of sessions for lack of room, and only then", () => {
    const size = stateOf("k0").bytes;
    let evictions = 0;
    const table = new SessionTable(size * 2, () => evictions++);
    for (const key of ["k0", "k1"]) table.learn(stateOf(key));
    table.forget("k0");
    table.learn(stateOf("k0"));
    expect(evictions).toBe(0);
    table.learn(stateOf("k2"));
    expect(evictions).toBe(1);
  });

  it("evicts the oldest first, and gives what was read a second chance", () => {
    const size = stateOf("k0", 1, "x".repeat(1000)).bytes;
    const table = new SessionTable(size * 3, () => {});
    for (const key of ["k0", "k1", "k2"]) table.learn(stateOf(key, 1, "x".repeat(1000)));
    table.get("k0");
    table.learn(stateOf("k3", 1, "x".repeat(1000)));
    expect(["k0", "k1", "k2", "k3"].filter((key) => table.get(key) !== undefined)).toEqual([
      "k0",
      "k2",
      "k3",
    ]);
    expect(table.coldBytes).toBe(size * 3);
    expect(table.size).toBe(3);
  });

  it("never holds more than its room, and its account stays right", () => {
    const table = new SessionTable(5000, () => {});
    for (let round = 0; round < 2000; round++) {
      const key = `k${round % 37}`;
      if (round % 5 === 0) table.forget(key);
      else table.learn(stateOf(key, round, "x".repeat((round * 7) % 600)));
      if (round % 3 === 0) table.get(`k${(round * 11) % 37}`);
      expect(table.coldBytes).toBeLessThanOrEqual(5000);
    }
    let bytes = 0;
    for (let index = 0; index < 37; index++) bytes += table.get(`k${index}`)?.bytes ?? 0;
    expect(table.coldBytes).toBe(bytes);
    table.clear();
    expect(table.coldBytes).toBe(0);
    expect(table.size).toBe(0);
  });
});
