/**
 * Goal: the layer check goes red for each of its rules, and only then; and src/ as it is passes.
 * Method: the checker's own function on source trees of a few lines, one broken rule each; the command itself
 * on a folder, for its exit code.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { checkLayers, formatFinding, readSources, walkThrough } from "../../scripts/check-layers.mjs";

const script = fileURLToPath(new URL("../../scripts/check-layers.mjs", import.meta.url));
const src = fileURLToPath(new URL("../../src", import.meta.url));

/** Findings as "file:line rule". */
function check(sources: Record<string, string>): string[] {
  return checkLayers(new Map(Object.entries(sources))).map(
    ({ file, line, rule }) => `${file}:${String(line)} ${rule}`,
  );
}

const NOTHING = "export {};\n";

describe("layer", () => {
  it("lets imports go down, stay in the layer, and skip layers", () => {
    expect(
      check({
        "errors.ts": NOTHING,
        "runtime.ts": `import "./errors.js";\n`,
        "fs/file-system.ts": `import "../errors.js";\n`,
        "format/limits.ts": NOTHING,
        "format/line.ts": `import "./limits.js";\n`,
        "log/verdict.ts": `import "../format/line.js";\nimport "../fs/file-system.js";\n`,
        "entries/blob.ts": `import "../log/verdict.js";\n`,
        "engine/contract.ts": `import "../errors.js";\n`,
        "engine/snapshot.ts": `import "./contract.js";\n`,
        "engine/memory/engine.ts": `import "../contract.js";\nimport "../snapshot.js";\n`,
        "engine/directory/engine.ts": `import "../contract.js";\nimport "../../entries/blob.js";\n`,
        "store/open.ts": `import "../engine/memory/engine.js";\nimport "../engine/directory/engine.js";\n`,
        "legacy/reading/source.ts": `import "../../store/open.js";\n`,
        "legacy/migration/migrate.ts": `import "../reading/source.js";\n`,
        "legacy/index.ts": `export * from "./migration/migrate.js";\n`,
        "index.ts": `export * from "./store/open.js";\n`,
        "cli/main.ts": `import "../index.js";\n`,
        "testing/index.ts": `import "../index.js";\nimport "../fs/file-system.js";\n`,
      }),
    ).toEqual([]);
  });

  const low = [
    ["errors.ts", "fs/a.ts"],
    ["fs/a.ts", "format/b.ts"],
    ["format/b.ts", "log/c.ts"],
    ["log/c.ts", "entries/d.ts"],
    ["entries/d.ts", "engine/contract.ts"],
    ["engine/contract.ts", "engine/memory/e.ts"],
    ["engine/memory/e.ts", "store/f.ts"],
    ["store/f.ts", "legacy/g.ts"],
    ["legacy/reading/g.ts", "legacy/work.ts"],
    ["legacy/base/g.ts", "legacy/reading/h.ts"],
    ["legacy/run/g.ts", "legacy/migration/h.ts"],
    ["legacy/merging/g.ts", "legacy/migration/h.ts"],
    ["legacy/migration/h.ts", "legacy/back/i.ts"],
    ["legacy/g.ts", "openclaw/base/settings.ts"],
    ["openclaw/entry/j.ts", "openclaw/backend/k.ts"],
    ["openclaw/base/k.ts", "openclaw/entry/l.ts"],
    ["openclaw/maintenance/k.ts", "openclaw/backend/l.ts"],
    ["openclaw/directory/k.ts", "openclaw/backend/l.ts"],
    ["openclaw/backend/k.ts", "openclaw/access/l.ts"],
    ["openclaw/access/k.ts", "openclaw/one-store/l.ts"],
    ["openclaw/one-store/k.ts", "openclaw/agents/l.ts"],
    ["cli/presence.ts", "cli/commands/ls.ts"],
    ["openclaw/index.ts", "index.ts"],
  ] as const;
  it.each(low)("refuses %s importing %s", (lower, higher) => {
    const up = "../".repeat(lower.split("/").length - 1) || "./";
    const specifier = up + higher.replace(/\.ts$/, ".js");
    expect(check({ [lower]: `\nimport "${specifier}";\n`, [higher]: NOTHING })).toEqual([`${lower}:2 layer`]);
  });

  it.each([
    ["import type", `import type { A } from "../store/a.js";`],
    ["export from", `export { A } from "../store/a.js";`],
    ["export star", `export * from "../store/a.js";`],
    ["dynamic import", `export const a = () => import("../store/a.js");`],
    ["import type node", `export type A = import("../store/a.js").A;`],
    ["import equals", `import a = require("../store/a.js");`],
    ["require", `require("../store/a.js");`],
    ["over several lines", `import {\n  A,\n} from "../store/a.js";`],
  ])("sees %s", (_name, statement) => {
    expect(check({ "log/b.ts": statement, "store/a.ts": NOTHING })).toEqual(["log/b.ts:1 layer"]);
  });

  it("is not fooled by comments and strings", () => {
    const text = `// import "../store/a.js";\nexport const a = 'import "../store/a.js"';\n`;
    expect(check({ "log/b.ts": text, "store/a.ts": NOTHING })).toEqual([]);
  });

  it("keeps the engines apart", () => {
    expect(
      check({ "engine/directory/a.ts": `import "../memory/b.js";\n`, "engine/memory/b.ts": NOTHING }),
    ).toEqual(["engine/directory/a.ts:1 layer"]);
    expect(check({ "engine/shared.ts": `import "./memory/b.js";\n`, "engine/memory/b.ts": NOTHING })).toEqual(
      ["engine/shared.ts:1 layer"],
    );
  });

  it("refuses files that are in no layer", () => {
    expect(check({ "helpers/a.ts": NOTHING, "utils.ts": NOTHING })).toEqual([
      "helpers/a.ts:1 layer",
      "utils.ts:1 layer",
    ]);
  });
});

