/** Conformance: what entries may hold, and that it comes back as it went in, frozen. */
import { strict as assert } from "node:assert";
import {
  integersUpTo,
  rejection,
  same,
  wrongArgument,
  type ConformanceEntry,
  type ConformanceFixture,
  type ConformanceStore,
  type Kit,
} from "./kit.js";

/** JSON text, so that `__proto__` is a field here and not a prototype. */
const ENTRIES: Readonly<Record<string, string>> = {
  "every kind of value":
    '{"text":"x","empty":"","int":7,"float":0.1,"tiny":5e-324,"big":1.7976931348623157e308,"yes":true,"no":false,"nothing":null,"list":[1,[2,[]],{}],"object":{"deep":{"deeper":{}}}}',
  "the order of fields": '{"zeta":1,"alpha":{"z":1,"a":2},"10":"ten","mid":[{"y":1,"b":2}],"2":"two"}',
  "fields named like parts of objects":
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"prototype":1,"toString":"x","hasOwnProperty":null,"then":"later","toJSON":"text","length":3}',
  "__proto__ at any depth": '{"a":{"__proto__":{"polluted":1}},"list":[{"__proto__":null}],"__proto__":7}',
  "fields that start with $":
    '{"$session":{"key":"forged","revision":999},"$blob":"sha256:0000","$":1,"$$":2,"$$session":3,"$$$blob":{"$blob":4}}',
  "$ at any depth":
    '{"a":{"$blob":"sha256:9f2c","bytes":87601},"list":[{"$session":{"$blob":1}},{"$escape":[{"$blob":"x"}]}],"plain":"$blob"}',
  "a value that is exactly a reference to a blob":
    '{"skills":{"$blob":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","bytes":0}}',
  "odd field names":
    '{"":1," ":2,"a.b":3,"a b":4,"\\u0000":5,"\\n":6,"\\u{1F600}":7,"\\"":8,"\\\\":9}'.replace(
      "\\u{1F600}",
      "\u{1F600}",
    ),
  "odd strings":
    '{"nul":"a\\u0000b","lines":"a\\nb\\r\\nc\\u2028d\\u2029e","controls":"\\u0001\\u001b[31m\\u007f","bom":"\\ufeffx","html":"</script>&<","emoji":"\u{1F468}\u200d\u{1F469}","rtl":"\\u202e"}',
  "half a surrogate pair in a value": '{"half":"\\ud83d","other":"a\\ude00"}',
  "empty containers": '{"a":{},"b":[],"c":[[],{}],"d":{"e":{}}}',
  "numbers at the edges": '{"max":9007199254740991,"min":-9007199254740991,"beyond":1e21,"small":-1e-7}',
};

class Point {
  readonly x = 1;
}

/** What JSON.stringify would make null, an empty object, or nothing of. */
const INEXPRESSIBLE: Readonly<Record<string, () => unknown>> = {
  NaN: () => Number.NaN,
  Infinity: () => Infinity,
  "-Infinity": () => -Infinity,
  BigInt: () => 1n,
  "a function": () => () => 1,
  "a symbol": () => Symbol("s"),
  undefined: () => undefined,
  "nothing from toJSON": () => ({ toJSON: () => undefined }),
  "NaN from toJSON": () => ({ toJSON: () => Number.NaN }),
  "a function from toJSON": () => ({ toJSON: () => () => 1 }),
  "an invalid Date": () => new Date(Number.NaN),
  "a Map": () => new Map([["k", 1]]),
  "a Set": () => new Set([1]),
  "a RegExp": () => /x/,
  "an Error": () => new Error("x"),
  bytes: () => new Uint8Array([1, 2]),
  "a boxed number": () => Object(1) as unknown,
  "a boxed text": () => Object("x") as unknown,
  "an instance of a class": () => new Point(),
  "inherited fields": () => Object.create({ x: 1 }) as unknown,
  "a promise": () => Promise.resolve(1),
};

