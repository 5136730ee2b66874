/**
 * Goal: docs/adopting.md and the example's README name everything that there is, and nothing that there is not.
 * Method: the exports of the module, the options of its two configurations, the files of the example.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import * as openclaw from "../../src/openclaw/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const page = textOf("docs/adopting.md");

it("every function of the module is named", () => {
  const missing = Object.keys(openclaw).filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
  expect(missing).toEqual([]);
});

it("examples import only what there is", () => {
  const imported = [...page.matchAll(/import \{ ([^}]+) \} from "sessiondir\/openclaw"/g)].flatMap(
    ([, names = ""]) => names.split(", "),
  );
  expect(imported.length).toBeGreaterThan(5);
  for (const name of imported) expect(openclaw).toHaveProperty(name);
});

it("every maintenance option has its row, and the defaults are true", () => {
  const [, names = ""] =
    /interface SessionMaintenanceConfig \{([\s\S]*?)\n\}/.exec(
      textOf("src/openclaw/maintenance/config.ts"),
    ) ?? [];
  const options = Array.from(names.matchAll(/readonly (\w+)\?/g), ([, name]) => name ?? "");
  const [, table = ""] = /\n\| option\s.*\n([\s\S]*?)\n\n/.exec(page) ?? [];
  const rows = Array.from(table.matchAll(/^\| `(\w+)`/gm), ([, name]) => name ?? "");
  expect(options.length).toBe(9);
  expect(rows.sort()).toEqual(options.sort());
  expect(openclaw.resolveMaintenanceConfig({})).toEqual(
    openclaw.resolveMaintenanceConfig({
      mode: "enforce",
      pruneAfter: "30d",
      maxEntries: 500,
      rotateBytes: "10mb",
      resetArchiveRetention: "30d",
      maxDiskBytes: false,
    }),
  );
});

it("every way to migrate has its row", () => {
  for (const migrate of ["explicit", "on-open", "on-write"]) expect(page).toContain(`| \`"${migrate}"\``);
});

it("the example's README names its files, and its links resolve", () => {
  const readme = textOf("examples/gateway/README.md");
  const files = readdirSync(join(root, "examples/gateway")).filter((name) => name.endsWith(".mjs"));
  expect(files.length).toBeGreaterThan(2);
  for (const file of files) expect(readme).toContain(`[${file}](${file})`);
  for (const [, target = ""] of readme.matchAll(/\]\(([^)\s]+)\)/g))
    expect(existsSync(join(root, dirname("examples/gateway/README.md"), target))).toBe(true);
  expect(textOf("package.json")).toContain('"example:gateway"');
  expect(readme).toContain("npm run example:gateway");
});