describe("private-top", () => {
  it.each(["testing/a.ts", "cli/a.ts"])("refuses an import of %s", (top) => {
    expect(
      check({ "index.ts": `export * from "./${top.replace(".ts", ".js")}";\n`, [top]: NOTHING }),
    ).toEqual(["index.ts:1 private-top"]);
  });
  it("also from the layer above it", () => {
    expect(check({ "testing/a.ts": `import "../cli/b.js";\n`, "cli/b.ts": NOTHING })).toEqual([
      "testing/a.ts:1 private-top",
    ]);
  });
});

describe("only-fs", () => {
  it.each(["node:fs", "node:fs/promises", "fs", "fs/promises"])("refuses %s outside src/fs/", (name) => {
    expect(check({ "log/a.ts": `import * as fs from "${name}";\n` })).toEqual(["log/a.ts:1 only-fs"]);
  });
  it("sees process.getBuiltinModule", () => {
    expect(check({ "log/a.ts": `process.getBuiltinModule("node:fs");\n` })).toEqual(["log/a.ts:1 only-fs"]);
  });
  it("allows it in src/fs/", () => {
    expect(check({ "fs/node.ts": `import * as fs from "node:fs";\n` })).toEqual([]);
  });
});

describe("third-party", () => {
  it.each(["valibot", "@clack/prompts", "crypto", "node:nothing"])("refuses %s", (name) => {
    expect(check({ "cli/a.ts": `import "${name}";\n` })).toEqual(["cli/a.ts:1 third-party"]);
    expect(check({ "cli/a.ts": `export const a = () => import("${name}");\n` })).toEqual([
      "cli/a.ts:1 third-party",
    ]);
  });
  it.each(["commander", "picocolors"])("lets only cli/ load %s, lazily or as types", (name) => {
    const lazily = `export const a = () => import("${name}");\n`;
    const types = `import type { A } from "${name}";\n`;
    const atStart = `import { a } from "${name}";\n`;
    expect(check({ "cli/a.ts": lazily + types })).toEqual([]);
    expect(check({ "cli/a.ts": atStart })).toEqual(["cli/a.ts:1 third-party"]);
    expect(check({ "legacy/a.ts": lazily, "store/b.ts": lazily, "index.ts": types })).toEqual([
      "index.ts:1 third-party",
      "legacy/a.ts:1 third-party",
      "store/b.ts:1 third-party",
    ]);
  });
  it("lets legacy load json5 when it needs it, and nothing else, and nobody else", () => {
    const lazy = `export const f = () => import("json5");\n`;
    expect(check({ "legacy/a.ts": lazy })).toEqual([]);
    expect(check({ "legacy/a.ts": `import "json5";\n` })).toEqual(["legacy/a.ts:1 third-party"]);
    expect(check({ "legacy/a.ts": `import type { parse } from "json5";\n` })).toEqual([]);
    expect(check({ "legacy/a.ts": `export const f = () => import("stream-json");\n` })).toEqual([
      "legacy/a.ts:1 third-party",
    ]);
    expect(check({ "store/a.ts": lazy })).toEqual(["store/a.ts:1 third-party"]);
  });
  it("allows Node's own modules", () => {
    expect(check({ "format/a.ts": `import "node:crypto";\nimport "node:timers/promises";\n` })).toEqual([]);
  });
});

describe("specifier", () => {
  it.each([
    ["without extension", `import "./b";`],
    ["with .ts", `import "./b.ts";`],
    ["to a missing file", `import "./c.js";`],
    ["out of src", `import "../../test/d.js";`],
    ["computed", "export const a = (name: string) => import(name);"],
  ])("refuses a path %s", (_name, statement) => {
    expect(check({ "log/a.ts": statement, "log/b.ts": NOTHING })).toEqual(["log/a.ts:1 specifier"]);
  });
});

