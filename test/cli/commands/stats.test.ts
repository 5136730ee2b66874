/**
 * Goal: `stats` tells what fills a store: bytes that add up, shared values counted once. Method: the built program on a
 * store of three sessions, two of which share a value; sizes against `JSON.stringify`.
 */
import { describe, expect, it } from "vitest";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { deviations, documentedExamples } from "../support/documented-shape.js";
import { run } from "../support/program.js";
import { makeStore, SESSIONS, SNAPSHOT } from "../support/stores.js";

interface Stats {
  readonly sessions: number;
  readonly bytes: { asJson: number; entries: number };
  readonly fields: { field: string; sessions: number; asJson: number; stored: number }[];
  readonly [name: string]: unknown;
}

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

describe("stats", () => {
  it("has the documented JSON, and bytes that add up", async () => {
    const { code, stdout, stderr } = await run(["stats", "--json", "--store", await makeStore()]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const stats = JSON.parse(stdout) as Stats;
    expect(deviations(stats, documentedExamples("`sessiondir stats`")[0])).toEqual([]);
    expect(stats.sessions).toBe(3);
    const entries = Object.values(SESSIONS);
    const exact = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    expect(stats.bytes.asJson - exact).toBe(entries.length); // each has one comma too many
    const [snapshot] = stats.fields;
    expect(snapshot).toMatchObject({ field: "skillsSnapshot", sessions: 2 });
    expect(snapshot?.asJson).toBe(2 * (sizeOf(SNAPSHOT) + '"skillsSnapshot":,'.length));
    expect(snapshot?.stored).toBeGreaterThan(sizeOf(SNAPSHOT));
    expect(snapshot?.stored).toBeLessThan(sizeOf(SNAPSHOT) + 400);
    expect(stats.fields.find(({ field }) => field === "sessionId")).toMatchObject({
      sessions: 3,
      asJson: 3 * 18,
      stored: 3 * 18,
    });
    expect(stats["agents"]).toMatchObject([
      { agent: "main", sessions: 2 },
      { agent: "ops", sessions: 1 },
    ]);
    expect(stats["channels"]).toMatchObject([
      { channel: "webchat" },
      { channel: "telegram" },
      { channel: "cron" },
    ]);
    expect((stats["ages"] as { sessions: number }[]).map(({ sessions }) => sessions)).toEqual([
      0, 1, 1, 0, 0, 1,
    ]);
  });

  it("prints it as tables", async () => {
    const { code, stdout } = await run(["stats", "--store", await makeStore()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^skillsSnapshot +\d+\.\d kB +9\d\.\d % +12\.\d kB +2$/m);
    expect(stdout).toMatch(/^- shared values +12\.\d kB in \d$/m);
    expect(stdout).toMatch(/^under 1 day +1 +33\.3 %/m);
  });

  it("measures the rest when a shared value is gone, and ends with 3", async () => {
    const path = await makeStore();
    await run(["flush", "--checkpoint", "--store", path]);
    const blobs = join(path, ".store/blobs");
    for (const name of readdirSync(blobs)) rmSync(join(blobs, name), { recursive: true });
    const { code, stdout, stderr } = await run(["stats", "--store", path]);
    expect(code).toBe(3);
    expect(stderr).toContain("the field skillsSnapshot of session");
    expect(stdout).toMatch(/^sessions +3$/m);
  });
});
