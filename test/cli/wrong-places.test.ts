/**
 * Goal: whoever tries a command in the wrong place is told what is wrong and what to do, and nothing is made or changed.
 * Method: every command in an empty directory, on a missing path, in a read-only directory and on a damaged store; what
 * is on disk is compared before and after.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { makeLegacy } from "./support/legacy.js";
import { errorOf, MAIN, run } from "./support/program.js";
import {
  CRON_KEY,
  emptyFolder,
  MAIN_KEY,
  makeReadOnly,
  makeStore,
  SESSIONS,
  traces,
} from "./support/stores.js";

/** Root may write anywhere: in a read-only directory another user has to try. */
const user = process.getuid?.() === 0 ? 65534 : undefined;

/** A file that everybody may read: one item. */
const LINES = fileURLToPath(new URL("support/item.jsonl", import.meta.url));
/** The same: an export of one session. */
const MOVED = fileURLToPath(new URL("support/moved.jsonl", import.meta.url));

/** An editor in which nobody changes anything. */
const EDITOR = { EDITOR: "true" };

const READING: readonly (readonly string[])[] = [
  ["ls"],
  ["get", MAIN_KEY],
  ["stats"],
  ["watch", "--since", "0", "--limit", "1"],
  ["put", MAIN_KEY, "--data", "{}", "--dry-run"],
  ["patch", MAIN_KEY, "a=1", "--dry-run"],
  ["edit", MAIN_KEY, "--dry-run"],
  ["rm", MAIN_KEY, "--dry-run"],
  ["flush", "--dry-run"],
  ["doctor", "--fix"], // of a healthy store there is nothing to write
  ["doctor"],
  ["mend", "--dry-run"],
  ["transcript", "ls", MAIN_KEY],
  ["transcript", "cat", MAIN_KEY],
  ["transcript", "tail", MAIN_KEY, "-f"],
  ["transcript", "append", MAIN_KEY, "--dry-run"],
  ["transcript", "truncate", MAIN_KEY, "--after-seq", "0", "--dry-run"],
  ["transcript", "rm", MAIN_KEY, "--name", "main", "--dry-run"],
  ["transcript", "import", MAIN_KEY, LINES, "--dry-run"],
  ["prune", "--keys", "agent:*", "--older-than", "4h", "--dry-run"],
  ["prune", "--history"],
  ["export"],
  ["export", "--dry-run"],
  ["import", MOVED, "--dry-run"],
  ["rename-key", MAIN_KEY, "agent:main:new", "--dry-run"],
  ["rewrite", "sessionFile", "/home/old", "/home/new", "--dry-run"],
];
const WRITING: readonly (readonly string[])[] = [
  ["put", MAIN_KEY, "--data", "{}"],
  ["patch", MAIN_KEY, "a=1"],
  ["edit", MAIN_KEY],
  ["rm", MAIN_KEY],
  ["flush", "--checkpoint"],
  ["mend", "--quiet"],
  ["transcript", "append", MAIN_KEY],
  ["transcript", "truncate", MAIN_KEY, "--after-seq", "0"],
  ["transcript", "rm", MAIN_KEY, "--name", "main"],
  ["transcript", "import", MAIN_KEY, LINES],
  ["prune", "--keys", "agent:*", "--older-than", "4h"],
  ["import", MOVED],
  ["rename-key", MAIN_KEY, "agent:main:new"],
  ["rewrite", "model", "large", "small"],
];
const ALL = [...READING, ...WRITING];
/** These work on `sessions.json` as well as on a store, or need both. */
const LEGACY: readonly (readonly string[])[] = [
  ["inspect"],
  ["migrate"],
  ["migrate", "--dry-run"],
  ["rollback"],
  ["rollback", "--dry-run"],
  ["mirror", "--once"],
  ["mirror", "--dry-run"],
];

