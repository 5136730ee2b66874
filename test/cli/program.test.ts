/**
 * Goal: what all commands share: help, version, usage errors, colours, escapes, pipes and signals.
 * Method: the built program, in a process of its own where it is about starting, pipes and signals. Times are compared with
 * those of a bare `node`.
 */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import * as nodeModule from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorOf, MAIN, run, runAlone, start } from "./support/program.js";
import { emptyFolder, MAIN_KEY, makeStore, revisionOf } from "./support/stores.js";

const COMMANDS = [
  "ls",
  "get",
  "put",
  "patch",
  "edit",
  "rm",
  "watch",
  "stats",
  "flush",
  "doctor",
  "mend",
  "rebuild",
].concat(
  ["prune", "restore", "export", "import", "rename-key", "rewrite"],
  ["inspect", "migrate", "rollback", "mirror"], // about sessions.json
);

const TRANSCRIPT_COMMANDS = ["ls", "tail", "cat", "append", "truncate", "rm", "import"].map(
  (name) => `transcript ${name}`,
);

const packageJson = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** How much longer than a bare `node` the program may take to start, and how often that is tried. */
const SLOWER_MAX = 1.6;
const ROUNDS_MIN = 7;
const ROUNDS_MAX = 28;

describe("--version", () => {
  it.each(["--version", "-V"])("%s prints that of the package", async (option) => {
    expect(await runAlone([option])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  });

  it("starts about as fast as node itself", { timeout: 120_000 }, () => {
    const timeOf = (args: string[]): number => {
      const started = performance.now();
      spawnSync(process.execPath, args);
      return performance.now() - started;
    };
    // Taken in turns, and the best of each: a busy machine slows both. So a ratio that is too high is no answer before the last round.
    let [bare, ours] = [Infinity, Infinity];
    for (let round = 0; round < ROUNDS_MIN || (round < ROUNDS_MAX && ours / bare >= SLOWER_MAX); round++) {
      bare = Math.min(bare, timeOf(["-e", "0"]));
      ours = Math.min(ours, timeOf([MAIN, "--version"]));
    }
    expect(ours / bare).toBeLessThan(SLOWER_MAX);
  });

  it.each([
    [["--version"], /\/cli\/main\.js$|\/chunks\/version\.js$/],
    [
      ["ls", "--help"],
      /\/node_modules\/commander\/|\/cli\/main\.js$|\/chunks\/(?!store|legacy|work)\w+\.js$/,
    ],
  ])("%j loads only what it needs", async (args, allowed) => {
    const folder = emptyFolder();
    expect((await runAlone(args, { env: { NODE_V8_COVERAGE: folder } })).code).toBe(0);
    const [report = ""] = readdirSync(folder);
    const { result } = JSON.parse(readFileSync(join(folder, report), "utf8")) as {
      result: { url: string }[];
    };
    const loaded = result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
    expect(loaded.length).toBeGreaterThan(0);
    expect(loaded.filter((url) => !allowed.test(url))).toEqual([]);
  });
});

/** From Node 22.1 on. */
const keepsCompiled = "enableCompileCache" in nodeModule;

it.runIf(keepsCompiled)(
  `what was compiled is kept in the user's cache folder${keepsCompiled ? "" : " (skipped: Node is older than 22.1)"}`,
  async () => {
    const XDG_CACHE_HOME = emptyFolder();
    const HOME = emptyFolder();
    const help = async (NODE_DISABLE_COMPILE_CACHE: string | undefined): Promise<void> => {
      const { code } = await runAlone(["ls", "--help"], {
        env: { XDG_CACHE_HOME, HOME, NODE_DISABLE_COMPILE_CACHE },
      });
      expect(code).toBe(0);
    };
    await help("1");
    expect(readdirSync(XDG_CACHE_HOME)).toEqual([]);
    await help(undefined);
    expect(readdirSync(join(XDG_CACHE_HOME, "sessiondir"))).not.toEqual([]);
    expect(readdirSync(HOME)).toEqual([]);
  },
);

describe("help", () => {
  it.each([...COMMANDS, ...TRANSCRIPT_COMMANDS, "backup create", "backup run"])(
    "%s --help has an example and says --store, --state-dir and --json",
    async (command) => {
      const { code, stdout, stderr } = await run([...command.split(" "), "--help"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`Usage: sessiondir ${command}`);
      expect(stdout).toContain(`\nExamples:\n  $ sessiondir ${command} `);
      for (const option of ["--store", "--state-dir", "--json"]) expect(stdout).toContain(option);
      expect(stdout).not.toContain("default: []"); // a default is for people
    },
  );

  it("lists every command, and the exit codes", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const command of [...COMMANDS, "transcript", "backup", "copy"])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    expect(stdout).toContain("130 interrupted");
    expect((await run(["help", "get"])).stdout).toContain("Usage: sessiondir get");
  });

  it("every command that changes something has --dry-run", async () => {
    for (const command of [
      "put",
      "patch",
      "edit",
      "rm",
      "flush",
      "doctor",
      "mend",
      "rebuild",
      "prune",
      "restore",
      "export",
      "import",
      "copy",
      "rename-key",
      "rewrite",
      "migrate",
      "rollback",
      "mirror",
      "transcript append",
      "transcript truncate",
      "transcript rm",
      "transcript import",
      "backup create",
      "backup restore",
      "backup prune",
    ]) {
      expect((await run([...command.split(" "), "--help"])).stdout).toContain("--dry-run");
    }
  });
});

