/**
 * Goal: what is too large or too deep is refused, exactly at the limit, and before much work went into it.
 * Method: entries on both sides of each limit; getters that must not be asked any more.
 */
import { describe, expect, it } from "vitest";
import { STORED_DEPTH_MAX } from "../../src/format/limits.js";
import { big, codec, keep, useCodec, useCodecScene } from "./codec-scene.js";

useCodecScene();

describe("limits", () => {
  const nest = (levels: number): object => {
    let value: object = {};
    for (let level = 1; level < levels; level++) value = level % 2 === 0 ? { a: value } : { b: [value] };
    return value;
  };
  const chain = (levels: number): object => {
    let value: object = {};
    for (let level = 1; level < levels; level++) value = { a: value };
    return value;
  };
  const code = (run: () => unknown): unknown => {
    try {
      run();
      return "none";
    } catch (error) {
      return (error as { code?: string }).code ?? error;
    }
  };

  it("stop nesting before the stack ends", () => {
    expect(code(() => codec.encode(chain(128)))).toBe("none");
    expect(code(() => codec.encode(chain(129)))).toBe("value_too_deep");
    expect(code(() => codec.encode(chain(100_000)))).toBe("value_too_deep");
    expect(code(() => codec.encode(nest(100_000)))).toBe("value_too_deep");
    const endless = { a: { toJSON: (): object => ({ a: endless.a }) } };
    expect(code(() => codec.encode(endless))).toBe("value_too_deep");
    expect(() => codec.encode(chain(129), undefined, "my key")).toThrow(
      expect.objectContaining({
        data: { limit: 128, actual: 129, path: `entry${".a".repeat(128)}`, key: "my key" },
      }),
    );
  });

  it("count the levels of recognised parts", () => {
    useCodec({ limits: { depthMax: 10 } });
    const entry = codec.decode(codec.encode(chain(8)).stored);
    expect(code(() => codec.encode({ x: { y: entry } }))).toBe("none");
    expect(code(() => codec.encode({ x: { y: { z: entry } } }))).toBe("value_too_deep");
    let growing: object = entry;
    const grow = (): void => {
      for (let level = 0; level < 1000; level++) growing = codec.decode(codec.encode({ a: growing }).stored);
    };
    expect(code(grow)).toBe("value_too_deep");
  });

  it("never let a stored form nest deeper than readers accept", () => {
    useCodec({ limits: { depthMax: 1000 } });
    expect(code(() => codec.encode(chain(STORED_DEPTH_MAX)))).toBe("none");
    expect(code(() => codec.encode(chain(STORED_DEPTH_MAX + 1)))).toBe("value_too_deep");
  });

  it("bound a blob, an entry and what is left of it", () => {
    useCodec({ limits: { blobBytesMax: 1000, entryBytesMax: 3500, recordBytesMax: 600 } });
    expect(code(() => codec.encode({ a: "x".repeat(998) }))).toBe("none");
    expect(code(() => codec.encode({ a: "x".repeat(999) }))).toBe("blob_too_large");
    const many = (count: number, length: number): object =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`f${index}`, String(index).repeat(length)]),
      );
    expect(code(() => codec.encode(many(3, 900)))).toBe("none");
    expect(code(() => codec.encode(many(4, 900)))).toBe("entry_too_large");
    expect(code(() => codec.encode(many(3, 180)))).toBe("none");
    expect(code(() => codec.encode(many(4, 180)))).toBe("record_too_large");
    expect(() => codec.encode(many(4, 180), undefined, "k")).toThrow(
      expect.objectContaining({
        data: { limit: 600, actual: JSON.stringify(many(4, 180)).length, path: "entry", key: "k" },
      }),
    );
  });

  it("count big values that were recognised", () => {
    useCodec({ limits: { entryBytesMax: 4000 } });
    const entry = codec.decode(
      keep(codec.encode({ a: [big("1"), big("2"), big("3"), big("4"), big("5")] })).stored,
    ) as { a: unknown };
    expect(code(() => codec.encode({ a: entry.a, b: entry.a }))).toBe("none");
    expect(code(() => codec.encode({ a: entry.a, b: entry.a, c: entry.a }))).toBe("entry_too_large");
  });

  it("count the bytes of text, not its characters", () => {
    useCodec({ limits: { entryBytesMax: 1000 } });
    expect(code(() => codec.encode({ a: "€".repeat(290) }))).toBe("none");
    expect(code(() => codec.encode({ a: "€".repeat(340) }))).toBe("entry_too_large");
  });

  it("stop the work on an entry soon after it is certainly too large", () => {
    useCodec({ limits: { entryBytesMax: 1000 } });
    let looks = 0;
    const items = new Proxy(
      Array.from({ length: 100_000 }, () => "item"),
      {
        get: (target, name) => {
          looks++;
          return Reflect.get(target, name) as unknown;
        },
      },
    );
    expect(code(() => codec.encode({ items }))).toBe("entry_too_large");
    expect(looks).toBeLessThan(1000);
  });

  it("stop the work on endless input early", () => {
    useCodec({ limits: { entryBytesMax: 1_000_000, recordBytesMax: 1_000_000 } }); // soon, also on a machine that is short of memory
    const wide: unknown[] = [];
    wide.length = 4_000_000_000;
    expect(() => codec.encode({ wide })).toThrow(/entry\.wide\[0\] is undefined or a hole/);
    let doubling: unknown[] = ["x"];
    for (let level = 0; level < 60; level++) doubling = [doubling, doubling];
    expect(code(() => codec.encode({ doubling }))).toBe("entry_too_large");
    const entry = codec.decode(codec.encode({ a: "x".repeat(150) }).stored);
    expect(code(() => codec.encode({ many: Array.from({ length: 3_000_000 }, () => entry) }))).toBe(
      "entry_too_large",
    );
  }, 60_000);

  it("use exact sizes, never the bounds", () => {
    useCodec({ limits: { recordBytesMax: 1000 } });
    const numbers = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n${index}`, index % 10]));
    expect(JSON.stringify(numbers).length).toBeLessThan(1000);
    expect(code(() => codec.encode(numbers))).toBe("none");
    const list = { list: Array.from({ length: 90 }, () => 1) };
    expect(codec.encode(list).references).toEqual([]);
    const entry = codec.decode(codec.encode(list).stored) as { list: number[] };
    expect(codec.encode({ other: entry.list }).references).toEqual([]);
  });
});