describe("cycle", () => {
  it("refuses two files that import each other, and names the round", () => {
    const findings = checkLayers(
      new Map([
        ["log/a.ts", `import type { B } from "./b.js";\n`],
        ["log/b.ts", `import type { A } from "./a.js";\n`],
      ]),
    );
    expect(findings.map(formatFinding)).toEqual([
      "src/log/b.ts:1 cycle: log/a.ts -> log/b.ts -> log/a.ts; move what both need to a third file",
    ]);
  });
  it("refuses a longer one and a file that imports itself", () => {
    expect(
      check({
        "log/a.ts": `import "./b.js";\n`,
        "log/b.ts": `import "./c.js";\n`,
        "log/c.ts": `import "./a.js";\n`,
        "log/d.ts": `import "./d.js";\n`,
      }),
    ).toEqual(["log/c.ts:1 cycle", "log/d.ts:1 cycle"]);
  });
  it("allows two ways to one file", () => {
    expect(
      check({
        "log/a.ts": `import "./b.js";\nimport "./c.js";\n`,
        "log/b.ts": `import "./d.js";\n`,
        "log/c.ts": `import "./d.js";\n`,
        "log/d.ts": NOTHING,
      }),
    ).toEqual([]);
  });
});

describe("file-size", () => {
  it("allows 500 lines and refuses 501", () => {
    expect(check({ "log/a.ts": "// x\n".repeat(500) })).toEqual([]);
    expect(check({ "log/a.ts": "// x\n".repeat(501) })).toEqual(["log/a.ts:501 file-size"]);
  });
});

describe("wing", () => {
  const FLOORS = [
    "index.ts",
    "migrate.ts",
    "back/a.ts",
    "migration/a.ts",
    "merging/a.ts",
    "run/a.ts",
    "base/a.ts",
  ];

  /** A wing in which each file imports the next one. */
  function tower(files: readonly string[]): Record<string, string> {
    const up = (file: string): string => (file.includes("/") ? "../" : "./");
    return Object.fromEntries(
      files.map((file, index) => {
        const next = files[index + 1]?.replace(/\.ts$/, ".js");
        return [`legacy/${file}`, next === undefined ? NOTHING : `import "${up(file)}${next}";\n`];
      }),
    );
  }

  it("allows as many floors as it says, and refuses one more", () => {
    expect(check(tower(FLOORS))).toEqual([]);
    expect(check(tower([...FLOORS.slice(0, -1), "reading/a.ts", "base/a.ts"]))).toEqual(["legacy:1 wing"]);
  });

  it("refuses too many rooms, and says how many there are", () => {
    const files = Array.from(
      { length: 13 },
      (_, index) => [`legacy/verb${String(index)}.ts`, NOTHING] as const,
    );
    expect(checkLayers(new Map(files)).map(formatFinding)).toEqual([
      "src/legacy:1 wing: 13 rooms, 12 are allowed; move what lies too high, or merge rooms that are one idea",
    ]);
  });

  it("counts an arrow once, however many files of a room draw it", () => {
    const graph = new Map([
      ["legacy/back/a.ts", new Map([["legacy/base/a.ts", 1]])],
      [
        "legacy/back/b.ts",
        new Map([
          ["legacy/base/b.ts", 1],
          ["legacy/back/a.ts", 2],
        ]),
      ],
      ["legacy/base/a.ts", new Map()],
      [
        "legacy/index.ts",
        new Map([
          ["legacy/back/b.ts", 1],
          ["store/open.ts", 2],
        ]),
      ],
    ]);
    expect(walkThrough("legacy", graph)).toEqual({ rooms: 3, floors: 3, arrows: 2 });
  });
});

describe("the command", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });
  function run(sources: Record<string, string>): { status: number | null; output: string } {
    const folder = mkdtempSync(join(tmpdir(), "layers-"));
    folders.push(folder);
    for (const [path, text] of Object.entries(sources)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder], { encoding: "utf8" });
    return { status, output: stdout + stderr };
  }

  it("exits 0 on a clean tree", () => {
    expect(run({ "log/a.ts": `import "../errors.js";\n`, "errors.ts": NOTHING })).toEqual({
      status: 0,
      output: "layers: 2 files, 0 findings\n",
    });
  });
  it("exits 1 with one line a finding", () => {
    const { status, output } = run({ "log/a.ts": `import "node:fs";\n` });
    expect(status).toBe(1);
    expect(output).toContain(
      `src/log/a.ts:1 only-fs: imports "node:fs"; use the FileSystem port of src/fs/file-system.ts\n`,
    );
  });
  it("exits 1 on a tree without sources: a check that looked at nothing has not passed", () => {
    expect(run({ "readme.md": "" }).status).toBe(1);
  });
});

it("src/ passes", () => {
  expect(checkLayers(readSources(src)).map(formatFinding)).toEqual([]);
});
