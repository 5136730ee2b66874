/**
 * The conformance suite: the one place that says what a session store is.
 *
 * It needs no test framework of its own: give it the `test` function of yours, a way to open an empty store, and the
 * engine's capabilities. Every case opens a store, disposes of it, and waits for events instead of sleeping.
 *
 * @example
 * import { test, describe } from "node:test";
 * import { openSessionStore } from "sessiondir";
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
import { concurrencyCases } from "./concurrency.js";
import { deleteCases } from "./delete.js";
import { keyCases } from "./keys.js";
import { Kit, type ConformanceOptions } from "./kit.js";
import { lifecycleCases } from "./lifecycle.js";
import { limitCases } from "./limits.js";
import { listCases } from "./list.js";
import { patchCases } from "./patch.js";
import { putCases } from "./put.js";
import { transactCases } from "./transact.js";
import { transcriptChangeCases } from "./transcripts-changes.js";
import { transcriptTransactCases } from "./transcripts-transact.js";
import { transcriptValueCases } from "./transcripts-values.js";
import { transcriptCases } from "./transcripts.js";
import { updateCases } from "./update.js";
import { valueCases } from "./values.js";
import { watchCases } from "./watch.js";

export type {
  ConformanceCapabilities,
  ConformanceEntry,
  ConformanceFixture,
  ConformanceLimit,
  ConformanceOpenOptions,
  ConformanceOptions,
  ConformanceStore,
} from "./kit.js";

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
  kit.group("transcripts", () => transcriptCases(kit));
  kit.group("changes of transcripts", () => transcriptChangeCases(kit));
  kit.group("transcripts in transactions", () => transcriptTransactCases(kit));
  kit.group("items and watches", () => transcriptValueCases(kit));
  kit.group("lifecycle", () => lifecycleCases(kit));
}
