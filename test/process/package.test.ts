/**
 * Goal: the package works wherever it can be installed: its entry points can be imported and required, with types under every
 * way in which TypeScript finds modules, and it has all it needs although no dist/ is in the repository.
 * Method: what a clone has is copied and packed as npm packs a repository, with `prepare`; the tarball is installed into an empty
 * project, without a network, and used there by real processes and the real compiler.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
};
const ENTRIES = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => `sessiondir${path.slice(1)}`);

/** Sources that pages speak of, and the page that only those need who change them: it is a tenth of what the package may have. */
const OF_REPOSITORY = /^(?:src|test|sim|mutants|examples)\/|^docs\/evidence\/mutants\./;
/** Pages beside the manifest. */
const PAGES = readdirSync(root).filter((name) => name.endsWith(".md"));

/** A third of what was packed when each module was a file, 1,719 files of 6.3 MB together; and what is new since: the care of stores, retention too, PostgreSQL with its copies, and leases. */
const FILES_MAX = 573;
const BYTES_MAX = 2_100_000 + 1_000_000;

const folder = mkdtempSync(join(tmpdir(), "sessiondir-package-"));
const project = join(folder, "project");
afterAll(() => rmSync(folder, { recursive: true }));

function run(program: string, args: readonly string[], cwd = project): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  expect({ status, stderr }, `${program} ${args.join(" ")}\n${stdout}`).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** Runs a program of the project and gives what it printed, parsed. */
function evaluate(name: string, text: string): unknown {
  writeFileSync(join(project, name), text);
  return JSON.parse(run(process.execPath, [name]));
}

/** Where the project has the package. */
function installed(): string {
  return join(project, "node_modules/sessiondir");
}

/** Paths of files below a folder. */
function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)));
}

