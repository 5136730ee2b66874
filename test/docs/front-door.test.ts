/**
 * Goal: a stranger gets in. Method: the pages that everybody reads first stay short, the drawing of the rooms is the one
 * that the imports give, every folder says at its entrance what lives there, and every page is in the index.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readSources } from "../../scripts/check-layers.mjs";
import { drawing, withDrawing } from "../../scripts/draw-layers.mjs";
import { roomOf, ROOMS } from "../../scripts/layers.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");
const sources = readSources(join(root, "src"));

/** More than that is a second page. */
const ARCHITECTURE_BYTES_MAX = 12 * 1024;
/** Two screens of 50 lines. */
const README_LINES_BEFORE_A_TABLE_MAX = 100;
const README_LINES_MAX = 140;
const COLUMNS_MAX = 120;

describe("ARCHITECTURE.md", () => {
  const page = textOf("ARCHITECTURE.md");

  test("has the drawing that the imports give; npm run draw:layers makes it", () => {
    expect(page).toBe(withDrawing(page, drawing(sources)));
  });

  test(`is at most ${ARCHITECTURE_BYTES_MAX} bytes, in lines of at most ${COLUMNS_MAX}`, () => {
    expect(Buffer.byteLength(page)).toBeLessThanOrEqual(ARCHITECTURE_BYTES_MAX);
    expect(page.split("\n").filter((line) => line.length > COLUMNS_MAX)).toEqual([]);
  });

  test("names no source file that is not there", () => {
    const names = [...sources.keys()].map((path) => path.split("/").at(-1));
    const named = Array.from(page.matchAll(/`(?:[\w-]+\/)*([\w-]+\.ts)`/g), ([, name]) => name);
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(10);
  });
});

test("README.md has its first table within two screens, and ends", () => {
  const lines = textOf("README.md").split("\n");
  expect(lines.findIndex((line) => line.startsWith("|"))).toBeLessThan(README_LINES_BEFORE_A_TABLE_MAX);
  expect(lines.length).toBeLessThanOrEqual(README_LINES_MAX);
});

/** What a person reads as prose; a code block or a table may be as wide as what it shows. */
function proseLines(page: string): string[] {
  return page
    .replaceAll(/^ *```[^]*?^ *```$/gm, "")
    .split("\n")
    .filter((line) => !/^(\s*\||\s{4,})/.test(line));
}

test.each([
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "UPGRADING.md",
  ...readdirSync(join(root, "docs"), { encoding: "utf8" }).flatMap((name) =>
    name.endsWith(".md") ? [`docs/${name}`] : [],
  ),
])(`%s has lines of at most ${COLUMNS_MAX} columns`, (path) => {
  const lines = proseLines(textOf(path));
  expect(lines.filter((line) => line.length > COLUMNS_MAX)).toEqual([]);
  expect(lines.filter((line) => line !== "").length).toBeGreaterThan(3);
});

test("docs/README.md has every page of docs/", () => {
  const index = textOf("docs/README.md");
  const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".md") && name !== "README.md",
  );
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((name) => !index.includes(`(${name})`))).toEqual([]);
});

test("every module opens with what it is for", () => {
  const silent = [...sources].filter(([, text]) => !/^(#!.*\n)?\/\*\*/.test(text));
  expect(silent.map(([path]) => path)).toEqual([]);
});

test("every room has files, and its folder is one that somebody would look for", () => {
  const used = new Set([...sources.keys()].map(roomOf));
  expect(ROOMS.filter((_, number) => !used.has(number)).map(({ name }) => name)).toEqual([]);
  const folders = new Set([...sources.keys()].map((path) => dirname(path)));
  expect(folders.size).toBeGreaterThan(10);
  // A folder's opening comment is the line of its room: none is without one, and no two rooms say the same.
  expect([...sources.keys()].filter((path) => roomOf(path) < 0)).toEqual([]);
  expect(ROOMS.filter(({ what }) => !/^\S.{10,80}$/.test(what)).map(({ name }) => name)).toEqual([]);
  expect(new Set(ROOMS.map(({ what }) => what)).size).toBe(ROOMS.length);
});
