/**
 * Goal: nothing ends in a stack: whatever the place refuses, there is one line with the next step and a documented code.
 * Method: every command in places where nothing works; through a shell where the place is one of the process itself.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { MAIN, run, type Ended } from "./support/program.js";
import { emptyFolder, makeStore } from "./support/stores.js";

const COMMANDS: readonly (readonly string[])[] = [
  ["ls"],
  ["get", "k"],
  ["put", "k", "--data", "{}"],
  ["patch", "k", "a=1"],
  ["rm", "k"],
  ["watch", "--limit", "1", "--since", "0"],
  ["stats"],
  ["flush"],
  ["inspect"],
  ["migrate"],
  ["rollback"],
  ["mirror", "--once"],
];

function shell(script: string, args: readonly string[], nodeOptions: readonly string[] = []): Ended {
  const words = [process.execPath, ...nodeOptions, MAIN, ...args];
  const { status, stdout, stderr } = spawnSync("/bin/sh", ["-c", script, ...words], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: "/nonexistent" },
  });
  return { code: status, stdout, stderr };
}

function expectCleanFailure({ code, stderr }: Ended): void {
  expect([1, 2, 3], stderr).toContain(code);
  expect(stderr).toMatch(/^sessiondir: /m);
  expect(stderr).not.toMatch(/\n\s+at |should not happen|ExperimentalWarning.*\n.*Error:/);
}

const permission = process.allowedNodeEnvironmentFlags.has("--permission")
  ? "--permission"
  : "--experimental-permission";

describe.each(COMMANDS)("%s %s %s %s", (...args) => {
  it("under Node's permission model without a right to read the store", async () => {
    const store = await makeStore();
    const root = dirname(dirname(dirname(MAIN)));
    const ended = shell('"$0" "$@"', [...args, "--store", store], [permission, `--allow-fs-read=${root}/*`]);
    expectCleanFailure(ended);
    expect(ended.stderr).toContain("--allow-fs-read");
  });

  it("in a folder that was removed", () => {
    const gone = join(emptyFolder(), "gone");
    expectCleanFailure(
      shell(`mkdir "${gone}"; cd "${gone}"; rmdir "${gone}"; "$0" "$@"`, [...args, "--store", "x.d"]),
    );
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

  it("with its outputs and its input closed", async () => {
    const store = await makeStore();
    const { stdout, stderr } = shell('"$0" "$@" <&- | :', [...args, "--store", store, "--dry-run"]);
    expect(stdout + stderr).not.toMatch(/\n\s+at |should not happen/);
  });
});
