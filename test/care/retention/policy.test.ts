/**
 * Goal: a policy that cannot be understood is refused, with its place and what was probably meant, and the published schema says the same.
 * Method: wrong policies, each with what the message must name; patterns against regular expressions; the schema read as data.
 */
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { globOf } from "../../../src/care/retention/glob.js";
import { PolicyFault } from "../../../src/care/retention/policy.js";
import { checkPolicy, readPolicyFile, type RetentionPolicy } from "../../../src/retention/index.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";

const rule = (fields: object): unknown => ({ version: 1, rules: [{ name: "r", ...fields }] });

const WRONG: readonly (readonly [policy: unknown, member: string, message: RegExp])[] = [
  [null, "the policy", /must be an object/],
  [[], "the policy", /must be an object/],
  [{}, "version", /must be 1/],
  [{ version: 2 }, "version", /must be 1 and is 2/],
  [{ version: 1, mod: "off" }, "mod", /Did you mean mode\?/],
  [{ version: 1, mode: "on" }, "mode", /"off", "warn" or "enforce" and is "on"/],
  [{ version: 1, maxShare: 1.5 }, "maxShare", /0 to 1/],
  [{ version: 1, maxShare: "half" }, "maxShare", /0 to 1/],
  [{ version: 1, keep: [1] }, "keep", /list/],
  [{ version: 1, keep: {} }, "keep", /list/],
  [{ version: 1, preserveKeys: [] }, "preserveKeys", /Did you mean keep\?/],
  [{ version: 1, rules: {} }, "rules", /must be a list/],
  [{ version: 1, rules: [1] }, "rules[0]", /must be an object/],
  [rule({ olderThn: "7d" }), "rules[0].olderThn", /Did you mean olderThan\?/],
  [rule({ maxAge: "7d" }), "rules[0].maxAge", /Did you mean olderThan\?/],
  [rule({ older_than: "7d" }), "rules[0].older_than", /Did you mean olderThan\?/],
  [rule({ max_entries: 5 }), "rules[0].max_entries", /Did you mean maxCount\?/],
  [rule({ frobnicate: 5 }), "rules[0].frobnicate", /There are name, keys/],
  [JSON.parse('{"version":1,"rules":[{"name":"r","__proto__":1}]}'), "rules[0].__proto__", /no member/],
  [rule({}), "rules[0]", /has no limit/],
  [rule({ keepNewest: 5 }), "rules[0]", /has no limit/],
  [rule({ keep: true, olderThan: "1d" }), "rules[0]", /keeps its sessions for ever/],
  [rule({ keep: false, olderThan: "1d" }), "rules[0].keep", /must be true/],
  [rule({ olderThan: "7" }), "rules[0].olderThan", /"7d".* is "7"/],
  [rule({ olderThan: 7 }), "rules[0].olderThan", /as in "7d"/],
  [rule({ olderThan: "0d" }), "rules[0].olderThan", /above 0/],
  [rule({ olderThan: "-1d" }), "rules[0].olderThan", /above 0/],
  [rule({ olderThan: "" }), "rules[0].olderThan", /above 0/],
  [rule({ olderThan: null }), "rules[0].olderThan", /above 0/],
  [rule({ maxCount: 0 }), "rules[0].maxCount", /at least 1/],
  [rule({ maxCount: 1.5 }), "rules[0].maxCount", /whole number/],
  [rule({ maxCount: 2, keepNewest: 3 }), "rules[0].keepNewest", /maxCount allows 2/],
  [rule({ ttl: "expiresAt" }), "rules[0].ttl", /must be an object/],
  [rule({ ttl: { field: "" } }), "rules[0].ttl.field", /must name a field/],
  [rule({ ttl: { field: "a..b" } }), "rules[0].ttl.field", /must name a field/],
  [rule({ ttl: { path: "a" } }), "rules[0].ttl.path", /no member/],
  [rule({ keys: [], olderThan: "1d" }), "rules[0].keys", /would match nothing/],
  [rule({ keys: "", olderThan: "1d" }), "rules[0].keys", /must be a key or a list/],
  [rule({ match: "x", olderThan: "1d" }), "rules[0].match", /only code can give/],
  [{ version: 1, rules: [{ olderThan: "1d" }] }, "rules[0].name", /must be a text/],
  [
    {
      version: 1,
      rules: [
        { name: "a", keep: true },
        { name: "a", keep: true },
      ],
    },
    "rules[1].name",
    /its own/,
  ],
  [{ version: 1, store: {} }, "store.maxBytes", /"2GB"/],
  [{ version: 1, store: { maxBytes: 0 } }, "store.maxBytes", /above 0/],
  [{ version: 1, store: { maxBytes: "2 gigabytes" } }, "store.maxBytes", /"2GB"/],
  [{ version: 1, store: { maxBytes: 5, highWater: 0 } }, "store.highWater", /above 0 and at most 1/],
  [{ version: 1, archive: { dir: "x" } }, "archive.dir", /Did you mean folder\?/],
  [{ version: 1, archive: { folder: "" } }, "archive.folder", /path of a folder/],
  [{ version: 1, archive: { olderThan: "1y" } }, "archive.olderThan", /"7d"/],
];

