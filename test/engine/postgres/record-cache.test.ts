/**
 * Goal: a record that may be older than the position which the cache has come to is never believed.
 * Method: answers that come late, by hand.
 */
import { describe, expect, it } from "vitest";
import { RecordCache, type Found } from "../../../src/engine/postgres/record-cache.js";

const seen = (head: number, at: number): { head: number; at: number } => ({ head, at });

const found = (key: string, revision: number): Found => ({
  key,
  revision,
  modifiedAt: 0,
  json: "{}",
  shared: new Map(),
  valueOf: () => undefined,
});

describe("a cache of records", () => {
  it("believes what was the latest, from then on until the bound", () => {
    const cache = new RecordCache(1000);
    const record = cache.take(found("a", 5), seen(7, 100));
    expect(cache.since("a", 100)).toBe(record);
    expect(cache.since("a", 101)).toBeUndefined();
    cache.advance(seen(9, 200), []);
    expect(cache.since("a", 200)).toBe(record);
    expect(cache.since("a", 201)).toBeUndefined();
  });

  it("takes out what others have changed", () => {
    const cache = new RecordCache(1000);
    cache.take(found("a", 5), seen(7, 100));
    cache.take(found("b", 6), seen(7, 100));
    cache.advance(seen(9, 200), [{ key: "a", revision: 8 }]);
    expect(cache.latest("a")).toBeUndefined();
    expect(cache.since("b", 200)).toBeDefined();
  });

  it("keeps what is not older than the change", () => {
    const cache = new RecordCache(1000);
    cache.take(found("a", 5), seen(7, 100));
    const record = cache.take(found("a", 8), seen(8, 150));
    cache.advance(seen(9, 200), [{ key: "a", revision: 8 }]);
    expect(cache.since("a", 200)).toBe(record);
  });

  it("does not cover an answer that was late: the change behind it has passed already", () => {
    const cache = new RecordCache(1000);
    cache.take(found("b", 6), seen(7, 100));
    cache.advance(seen(9, 200), [{ key: "a", revision: 8 }]);
    cache.take(found("a", 5), seen(7, 110));
    expect(cache.since("a", 111)).toBeUndefined();
    expect(cache.since("a", 110)).toBeDefined(); // it was the latest then
    cache.advance(seen(9, 300), []);
    expect(cache.since("a", 300)).toBeUndefined();
  });

  it("covers nothing from before changes that are not known", () => {
    const cache = new RecordCache(1000);
    cache.take(found("a", 5), seen(7, 100));
    cache.advance(seen(5000, 200), undefined);
    expect(cache.since("a", 101)).toBeUndefined();
    cache.take(found("a", 5), seen(5000, 210));
    expect(cache.since("a", 200)).toBeDefined();
  });

  it("guesses no session again whose guess was wrong, until it would have been right", () => {
    const cache = new RecordCache(1000);
    const record = cache.take(found("a", 5), seen(5, 100));
    expect(cache.guess("a")).toBe(record);
    cache.guessedWrong("a", 200);
    expect(cache.guess("a")).toBeUndefined();
    cache.wouldBeRight("a"); // nobody has seen it since
    expect(cache.guess("a")).toBeUndefined();
    cache.confirm(record, seen(5, 300));
    cache.wouldBeRight("a");
    expect(cache.guess("a")).toBe(record);
  });
});
