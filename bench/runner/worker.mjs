// @ts-check
/** A process that does what the benchmark tells it with one store of one peer. What it can be told is in orders/. */
import { ORDERS } from "../orders/index.mjs";
import { Session } from "../orders/session.mjs";

const which = /** @type {import("./workers.mjs").Which} */ (JSON.parse(process.argv[2] ?? ""));
const session = new Session(which);

process.on("message", async (/** @type {{ kind: string }} */ order) => {
  try {
    // A peer may have left a timer or a thread behind.
    if (order.kind === "end") return void session.close().finally(() => process.exit(0));
    const act = ORDERS[order.kind];
    if (act === undefined) throw new RangeError(`no order is called ${order.kind}`);
    process.send?.({ result: await act(session, order) });
  } catch (error) {
    process.send?.({ error: /** @type {Error} */ (error).stack ?? String(error) });
  }
});
// The process that gave the orders is gone.
process.on("disconnect", () => process.exit(1));
