/**
 * Goal: `get` prints exactly the entry, or one field of it, and says what is wrong with a key that is not there.
 * Method: the built program on a store of three sessions; its JSON against docs/cli.md.
 */
import { describe, expect, it } from "vitest";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { errorOf, run } from "../support/program.js";
import { CRON_KEY, MAIN_KEY, makeStore, SESSIONS, SNAPSHOT } from "../support/stores.js";

describe("get", () => {
  it("prints the entry as JSON, shared values included", async () => {
    const { code, stdout, stderr } = await run(["get", MAIN_KEY, "--store", await makeStore()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(SESSIONS[MAIN_KEY]);
    expect(stdout).toContain('\n  "sessionId": "s-1",\n');
  });

  it("has the documented JSON, with and without a field", async () => {
    const store = await makeStore();
    const [whole, field] = documentedExamples("`sessiondir get`") as [Record<string, unknown>, unknown];
    const record = JSON.parse((await run(["get", MAIN_KEY, "--store", store, "--json"])).stdout) as Record<
      string,
      unknown
    >;
    expect(record).toMatchObject({ store, key: MAIN_KEY, revision: 1, entry: SESSIONS[MAIN_KEY] });
    expect(deviations({ ...record, entry: {} }, { ...whole, entry: {} })).toEqual([]);
    const { stdout } = await run(["get", MAIN_KEY, "--store", store, "--json", "--field", "usage.total"]);
    expect(JSON.parse(stdout)).toMatchObject({ field: "usage.total", value: 7 });
    expect(deviations(JSON.parse(stdout), field)).toEqual([]);
  });

  it.each([
    ["model", '"large"\n'],
    ["usage.parts.0.name", '"first"\n'],
    ["skillsSnapshot.version", `${SNAPSHOT.version}\n`],
  ])("follows the field %s", async (field, expected) => {
    const { code, stdout } = await run(["get", MAIN_KEY, "--store", await makeStore(), "--field", field]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expected });
  });

  it.each([
    ["toString", "has no field"],
    ["__proto__", "has no field"],
    ["usage.constructor", "It has total, parts"],
    ["model.length", "It has no fields"],
  ])("has no field %s", async (field, message) => {
    const { code, stdout, stderr } = await run([
      "get",
      MAIN_KEY,
      "--store",
      await makeStore(),
      "--field",
      field,
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("suggests the nearest keys for one that is not there", async () => {
    const store = await makeStore();
    const near = await run(["get", "agent:main:Mian", "--store", store]);
    expect(near).toMatchObject({ code: 1, stdout: "" });
    expect(near.stderr).toBe(
      `sessiondir: there is no session "agent:main:Mian" in ${store}. Did you mean "${MAIN_KEY}"?\n`,
    );
    const far = await run(["get", "zzz", "--store", store, "--json"]);
    expect(errorOf(far)).toEqual({
      code: "not_found",
      message: expect.stringContaining(`List its 3 sessions: sessiondir ls --store ${store}`) as string,
      data: { key: "zzz", path: store },
      exitCode: 1,
    });
  });

  it("refuses what is no key", async () => {
    const store = await makeStore();
    expect(await run(["get", "", "--store", store])).toMatchObject({ code: 2 });
    expect(await run(["get", "x".repeat(1025), "--store", store])).toMatchObject({ code: 1 });
    expect((await run(["get", "--store", store])).stderr).toContain("See sessiondir get --help");
    expect(await run(["get", CRON_KEY, MAIN_KEY, "--store", store])).toMatchObject({ code: 2 });
  });
});