export function valueCases(kit: Kit): void {
  for (const [name, json] of Object.entries(ENTRIES)) {
    kit.case(`round trip: ${name}`, async (store, fixture) => {
      const entry = JSON.parse(json) as ConformanceEntry;
      await store.put("a", entry);
      await store.update("b", () => entry);
      await store.put("c", { fresh: true });
      await store.patch("c", entry);
      await store.transact((tx) => tx.put("d", entry));
      const check = async (seen: ConformanceStore): Promise<void> => {
        for (const key of ["a", "b", "d"]) same(await seen.get(key), entry);
        same({ ...(await seen.get("c")) }, JSON.parse(`{"fresh":true,${json.slice(1)}`));
      };
      await check(store);
      await checkAgain(kit, fixture, check);
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });
  }

  kit.case("what comes back has __proto__ as a field, and an ordinary prototype", async (store) => {
    await store.put("a", JSON.parse('{"__proto__":{"polluted":true}}') as ConformanceEntry);
    const entry = await store.get("a");
    assert.ok(entry !== undefined && Object.hasOwn(entry, "__proto__"));
    assert.equal(entry["polluted"], undefined);
    await store.patch("a", JSON.parse('{"__proto__":{"polluted":"again"}}') as ConformanceEntry);
    assert.equal(JSON.stringify(await store.get("a")), '{"__proto__":{"polluted":"again"}}');
  });

  kit.case("fields that are undefined, and names that are symbols, are left out; -0 is 0", async (store) => {
    await store.put("a", {
      undefined,
      [Symbol("key")]: 1,
      minusZero: -0,
      nested: { gone: undefined, kept: 1 },
    });
    same(await store.get("a"), { minusZero: 0, nested: { kept: 1 } });
    assert.ok(Object.is((await store.get("a"))?.["minusZero"], 0));
  });

  for (const [name, value] of Object.entries(INEXPRESSIBLE)) {
    kit.case(`what would come back as something else is refused by name: ${name}`, async (store) => {
      await store.put("a", { turns: 1 });
      const writes: Record<string, (entry: ConformanceEntry) => Promise<unknown>> = {
        put: (entry) => store.put("a", entry),
        patch: (entry) => store.patch("a", entry),
        update: (entry) => store.update("a", () => entry),
        transact: (entry) => store.transact((tx) => tx.put("a", entry)),
      };
      for (const write of Object.values(writes)) {
        await wrongArgument(() => write({ some: { list: [0, value()] } }), /entry\.some\.list\[1\].*"a"/);
        await wrongArgument(
          () => write({ some: { list: [0, { x: 1, y: [value()] }] } }),
          /list\[1\]\.y\[0\]/,
        );
        if (name !== "undefined" && name !== "nothing from toJSON")
          await wrongArgument(() => write({ "odd name": value() }), /entry\["odd name"\].*"a"/);
      }
      same(await store.get("a"), { turns: 1 });
    });
  }

  kit.case("an array with a hole is refused by the place of the hole", async (store) => {
    const holes: unknown[] = [];
    holes[2] = 1;
    await wrongArgument(() => store.put("a", { holes }), /entry\.holes\[0\].*"a"/);
    await wrongArgument(() => store.put("a", { list: [1, , 3] }), /list\[1\]/); // oxlint-disable-line no-sparse-arrays
    assert.equal(await store.get("a"), undefined);
  });

  kit.case("toJSON is called, dates become text", async (store) => {
    const date = new Date(Date.UTC(2024, 1, 29));
    class Money {
      readonly #cents = 250;
      toJSON(): object {
        return { cents: this.#cents, at: date };
      }
    }
    await store.put("a", { date, money: new Money(), list: [date] });
    const text = "2024-02-29T00:00:00.000Z";
    same(await store.get("a"), { date: text, money: { cents: 250, at: text }, list: [text] });
    await store.put("b", new Money() as never);
    same(await store.get("b"), { cents: 250, at: text });
  });

  kit.case("an entry that is no plain object is refused, unless its toJSON gives one", async (store) => {
    class Entry {
      readonly turns = 1;
    }
    for (const entry of [new Entry(), new Map([["turns", 1]]), Object.create({ turns: 1 }) as object])
      await wrongArgument(() => store.put("a", entry as never), /entry.*"a"/);
    assert.equal(await store.get("a"), undefined);
    await store.put("a", { bare: Object.assign(Object.create(null) as object, { x: 1 }) });
    same(await store.get("a"), { bare: { x: 1 } });
  });

  kit.case("what JSON cannot express is an error, and nothing is written", async (store) => {
    await wrongArgument(() => store.put("a", { big: 1n }), /./);
    await wrongArgument(() => store.put("a", new Date() as never), /./);
    const cycle: ConformanceEntry = {};
    cycle["self"] = cycle;
    const error = await rejection(store.put("a", cycle));
    assert.ok(error instanceof TypeError || (error as { code?: string }).code === "value_too_deep");
    const thrown = new Error("mine");
    const failing = {
      toJSON() {
        throw thrown;
      },
    };
    assert.equal(await rejection(store.put("a", { failing })), thrown);
    assert.equal(await store.count(), 0);
    await store.put("a", { fine: true });
  });

  kit.case("an entry that comes out is frozen at every depth", async (store, fixture) => {
    await store.put("a", { list: [{ x: 1 }], object: { deep: { y: 2 } }, big: bigObject(1) });
    const check = async (seen: ConformanceStore): Promise<void> => {
      assertFrozen(await seen.get("a"));
      assertFrozen((await seen.read("a"))?.entry);
      assertFrozen((await seen.list()).sessions[0]?.entry);
    };
    await check(store);
    await checkAgain(kit, fixture, check);
  });

  kit.case("an entry stays what it was when the session changes", async (store) => {
    await store.put("a", { turns: 1, tags: ["x"] });
    const before = await store.get("a");
    await store.patch("a", { turns: 2 });
    await store.update("a", (entry) => ({ ...entry, tags: [] }));
    await store.delete("a");
    same(before, { turns: 1, tags: ["x"] });
  });

  bigValueCases(kit);
}

function bigValueCases(kit: Kit): void {
  kit.case("big strings, objects and arrays round-trip, nested too", async (store, fixture) => {
    const entry: ConformanceEntry = {
      text: "ä".repeat(10_000),
      object: bigObject(1),
      list: integersUpTo(20_000),
      nested: { inside: { object: bigObject(2), list: [bigObject(3), "z".repeat(5000)] } },
      small: 1,
    };
    await store.put("a", entry);
    const check = async (seen: ConformanceStore): Promise<void> => same(await seen.get("a"), entry);
    await check(store);
    await checkAgain(kit, fixture, check);
  });

  kit.case("sizes around the threshold of sharing round-trip", async (store, fixture) => {
    const lengths = [255, 256, 257, 4091, 4092, 4093, 4094, 4095, 4096, 4097, 8192];
    for (const length of lengths) {
      await store.put(`text-${length}`, { value: "x".repeat(length) });
      await store.put(`object-${length}`, { value: { field: "x".repeat(length - 12) } });
    }
    const check = async (seen: ConformanceStore): Promise<void> => {
      for (const length of lengths) {
        same(await seen.get(`text-${length}`), { value: "x".repeat(length) });
        same(await seen.get(`object-${length}`), { value: { field: "x".repeat(length - 12) } });
      }
    };
    await check(store);
    await checkAgain(kit, fixture, check);
  });

  kit.case("big values with hostile content round-trip", async (store, fixture) => {
    const pad = "x".repeat(5000);
    const json = `{"big":{"__proto__":{"p":1},"$blob":"sha256:00","$session":1,"pad":"${pad}","in":{"$blob":"y","pad":"${pad}"}}}`;
    await store.put("a", JSON.parse(json) as ConformanceEntry);
    const check = async (seen: ConformanceStore): Promise<void> => {
      assert.equal(JSON.stringify(await seen.get("a")), json);
    };
    await check(store);
    await checkAgain(kit, fixture, check);
  });

  kit.case("sessions that share a big value do not share their fate", async (store) => {
    const shared = bigObject(7);
    for (const n of integersUpTo(5)) await store.put(`s${n}`, { n, shared });
    await store.patch("s0", { shared: { replaced: true } });
    await store.delete("s1");
    for (const n of [2, 3, 4]) same(await store.get(`s${n}`), { n, shared });
    same(await store.get("s0"), { n: 0, shared: { replaced: true } });
  });

  kit.case("an unchanged big value is the same object from revision to revision", async (store) => {
    await store.put("a", { turns: 1, big: bigObject(1), text: "t".repeat(10_000) });
    const before = (await store.get("a"))?.["big"];
    await store.update("a", (entry) => ({ ...entry, turns: 2 }));
    assert.equal((await store.get("a"))?.["big"], before);
    await store.patch("a", { turns: 3 });
    assert.equal((await store.get("a"))?.["big"], before);
    same(before, bigObject(1));
  });

  kit.case("an equal copy of a big value is no change, a changed one is", async (store) => {
    const { revision } = await store.put("a", { big: bigObject(1) });
    const copied = await store.update("a", () => ({ big: bigObject(1) }));
    assert.equal(copied?.revision, revision);
    const changed = await store.update("a", () => ({ big: { ...bigObject(1), field7: "changed" } }));
    assert.ok(changed !== undefined && changed.revision > revision);
    same(await store.get("a"), { big: { ...bigObject(1), field7: "changed" } });
  });

  kit.case("a big value may come from another session's entry", async (store) => {
    await store.put("a", { big: bigObject(1) });
    const taken = (await store.get("a"))?.["big"];
    await store.put("b", { big: taken, more: { big: taken } });
    await store.delete("a");
    same(await store.get("b"), { big: bigObject(1), more: { big: bigObject(1) } });
  });

  if (!kit.capabilities.lazyValues) return;
  kit.case("listing does not load big values, touching one does", async (store, { reopen, valuesLoaded }) => {
    for (const n of integersUpTo(10)) await store.put(`s${n}`, { n, big: bigObject(n) });
    await store.flush();
    const again = await reopen!();
    const before = valuesLoaded!();
    const { sessions } = await again.list({ orderBy: "updatedAt" });
    assert.equal(sessions.length, 10);
    await again.count();
    assert.equal(valuesLoaded!(), before);
    same(sessions[3]?.entry["big"], bigObject(3));
    assert.equal(valuesLoaded!(), before + 1);
  });
}

/** The same once more from storage: after a flush and a reopening, where the engine has them. */
async function checkAgain(
  kit: Kit,
  { reopen }: ConformanceFixture,
  check: (store: ConformanceStore) => Promise<void>,
): Promise<void> {
  if (!kit.capabilities.persistent) return;
  await check(await reopen!());
  const flushed = await reopen!();
  await flushed.flush();
  await check(await reopen!());
}

/** About 90 KB as JSON. */
function bigObject(seed: number): ConformanceEntry {
  return Object.fromEntries(
    integersUpTo(1000).map((n) => [`field${n}`, `${seed}:${"abcdefghij".repeat(7)}${n}`]),
  );
}

function assertFrozen(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const item of Object.values(value) as unknown[]) assertFrozen(item);
}