describe("a wrong command line", () => {
  it.each([
    [[], "which command? Try sessiondir --help"],
    [["lss"], "unknown command 'lss' (Did you mean ls?)"],
    [
      ["transcript", "tail", "k", "--limit", "1"],
      "unknown option '--limit'. See sessiondir transcript tail --help",
    ],
    [["backup", "list", "--limit", "1"], "unknown option '--limit'. See sessiondir backup list --help"],
    [["ls", "--stor", "x"], "unknown option '--stor' (Did you mean --store?)"],
    [["ls", "--store"], "option '--store <path>' argument missing. See sessiondir ls --help"],
    [["get"], "missing required argument 'key'. See sessiondir get --help"],
    [["ls", "a", "b"], "too many arguments"],
    [["ls", "a", "--store", "b"], "the store is given twice"],
    [["delete", "k"], "there is no command 'delete', that is sessiondir rm"],
    [["remove"], "there is no command 'remove', that is sessiondir rm"],
    [["list"], "there is no command 'list', that is sessiondir ls"],
    [["show"], "there is no command 'show', that is sessiondir get"],
    [["repair"], "there is no command 'repair', that is sessiondir doctor"],
    [["set"], "there is no command 'set', that is sessiondir patch"],
    [["append"], "there is no command 'append', that is sessiondir transcript append"],
    [["transcript"], "which command: it has ls, tail, cat, append, truncate, rm, import"],
    [["transcript", "show", "k"], 'transcript has no command "show": it has ls,'],
    [["transcript", "cat"], "missing required argument 'key'"],
    [["transcript", "cat", ""], "a session key must not be empty"],
    [["transcript", "cat", "k", "--name", ""], "the name of a transcript must not be empty"],
    [["transcript", "cat", "k", "--from", "0"], "--from must be a whole number of at least 1"],
    [["transcript", "cat", "k", "--from", "3", "--to", "2"], "--from 3 is behind --to 2"],
    [["transcript", "rm", "k"], "required option '--name <name>' not specified"],
    [["constructor"], "unknown command 'constructor'"],
    [["ls", "--all-agents", "--cursor", "x"], "--cursor is of one store"],
    [["completion", "ksh"], "the shell must be bash, zsh, fish"],
    [["ls", "--store", "a", "--state-dir", "b"], "--store and --state-dir both say where the store is"],
    [["ls", "--store", "a", "--agent", "b"], "--agent belongs to --state-dir"],
    [["ls", "--store", ""], "target must be a path"],
    [["ls", "--store", "memory:"], "memory: is a store of another process"],
    [["ls", "--store", "postgres://user:secret@host/a@b"], "connectionString must be postgres://user"],
    [
      ["flush", "--store", "postgres://user:secret@host/db"],
      "sessiondir flush is for a store in a directory",
    ],
    [["watch", "--since", "-1"], "--since must be a whole number"],
  ])("%j: code 2 and one line", async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`sessiondir: ${message}`);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect(stderr).not.toContain("secret");
    const json = await run([...args, "--json"]);
    if (args.at(-1) !== "--store") expect(errorOf(json)).toMatchObject({ code: "usage", exitCode: 2 });
  });
});

