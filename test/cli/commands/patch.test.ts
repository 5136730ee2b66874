/**
 * Goal: `patch` changes the fields that are named and no others, and says which. Method: the built program, then a reader
 * of the library.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../../src/index.js";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run } from "../support/program.js";
import { MAIN_KEY, makeStore, read, revisionOf, SESSIONS, traces } from "../support/stores.js";

describe("patch", () => {
  it("sets fields from assignments and JSON, and removes others", async () => {
    const store = await makeStore();
    const changes = [
      "model=small",
      "turns=5",
      "on=true",
      'text="5"',
      "empty=",
      "none=null",
      "a=b=c",
      '{"usage":{"total":8}}',
    ];
    const { code, stdout } = await run([
      "patch",
      MAIN_KEY,
      ...changes,
      "--unset",
      "totalTokens",
      "--store",
      store,
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain(
      `patched ${MAIN_KEY}, revision ${await revisionOf(store, MAIN_KEY)}: set model, set turns`,
    );
    expect(stdout).toContain("unset totalTokens");
    const { totalTokens: _, ...rest } = SESSIONS[MAIN_KEY] ?? {};
    const set = {
      model: "small",
      turns: 5,
      on: true,
      text: "5",
      empty: "",
      none: null,
      a: "b=c",
      usage: { total: 8 },
    };
    expect(await read(store, MAIN_KEY)).toEqual({ ...rest, ...set });
  });

  it("takes the fields from standard input, --data and --file as well", async () => {
    const store = await makeStore();
    expect((await run(["patch", MAIN_KEY, "--store", store], { input: '{"model":"a"}' })).code).toBe(0);
    expect((await run(["patch", MAIN_KEY, "x=1", "--data", '{"y":2}', "--store", store])).code).toBe(0);
    expect(
      (await run(["patch", MAIN_KEY, "--file", "-", "--store", store], { input: '{"__proto__":3}' })).code,
    ).toBe(0);
    const entry = (await run(["get", MAIN_KEY, "--store", store])).stdout;
    expect(entry).toContain('"__proto__": 3');
    expect(JSON.parse(entry)).toMatchObject({ model: "a", x: 1, y: 2 });
  });

  it("has the documented JSON; a dry run says the same and changes nothing", async () => {
    const store = await makeStore();
    const before = traces(store);
    const args = [
      "patch",
      MAIN_KEY,
      "model=small",
      "sessionId=s-1",
      "--unset",
      "usage",
      "--unset",
      "no",
      "--store",
      store,
      "--json",
    ];
    const first = await revisionOf(store, MAIN_KEY);
    const planned = JSON.parse((await run([...args, "--dry-run"])).stdout) as Record<string, unknown>;
    expect(planned).toMatchObject({
      action: "patch",
      set: ["model"],
      unset: ["usage"],
      previousRevision: first,
    });
    expect(traces(store)).toEqual(before);
    const done = JSON.parse((await run(args)).stdout) as Record<string, unknown>;
    expect(done).toEqual({ ...planned, dryRun: false, revision: await revisionOf(store, MAIN_KEY) });
    expect(deviations(done, documentedExamples("`sessiondir patch`")[0])).toEqual([]);
  });

  it("writes nothing when nothing would change", async () => {
    const store = await makeStore();
    const [last, own] = [await revisionOf(store), await revisionOf(store, MAIN_KEY)];
    const { code, stdout } = await run(["patch", MAIN_KEY, "model=large", "--unset", "no", "--store", store]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `unchanged ${MAIN_KEY}, revision ${own}\n` });
    expect(await revisionOf(store)).toBe(last);
  });

  it.each([
    ["no change at all", ["word"], "write field=value"],
    ["an empty name", ["=1"], "write field=value"],
    ["a mistyped JSON value", ["a={b:1}"], "begins like JSON"],
    ["a field twice", ["a=1", '{"a":2}'], "given twice"],
    ["a mistyped patch", ["{a:1}"], "is not JSON"],
    ["an array", ["--data", "[1]"], "is an array"],
    ["a number that JSON cannot write", ["a.b=1e999"], "too large for JSON"],
    [
      "an integer that would be rounded",
      ["a.id=12345678901234567890"],
      "a.id in the change is 1234567890123456789",
    ],
    [
      "one deep in a value",
      ['a={"b":[12345678901234567890]}'],
      "a.b[0] in the change is 1234567890123456789",
    ],
    ["one in a patch", ['{"id":-12345678901234567890}'], "id in the patch is -1234567890123456789"],
  ])("refuses %s", async (_what, changes, message) => {
    const store = await makeStore();
    const last = await revisionOf(store);
    const { code, stderr } = await run(["patch", MAIN_KEY, ...changes, "--store", store]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(await revisionOf(store)).toBe(last);
  });

  it("sets or removes a field whose shared value is lost, but changes nothing inside of it", async () => {
    const [a, b, text] = ["a", "b", "c"].map((letter) => letter.repeat(5000));
    const store = await makeStore({ k: { a, b, c: { text, n: 2 } } });
    const blobs = join(store, ".store/blobs");
    for (const name of readdirSync(blobs)) rmSync(join(blobs, name), { recursive: true });
    const inside = await run(["patch", "k", "c.n=3", "--store", store, "--json"]);
    expect(errorOf(inside).code).toBe("blob_missing");
    const { stdout } = await run(["patch", "k", "a=1", "c=2", "--unset", "b", "--store", store]);
    expect(stdout).toBe(`patched k, revision ${await revisionOf(store, "k")}: set a, set c, unset b\n`);
    expect(await read(store, "k")).toEqual({ a: 1, c: 2 });
  });

  it("fails for a session that is not there, and for another revision", async () => {
    const store = await makeStore();
    expect(errorOf(await run(["patch", "nobody", "a=1", "--store", store, "--json"])).code).toBe("not_found");
    const conflict = await run(["patch", MAIN_KEY, "a=1", "--if-revision", "2", "--store", store, "--json"]);
    expect(errorOf(conflict)).toMatchObject({
      code: "conflict",
      data: { expected: 2, actual: await revisionOf(store, MAIN_KEY) },
    });
  });
});

it("replaces a session whose file is damaged, says so, and keeps what was in there", async () => {
  const store = await makeStore();
  await checkpoint(store);
  const name = readdirSync(store).find((folder) => folder.endsWith("main")) ?? "";
  writeFileSync(join(store, name, "meta.json"), "{ damaged");
  const planned = await run(["patch", MAIN_KEY, "model=small", "--store", store, "--dry-run"]);
  expect(planned.stdout).toBe(`would replace ${MAIN_KEY}, which was damaged: set model\n`);
  const conditional = await run(["patch", MAIN_KEY, "model=small", "--if-revision", "1", "--store", store]);
  expect(conditional.code).toBe(3);
  const done = await run(["patch", MAIN_KEY, "model=small", "--unset", "error", "--store", store]);
  expect(done.stdout).toMatch(/^replaced \S+, which was damaged, revision \d+: set model\n$/);
  expect(await read(store, MAIN_KEY)).toEqual({ model: "small" });
  await checkpoint(store);
  const quarantine = join(store, ".store", "quarantine");
  const kept = readdirSync(quarantine).map((file) => readFileSync(join(quarantine, file), "utf8"));
  expect(kept).toContain("{ damaged");
});

async function checkpoint(path: string): Promise<void> {
  const store = await openDirectoryStore(path);
  await store.checkpoint();
  await store.close();
}
