/**
 * Goal: no text says "1 entries".
 * Method: the counts around one; and every template in the source that puts a number in front of a plural is looked for.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { entriesOf, plural } from "../src/plural.js";

const source = fileURLToPath(new URL("../src", import.meta.url));

it("one is one, nothing and many are many", () => {
  expect([0, 1, 2].map((count) => plural(count, "session"))).toEqual([
    "0 sessions",
    "1 session",
    "2 sessions",
  ]);
  expect([0, 1, 2].map(entriesOf)).toEqual(["0 entries", "1 entry", "2 entries"]);
  expect(plural(1234, "session", "sessions", "1,234")).toBe("1,234 sessions");
});

it("texts of the command line and of the legacy functions leave it to that function", () => {
  const found: string[] = [];
  for (const room of ["legacy", "cli"]) {
    for (const name of readdirSync(join(source, room), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const text = readFileSync(join(source, room, name), "utf8");
      const many = /\$\{[^}]+\} (?:entries|sessions|files|folders|changes|versions|commits) [^}]*`/g;
      for (const [line] of text.matchAll(many)) found.push(`${name}: ${line}`);
    }
  }
  expect(found).toEqual([]);
});
