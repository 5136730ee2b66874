/**
 * Goal: the list of mutants fits the source as it is: whoever changes a step of the protocol changes its mutant, too.
 * A run says at once which mutants do not fit, before it tries any.
 * Method: every mutant is applied in memory; its suites and its reason are looked at. The program runs beside a copy of the
 * source in which some of the quoted lines are gone.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
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
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { apply } from "../../mutants/apply.mjs";
import { MUTANTS } from "../../mutants/list.mjs";
import { Outcomes } from "../../mutants/outcomes.mjs";
import { describeMutants } from "../../mutants/report.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("every mutant", () => {
  it.each([...new Set(MUTANTS.map(({ file }) => file))])(
    "of %s changes one place, and no two alike",
    (file) => {
      const source = readFileSync(`${root}/${file}`, "utf8");
      const mutants = MUTANTS.filter((candidate) => candidate.file === file);
      const changed = mutants.map((mutant) => apply(source, mutant));
      expect(changed).not.toContain(source);
      const alike = mutants.filter((_, index) => changed.indexOf(changed[index] ?? "") < index);
      expect(alike.map(({ name }) => name)).toEqual([]);
    },
  );

  it("has a name of its own in its file, and suites that exist", () => {
    const names = MUTANTS.map(({ file, name }) => `${file}: ${name}`);
    expect(names.filter((name, index) => names.indexOf(name) < index)).toEqual([]);
    for (const { name, suites } of MUTANTS) {
      expect(suites.length, name).toBeGreaterThan(0);
      expect(suites.filter((suite) => !existsSync(`${root}/${suite}`))).toEqual([]);
    }
  });

  it("says why no test can tell, if it is not to be tried", () => {
    for (const { equivalent } of MUTANTS) expect(equivalent?.length ?? Infinity).toBeGreaterThan(30);
  });

  it("was tried as it is, and killed: npm run mutants -- --untried", () => {
    const open = MUTANTS.filter((mutant) => mutant.equivalent === undefined);
    const outcomes = new Outcomes(`${root}/docs/evidence/mutants.json`);
    const names = (mutants: typeof open): string[] => mutants.map(({ file, name }) => `${file}: ${name}`);
    expect(names(open.filter((mutant) => outcomes.of(mutant) === undefined))).toEqual([]);
    expect(names(open.filter((mutant) => outcomes.of(mutant)?.by === null))).toEqual([]);
  });

  it("is on the page as it was tried", async () => {
    const path = `${root}/docs/evidence/mutants.md`;
    const page = await describeMutants(MUTANTS, new Outcomes(`${root}/docs/evidence/mutants.json`), path);
    expect(readFileSync(path, "utf8")).toBe(page);
  });
});

describe("what became of a mutant", () => {
  const mutant = { name: "m", rule: "r", file: "f.ts", find: "a", replace: "b", suites: [] };
  let folder: string;

  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "sessiondir-outcomes-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is kept as long as it is the same change, and fresh as long as its file is the same", () => {
    const path = join(folder, "outcomes.json");
    const first = new Outcomes(path);
    first.add(mutant, "xay", { by: "a test", seconds: 1.6 });
    first.add({ ...mutant, name: "survivor" }, "xay", { by: undefined, seconds: 2 });
    first.write([mutant, { ...mutant, name: "survivor" }]);
    const kept = new Outcomes(path);
    expect(kept.of(mutant)).toMatchObject({ by: "a test", seconds: 2 });
    expect(kept.of({ ...mutant, name: "survivor" })).toMatchObject({ by: null });
    expect(kept.isFresh(mutant, "xay")).toBe(true);
    expect(kept.isFresh(mutant, "xay and more")).toBe(false);
    const other = { ...mutant, replace: "c" };
    expect(kept.of(other)).toBeUndefined();
    expect(kept.isFresh(other, "xay")).toBe(false);
    kept.write([mutant]);
    expect(new Outcomes(path).of({ ...mutant, name: "survivor" })).toBeUndefined();
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

  describe("when all are run", () => {
    const files = ["src/log/verdict.ts", "src/store/retry.ts"];
    const stale = MUTANTS.filter(({ file }) => files.includes(file));
    let copy = "";

    beforeEach(() => {
      copy = mkdtempSync(join(tmpdir(), "sessiondir-stale-"));
      for (const name of ["mutants", "sim", "src"])
        cpSync(join(root, name), join(copy, name), { recursive: true });
      symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
      mkdirSync(join(copy, "temporary"));
    });

    afterEach(() => rmSync(copy, { recursive: true, force: true }));

    it("is named with all others, one of a file that is gone included, and none is tried", () => {
      writeFileSync(join(copy, files[0]!), "");
      rmSync(join(copy, files[1]!));
      const { status, stdout, stderr } = spawnSync(process.execPath, ["mutants/main.mjs"], {
        cwd: copy,
        encoding: "utf8",
        env: { ...process.env, TMPDIR: join(copy, "temporary"), TEMP: join(copy, "temporary") },
      });
      expect(status).toBe(1);
      const lines = stderr.trimEnd().split("\n");
      expect(lines).toHaveLength(stale.length + 1);
      for (const { name, file } of stale) {
        expect(lines.filter((line) => line.startsWith(`${name}: `) && line.includes(file))).toHaveLength(1);
      }
      expect(lines.at(-1)).toContain(`${stale.length} of ${MUTANTS.length} mutants do not fit`);
      expect(stdout).toBe("");
      expect(readdirSync(join(copy, "temporary")), "folders in which mutants are tried").toEqual([]);
    });
  });
});