describe.each(ALL)("%s %s %s %s %s", (...args) => {
  it("in an empty directory", async () => {
    const cwd = emptyFolder();
    for (const store of [".", "sessions.d"]) {
      const { code, stdout, stderr } = await run([...args, "--store", store], { cwd });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^sessiondir: there is no session store at .*Check --store; .*\n$/);
    }
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("without any store anywhere", async () => {
    const HOME = emptyFolder();
    const { code, stderr } = await run(args, { env: { HOME } });
    expect(code).toBe(1);
    expect(stderr).toContain(HOME);
    expect(readdirSync(HOME)).toEqual([]);
  });

  it("on a missing path", async () => {
    const path = join(emptyFolder(), "no/such/store.d");
    const ended = await run([...args, "--store", path, "--json"]);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(errorOf(ended)).toMatchObject({ code: "store_not_found", data: { path }, exitCode: 1 });
    expect(existsSync(dirname(path))).toBe(false);
  });
});

describe.each(LEGACY)("%s %s", (...args) => {
  it("in an empty directory, on a missing path, and without any state directory", async () => {
    const cwd = emptyFolder();
    for (const store of ["sessions.json", "sessions.d", "no/such/sessions.json"]) {
      const { code, stdout, stderr } = await run([...args, "--store", store], { cwd });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^sessiondir: there is n.*[Cc]heck --store.*\n$/);
    }
    const { code, stderr } = await run(args, { env: { HOME: cwd } });
    expect(code).toBe(1);
    expect(stderr).toContain(`${cwd}/.openclaw`);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("in a read-only directory", async ({ skip }) => {
    if (process.platform === "win32") skip("modes mean something else here");
    const legacy = args[0] === "migrate" || args[0] === "inspect";
    const path = legacy ? makeLegacy() : await makeStore();
    makeReadOnly(dirname(path), user);
    if ((await run(["--version"], { user })).code !== 0) skip(`another user cannot read ${MAIN}`);
    const before = traces(dirname(path));
    const { code, stderr } = await run([...args, "--store", path], { user });
    const reads = args[0] === "inspect" || args.includes("--dry-run");
    expect(code).toBe(reads ? 0 : 1);
    const plans = args[0] !== "inspect" && reads;
    if (plans)
      expect(stderr).toMatch(/This user may not write in .*Run it as the user that the gateway runs as\.\n$/);
    else if (reads) expect(stderr).toBe("");
    else expect(stderr).toMatch(/EACCES.*Run it as the user that the gateway runs as/);
    expect(traces(dirname(path))).toEqual(before);
  });
});

describe("near the right place", () => {
  it("the folder above a store", async () => {
    const store = await makeStore();
    const { code, stderr } = await run(["ls", "--store", dirname(store)]);
    expect(code).toBe(1);
    expect(stderr).toContain(`Did you mean ${store}?`);
  });

  it("a sessions.json that was never migrated", async () => {
    const folder = emptyFolder();
    const legacy = join(folder, "sessions.json");
    writeFileSync(legacy, "{}");
    for (const store of [legacy, join(folder, "sessions.d")]) {
      const ended = await run(["ls", "--store", store]);
      expect(ended.code).toBe(3);
      expect(ended.stderr).toContain(`sessiondir migrate --store ${legacy}`);
    }
    expect((await run(["ls", "--store", folder])).stderr).toContain(`Did you mean ${legacy}?`);
  });

  it("a folder that holds other things, and a file", async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, "src"));
    const foreign = await run(["ls", "--store", folder]);
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toContain('for example "src"');
    writeFileSync(join(folder, "notes.txt"), "");
    const file = await run(["ls", "--store", join(folder, "notes.txt")]);
    expect(file.code).toBe(1);
    expect(file.stderr).toContain("is not a folder");
  });

  it("the store of a sessions.json, by the name of that file", async () => {
    const store = await makeStore();
    const { code, stdout } = await run(["get", CRON_KEY, "--store", store.replace(/\.d$/, ".json")]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(SESSIONS[CRON_KEY]);
  });
});

