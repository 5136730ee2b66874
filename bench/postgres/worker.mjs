// @ts-check
/** One process of several: it is told who to be and what to do, and says how many calls a second it made. */
import { contender } from "./contenders.mjs";
import { rate } from "./rate.mjs";

const [name = "", url = ""] = process.argv.slice(2);
const one = await contender(name, url);
process.on("message", (/** @type {{ lanes: number, ms: number, from: number } | "end"} */ order) => {
  if (order === "end") void one.close().then(() => process.disconnect());
  else void rate(one.update, { ...order, keys: 250 }).then((calls) => process.send?.(calls));
});
process.send?.("ready");
