/**
 * Goal: the list of mutants fits the source as it is: whoever changes a step of the protocol changes its mutant, too.
 * Method: every mutant is applied in memory; its suites and its reason are looked at.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { apply } from "../../mutants/apply.mjs";
import { MUTANTS } from "../../mutants/list.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("every mutant", () => {
  it.each([...new Set(MUTANTS.map(({ file }) => file))])("of %s changes one place", (file) => {
    const source = readFileSync(`${root}/${file}`, "utf8");
    for (const mutant of MUTANTS.filter((candidate) => candidate.file === file))
      expect(apply(source, mutant)).not.toBe(source);
  });

  it("has a name of its own in its file, and suites that exist", () => {
    const names = MUTANTS.map(({ file, name }) => `${file}: ${name}`);
    expect(names.filter((name, index) => names.indexOf(name) < index)).toEqual([]);
    for (const { name, suites } of MUTANTS) {
      expect(suites.length, name).toBeGreaterThan(0);
      expect(suites.filter((suite) => !existsSync(`${root}/${suite}`))).toEqual([]);
    }
  });

  it("is tried, or says why no test can tell", () => {
    for (const { equivalent } of MUTANTS) expect(equivalent?.length ?? Infinity).toBeGreaterThan(30);
  });
});

describe("a mutant that does not fit", () => {
  const mutant = { name: "m", rule: "r", file: "f.ts", find: "a", replace: "b", suites: [] };

  it("is an error, whether its text is missing, there twice, or changes nothing", () => {
    expect(apply("xay", mutant)).toBe("xby");
    expect(() => apply("xy", mutant)).toThrow(/does not have "a"/);
    expect(() => apply("xaya", mutant)).toThrow(/has "a" twice/);
    expect(() => apply("xay", { ...mutant, replace: "a" })).toThrow(/changes nothing/);
  });
});
