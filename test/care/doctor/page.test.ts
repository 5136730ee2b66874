/** Goal: docs/doctor.md has every check and every finding. Method: both lists are taken from the sources. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { CHECKS } from "../../../src/care/doctor/checks/all.js";

const textOf = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const page = textOf("docs/doctor.md");

it("has every finding, and every check with its level", () => {
  const types = textOf("src/care/doctor/types.ts");
  const union = types.slice(
    types.indexOf("type FindingCode ="),
    types.indexOf(";", types.indexOf("type FindingCode =")),
  );
  const codes = Array.from(union.matchAll(/"([a-z_]+)"/g), ([, code]) => code ?? "");
  expect(codes.length).toBeGreaterThan(40);
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  const rows = Array.from(
    page.matchAll(/^\| ([a-z ]+?) +\| (quick|default|deep) +\|/gm),
    ([, name, level]) => `${name} ${level}`,
  );
  expect(rows).toEqual(["trusted path quick", ...CHECKS.map(({ name, level }) => `${name} ${level}`)]);
});
