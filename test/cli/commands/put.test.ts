/**
 * Goal: `put` writes exactly what it was given, only under the condition that was given, and never makes a store by
 * accident. Method: the built program, then a reader of the library; a dry run is compared with the real one.
 */
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, type Ended } from "../support/program.js";
import { emptyFolder, MAIN_KEY, makeStore, read, revisionOf, traces } from "../support/stores.js";

/** `put` on a store, with these further arguments. */
function put(store: string, key: string, args: readonly string[], input?: string): Promise<Ended> {
  return run(["put", key, "--store", store, ...args], input === undefined ? {} : { input });
}

describe("put", () => {
  it("takes the entry from standard input, a file or the command line", async () => {
    const store = await makeStore({});
    const file = join(dirname(store), "entry.json");
    writeFileSync(file, '{"from":"file"}');
    const ways: [string, string[], string | undefined][] = [
      ["input", [], '{"from":"input"}\n'],
      ["dash", ["--file", "-"], '{"from":"dash"}'],
      ["file", ["--file", file], undefined],
      ["data", ["--data", '{"from":"data"}'], undefined],
    ];
    for (const [way, args, input] of ways) {
      const ended = await put(store, way, args, input);
      expect(ended).toEqual({
        code: 0,
        stdout: `created ${way}, revision ${await revisionOf(store)}\n`,
        stderr: "",
      });
      expect(await read(store, way)).toEqual({ from: way });
    }
  });

  it("keeps names that objects inherit as data", async () => {
    const store = await makeStore({});
    const data = '{"__proto__":{"a":1},"constructor":2,"$session":3}';
    expect((await put(store, "k", ["--data", data])).code).toBe(0);
    expect((await run(["get", "k", "--store", store])).stdout.replace(/\s/g, "")).toBe(data);
  });

  it("has the documented JSON; a dry run says the same and changes nothing", async () => {
    const store = await makeStore();
    const before = traces(store);
    const args = ["--data", "{}", "--json"];
    const planned = JSON.parse((await put(store, MAIN_KEY, [...args, "--dry-run"])).stdout) as Record<
      string,
      unknown
    >;
    expect(traces(store)).toEqual(before);
    const done = JSON.parse((await put(store, MAIN_KEY, args)).stdout) as Record<string, unknown>;
    expect(done).toEqual({ ...planned, dryRun: false, revision: await revisionOf(store) });
    expect(deviations(done, documentedExamples("`sessiondir put`")[0])).toEqual([]);
    expect(await read(store, MAIN_KEY)).toEqual({});
  });

  it("holds on to --if-revision", async () => {
    const store = await makeStore();
    const revision = await revisionOf(store, MAIN_KEY);
    const conflict = await put(store, MAIN_KEY, ["--data", "{}", "--if-revision", "0", "--json"]);
    expect(conflict).toMatchObject({ code: 1, stdout: "" });
    expect(errorOf(conflict)).toMatchObject({
      code: "conflict",
      data: { key: MAIN_KEY, expected: 0, actual: revision },
    });
    const dry = await put(store, MAIN_KEY, ["--data", "{}", "--if-revision", "9", "--dry-run"]);
    expect(dry.code).toBe(1);
    const held = await put(store, MAIN_KEY, ["--data", "{}", "--if-revision", String(revision)]);
    expect(held.stdout).toBe(`replaced ${MAIN_KEY}, revision ${await revisionOf(store, MAIN_KEY)}\n`);
  });

  it("makes a store only with --create", async () => {
    const path = join(emptyFolder(), "new.d");
    const args = ["--data", "{}"];
    const refused = await put(path, "k", args);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("--create");
    expect(await put(path, "k", [...args, "--create", "--dry-run"])).toMatchObject({
      code: 0,
      stdout: `would create k in a new store ${path}\n`,
    });
    expect(existsSync(path)).toBe(false);
    const made = await put(path, "k", [...args, "--create", "--json"]);
    expect(JSON.parse(made.stdout)).toMatchObject({
      storeCreated: true,
      action: "create",
      revision: await revisionOf(path, "k"),
    });
  });

  it("does not hide a sessions.json behind an empty store", async () => {
    const folder = emptyFolder();
    const legacy = join(folder, "sessions.json");
    writeFileSync(legacy, '{"agent:main:main":{}}');
    const { code, stderr } = await put(legacy, "k", ["--data", "{}", "--create"]);
    expect(code).toBe(3);
    expect(stderr).toContain(`sessiondir migrate --store ${legacy}`);
    expect(existsSync(join(folder, "sessions.d"))).toBe(false);
  });

  it.each([
    ["", "is empty"],
    ['{"a":1', "it ends too early at line 1, column 7"],
    ['{\n "a": tru }', 'found "t" at line 2, column 7'],
    ["[1]", "is an array"],
    ["null", "is null"],
    ["7", "is a number"],
    ['{"a":[{"b":-1e999}]}', "a[0].b in standard input is -1e999, which is too large for JSON"],
    ['{"a":{"id":9007199254740993}}', "a.id in standard input is 9007199254740993, which would become"],
    ['{"a.b":[1, 12345678901234567890123]}', '"a.b"[1] in standard input is 12345678901234567890123'],
  ])("refuses %j", async (input, message) => {
    const store = await makeStore({});
    const { code, stderr } = await put(store, "k", [], input);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(await revisionOf(store)).toBe(0);
  });

  it("refuses a file that is not UTF-8, which would be written as something else", async () => {
    const store = await makeStore({});
    const file = join(dirname(store), "entry.json");
    writeFileSync(file, '{"a":"\xff"}', "latin1");
    const { code, stderr } = await put(store, "k", ["--file", file]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${file} is not UTF-8`);
    expect(await revisionOf(store)).toBe(0);
  });

  it("refuses two sources, a missing file, and an entry beyond the limits", async () => {
    const store = await makeStore({});
    expect(await put(store, "k", ["--data", "{}", "--file", "x"])).toMatchObject({ code: 2 });
    expect((await put(store, "k", ["--file", "/nonexistent.json"])).stderr).toContain(
      "there is no file /nonexistent.json",
    );
    const deep = `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`;
    const tooDeep = await put(store, "k", ["--json"], deep);
    expect(tooDeep.code).toBe(1);
    expect(errorOf(tooDeep).code).toBe("value_too_deep");
  });
});
