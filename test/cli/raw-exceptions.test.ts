/**
 * Goal: nothing ends in a stack: whatever the place refuses, there is one line with the next step and a documented code.
 * Method: every command in places where nothing works, one after the other in a process that is in such a place; and one
 * command of each kind started there, through a shell, for that Node starts there too is the same for all.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { MAIN, run, runAlone, type Ended } from "./support/program.js";
import { emptyFolder, makeStore } from "./support/stores.js";

const COMMANDS: readonly (readonly string[])[] = [
  ["ls"],
  ["get", "k"],
  ["put", "k", "--data", "{}"],
  ["patch", "k", "a=1"],
  ["edit", "k"],
  ["rm", "k"],
  ["watch", "--limit", "1", "--since", "0"],
  ["stats"],
  ["flush"],
  ["prune", "--older-than", "1d"],
  ["restore", "k"],
  ["inspect"],
  ["migrate"],
  ["rollback"],
  ["mirror", "--once"],
];

const STACK = /\n\s+at |should not happen|ExperimentalWarning.*\n.*Error:/;

function shell(script: string, args: readonly string[]): Ended {
  const words = [process.execPath, MAIN, ...args];
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", script, ...words], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: "/nonexistent" },
  });
  return { code: status, stdout, stderr };
}

function expectCleanFailure({ code, stderr }: Ended): void {
  expect([1, 2, 3], stderr).toContain(code);
  expect(stderr).toMatch(/^sessiondir: /m);
  expect(stderr).not.toMatch(STACK);
}

const permission = process.allowedNodeEnvironmentFlags.has("--permission")
  ? "--permission"
  : "--experimental-permission";
const NO_RIGHTS = [permission, `--allow-fs-read=${dirname(dirname(dirname(MAIN)))}/*`];

describe.each(COMMANDS)("%s %s %s %s", (...args) => {
  it("under Node's permission model without a right to read the store", async () => {
    const store = await makeStore();
    const ended = await run([...args, "--store", store], { nodeOptions: NO_RIGHTS });
    expectCleanFailure(ended);
    expect(ended.stderr).toContain("--allow-fs-read");
  });

  it("in a folder that was removed", async () => {
    const cwd = mkdtempSync(join(emptyFolder(), "gone-"));
    const ended = await run([...args, "--store", "x.d"], { cwd, cwdGone: true });
    expectCleanFailure(ended);
    expect(ended.stderr).toContain("the current folder was removed");
  });

  it("on a file, on a link to itself, on a name that is too long, and without a home", async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "file.d"), "text");
    symlinkSync("link.d", join(folder, "link.d"));
    for (const name of ["file.d", "link.d", `${"x".repeat(300)}.d`])
      expectCleanFailure(await run([...args, "--store", join(folder, name)]));
    mkdirSync(join(folder, "state"));
    const state = join(folder, "state/agents\nx");
    expectCleanFailure(await run([...args, "--state-dir", state], { env: { HOME: undefined } }));
  });

  it("without a reader of its output", async () => {
    const store = await makeStore();
    const ended = await run([...args, "--store", store], { outputGone: true });
    expect(ended.stderr).not.toMatch(STACK);
    expect([0, 1, 2, 3], ended.stderr).toContain(ended.code);
  });
});

describe("started", () => {
  it("under Node's permission model without a right to read the store", async () => {
    const ended = await runAlone(["ls", "--store", await makeStore()], { nodeOptions: NO_RIGHTS });
    expectCleanFailure(ended);
    expect(ended.stderr).toContain("--allow-fs-read");
  });

  it("in a folder that was removed", () => {
    const gone = join(emptyFolder(), "gone");
    const ended = shell(`mkdir "${gone}"; cd "${gone}"; rmdir "${gone}"; "$0" "$@"`, [
      "ls",
      "--store",
      "x.d",
    ]);
    expectCleanFailure(ended);
    expect(ended.stderr).toContain("the current folder was removed");
  });

  it.each(["ls", "put k", "migrate --dry-run"])(
    "with its outputs and its input closed: %s",
    async (words) => {
      const args = words.split(" ");
      const { stdout, stderr } = shell('"$0" "$@" <&- | :', [...args, "--store", await makeStore()]);
      expect(stdout + stderr).not.toMatch(STACK);
    },
  );
});