describe("a damaged store", () => {
  it("one damaged session: the others are listed, a warning names it, code 3", async () => {
    const store = await makeStore();
    await run(["flush", "--checkpoint", "--store", store]);
    writeFileSync(join(store, "agent%3Aops%3Acron%3Anightly%3Arun%3A1/meta.json"), "{");
    const { code, stdout, stderr } = await run(["ls", "--store", store]);
    expect(code).toBe(3);
    expect(stdout.trimEnd().split("\n")).toHaveLength(3);
    expect(stderr).toContain("sessiondir: warning: ");
    const json = await run(["ls", "--store", store, "--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({
      warning: { code: "entry_corrupt", data: { key: CRON_KEY } },
    });
    expect(await run(["get", CRON_KEY, "--store", store])).toMatchObject({ code: 3, stdout: "" });
    expect(await run(["get", MAIN_KEY, "--store", store])).toMatchObject({ code: 0, stderr: "" });
  });

  it("a damaged session can be patched, replaced and removed, each says so", async () => {
    const store = await makeStore();
    await run(["flush", "--checkpoint", "--store", store]);
    const damage = (): void =>
      writeFileSync(join(store, "agent%3Aops%3Acron%3Anightly%3Arun%3A1/meta.json"), "{");
    damage();
    const edit = await run(["edit", CRON_KEY, "--store", store], { env: { EDITOR: "false" } });
    expect(edit).toMatchObject({ code: 3, stdout: "" });
    expect(edit.stderr).toContain(CRON_KEY);
    const patch = await run(["patch", CRON_KEY, "a=1", "--store", store]);
    expect(patch.stdout).toMatch(/^replaced \S+, which was damaged, revision \d+: set a\n$/);
    await run(["flush", "--checkpoint", "--store", store]);
    damage();
    const held = await run([
      "put",
      CRON_KEY,
      "--data",
      "{}",
      "--if-revision",
      "3",
      "--store",
      store,
      "--json",
    ]);
    expect(errorOf(held)).toMatchObject({ code: "entry_corrupt", exitCode: 3 });
    const dry = await run(["rm", CRON_KEY, "--store", store, "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stdout: `would delete ${CRON_KEY}, which was damaged\n` });
    const put = await run(["put", CRON_KEY, "--data", '{"new":1}', "--store", store, "--json"]);
    expect(JSON.parse(put.stdout)).toMatchObject({ action: "replace", damaged: true, previousRevision: 0 });
    expect((await run(["get", CRON_KEY, "--store", store])).stdout).toBe('{\n  "new": 1\n}\n');
    await run(["flush", "--checkpoint", "--store", store]);
    damage();
    const rm = await run(["rm", CRON_KEY, "--store", store]);
    expect(rm.stdout).toBe(`deleted ${CRON_KEY}, which was damaged\n`);
    expect((await run(["get", CRON_KEY, "--store", store])).code).toBe(1);
  });

  it("the store's own description is gone: code 3, nothing changed", async () => {
    const store = await makeStore();
    rmSync(join(store, ".store/format.json"));
    const before = traces(store);
    for (const args of [["ls"], ["put", "k", "--data", "{}"], ["put", "k", "--data", "{}", "--create"]]) {
      const ended = await run([...args, "--store", store, "--json"]);
      expect(ended.code).toBe(3);
      expect(errorOf(ended)).toMatchObject({ code: "format_damaged", exitCode: 3 });
    }
    expect(traces(store)).toEqual(before);
  });
});

describe("in a read-only directory", () => {
  it("reading works, writing says what to do", async ({ skip }) => {
    if (process.platform === "win32") skip("modes mean something else here");
    const store = await makeStore();
    await run(["transcript", "append", MAIN_KEY, "--store", store], { input: '{"text":"hello"}\n' });
    makeReadOnly(dirname(store), user);
    const version = await run(["--version"], { user });
    if (version.code !== 0) skip(`another user cannot read ${MAIN}`);
    const before = traces(store);
    for (const given of READING) {
      const args = given.filter((arg) => arg !== "-f"); // which never ends
      const { code, stderr } = await run([...args, "--store", store, "--quiet"], { user, env: EDITOR });
      expect({ args, code, stderr }).toEqual({
        args,
        code: 0,
        stderr: "",
      });
    }
    for (const args of [...WRITING, ["put", "k", "--data", "{}", "--create"]]) {
      const path = args.includes("--create") ? join(dirname(store), "new.d") : store;
      const { code, stdout, stderr } = await run([...args, "--store", path], { user, env: EDITOR });
      expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: "" });
      expect(stderr).toMatch(/^sessiondir: .*EACCES.*Run it as the user that the gateway runs as.*\n$/);
      expect(stderr).not.toContain("try again"); // one next step, not two
    }
    expect(traces(store)).toEqual(before);
  });
});
