/**
 * Goal: the docs do not drift from the code. Method: links and anchors resolve; every ts and js example compiles
 * against src/, and the complete ones run against the build; lists of codes, methods and modules are compared with the
 * sources.
 *
 * A block ```ts or ```js is a program. A block ```ts fragment compiles behind a prelude that declares `store`. So does the
 * @example of a doc comment, with every public name imported. All of it compiles as it would in a user's file, so that what is
 * pasted from a page is right under `strict`.
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
import * as sessiondir from "../../src/index.js";
import * as doctor from "../../src/doctor/index.js";
import * as backup from "../../src/backup/index.js";
import * as legacy from "../../src/legacy/index.js";
import * as lease from "../../src/lease/index.js";
import * as moving from "../../src/moving/index.js";
import * as retention from "../../src/retention/index.js";
import * as openclaw from "../../src/openclaw/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "UPGRADING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name.replaceAll("\\", "/")}`),
];
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

/** The `@example`s of the doc comments that an editor shows. */
const commented = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .flatMap((path): Example[] =>
    Array.from(
      textOf(`src/${path}`).matchAll(/^ *\* @example\n((?: *\* (?!@).*\n| *\*\n)+)/gm),
      ([, comment = ""], index) => ({
        name: `${path.replaceAll(/\W/g, "-")}-example-${index + 1}`,
        language: "ts",
        fragment: true,
        code: comment.replaceAll(/^ *\* ?/gm, ""),
      }),
    ),
  );

const PRELUDE = `
import type { DirectorySessionStore } from "sessiondir";
interface Session { sessionId: string; turns: number; updatedAt: number; model?: string }
declare const store: DirectorySessionStore<Session>;
`;
const ENTRIES = {
  sessiondir,
  "sessiondir/doctor": doctor,
  "sessiondir/backup": backup,
  "sessiondir/legacy": legacy,
  "sessiondir/lease": lease,
  "sessiondir/moving": moving,
  "sessiondir/openclaw": openclaw,
  "sessiondir/retention": retention,
};
const COMMENT_PRELUDE = `${PRELUDE}
${Object.entries(ENTRIES)
  .map(([entry, names]) => `import { ${Object.keys(names).join(", ")} } from "${entry}";`)
  .join("\n")}
declare const storePath: string, sessionKey: string, exportedBytes: AsyncIterable<Uint8Array>, config: import("sessiondir/openclaw").AgentStoreConfig;
`;

/** As it stands in a user's file. A block of its own: an example may declare what the prelude does. */
function programOf({ code, fragment }: Example, prelude: string): string {
  return !fragment || /^import /m.test(code) ? code : `${prelude}{\n${code}\n}\n`;
}

/** What the compiler has to say about the files, each with its line. */
function complaints(files: ReadonlyMap<string, string>, options: ts.CompilerOptions): string[] {
  const paths = Object.fromEntries(
    ["", "/backup", "/doctor", "/legacy", "/lease", "/moving", "/openclaw", "/retention", "/testing"].map(
      (entry) => [`sessiondir${entry}`, [`./src${entry}/index.ts`]],
    ),
  );
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
  return [...files.keys()].flatMap((path) => {
    const source = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText, start = 0 }) => {
        const line = files.get(path)?.slice(0, start).split("\n").length ?? 0;
        return `${relative(root, path)}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
      },
    );
  });
}

describe("examples", () => {
  test("there are some", () => {
    expect(examples.length).toBeGreaterThan(5);
    expect(commented.length).toBeGreaterThan(15);
  });

  const files = new Map(
    [
      ...examples.map((example) => [example.name, programOf(example, PRELUDE)] as const),
      ...commented.map((example) => [example.name, programOf(example, COMMENT_PRELUDE)] as const),
    ].map(([name, code]) => [join(root, `${name}.example.ts`), code]),
  );
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options: own } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
  /** What `tsc --init` has meant by strict for years; and nothing that Node could not strip. */
  const usual: ts.CompilerOptions = {
    strict: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    skipLibCheck: true,
    erasableSyntaxOnly: true,
  };

  test("all compile as TypeScript, JavaScript too, with the library's own strictness", () => {
    expect(complaints(files, own)).toEqual([]);
  }, 60_000);

  test("all compile as TypeScript, JavaScript too, with strict and nothing else", () => {
    expect(complaints(files, usual)).toEqual([]);
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

describe("installing", () => {
  const version = (JSON.parse(textOf("package.json")) as { version: string }).version;

  test("nothing sends anybody to a registry for a name that is not ours", () => {
    const places = ["docs", "src", "examples", "bench", "scripts", "mutants", "sim"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((path) => /\.([cm]?[jt]s|md)$/.test(path) && !/node_modules|\.openclaw/.test(path))
        .map((path) => `${folder}/${path}`),
    );
    const asking =
      /\b(?:npx|bunx|npm (?:i|install|add|exec|x|create|view)|(?:pnpm|yarn|bun|deno) (?:add|dlx|install))\b[^\n`;&|]*?(?<![\w./-])sessiondir(?![\w./-])|\bnpm:sessiondir\b/g;
    const found = [...pages, ...places].flatMap((path) =>
      Array.from(textOf(path).matchAll(asking), ([command]) => `${path}: ${command}`),
    );
    expect(found).toEqual([]);
    for (const command of ["npx sessiondir ls", "npm install -g sessiondir", "npm i sessiondir@latest"])
      expect(command.match(asking), command).not.toBeNull();
    expect("npm install ../sessiondir/sessiondir-0.1.0.tgz".match(asking)).toBeNull();
  });

  test("tarballs have this version's name", () => {
    const named = pages.flatMap((page) => textOf(page).match(/sessiondir-\d[\w.-]*\.tgz/g) ?? []);
    expect(new Set(named)).toEqual(new Set([`sessiondir-${version}.tgz`]));
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
    const sources = [
      "store/types",
      "store/wait-options",
      "store/transcript-types",
      "store/options",
      "format/limits",
    ]
      .map((name) => textOf(`src/${name}.ts`))
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
      "OperationOptions",
      "TransactionTranscripts",
      "Transcripts",
      "TranscriptOptions",
      "AppendOptions",
      "ItemRange",
      "ReadItemsOptions",
      "IterateItemsOptions",
      "TranscriptChange",
      "TranscriptInfo",
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

  test("rules O1 to O14 and flaws F1 to F15 are all there", () => {
    const protocol = textOf("docs/protocol.md");
    for (let rule = 1; rule <= 14; rule++) {
      expect(protocol).toMatch(new RegExp(`^\\| O${rule} +\\|`, "m"));
      expect(protocol, "where it lives").toMatch(new RegExp(`^- \\*\\*O${rule}\\*\\* `, "m"));
    }
    for (let flaw = 1; flaw <= 15; flaw++) expect(protocol).toMatch(new RegExp(`^\\| F${flaw} +\\|`, "m"));
  });
});
