/** Goal: defaults are as documented, and every wrong option is a TypeError that names it. Method: tables. */
import { describe, expect, test, vi } from "vitest";
import { DEFAULT_LIMITS } from "../../src/format/limits.js";
import { resolveOptions } from "../../src/store/options.js";

describe("resolveOptions", () => {
  test("defaults", () => {
    expect(resolveOptions(undefined)).toMatchObject({
      readOnly: false,
      normalizeKey: undefined,
      limits: DEFAULT_LIMITS,
      durability: "disk",
      flushDelayMs: 500,
      segmentBytes: 4 * 1024 * 1024,
      blobThresholdBytes: 4096,
      cacheBytes: 128 * 1024 * 1024,
    });
    expect(resolveOptions({ readOnly: undefined })).toMatchObject({ readOnly: false });
  });

  test("limits are filled in one by one", () => {
    const { limits } = resolveOptions({ limits: { keyBytesMax: 10, depthMax: undefined as never } });
    expect(limits).toEqual({ ...DEFAULT_LIMITS, keyBytesMax: 10 });
  });

  test.each([
    ["durability", "none"],
    ["durability", true],
    ["readOnly", 1],
    ["normalizeKey", "lower"],
    ["updatedAt", "updatedAt"],
    ["flushDelayMs", -1],
    ["flushDelayMs", 1.5],
    ["segmentBytes", 100],
    ["blobThresholdBytes", 0],
    ["cacheBytes", -1],
    ["cacheBytes", Infinity],
    ["onWarning", console],
    ["limits", 5],
    ["limits", { keyBytesMax: 0 }],
    ["limits", { keyBytes: 5 }],
    ["limits", { depthMax: 129 }],
    ["limits", { recordBytesMax: 16 * 1024 * 1024 }],
    ["durabilty", "os"],
  ])("%s: %j is refused by name", (name, value) => {
    const resolve = () => resolveOptions({ [name]: value });
    expect(resolve).toThrow(TypeError);
    expect(resolve).toThrow(name);
  });

  test.each([[null], ["x"], [[]]])("%j are no options", (options) => {
    expect(() => resolveOptions(options as never)).toThrow(TypeError);
  });

  test("updatedAt never throws and never gives anything but a finite number", () => {
    const own = resolveOptions(undefined).updatedAt;
    expect([{ updatedAt: 5 }, { updatedAt: "5" }, { updatedAt: NaN }, {}].map((entry) => own(entry))).toEqual(
      [5, undefined, undefined, undefined],
    );
    const { updatedAt } = resolveOptions<{ at: number }>({
      updatedAt: ({ at }) => {
        if (at < 0) throw new Error("no");
        return at;
      },
    });
    expect([updatedAt({ at: 3 }), updatedAt({ at: -1 }), updatedAt({ at: Infinity })]).toEqual([
      3,
      undefined,
      undefined,
    ]);
  });

  test("warnings go to the process unless somebody listens", () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      resolveOptions(undefined).onWarning({ code: "log_gap", message: "a gap", data: {} });
      expect(emitWarning).toHaveBeenCalledWith("a gap", { type: "SessionStoreWarning", code: "log_gap" });
    } finally {
      emitWarning.mockRestore();
    }
  });
});
