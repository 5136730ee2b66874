/** Goal: the man page has every command and renders without complaint. Method: the built program, and man where there is one. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { run } from "../support/program.js";

const hasMan = spawnSync("man", ["--version"]).status === 0;
const hasMandoc = spawnSync("mandoc", ["/dev/null"]).error === undefined;

describe("man", () => {
  it("is the page that the package installs, and has every command and option", async () => {
    const { code, stdout } = await run(["man"]);
    expect(code).toBe(0);
    expect(readFileSync(new URL("../../../dist/man/sessiondir.1", import.meta.url), "utf8")).toBe(stdout);
    const help = (await run(["--help"])).stdout;
    for (const [, command = ""] of help.matchAll(/^ {2}([a-z]+) .*\[options\]/gm)) {
      expect(stdout).toContain(`.SS "sessiondir ${command} `);
    }
    expect(stdout).not.toContain("__keys");
  });

  it.skipIf(!hasMan)(
    "renders with man -l (skipped where there is no man: apt-get install man-db)",
    async () => {
      const { stdout: input } = await run(["man"]);
      const env = { ...process.env, MANWIDTH: "80", LC_ALL: "C" };
      const { status, stdout, stderr } = spawnSync("man", ["--warnings", "-l", "-"], {
        input,
        env,
        encoding: "utf8",
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout.split(/.[\b]/).join("")).toMatch(/^EXIT STATUS$/m);
    },
  );

  it.skipIf(!hasMandoc)(
    "has no mistake for mandoc (skipped where there is no mandoc: apt-get install mandoc)",
    async () => {
      const { stdout: input } = await run(["man"]);
      const { stdout } = spawnSync("mandoc", ["-Tlint", "-Wwarning"], { input, encoding: "utf8" });
      expect(stdout.split("\n").filter((line) => !line.includes("missing date"))).toEqual([""]);
    },
  );
});
