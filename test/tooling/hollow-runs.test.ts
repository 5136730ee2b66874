/**
 * Goal: a run that lacked what it is about does not end well: the benchmark's lock file installs everywhere, a benchmark without
 * its peer fails, and so do long tests and mutants of which nothing was run.
 * Method: npm itself on the lock file, without a network; the lock file's own lists, for platforms that this is not; the programs, with
 * what they need taken away.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { missingOf } from "../../bench/report/terminal.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Locked {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

describe.each([".", "bench"])("the lock file in %s", (folder) => {
  const { packages } = JSON.parse(readFileSync(join(root, folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };

  it("has every package of every platform, and names no registry", () => {
    const missing: string[] = [];
    for (const [path, { dependencies, optionalDependencies }] of Object.entries(packages))
      for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
        if (!placesOf(path, name).some((place) => place in packages)) missing.push(`${name} of ${path}`);
    expect(missing).toEqual([]);
    const installed = Object.entries(packages).filter(([path]) => path !== "");
    expect(installed.length).toBeGreaterThan(50);
    expect(installed.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    expect(installed.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
  });

  it("is in step with package.json: npm ci would install it", () => {
    const copy = mkdtempSync(join(tmpdir(), "sessiondir-lock-"));
    onTestFinished(() => rmSync(copy, { recursive: true }));
    for (const name of ["package.json", "package-lock.json"])
      cpSync(join(root, folder, name), join(copy, name));
    const cache = join(copy, "cache");
    const options = [
      "--dry-run",
      "--offline",
      "--cache",
      cache,
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
    ];
    const { status, stderr } = spawnSync("npm", ["ci", ...options], { cwd: copy, encoding: "utf8" });
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });
});

/** Where Node looks for a package that another one requires, nearest first. */
function placesOf(path: string, name: string): string[] {
  const parts = path === "" ? [] : path.split("/node_modules/");
  const folders = parts.map((_, index) => `${parts.slice(0, index + 1).join("/node_modules/")}/`);
  return [...folders.reverse(), ""].map((folder) => `${folder}node_modules/${name}`);
}

describe("a benchmark", () => {
  const skipped = [{ name: "better-sqlite3", reason: "npm ci failed" }];

  it("has failed without the peer that its goals are about, and ends by saying so", () => {
    const { lines, hollow } = missingOf({
      skipped,
      measured: ["sessiondir", "sessions.json"],
      needsPeer: true,
    });
    expect(hollow).toBe(true);
    expect(lines[0]).toContain("skipped: better-sqlite3: npm ci failed");
    expect(lines[1]).toContain("npm ci --prefix bench");
  });

  it("has not failed with it, or where others were asked for, and still names who was skipped", () => {
    const lmdb = [{ name: "lmdb", reason: "no binary" }];
    expect(missingOf({ skipped: lmdb, measured: ["sessiondir", "better-sqlite3"], needsPeer: true })).toEqual(
      { lines: ["skipped: lmdb: no binary"], hollow: false },
    );
    expect(missingOf({ skipped, measured: ["sessiondir"], needsPeer: false }).hollow).toBe(false);
  });
});

describe("a run of nothing", () => {
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = process.env) =>
    spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", env });

  it("of long tests, because all were skipped, fails and says how to see what is missing", () => {
    const programs = mkdtempSync(join(tmpdir(), "sessiondir-programs-"));
    onTestFinished(() => rmSync(programs, { recursive: true }));
    const sleep = ["/bin/sleep", "/usr/bin/sleep"].find((path) => existsSync(path)) ?? "";
    symlinkSync(sleep, join(programs, "sleep"));
    const nothingInstalled = { ...process.env, PATH: programs };
    const { status, stderr } = run(
      ["scripts/long-tests.mjs", "injections", "--cases", "1"],
      nothingInstalled,
    );
    expect(stderr).toContain("nothing was run");
    expect(status).toBe(1);
  }, 120_000);

  it("of mutants, because none has the name, fails", () => {
    const { status, stderr } = run(["mutants/main.mjs", "--only", "no mutant is called like this"]);
    expect(stderr).toContain("--list");
    expect(status).toBe(2);
  });
});
