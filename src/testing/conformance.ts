/**
 * The conformance suite: the one place that says what a session store is.
 *
 * It needs no test framework of its own: give it the `test` function of yours, a way to open an empty store, and the
 * engine's capabilities. Every case opens a store, disposes of it, and waits for events instead of sleeping.
 *
 * @example
 * import { test, describe } from "node:test";
 * import { sessionStoreConformance } from "sessiondir/testing";
 *
 * sessionStoreConformance({
 *   test,
 *   describe,
 *   open: async (options) => {
 *     const store = await openSessionStore("memory:", options);
 *     return { store, dispose: () => store.close() };
 *   },
 *   capabilities: {
 *     persistent: false, shared: false, syncReads: false, forgets: false, lazyValues: false,
 *     limits: ["entry_too_large", "value_too_deep"],
 *   },
 * });
 */
import { concurrencyCases } from "./conformance-concurrency.js";
import { deleteCases } from "./conformance-delete.js";
import { keyCases } from "./conformance-keys.js";
import { Kit, type ConformanceOptions } from "./conformance-kit.js";
import { lifecycleCases } from "./conformance-lifecycle.js";
import { limitCases } from "./conformance-limits.js";
import { listCases } from "./conformance-list.js";
import { patchCases } from "./conformance-patch.js";
import { putCases } from "./conformance-put.js";
import { transactCases } from "./conformance-transact.js";
import { updateCases } from "./conformance-update.js";
import { valueCases } from "./conformance-values.js";
import { watchCases } from "./conformance-watch.js";

export type {
  ConformanceCapabilities,
  ConformanceEntry,
  ConformanceFixture,
  ConformanceLimit,
  ConformanceOpenOptions,
  ConformanceOptions,
  ConformanceStore,
} from "./conformance-kit.js";

/** Registers every case that the capabilities allow. */
export function sessionStoreConformance(options: ConformanceOptions): void {
  const kit = new Kit(options);
  kit.group("put and read", () => putCases(kit));
  kit.group("patch", () => patchCases(kit));
  kit.group("delete", () => deleteCases(kit));
  kit.group("update", () => updateCases(kit));
  kit.group("transact", () => transactCases(kit));
  kit.group("concurrency", () => concurrencyCases(kit));
  kit.group("list and count", () => listCases(kit));
  kit.group("watch", () => watchCases(kit));
  kit.group("keys", () => keyCases(kit));
  kit.group("values", () => valueCases(kit));
  kit.group("limits", () => limitCases(kit));
  kit.group("lifecycle", () => lifecycleCases(kit));
}
