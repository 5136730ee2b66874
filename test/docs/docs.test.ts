/**
 * Goal: the docs do not drift from the code. Method: links and anchors resolve; every ts and js example compiles
 * against src/, and the complete ones run against the build; lists of codes, methods and modules are compared with the
 * sources.
 *
 * A block ```ts or ```js is a program. A block ```ts fragment compiles behind a prelude that declares `store`.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].concat(
  readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
);
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** A page without its code blocks. */
function proseOf(page: string): string {
  return textOf(page)
    .replace(/^```[\s\S]*?^```$/gm, "")
    .replace(/^ {4}.*$/gm, "");
}

/** Ids of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const headings = proseOf(page).matchAll(/^#+ (.+)$/gm);
  return new Set(
    Array.from(headings, ([, heading]) =>
      (heading ?? "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

describe.each(pages)("%s", (page) => {
  test("links resolve", () => {
    const broken: string[] = [];
    for (const [, target] of proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target === undefined || /^https?:/.test(target)) continue;
      const [path, anchor] = target.split("#") as [string, string?];
      const file = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(root, file))) broken.push(target);
      else if (anchor !== undefined && !anchorsOf(file).has(anchor)) broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  test("paths in code font exist", () => {
    const paths = [...textOf(page).matchAll(/`((?:src|test|docs|scripts|examples)\/[\w./-]*\w)\/?`/g)];
    expect(paths.map(([, path]) => path ?? "").filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

interface Example {
  readonly name: string;
  readonly language: string;
  readonly fragment: boolean;
  readonly code: string;
}

const examples = pages.flatMap((page): Example[] =>
  Array.from(
    textOf(page).matchAll(/^```(ts|js)( fragment)?\n([\s\S]*?)^```$/gm),
    ([, language, fragment, code], index) => ({
      name: `${page.replaceAll(/\W/g, "-")}-${index + 1}`,
      language: language ?? "",
      fragment: fragment !== undefined,
      code: code ?? "",
    }),
  ),
);

const PRELUDE = `
import type { DirectorySessionStore } from "sessiondir";
interface Session { sessionId: string; turns: number; updatedAt: number; model?: string }
declare const store: DirectorySessionStore<Session>;
`;

describe("examples", () => {
  test("there are some", () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  test("TypeScript compiles, with the library's own strictness", () => {
    const files = new Map(
      examples
        .filter(({ language }) => language === "ts")
        .map(({ name, fragment, code }) => [
          join(root, `${name}.example.ts`),
          (fragment ? PRELUDE : "") + code,
        ]),
    );
    const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
    const paths = {
      sessiondir: ["./src/index.ts"],
      "sessiondir/testing": ["./src/testing/index.ts"],
      "sessiondir/legacy": ["./src/legacy/index.ts"],
    };
    const compilerOptions = { ...options, noEmit: true, paths, noUnusedLocals: false };
    const host = ts.createCompilerHost(compilerOptions);
    const { fileExists, readFile, getSourceFile } = host;
    host.fileExists = (path) => files.has(path) || fileExists(path);
    host.readFile = (path) => files.get(path) ?? readFile(path);
    host.getSourceFile = (path, version) => {
      const code = files.get(path);
      return code === undefined ? getSourceFile(path, version) : ts.createSourceFile(path, code, version);
    };
    const program = ts.createProgram([...files.keys()], compilerOptions, host);
    const problems = [...files.keys()].flatMap((path) => {
      const source = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ messageText, start = 0 }) => {
          const line = files.get(path)?.slice(0, start).split("\n").length ?? 0;
          return `${relative(root, path)}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
        },
      );
    });
    expect(problems).toEqual([]);
  }, 60_000);

  const programs = examples.filter(({ fragment }) => !fragment);
  test.each(programs)("$name runs", ({ language, code }) => {
    const folder = mkdtempSync(join(tmpdir(), "sessiondir-example-"));
    try {
      mkdirSync(join(folder, "node_modules"));
      symlinkSync(root, join(folder, "node_modules", "sessiondir"));
      const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      const program = language === "ts" ? ts.transpileModule(code, { compilerOptions }).outputText : code;
      writeFileSync(join(folder, "example.mjs"), program);
      const { status, stdout, stderr } = spawnSync(process.execPath, ["example.mjs"], {
        cwd: folder,
        encoding: "utf8",
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      // "console.log(x); // 1 3" says what it prints, if it is plain numbers.
      for (const [, promised] of code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)) {
        if (promised !== undefined && /^[\d ]+$/.test(promised)) expect(stdout).toContain(`${promised}\n`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("lists are complete", () => {
  const errors = textOf("src/errors.ts");

  test("docs/errors.md has every error and every warning, and no other", () => {
    const [, afterErrors = ""] = textOf("docs/errors.md").split(/^## Errors$/m);
    const [errorPart = "", warningPart = ""] = afterErrors.split(/^## Warnings$/m);
    const [, errorUnion = ""] = /type SessionStoreErrorCode =([\s\S]*?);\n/.exec(errors) ?? [];
    const [, warningUnion = ""] = /interface StoreWarning \{([\s\S]*?);\n/.exec(errors) ?? [];
    const codesOf = (union: string): string[] =>
      Array.from(union.matchAll(/\| "(\w+)"/g), ([, code]) => code ?? "");
    const headingsOf = (part: string): string[] =>
      Array.from(part.matchAll(/^### `(\w+)`$/gm), ([, code]) => code ?? "");
    expect(codesOf(errorUnion).length).toBeGreaterThan(20);
    expect(codesOf(warningUnion).length).toBeGreaterThan(10);
    expect(headingsOf(errorPart).sort()).toEqual(codesOf(errorUnion).sort());
    expect(headingsOf(warningPart).sort()).toEqual(codesOf(warningUnion).sort());
  });

  test("every code has a paragraph", () => {
    const sections = textOf("docs/errors.md")
      .split(/^### `\w+`$/m)
      .slice(1);
    for (const section of sections) expect(section.split("\n## ")[0]?.trim().length).toBeGreaterThan(40);
  });

  test("docs/api.md names every option, limit, query and method", () => {
    const page = textOf("docs/api.md");
    const sources = ["src/store/types.ts", "src/store/options.ts", "src/format/limits.ts"]
      .map(textOf)
      .join("\n");
    const interfaces = [
      "OpenOptions",
      "Limits",
      "ListQuery",
      "WatchOptions",
      "WriteOptions",
      "WaitOptions",
      "SessionStore",
      "DirectorySessionStore",
      "SessionRecord",
      "SessionChange",
    ];
    for (const name of interfaces) {
      const body =
        new RegExp(`interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)^\\}`, "m").exec(sources)?.[1] ?? "";
      const members = Array.from(
        body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:<]/gm),
        ([, member]) => member ?? "",
      );
      expect(members.length, name).toBeGreaterThan(0);
      for (const member of members) expect(page, `${name}.${member}`).toMatch(new RegExp(`\`${member}\\b`));
    }
  });

  test("ARCHITECTURE.md links to every module of the folders on its tour", () => {
    const tour = textOf("ARCHITECTURE.md");
    const linked = new Set(Array.from(tour.matchAll(/\]\((src\/[^)]+\.ts)\)/g), ([, path]) => path ?? ""));
    const folders = new Set([...linked].map((path) => dirname(path)));
    const modules = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .map((path) => `src/${path.replaceAll("\\", "/")}`)
      .filter((path) => path.endsWith(".ts") && path !== "src/index.ts" && folders.has(dirname(path)));
    const missing = modules.filter((path) => !linked.has(path));
    expect(missing, "add it to the tour, with a sentence").toEqual([]);
  });

  test("rules O1 to O14 and flaws F1 to F15 are all there", () => {
    const protocol = textOf("docs/protocol.md");
    const tour = textOf("ARCHITECTURE.md");
    for (let rule = 1; rule <= 14; rule++) {
      expect(protocol).toMatch(new RegExp(`^\\| O${rule} +\\|`, "m"));
      expect(tour).toMatch(new RegExp(`^\\| O${rule} +\\|`, "m"));
    }
    for (let flaw = 1; flaw <= 15; flaw++) expect(protocol).toMatch(new RegExp(`^\\| F${flaw} +\\|`, "m"));
  });
});