describe("a wrong policy", () => {
  it.each(WRONG)("%j: %s", (policy, member, message) => {
    let thrown: unknown;
    try {
      checkPolicy(policy as RetentionPolicy);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(PolicyFault);
    expect(thrown).toBeInstanceOf(TypeError);
    expect((thrown as PolicyFault).member).toBe(member);
    expect((thrown as PolicyFault).message).toMatch(message);
    expect((thrown as PolicyFault).message.startsWith(member)).toBe(true);
  });
});

it("what is not said is off, half of the store, and 80 %", () => {
  const policy = checkPolicy({ version: 1, store: { maxBytes: "1MB" } });
  expect(policy).toMatchObject({
    mode: "off",
    maxShare: 0.5,
    store: { maxBytes: 1e6, targetBytes: 800_000 },
  });
});

describe("a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "policy-"));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it("is read, and its archive is relative to it", () => {
    const path = write(
      "good.json",
      '\ufeff{"$schema":"x","version":1,"mode":"warn","archive":{"folder":"old"}}',
    );
    const policy = readPolicyFile(path);
    expect(policy.mode).toBe("warn");
    expect(policy.archive.folder).toBe(join(folder, "old"));
  });

  it("is refused with its path, and with the member or line", () => {
    const invalid = { code: "policy_invalid" };
    const member = write("member.json", '{"version":1,"rules":[{"name":"r","olderThn":"7d"}]}');
    expect(() => readPolicyFile(member)).toThrow(
      expect.objectContaining({ ...invalid, data: { path: member, member: "rules[0].olderThn" } }),
    );
    const broken = write("broken.json", '{\n"version": 1,\n}');
    expect(() => readPolicyFile(broken)).toThrow(
      expect.objectContaining({ ...invalid, data: { path: broken, line: 3 } }),
    );
    const missing = join(folder, "missing.json");
    expect(() => readPolicyFile(missing)).toThrow(expect.objectContaining({ code: "file_not_found" }));
    mkdirSync(join(folder, "folder.json"));
    symlinkSync(member, join(folder, "link.json"));
    for (const name of ["folder.json", "link.json"])
      expect(() => readPolicyFile(join(folder, name))).toThrow(
        expect.objectContaining({ code: "file_unsafe" }),
      );
  });
});

it("patterns match as a regular expression would, and soon", () => {
  const random = seededRandom(3);
  const text = (letters: string, length: number): string =>
    Array.from(
      { length: Math.floor(random() * length) },
      () => letters[Math.floor(random() * letters.length)],
    ).join("");
  for (let round = 0; round < 5000; round++) {
    const [pattern, key] = [text("ab*:", 7), text("ab:", 9)];
    const expected = new RegExp(`^${pattern.replaceAll("*", "[^]*")}$`).test(key);
    expect(globOf(pattern)(key), `${pattern} of ${key}`).toBe(expected);
  }
  for (const [pattern, key] of [
    ["a*a", "a"],
    ["ab*ba", "aba"],
    ["a*b*b", "ab"],
  ] as const)
    expect(globOf(pattern)(key), `${pattern} of ${key}`).toBe(false);
  // A regular expression would not come back.
  expect(globOf(`${"a*".repeat(200)}b`)("a".repeat(1000))).toBe(false);
});

it("the published schema knows the same members", () => {
  interface Schema {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly items?: Schema;
    readonly additionalProperties?: boolean;
    readonly $defs?: Readonly<Record<string, Schema>>;
    readonly $ref?: string;
  }
  const path = fileURLToPath(new URL("../../../docs/retention.schema.json", import.meta.url));
  const schema = JSON.parse(readFileSync(path, "utf8")) as Schema;
  const namesOf = ({ properties = {} }: Schema): string[] => Object.keys(properties).sort();
  expect(namesOf(schema)).toEqual([
    "$schema",
    "archive",
    "keep",
    "maxShare",
    "mode",
    "rules",
    "store",
    "version",
  ]);
  const { rules, store, archive } = schema.properties ?? {};
  expect(namesOf(rules?.items ?? {})).toEqual([
    "keep",
    "keepNewest",
    "keys",
    "maxCount",
    "name",
    "olderThan",
    "ttl",
  ]);
  expect(namesOf(store ?? {})).toEqual(["highWater", "maxBytes"]);
  expect(namesOf(archive ?? {})).toEqual(["folder", "maxBytes", "olderThan"]);
  for (const one of [schema, rules?.items, store, archive]) expect(one?.additionalProperties).toBe(false);
});

it("every policy on the page about retention can be used", () => {
  const path = fileURLToPath(new URL("../../../docs/retention.md", import.meta.url));
  const page = readFileSync(path, "utf8").replaceAll(/\s+/g, " ");
  const policies = [...page.matchAll(/(\{ (?:"\$schema": "[^"]*", )?"version": 1.*?\}) ?`/g)].map(
    ([, text = ""]) => text,
  );
  expect(policies.length).toBeGreaterThan(1);
  for (const text of policies) expect(checkPolicy(JSON.parse(text) as RetentionPolicy).mode).toBe("enforce");
});
