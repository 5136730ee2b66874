/** Goal: each kind of target means one thing, and what is none is refused. Method: tables. */
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parseTarget, storeDirectoryOf } from "../../src/store/target.js";

describe("parseTarget", () => {
  test.each([
    ["/var/lib/sessions.json", "/var/lib/sessions.d"],
    ["/var/lib/other.json", "/var/lib/other.d"],
    ["/var/lib/a.b.json", "/var/lib/a.b.d"],
    ["/var/lib/sessions.d", "/var/lib/sessions.d"],
    ["/var/lib/sessions.d/", "/var/lib/sessions.d"],
    ["/var/lib/sessions", "/var/lib/sessions"],
    ["/var/lib/../lib/x.json", "/var/lib/x.d"],
    ["/var/lib/.json", "/var/lib/.json"],
    ["/var/lib/x.JSON", "/var/lib/x.JSON"],
    ["relative.json", resolve("relative.d")],
  ])("%s is the directory %s", (target, path) => {
    const legacyFile = path.endsWith(".d") && target.endsWith(".json") ? resolve(target) : undefined;
    expect(parseTarget(target)).toEqual({ kind: "directory", path, legacyFile });
    expect(storeDirectoryOf(target)).toBe(path);
  });

  test("memory:", () => {
    expect(parseTarget("memory:")).toEqual({ kind: "memory" });
  });

  test("postgres:// is refused without repeating the password", () => {
    for (const scheme of ["postgres", "postgresql", "POSTGRES"]) {
      const parse = () => parseTarget(`${scheme}://user:secret@host/db`);
      expect(parse).toThrow(TypeError);
      expect(parse).toThrow(/Postgres/);
      expect(parse).not.toThrow(/secret/);
    }
  });

  test.each(["", undefined, null, 7, {}, "file:///var/lib/x", "https://host", "a\0b"])(
    "%j is no target",
    (target) => {
      expect(() => parseTarget(target)).toThrow(TypeError);
      expect(() => parseTarget(target)).toThrow(/target/);
    },
  );
});
