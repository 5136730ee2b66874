/**
 * Goal: export, import, rename-key and rewrite as an operator meets them: what they say and do, dry runs that say the same, wrong files, Ctrl-C,
 * and the JSON that docs/cli.md promises. Method: the built program.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openSessionStore } from "../../../src/index.js";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run, start } from "../support/program.js";
import { emptyFolder, JAMES_KEY, MAIN_KEY, makeStore, read, SESSIONS, traces } from "../support/stores.js";

async function storeWithTranscript(): Promise<string> {
  const path = await makeStore();
  await run(["transcript", "append", MAIN_KEY, "--store", path], { input: '{"text":"hi"}\n{"text":"ho"}\n' });
  return path;
}

const contents = async (path: string): Promise<unknown> => {
  const entries = await Promise.all(
    Object.keys(SESSIONS).map(async (key) => [key, await read(path, key)] as const),
  );
  return Object.fromEntries(entries);
};

describe("export and import", () => {
  it("move a store through a packed file that only its owner can read", async () => {
    const store = await storeWithTranscript();
    const before = traces(store);
    const file = join(emptyFolder(), "moved.jsonl.gz");
    const dry = await run(["export", "--store", store, "-o", file, "--dry-run"]);
    expect(dry.stdout).toMatch(
      /^would export 3 sessions with 1 transcript \(2 items\) to .*moved.jsonl.gz: /,
    );
    expect(existsSync(file)).toBe(false);
    const done = await run(["export", "--store", store, "-o", file]);
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(done.stdout).toMatch(/^exported 3 sessions with 1 transcript \(2 items\) to /);
    expect(traces(store)).toEqual(before);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(gunzipSync(readFileSync(file)).toString()).toMatch(/^\{"type":"header",/);
    const fresh = join(emptyFolder(), "new.d");
    const planned = await run(["import", file, "--store", fresh, "--create", "--dry-run"]);
    expect(planned.code).toBe(0);
    expect(existsSync(fresh)).toBe(false);
    const imported = await run(["import", file, "--store", fresh, "--create"]);
    expect(imported.stdout).toBe(planned.stdout.replace("would import", "imported"));
    expect(await contents(fresh)).toEqual(SESSIONS);
    const again = await run(["import", file, "--store", fresh]);
    expect(again.stdout).toContain("0 created, 3 unchanged; 0 items appended");
  });

  it("move one through a pipe, with paths rewritten", async () => {
    const store = await makeStore({ a: { sessionFile: "/home/old/a.jsonl" }, b: { other: "/home/old" } });
    const sent = await run(["export", "--store", store]);
    expect(sent.code).toBe(0);
    const fresh = join(emptyFolder(), "new.d");
    const args = ["import", "--store", fresh, "--create", "--rewrite", "sessionFile", "/home/old", "/srv"];
    const taken = await run(args, { input: sent.stdout });
    expect(taken.stdout).toContain("2 sessions of standard input into a new store");
    expect(taken.stdout).toContain("1 path rewritten");
    expect(await read(fresh, "a")).toEqual({ sessionFile: "/srv/a.jsonl" });
    expect(await read(fresh, "b")).toEqual({ other: "/home/old" });
  });

  it("take keys and a prefix, and say what is not there", async () => {
    const store = await storeWithTranscript();
    const one = await run(["export", JAMES_KEY, "--store", store]);
    expect(one.stdout.match(/"type":"session"/g)).toHaveLength(1);
    const agent = await run(["export", "--prefix", "agent:main:", "--store", store]);
    expect(agent.stdout.match(/"type":"session"/g)).toHaveLength(2);
    const gone = await run(["export", "agent:main:gone", "--store", store]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('there is no session "agent:main:gone"');
    const none = await run(["export", "--prefix", "nobody", "--store", store]);
    expect(none.code).toBe(0);
    expect(none.stdout.trimEnd().split("\n")).toHaveLength(2); // a file without sessions is one
  });

  it("never write over a file that is there, nor through a link, unless it is said", async () => {
    const store = await makeStore();
    const folder = emptyFolder();
    const [file, link] = [join(folder, "file.jsonl"), join(folder, "link.jsonl")];
    writeFileSync(file, "mine");
    symlinkSync(file, link);
    for (const path of [file, link]) {
      const ended = await run(["export", "--store", store, "-o", path, "--json"]);
      expect(errorOf(ended)).toMatchObject({ code: "file_exists", data: { path }, exitCode: 1 });
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect((await run(["export", "--store", store, "-o", link, "--overwrite"])).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(readFileSync(link, "utf8")).toContain("sessiondir-export");
    expect(readdirSync(folder).sort()).toEqual(["file.jsonl", "link.jsonl"]);
    const nowhere = await run(["export", "--store", store, "-o", join(folder, "no/such.jsonl"), "--json"]);
    expect(errorOf(nowhere)).toMatchObject({ code: "io_error", data: { errno: "ENOENT" } });
  });

  it("refuse wrong files before anything is written, and salvage what there is", async () => {
    const store = await storeWithTranscript();
    const folder = emptyFolder();
    const whole = (await run(["export", "--store", store])).stdout;
    const cut = join(folder, "cut.jsonl");
    writeFileSync(cut, whole.slice(0, whole.lastIndexOf('{"type":"session"') + 30));
    const fresh = await makeStore({});
    const before = traces(fresh);
    for (const [file, reason] of [
      [cut, "cut"],
      [join(folder, "text"), "not_an_export"],
    ] as const) {
      if (reason === "not_an_export") writeFileSync(file, "hello\n");
      const ended = await run(["import", file, "--store", fresh, "--json"]);
      expect(errorOf(ended)).toMatchObject({
        code: "export_invalid",
        data: { reason, path: file },
        exitCode: 3,
      });
    }
    const missing = await run(["import", join(folder, "none"), "--store", fresh, "--json"]);
    expect(errorOf(missing)).toMatchObject({ code: "file_not_found", exitCode: 1 });
    const folderGiven = await run(["import", folder, "--store", fresh, "--json"]);
    expect(errorOf(folderGiven)).toMatchObject({ code: "file_unsafe", exitCode: 3 });
    expect(traces(fresh)).toEqual(before);
    const saved = await run(["import", cut, "--store", fresh, "--salvage"]);
    expect(saved.code).toBe(3);
    expect(saved.stdout).toContain("2 created");
    expect(saved.stderr).toMatch(/warning: .*cut\.jsonl: line \d+ /);
  });

  it("say what differs before it is too late, and do what --on-conflict says", async () => {
    const store = await storeWithTranscript();
    const file = join(emptyFolder(), "old.jsonl");
    await run(["export", "--store", store, "-o", file]);
    await run(["patch", MAIN_KEY, "model=small", "--store", store]);
    const planned = await run(["import", file, "--store", store, "--dry-run"]);
    expect(planned).toMatchObject({ code: 1, stderr: "" });
    expect(planned.stdout).toContain(`1 conflict; 0 items appended\ndiffers  ${MAIN_KEY}\n`);
    const failed = await run(["import", file, "--store", store, "--json"]);
    expect(errorOf(failed)).toMatchObject({ code: "session_exists", data: { key: MAIN_KEY }, exitCode: 1 });
    expect((await run(["import", file, "--store", store, "--on-conflict", "skip"])).stdout).toContain(
      "3 skipped",
    );
    expect(await read(store, MAIN_KEY)).toMatchObject({ model: "small" });
    expect((await run(["import", file, "--store", store, "--on-conflict", "replace"])).code).toBe(0);
    expect(await read(store, MAIN_KEY)).toEqual(SESSIONS[MAIN_KEY]);
  });

  it("have a command line that says what is wrong with it", async () => {
    const store = await makeStore();
    for (const [args, message] of [
      [["export", "--rewrite", "a", "b"], "takes FIELD FROM TO"],
      [["export", "--rewrite", "a..b", "/x", "/y"], "is no path to a field"],
      [["export", "-o", ""], "--output must not be empty"],
      [["import", "x", "--on-conflict", "merge"], "--on-conflict must be"],
      [["rewrite", "a", "", "/b"], "two paths that are not empty"],
      [["rename-key", "a", "a"], "the two keys are the same"],
    ] as const) {
      const ended = await run([...args, "--store", store]);
      expect({ args, code: ended.code, stdout: ended.stdout }).toEqual({
        args,
        code: args[0] === "rename-key" ? 1 : 2,
        stdout: "",
      });
      if (args[0] !== "rename-key") expect(ended.stderr).toContain(message);
    }
  });

  it("leave out a damaged session and name it, code 3", async () => {
    const store = await makeStore();
    await run(["flush", "--checkpoint", "--store", store]);
    writeFileSync(join(store, "agent%3Aops%3Acron%3Anightly%3Arun%3A1/meta.json"), "{");
    const { code, stdout, stderr } = await run(["export", "--store", store]);
    expect(code).toBe(3);
    expect(stdout.match(/"type":"session"/g)).toHaveLength(2);
    expect(stdout).toContain('"damaged":1,');
    expect(stderr).toContain("left out: ");
  });

  it.runIf(process.platform !== "win32")(
    "are stopped by Ctrl-C, leave no part of a file, and go on",
    { timeout: 60_000 },
    async () => {
      const path = join(emptyFolder(), "sessions.d");
      const store = await openSessionStore(path, { durability: "os" });
      const prompt = (number: number): string =>
        createHash("sha512").update(String(number)).digest("hex").repeat(100);
      for (let first = 0; first < 3000; first += 500)
        await Promise.all(
          Array.from({ length: 500 }, (_, index) =>
            store.put(`s${first + index}`, { prompt: prompt(first + index) }),
          ),
        );
      await store.close();
      const folder = emptyFolder();
      const file = join(folder, "out.jsonl.gz");
      const exporting = start(["export", "--store", path, "-o", file]);
      await expect.poll(() => readdirSync(folder).length, { timeout: 20_000, interval: 5 }).toBe(1);
      exporting.process.kill("SIGINT");
      expect((await exporting.ended).code).toBe(130);
      expect(readdirSync(folder)).toEqual([]);
      expect((await run(["export", "--store", path, "-o", file])).code).toBe(0);
      const fresh = join(folder, "new.d");
      const importing = start(["import", file, "--store", fresh, "--create"]);
      const log = join(fresh, ".store/log/00000001.jsonl");
      await expect
        .poll(() => existsSync(log) && statSync(log).size > 20_000, { timeout: 20_000, interval: 2 })
        .toBe(true);
      importing.process.kill("SIGINT");
      expect((await importing.ended).code).toBe(130);
      const rest = await run(["import", file, "--store", fresh, "--json"]);
      expect(rest.code).toBe(0);
      const report = JSON.parse(rest.stdout) as { created: number; unchanged: number };
      expect(report.created + report.unchanged).toBe(3000);
      expect(report.unchanged).toBeGreaterThan(0);
      expect(dirname(file)).toBe(folder);
    },
  );
});

describe("recipes of docs/moving.md", () => {
  it("an agent is renamed, and its folder", async () => {
    const folder = emptyFolder();
    const state = join(folder, "state");
    const path = join(state, "agents/new/sessions/sessions.d");
    await run([
      "put",
      "agent:old:main",
      "--create",
      "--store",
      path,
      "--data",
      '{"sessionFile":"/h/agents/old/s/1.jsonl"}',
    ]);
    await run(["put", "agent:old:cron:x", "--store", path, "--data", "{}"]);
    const args = [
      "rename-key",
      "--prefix",
      "agent:old:",
      "agent:new:",
      "--state-dir",
      state,
      "--agent",
      "new",
    ];
    const planned = await run([...args, "--dry-run"]);
    expect(planned.stdout).toBe(
      "would rename agent:old:cron:x to agent:new:cron:x\nwould rename agent:old:main to agent:new:main\n",
    );
    expect((await run(args)).stdout).toBe(planned.stdout.replaceAll("would rename", "renamed"));
    const rewrite = [
      "rewrite",
      "sessionFile",
      "/h/agents/old",
      "/h/agents/new",
      "--state-dir",
      state,
      "--agent",
      "new",
    ];
    expect((await run(rewrite)).stdout).toBe("rewrote sessionFile in 1 session of 2 sessions (1 path)\n");
    expect(await read(path, "agent:new:main")).toEqual({ sessionFile: "/h/agents/new/s/1.jsonl" });
  });

  it("a store is renamed by its folder", async () => {
    const path = await makeStore();
    const { renameSync } = await import("node:fs");
    const moved = join(dirname(path), "other.d");
    renameSync(path, moved);
    expect(await contents(moved)).toEqual(SESSIONS);
    expect((await run(["patch", MAIN_KEY, "model=x", "--store", moved])).code).toBe(0);
  });
});

describe("rename-key", () => {
  it("refuses a key that is there, and one that is not; --replace replaces", async () => {
    const store = await storeWithTranscript();
    const there = await run(["rename-key", MAIN_KEY, JAMES_KEY, "--store", store, "--json"]);
    expect(errorOf(there)).toMatchObject({ code: "session_exists", data: { key: JAMES_KEY }, exitCode: 1 });
    const gone = await run(["rename-key", "agent:main:mian", "x", "--store", store, "--json"]);
    expect(errorOf(gone)).toMatchObject({ code: "not_found", exitCode: 1 });
    const done = await run(["rename-key", MAIN_KEY, JAMES_KEY, "--replace", "--store", store]);
    expect(done.stdout).toBe(
      `renamed ${MAIN_KEY} to ${JAMES_KEY}, which is replaced, with 1 transcript (2 items)\n`,
    );
    expect(await read(store, JAMES_KEY)).toEqual(SESSIONS[MAIN_KEY]);
  });
});

describe("--json", () => {
  it("is as documented", async () => {
    const store = await storeWithTranscript();
    const file = join(emptyFolder(), "x.jsonl");
    const shape = async (title: string, optional: readonly string[], ...args: string[]): Promise<void> => {
      const ended = await run([...args, "--store", store, "--json"]);
      const [example] = documentedExamples(`\`sessiondir ${title}\``);
      expect(deviationsBut(optional, JSON.parse(ended.stdout), example), args.join(" ")).toEqual([]);
    };
    await shape("export", ["fileBytes"], "export", "--dry-run");
    await shape("export", [], "export", "agent:main:gone", "--prefix", "", "-o", file);
    await shape("import", ["storeCreated"], "import", file);
    await shape("rewrite", [], "rewrite", "model", "large", "small", MAIN_KEY, "gone");
    await shape("rename-key", [], "rename-key", MAIN_KEY, "agent:main:new");
  });
});
