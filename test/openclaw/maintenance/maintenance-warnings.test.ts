/**
 * Goal: what maintenance would do, cannot do or does not dare to do is told to the owner, and fails no write.
 * Method: stores on the simulated disk, on both backends, with `warn`, a clock that jumps, callbacks that throw and renames that
 * are refused.
 */
import { describe, expect, it } from "vitest";
import { resolveMaintenanceConfig } from "../../../src/openclaw/maintenance/config.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { DAY, Gateway, HOUR } from "./maintained-gateway.js";

describe.each(["directory", "legacy"] as const)("%s", (backend) => {
  it("warn: removes nothing, and says what would be, and of the active session", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ active: 31, old: 40, a: 1, b: 2 });
    const config = { mode: "warn", maxEntries: 2 } as const;
    const report = await gateway.maintain(config, { activeSessionKey: "active" });
    expect(report).toMatchObject({
      mode: "warn",
      beforeCount: 4,
      afterCount: 4,
      pruned: 0,
      capped: 0,
      stale: 2,
      removed: [],
    });
    expect(gateway.warnings).toEqual([
      {
        activeSessionKey: "active",
        activeUpdatedAt: gateway.runtime.now() - 31 * DAY,
        totalEntries: 4,
        pruneAfterMs: 30 * DAY,
        maxEntries: 2,
        wouldPrune: true,
        wouldCap: true,
      },
    ]);
    expect(await gateway.keys()).toHaveLength(4);
    expect(gateway.transcripts()).toHaveLength(4);
    await gateway.maintain(config, { activeSessionKey: "a", force: true });
    expect(gateway.warnings).toHaveLength(1);
  });

  it("a clock that jumps ahead removes nothing by age, until it has been put right or an hour has passed", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ a: 1, b: 2, old: 31 });
    const right = gateway.runtime.now();
    gateway.runtime.setNow(right + 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.advance(HOUR / 2);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.setNow(right + HOUR / 2);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 1, clockUnsteady: false });
    gateway.runtime.setNow(right - 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: false });
    gateway.runtime.setNow(right + 400 * DAY);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 0, clockUnsteady: true });
    gateway.runtime.advance(HOUR);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ pruned: 2 });
  });

  it("a number that is no limit is a TypeError, before anything happens", async () => {
    const gateway = await Gateway.start(backend);
    const config = { ...resolveMaintenanceConfig({}), maxEntries: NaN };
    expect(() => gateway.maintain(undefined, { config })).toThrow(TypeError);
  });

  it("what goes wrong fails no write: it is told, and the next run tries again", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31 });
    const onMaintenanceApplied = (): never => {
      throw new Error("the gateway's own mistake");
    };
    expect(await gateway.maintain({}, { onMaintenanceApplied })).toBeUndefined();
    expect(gateway.errors).toMatchObject([{ message: "the gateway's own mistake" }]);
    expect(await gateway.maintain({}, { force: true })).toMatchObject({ beforeCount: 0 });
  });

  it("a transcript that cannot be renamed is told, and the sessions that went are reported all the same", async () => {
    const gateway = await Gateway.start(backend);
    await gateway.putAged({ old: 31 });
    gateway.fs.onCall = (call) => {
      if (call.name === "rename" && String(call.args[0]).endsWith(".jsonl"))
        throw systemError("EACCES", call);
    };
    expect(await gateway.maintain({})).toMatchObject({ pruned: 1, archived: [] });
    expect(gateway.errors).toMatchObject([{ code: "EACCES" }]);
    expect(gateway.transcripts()).toEqual(["id-old.jsonl"]);
  });
});
