/**
 * Goal: `get` prints exactly the entry, or one field of it, and says what is wrong with a key that is not there.
 * Method: the built program on a store of three sessions; its JSON against docs/cli.md.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start } from "../support/program.js";
import {
  CRON_KEY,
  emptyFolder,
  JAMES_KEY,
  MAIN_KEY,
  makeStore,
  revisionOf,
  SESSIONS,
  SNAPSHOT,
} from "../support/stores.js";

describe("get", () => {
  it("prints the entry as JSON, shared values included", async () => {
    const { code, stdout, stderr } = await run(["get", MAIN_KEY, "--store", await makeStore()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(SESSIONS[MAIN_KEY]);
    expect(stdout).toContain('\n  "sessionId": "s-1",\n');
  });

  it("has the documented JSON, with and without a field", async () => {
    const store = await makeStore();
    const [whole, field] = documentedExamples("`sessiondir get`") as [Record<string, unknown>, unknown];
    const record = JSON.parse((await run(["get", MAIN_KEY, "--store", store, "--json"])).stdout) as Record<
      string,
      unknown
    >;
    expect(record).toMatchObject({
      store,
      key: MAIN_KEY,
      revision: await revisionOf(store, MAIN_KEY),
      entry: SESSIONS[MAIN_KEY],
    });
    expect(deviations({ ...record, entry: {} }, { ...whole, entry: {} })).toEqual([]);
    const { stdout } = await run(["get", MAIN_KEY, "--store", store, "--json", "--field", "usage.total"]);
    expect(JSON.parse(stdout)).toMatchObject({ field: "usage.total", value: 7 });
    expect(deviations(JSON.parse(stdout), field)).toEqual([]);
  });

  it.each([
    ["model", '"large"\n'],
    ["usage.parts.0.name", '"first"\n'],
    ["skillsSnapshot.version", `${SNAPSHOT.version}\n`],
  ])("follows the field %s", async (field, expected) => {
    const { code, stdout } = await run(["get", MAIN_KEY, "--store", await makeStore(), "--field", field]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
  });

  it.each([
    ["toString", "has no field"],
    ["__proto__", "has no field"],
    ["usage.constructor", "It has total, parts"],
    ["model.length", "It has no fields"],
  ])("has no field %s", async (field, message) => {
    const { code, stdout, stderr } = await run([
      "get",
      MAIN_KEY,
      "--store",
      await makeStore(),
      "--field",
      field,
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("suggests the nearest keys for one that is not there", async () => {
    const store = await makeStore();
    const near = await run(["get", "agent:main:Mian", "--store", store]);
    expect(near).toMatchObject({ code: 1, stdout: "" });
    expect(near.stderr).toBe(
      `sessiondir: there is no session "agent:main:Mian" in ${store}. Did you mean "${MAIN_KEY}"?\n`,
    );
    const far = await run(["get", "zzz", "--store", store, "--json"]);
    expect(errorOf(far)).toEqual({
      code: "not_found",
      message: expect.stringContaining(`List its 3 sessions: sessiondir ls --store ${store}`) as string,
      data: { key: "zzz", path: store },
      exitCode: 1,
    });
  });

  it("refuses what is no key", async () => {
    const store = await makeStore();
    expect(await run(["get", "", "--store", store])).toMatchObject({ code: 2 });
    expect(await run(["get", "x".repeat(1025), "--store", store])).toMatchObject({ code: 1 });
    expect((await run(["get", "--store", store])).stderr).toContain("See sessiondir get --help");
  });

  it("reads with one syntax what patch wrote, names with dots too", async () => {
    const store = await makeStore({ k: { "usage.total": 1 } });
    const dotted = await run(["get", "k", "--store", store, "--field", "usage.total"]);
    expect(dotted.stderr).toContain('in quotes: "usage.total"');
    expect((await run(["patch", "k", "usage.total=9", "--store", store])).code).toBe(0);
    const field = async (path: string): Promise<string> =>
      (await run(["get", "k", "--store", store, "--field", path])).stdout;
    expect(await field("usage.total")).toBe("9\n");
    expect(await field('"usage.total"')).toBe("1\n");
    const wrong = await run(["get", "k", "--store", store, "--field", "usage..total", "--json"]);
    expect(errorOf(wrong)).toMatchObject({ code: "field_path_invalid", data: { character: 7 }, exitCode: 2 });
  });

  it("--raw is the bytes of a string and nothing else", async () => {
    const text = 'a\u001b[31m\n"\u00e4\u{1f600}';
    const store = await makeStore({ k: { text, half: "\ud800", list: [1, { a: 2 }] } });
    const raw = (path: string): ReturnType<typeof run> =>
      run(["get", "k", "--store", store, "--field", path, "--raw"]);
    expect(await raw("text")).toEqual({ code: 0, stdout: text, stderr: "" });
    expect((await raw("list")).stdout).toBe('[1,{"a":2}]\n');
    expect(await raw("half")).toMatchObject({ code: 1, stdout: "" });
    expect(await run(["get", "k", "--store", store, "--raw", "--json"])).toMatchObject({ code: 2 });
  });

  it("of megabytes is a stream that Ctrl-C ends at once, also while nobody reads it", async () => {
    let bomb: unknown = "x".repeat(5000);
    for (let depth = 0; depth < 10; depth++) bomb = { a: bomb, b: bomb, pad: `${depth}`.padEnd(5000) };
    const store = await makeStore({ k: { bomb } });
    const getting = start(["get", "k", "--store", store]);
    getting.process.stdout?.once("data", () => {
      getting.process.stdout?.pause();
      getting.process.kill("SIGINT");
    });
    await getting.says("interrupted");
    getting.process.stdout?.resume();
    const { code, stderr } = await getting.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`interrupted while reading ${store}`);
  });
});

describe("get of several keys", () => {
  it("prints one after the other, each once; with --json one a line", async () => {
    const store = await makeStore();
    const plain = await run(["get", MAIN_KEY, CRON_KEY, MAIN_KEY, "--store", store]);
    expect(plain.code).toBe(0);
    expect(JSON.parse(`[${plain.stdout.replace(/^\}\n\{/m, "},{")}]`)).toEqual([
      SESSIONS[MAIN_KEY],
      SESSIONS[CRON_KEY],
    ]);
    const lines = (await run(["get", MAIN_KEY, CRON_KEY, "--store", store, "--json"])).stdout
      .trimEnd()
      .split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { key: string }).key)).toEqual([MAIN_KEY, CRON_KEY]);
  });

  it("takes keys from standard input, one a line, whatever ends it", async () => {
    const store = await makeStore();
    const input = `${CRON_KEY}\r\n\n${MAIN_KEY}`;
    const { stdout } = await run(["get", "-", "--store", store, "--field", "sessionId"], { input });
    expect(stdout).toBe('"s-3"\n"s-1"\n');
    const none = await run(["get", "-", "--store", store], { input: "\n" });
    expect(none).toEqual({
      code: 0,
      stdout: "",
      stderr: "there is no key on standard input, so there is nothing to do\n",
    });
  });

  it("one that is not there is said, the others are printed, and the code is 1", async () => {
    const store = await makeStore();
    const ended = await run(["get", "nobody", CRON_KEY, "--store", store, "--json"]);
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ key: CRON_KEY });
    expect(errorOf(ended)).toMatchObject({ code: "not_found", data: { key: "nobody" } });
  });

  it.each([
    [[MAIN_KEY, CRON_KEY, "--raw"], "--raw"],
    [["-", ""], "key"],
  ])("refuses %s", async (args, message) => {
    const { code, stderr } = await run(["get", ...args, "--store", await makeStore()], { input: "x\n" });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it("refuses keys of agents with a store each, and names both", async () => {
    const state = emptyFolder();
    for (const agent of ["main", "ops"]) {
      mkdirSync(join(state, "agents", agent, "sessions"), { recursive: true });
      await makeStore(SESSIONS, join(state, "agents", agent, "sessions", "sessions.d"));
    }
    const ended = await run(["get", MAIN_KEY, CRON_KEY, "--state-dir", state]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("agents/main/");
    expect(ended.stderr).toContain("agents/ops/");
    expect((await run(["get", MAIN_KEY, JAMES_KEY, "--state-dir", state])).code).toBe(0);
  });
});
