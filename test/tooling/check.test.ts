/**
 * Goal: all checks run, whatever failed before; each prints one block, in order; what a build has to make is not judged without
 * it; the names are scripts of package.json.
 * Method: the runner on checks that end when the test says so; the program with a name that it does not know.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { CHECKS, runChecks } from "../../scripts/check.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("knows scripts of package.json only, each once, and the build comes first", () => {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as {
    scripts: Record<string, string>;
  };
  const names = CHECKS.map(({ name }) => name);
  expect(names.filter((name) => !(name in scripts))).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
  expect(names[0]).toBe("build");
});

it("runs everything, two at a time, whatever failed, in blocks that stand in order", async () => {
  let printed = "";
  const open = new Map<string, (passed: boolean) => void>();
  const begun: string[] = [];
  const run = (name: string, output: Buffer[]): Promise<boolean> => {
    begun.push(name);
    output.push(Buffer.from(`output of ${name}\n`));
    return new Promise((resolve) => open.set(name, resolve));
  };
  const checks = ["slow", "quick", "third", "last"].map((name) => ({ name }));
  const all = runChecks(
    [...checks, { name: "needs-quick", needs: "quick" }, { name: "needs-third", needs: "third" }],
    (text) => (printed += text.toString()),
    run,
  );
  /** Ends a check that has begun, and waits until what that lets begin has begun. */
  const end = async (name: string, passed: boolean, next?: string): Promise<void> => {
    open.get(name)!(passed);
    if (next !== undefined) await expect.poll(() => begun.at(-1)).toBe(next);
  };
  await expect.poll(() => begun).toEqual(["slow", "quick"]);
  await end("quick", false, "third");
  expect(printed).toBe("");
  await end("slow", true, "last");
  await end("third", true, "needs-third");
  await end("last", true);
  await end("needs-third", true);
  expect(await all).toEqual(["quick", "needs-quick"]);
  expect(
    printed
      .replaceAll(/\(\d+\.\d s\)/g, "(time)")
      .split("\n> ")
      .slice(1),
  ).toEqual([
    "slow (time)\noutput of slow\n",
    "quick: FAILED (time)\noutput of quick\n",
    "third (time)\noutput of third\n",
    "last (time)\noutput of last\n",
    'needs-quick: FAILED (time)\nnot run: it needs what "quick" makes\n',
    "needs-third (time)\noutput of needs-third\n",
  ]);
});

it("says which checks there are", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/check.mjs", "lnit"], {
    cwd: root,
    encoding: "utf8",
  });
  expect(status).toBe(2);
  expect(stderr).toContain('there is no check "lnit"; there are build, typecheck, lint');
});
