/**
 * Goal: a limit is what its owner wrote, or an error that names it; never a default in its place, never "everything".
 * Method: every spelling that works, and many that do not.
 */
import { afterEach, describe, expect, it, test } from "vitest";
import {
  assertMaintenanceConfig,
  configuredMaintenance,
  configureSessionMaintenance,
  resolveMaintenanceConfig,
  type SessionMaintenanceConfig,
} from "../../../src/openclaw/maintenance/config.js";
import { parseByteSize, parseDurationMs } from "../../../src/openclaw/maintenance/quantities.js";

const DAY = 86_400_000;
afterEach(() => configureSessionMaintenance(undefined));

test.each([
  ["30d", 30 * DAY],
  ["36h", 1.5 * DAY],
  ["1d12h", 1.5 * DAY],
  ["1d 12h", 1.5 * DAY],
  ["0.5d", DAY / 2],
  ["2w", 14 * DAY],
  ["90m", 5_400_000],
  ["1500ms", 1500],
  [" 7D ", 7 * DAY],
  ["7", 7 * DAY],
  [7, 7 * DAY],
])("%j is a duration", (text, ms) => {
  expect(parseDurationMs(text, "d")).toBe(ms);
});

test.each([
  "",
  " ",
  "30 dys",
  "d",
  "-1d",
  "1d-",
  "1e3d",
  "0",
  0,
  "0d",
  "1d2",
  -1,
  NaN,
  Infinity,
  null,
  true,
  {},
])("%j is no duration", (value) => {
  expect(parseDurationMs(value, "d")).toBeUndefined();
});

test.each([
  ["10mb", 10 * 1024 ** 2],
  ["10 MB", 10 * 1024 ** 2],
  ["1.5g", 1.5 * 1024 ** 3],
  ["512k", 512 * 1024],
  ["100", 100],
  [100, 100],
])("%j is a size", (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

test.each(["", "10 mib", "ten", "-5mb", 0, "1mb2", [1]])("%j is no size", (value) => {
  expect(parseByteSize(value)).toBeUndefined();
});

describe("resolveMaintenanceConfig", () => {
  it("has defaults for what is not there", () => {
    expect(resolveMaintenanceConfig({})).toEqual({
      mode: "enforce",
      pruneAfterMs: 30 * DAY,
      maxEntries: 500,
      rotateBytes: 10 * 1024 ** 2,
      resetArchiveRetentionMs: 30 * DAY,
      maxDiskBytes: null,
      highWaterBytes: null,
      preserveKeys: [],
    });
  });

  it("takes every option", () => {
    const config = resolveMaintenanceConfig({
      mode: "warn",
      pruneAfter: "14d",
      maxEntries: 2000,
      rotateBytes: "20mb",
      resetArchiveRetention: "7d",
      maxDiskBytes: "1gb",
      highWaterBytes: "2gb",
      preserveKeys: ["agent:main:main"],
    });
    expect(config).toEqual({
      mode: "warn",
      pruneAfterMs: 14 * DAY,
      maxEntries: 2000,
      rotateBytes: 20 * 1024 ** 2,
      resetArchiveRetentionMs: 7 * DAY,
      maxDiskBytes: 1024 ** 3,
      highWaterBytes: 1024 ** 3,
      preserveKeys: ["agent:main:main"],
    });
    expect(resolveMaintenanceConfig({ maxDiskBytes: 1000 }).highWaterBytes).toBe(800);
    expect(resolveMaintenanceConfig({ pruneDays: 3 })).toMatchObject({
      pruneAfterMs: 3 * DAY,
      resetArchiveRetentionMs: 3 * DAY,
    });
  });

  it("false switches a limit off", () => {
    const off = { pruneAfter: false, maxEntries: false, rotateBytes: false } as const;
    expect(resolveMaintenanceConfig(off)).toMatchObject({
      pruneAfterMs: Infinity,
      maxEntries: Infinity,
      rotateBytes: Infinity,
      resetArchiveRetentionMs: null,
    });
  });

  it.each([
    ["pruneAfter", "30 dys"],
    ["pruneAfter", "0d"],
    ["pruneAfter", ""],
    ["pruneAfter", null],
    ["pruneDays", "30"],
    ["maxEntries", 0],
    ["maxEntries", -1],
    ["maxEntries", 1.5],
    ["maxEntries", "500"],
    ["rotateBytes", "10 megs"],
    ["resetArchiveRetention", "soon"],
    ["maxDiskBytes", "-1"],
    ["highWaterBytes", true],
    ["mode", "delete"],
    ["preserveKeys", "agent:main:main"],
    ["preserveKeys", [1]],
    ["pruneAfterDays", 3],
  ])("%s: %j is an error that names the option", (name, value) => {
    const config = { [name]: value } as SessionMaintenanceConfig;
    expect(() => resolveMaintenanceConfig(config)).toThrow(TypeError);
    expect(() => resolveMaintenanceConfig(config)).toThrow(name);
  });

  it("without an argument it is what the process was told", () => {
    expect(configuredMaintenance()).toBeUndefined();
    configureSessionMaintenance({ pruneAfter: "2d" });
    expect(resolveMaintenanceConfig().pruneAfterMs).toBe(2 * DAY);
    expect(configuredMaintenance()?.pruneAfterMs).toBe(2 * DAY);
    expect(() => configureSessionMaintenance({ maxEntries: 0 })).toThrow("maxEntries");
    expect(resolveMaintenanceConfig().pruneAfterMs).toBe(2 * DAY);
    configureSessionMaintenance(undefined);
    expect(resolveMaintenanceConfig().pruneAfterMs).toBe(30 * DAY);
  });
});

it("a configuration that a program composed is checked too", () => {
  const good = resolveMaintenanceConfig({});
  expect(() => assertMaintenanceConfig(good)).not.toThrow();
  expect(() => assertMaintenanceConfig({ ...good, pruneAfterMs: NaN })).toThrow("pruneAfterMs");
  expect(() => assertMaintenanceConfig({ ...good, maxEntries: 1.5 })).toThrow(
    "maxEntries must be an integer",
  );
  const noCap = { mode: "enforce", pruneAfterMs: 1, rotateBytes: 1 } as typeof good;
  expect(() => assertMaintenanceConfig(noCap)).toThrow("maxEntries");
  const limitless = { resetArchiveRetentionMs: null, maxDiskBytes: null, highWaterBytes: null };
  expect(() => assertMaintenanceConfig({ ...good, ...limitless })).not.toThrow();
});

// 0 removed every archive at once, and a limit under its other name left the default in force.
it.each([
  ["resetArchiveRetentionMs", 0],
  ["maxDiskBytes", 0],
  ["maxDiskBytes", NaN],
  ["highWaterBytes", 0],
  ["preserveKeys", "agent:main:main"],
  ["pruneAfter", false],
  ["resetArchiveRetention", false],
])("limits with %s: %j are an error that names it", (name, value) => {
  const limits = { ...resolveMaintenanceConfig({}), [name]: value };
  expect(() => assertMaintenanceConfig(limits)).toThrow(TypeError);
  expect(() => assertMaintenanceConfig(limits)).toThrow(name);
});
