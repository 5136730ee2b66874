/** Goal: `inspect` says what is there and what would become of it, and changes nothing. Method: the built program. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { makeLegacy, OPTIONAL } from "../support/legacy.js";
import { run } from "../support/program.js";
import { emptyFolder, makeStore, MAIN_KEY, SESSIONS, traces } from "../support/stores.js";

describe("inspect", () => {
  it("has the documented JSON, and touches nothing", async () => {
    const legacy = makeLegacy({ ...SESSIONS, nothing: null });
    const before = traces(dirname(legacy));
    const { code, stdout, stderr } = await run(["inspect", "--store", legacy, "--json"]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
    const result = JSON.parse(stdout) as { stores: unknown[] };
    expect(deviationsBut(OPTIONAL, result, documentedExamples("`sessiondir inspect`")[0])).toEqual([]);
    expect(result.stores).toMatchObject([
      { path: legacy, authority: "file", outcome: "migrated", entries: { read: 4, kept: 3, refused: 1 } },
    ]);
    expect(traces(dirname(legacy))).toEqual(before);
  });

  it("prints what was found, what is refused, and the next command", async () => {
    const legacy = makeLegacy({ ...SESSIONS, "nothing\u001b[2J": null });
    const { code, stdout, stderr } = await run(["inspect", "--store", legacy]);
    expect(code).toBe(3);
    expect(stdout).toContain(`${legacy}: sessions_json, and it is authoritative; migrate: migrated\n`);
    expect(stdout).toContain("  entries   4 read, 3 kept, 1 refused\n");
    expect(stdout).toMatch(/^ {2}refused {3}.*nothing\\u001b\[2J/m);
    expect(stdout).toContain(`  next      sessiondir migrate --store ${legacy}\n`);
    expect(stderr).toContain("sessiondir: warning: ");
  });

  it("looks at a store, at a damaged file, and at a whole state directory", async () => {
    const state = emptyFolder();
    const sessions = (agent: string): string => join(state, "agents", agent, "sessions");
    await makeStore(SESSIONS, join(sessions("main"), "sessions.d"));
    writeFileSync(makeLegacy({}, join(sessions("bad"), "sessions.json")), '{"a":{');
    makeLegacy({}, join(sessions("empty"), "sessions.json"));
    const { code, stdout } = await run(["inspect", "--state-dir", state, "--json"]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      stateDirectory: state,
      stores: [
        { outcome: "skipped_invalid", error: { code: "legacy_invalid" } },
        { outcome: "skipped_empty" },
        { outcome: "already_directory", authority: "directory", sessions: 3 },
      ],
    });
    const store = await run(["inspect", "--state-dir", state, "--agent", "main"]);
    expect(store).toMatchObject({ code: 0, stderr: "" });
    expect(store.stdout).toMatch(/^ {2}sessions {2}3$/m);
  });

  it("can take keys in lower case", async () => {
    const legacy = makeLegacy({ [MAIN_KEY]: { updatedAt: 1 }, [MAIN_KEY.toUpperCase()]: { updatedAt: 2 } });
    const { stdout } = await run(["inspect", "--store", legacy, "--lowercase-keys"]);
    expect(stdout).toContain("2 read, 1 kept, 1 older than another version");
    expect(stdout).toContain(`next      sessiondir migrate --store ${legacy} --lowercase-keys\n`);
  });
});
