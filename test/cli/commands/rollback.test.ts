/** Goal: `rollback` writes today's sessions, not the old backup, and keeps the store. Method: the built program. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { deviationsBut, documentedExamples } from "../support/documented-shape.js";
import { makeLegacy, OPTIONAL, readJson, storeOf } from "../support/legacy.js";
import { run } from "../support/program.js";
import { JAMES_KEY, MAIN_KEY, makeStore, SESSIONS, traces } from "../support/stores.js";

describe("rollback", () => {
  it("goes there and back with today's data", async () => {
    const legacy = makeLegacy();
    await run(["migrate", "--store", legacy]);
    await run(["patch", MAIN_KEY, "model=changed", "--store", legacy]);
    await run(["rm", JAMES_KEY, "--store", legacy]);
    const { code, stdout, stderr } = await run(["rollback", "--store", legacy]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`rolled back ${storeOf(legacy)} to ${legacy}\n`);
    const { [JAMES_KEY]: _, ...rest } = SESSIONS;
    expect(readJson(legacy)).toEqual({ ...rest, [MAIN_KEY]: { ...rest[MAIN_KEY], model: "changed" } });
    expect(existsSync(storeOf(legacy))).toBe(false);
    const again = await run(["rollback", "--store", legacy]);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("is authoritative already") as string,
    });
  });

  it("has the documented JSON; a dry run says the same and changes nothing", async () => {
    const store = await makeStore();
    const before = traces(dirname(store));
    const args = ["rollback", "--store", store, "--json"];
    const planned = JSON.parse((await run([...args, "--dry-run"])).stdout) as object;
    expect(traces(dirname(store))).toEqual(before);
    const done = JSON.parse((await run(args)).stdout) as object;
    const [example] = documentedExamples("`sessiondir rollback`");
    expect(deviationsBut(OPTIONAL, planned, example)).toEqual([]);
    expect(deviationsBut(OPTIONAL, done, example)).toEqual([]);
    expect(planned).toMatchObject({ outcome: "rolled_back", dryRun: true, entries: { kept: 3 } });
    expect(done).toMatchObject({ outcome: "rolled_back", dryRun: false, entries: { kept: 3 } });
  });
});
