// @ts-check
/** Mutants of the simulator itself: what it does to a log, and whom its oracle excuses. */
import * as suite from "../suites.mjs";
import { inFile } from "../suites.mjs";

export const SIMULATOR = [
  ...inFile(
    "sim/damage.ts",
    [suite.SIMULATED_DAMAGE],
    [
      {
        name: "damage changes no byte",
        rule: "simulator",
        find: "  disk.writeRaw(`${STORE}/${chosen}`, bytes);\n",
        replace: "",
      },
    ],
  ),
  ...inFile(
    "sim/world.ts",
    [suite.SIMULATED_DAMAGE],
    [
      {
        name: "damage excuses what becomes of any session",
        rule: "simulator",
        find: `for (const key of done.keys) this.damaged.add(key);`,
        replace: `for (const key of [...done.keys, ...this.oracle.state.keys(), "a", "b", "c"]) this.damaged.add(key);`,
      },
    ],
  ),
];