describe("escapes in stored text", () => {
  const KEY = "k\u001b[2J\u009b31m\u202e\r\n\u0007\u{e0041}";
  const HOSTILE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u{e0041}]/u; // oxlint-disable-line no-control-regex

  it("are made visible on every way out", async () => {
    const store = await makeStore({ [KEY]: { model: KEY, lastChannel: KEY, [KEY]: KEY, updatedAt: 1 } });
    const outputs = await Promise.all(
      [
        ["ls"],
        ["ls", "--json"],
        ["get", KEY],
        ["get", KEY, "--json"],
        ["get", KEY, "--field", `${KEY}x`],
        ["get", `${KEY}x`],
        ["stats"],
        ["stats", "--json"],
        ["watch", "--since", "0", "--limit", "1"],
        ["watch", "--since", "0", "--limit", "1", "--json", "--entries"],
        ["patch", KEY, `${KEY}=1`, "--dry-run"],
        ["rm", KEY, "--dry-run"],
        ["rm", KEY, "--dry-run", "--json"],
      ].map((args) => run([...args, "--store", store], { env: { FORCE_COLOR: "0" } })),
    );
    for (const { stdout, stderr } of outputs) {
      expect(stdout + stderr).not.toMatch(HOSTILE);
      expect(stdout + stderr).toContain("\\u001b");
    }
    expect(JSON.parse(outputs[2]?.stdout ?? "")).toMatchObject({ model: KEY });
    expect(outputs[0]?.stdout.split("\n")).toHaveLength(3); // a line break in a key makes no line
  });
});

describe("colour", () => {
  // oxlint-disable-next-line no-control-regex
  const COLOR = /\u001b\[/;
  it.each([
    ["never in a pipe", {}, false],
    ["not because of CI", { CI: "1" }, false],
    ["with FORCE_COLOR", { FORCE_COLOR: "1" }, true],
    ["never with NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
  ])("%s", async (_when, env, expected) => {
    const store = await makeStore();
    expect(COLOR.test((await runAlone(["ls", "--store", store], { env })).stdout)).toBe(expected);
    expect(COLOR.test((await runAlone(["get", "no", "--store", store], { env })).stderr)).toBe(expected);
    expect((await runAlone(["ls", "--store", store, "--json"], { env })).stdout).not.toMatch(COLOR);
  });
});

describe("pipes and signals", () => {
  it("ends quietly when the reader goes away", async () => {
    // Three times what a pipe holds: a store of many sessions takes its time to make.
    const sessions = Object.fromEntries(
      Array.from({ length: 600 }, (_, index) => [`key ${index}`.padEnd(200), {}]),
    );
    const store = await makeStore(sessions);
    const ls = spawn(process.execPath, [MAIN, "ls", "--json", "--store", store], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    ls.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    ls.stdout.once("data", () => ls.stdout.destroy());
    const code = await new Promise((resolve) => ls.on("close", resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it.skipIf(process.platform !== "linux")("says so when the output cannot be written", async () => {
    const args = ["-c", '"$0" "$@" > /dev/full', process.execPath, MAIN, "ls", "--store", await makeStore()];
    const { status, stderr } = spawnSync("/bin/sh", args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^sessiondir: the output could not be written: .*ENOSPC.*\n$/);
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "%s while it waits for input: 130, nothing written",
    async (signal) => {
      const store = await makeStore();
      const last = await revisionOf(store);
      const put = start(["put", MAIN_KEY, "--store", store], { keepInputOpen: true });
      // It has come as far as reading when it has taken the first bytes; then they are gone from the pipe.
      put.process.stdin?.write("{");
      await put.readsInput();
      put.process.kill(signal);
      const { code, stdout, stderr } = await put.ended;
      expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
      expect(stderr).toBe(
        "sessiondir: interrupted while reading standard input. Nothing is half done; run the same command again.\n",
      );
      expect(await revisionOf(store)).toBe(last);
    },
  );

  it("says in JSON that it was interrupted", async () => {
    const store = await makeStore();
    const put = start(["put", MAIN_KEY, "--store", store, "--json"], { keepInputOpen: true });
    await put.readsInput();
    put.process.kill("SIGINT");
    expect(errorOf(await put.ended)).toMatchObject({
      code: "interrupted",
      data: { doing: "reading standard input" },
      exitCode: 130,
    });
  });
});