beforeAll(() => {
  const clone = join(folder, "clone");
  mkdirSync(clone);
  const files = [
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "LICENSE",
    "docs",
    "scripts",
    "src",
    ...PAGES,
  ];
  for (const name of files) cpSync(join(root, name), join(clone, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
  run("npm", ["pack", "--loglevel=error", "--pack-destination", folder], clone);

  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }');
  // The dependencies come from here, so that no registry is asked.
  const dependencies = Object.keys(manifest.dependencies).map((name) => join(root, "node_modules", name));
  const packages = [join(folder, `sessiondir-${manifest.version}.tgz`), ...dependencies];
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", ...packages]);
}, 120_000);

it("the list of entry points is the one that is documented", () => {
  expect(ENTRIES).toEqual([
    "sessiondir",
    "sessiondir/backup",
    "sessiondir/doctor",
    "sessiondir/legacy",
    "sessiondir/lease",
    "sessiondir/moving",
    "sessiondir/openclaw",
    "sessiondir/postgres",
    "sessiondir/retention",
    "sessiondir/testing",
  ]);
});

describe.each(ENTRIES)("%s", (entry) => {
  const NAMES = "console.log(JSON.stringify(Object.keys(entry).sort()));\n";

  it("can be required, alone in its process, and has the names that it has when imported", () => {
    const required = evaluate("names.cjs", `const entry = require("${entry}");\n${NAMES}`);
    const imported = evaluate("names.mjs", `import * as entry from "${entry}";\n${NAMES}`);
    expect(required).toEqual(imported);
    expect(required).not.toEqual([]);
  });

  it("has the names that its source exports, and no others", async () => {
    const source = join(root, "src", entry.slice("sessiondir".length), "index.ts");
    const names = Object.keys((await import(source)) as object).sort();
    expect(evaluate("names.mjs", `import * as entry from "${entry}";\n${NAMES}`)).toEqual(names);
  });

  it("is there once in a process, however it is loaded", () => {
    const program = `
      const required = require("${entry}");
      import("${entry}").then((imported) =>
        console.log(JSON.stringify(Object.keys(imported).filter((name) => imported[name] !== required[name]))),
      );`;
    expect(evaluate("once.cjs", program)).toEqual([]);
  });
});

it("a CommonJS program keeps a session", () => {
  const program = `
    const { openSessionStore } = require("sessiondir");
    const { inspectLegacyStore } = require("sessiondir/legacy");
    async function main() {
      const store = await openSessionStore("sessions.d");
      await store.put("a", { n: 1 });
      await store.close();
      const { outcome } = await inspectLegacyStore("sessions.json");
      console.log(JSON.stringify([outcome, (await (await openSessionStore("sessions.d")).get("a")).n]));
    }
    main();`;
  expect(evaluate("keeps.cjs", program)).toEqual(["already_directory", 1]);
});

it("the package is small: bundles, declarations and pages, and nothing else", () => {
  const files = filesIn(installed());
  expect(files.length).toBeLessThanOrEqual(FILES_MAX);
  expect(files.reduce((sum, name) => sum + statSync(join(installed(), name)).size, 0)).toBeLessThanOrEqual(
    BYTES_MAX,
  );
  const kinds = new Set(files.map((name) => extname(name)));
  expect([...kinds].sort()).toEqual(["", ".1", ".cjs", ".cts", ".js", ".json", ".md", ".svg", ".ts"]);
});

it("links between its pages lead to pages and pictures that are there; other links lead into the repository", () => {
  const files = new Set(filesIn(installed()));
  const broken: string[] = [];
  let links = 0;
  for (const page of files) {
    if (!page.endsWith(".md")) continue;
    for (const [, target = ""] of readFileSync(join(installed(), page), "utf8").matchAll(
      /\]\(([^)#\s]+)(?:#[^)]*)?\)/g,
    )) {
      if (/^[a-z]+:/.test(target)) continue;
      const path = join(dirname(page), target);
      if (OF_REPOSITORY.test(path)) continue;
      links++;
      if (!files.has(path)) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(100);
});

it("the program is installed, executable, and of this version", () => {
  expect(run(join(project, "node_modules/.bin/sessiondir"), ["--version"])).toBe(`${manifest.version}\n`);
});

describe("types", () => {
  const PROGRAM = `
    import { openSessionStore, SessionStoreError, type SessionStore } from "sessiondir";
    import { migrateLegacyStore, type MigrationReport } from "sessiondir/legacy";
    import { loadSessionStore, type SessionEntry } from "sessiondir/openclaw";
    import { SimulatedDisk, type FileSystem } from "sessiondir/testing";
    export async function turn(): Promise<number | undefined> {
      const store: SessionStore<{ turns: number }> = await openSessionStore<{ turns: number }>("sessions.d");
      const report: MigrationReport = await migrateLegacyStore("sessions.json");
      const entry: SessionEntry | undefined = loadSessionStore("sessions.json")["agent:main:main"];
      const fs: FileSystem = new SimulatedDisk().mount("p");
      // @ts-expect-error: a field of the wrong type, to see that these are types and not any
      await store.put("a", { turns: "1" });
      const failed = report.error instanceof SessionStoreError || entry === undefined || fs === undefined;
      return failed ? undefined : (await store.get("a"))?.turns;
    }`;

  beforeAll(() => {
    mkdirSync(join(project, "node_modules/@types"), { recursive: true });
    symlinkSync(join(root, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
    for (const name of ["esm.mts", "cjs.cts"]) writeFileSync(join(project, name), PROGRAM);
  });

  it.each([
    ["nodenext", "nodenext", ["esm.mts", "cjs.cts"]],
    ["esnext", "bundler", ["esm.mts"]],
    ["commonjs", "node10", ["cjs.cts"]],
  ])(
    "module %s, moduleResolution %s: %s compile, strict, every declaration checked",
    (module, resolution, files) => {
      const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022", "--types", "node"];
      const modules = ["--module", module, "--moduleResolution", resolution];
      run(process.execPath, [
        join(root, "node_modules/typescript/bin/tsc"),
        ...files,
        ...modules,
        ...options,
      ]);
    },
  );
});
