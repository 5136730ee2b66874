/**
 * Goal: the scripts complete commands, options and keys. Method: each shell reads its script; bash completes a line as it does
 * for a person, with the program on its PATH.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MAIN, run } from "../support/program.js";
import { CRON_KEY, emptyFolder, JAMES_KEY, MAIN_KEY, makeStore } from "../support/stores.js";

const has = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0;

/** What bash offers for a line whose end is the cursor. */
async function completeInBash(line: string): Promise<string[]> {
  const bin = emptyFolder();
  writeFileSync(join(bin, "sessiondir"), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`);
  chmodSync(join(bin, "sessiondir"), 0o755);
  const { stdout: script } = await run(["completion", "bash"]);
  const ask = `${script}\nCOMP_LINE="$1" COMP_POINT=\${#1} _sessiondir; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}`, HOME: bin };
  const { stdout, stderr } = spawnSync("bash", ["-c", `COMP_WORDBREAKS=$' \t\n:='; ${ask}`, "bash", line], {
    env,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

describe("completion", () => {
  it.skipIf(!has("bash"))(
    "completes commands, options and values in bash (skipped where there is no bash: apt-get install bash)",
    async () => {
      expect(await completeInBash("sessiondir mi")).toEqual(["migrate", "mirror"]);
      expect(await completeInBash("sessiondir ls --al")).toEqual(["--all-agents"]);
      expect(await completeInBash("sessiondir ls --order u")).toEqual(["updatedAt"]);
      expect(await completeInBash("sessiondir completion ")).toEqual(["bash", "zsh", "fish"]);
      expect(await completeInBash("sessiondir tr")).toEqual(["transcript"]);
      expect(await completeInBash("sessiondir transcript ta")).toEqual(["tail"]);
      expect(await completeInBash("sessiondir transcript cat --la")).toEqual(["--last"]);
    },
  );

  it.skipIf(!has("bash"))(
    "completes keys behind their last colon in bash (skipped where there is no bash: apt-get install bash)",
    async () => {
      const store = await makeStore();
      const line = `sessiondir get --store ${store} agent:`;
      expect(await completeInBash(line)).toEqual([MAIN_KEY, JAMES_KEY, CRON_KEY].map((key) => key.slice(6)));
      const nested = `sessiondir transcript tail --name x --store ${store} agent:ops:c`;
      expect(await completeInBash(nested)).toEqual([CRON_KEY.slice("agent:ops:".length)]);
      expect(await completeInBash(`${line}main:t`)).toEqual(["telegram:direct:james"]);
      expect(await completeInBash(`sessiondir get --store /nonexistent agent:`)).toEqual([]);
    },
  );

  it.each(["bash", "zsh", "fish"])(
    "%s reads its script (not run where there is no such shell)",
    async (shell) => {
      const { code, stdout } = await run(["completion", shell]);
      expect(code).toBe(0);
      for (const word of ["all-agents", "__keys", "rollback", "if-revision"]) expect(stdout).toContain(word);
      if (!has(shell)) return;
      const script = join(emptyFolder(), "script");
      writeFileSync(script, stdout);
      const { status, stderr } = spawnSync(shell, ["-n", script], { encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
  );

  it("keys are silence where something is wrong", async () => {
    expect(await run(["__keys", "a", "--", "get", "--store", "/nonexistent"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    const store = await makeStore();
    const { stdout } = await run(["__keys", "agent:ops", "--", "get", `--store=${store}`]);
    expect(stdout).toBe(`${CRON_KEY}\n`);
  });
});
