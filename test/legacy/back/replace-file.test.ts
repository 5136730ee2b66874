/**
 * Goal: a legacy file is only replaced while it is the one that was looked at.
 * Method: others act between the look and the replacement.
 */
import { expect, it } from "vitest";
import { LegacyPaths } from "../../../src/legacy/base/paths.js";
import { stampNow } from "../../../src/legacy/base/host.js";
import { replaceLegacyFile } from "../../../src/legacy/back/replace-file.js";
import { FILE, LegacyMachine } from "../legacy-machine.js";

const COMPLETE = `${FILE}.writing-0000000000000001-aa`;
const textIn = (machine: LegacyMachine): string | undefined => machine.disk.readRaw(FILE)?.toString();

it.each<[string, (machine: LegacyMachine) => void, string | undefined]>([
  ["nothing", () => {}, "ours"],
  ["a new file under its name", (machine) => machine.disk.writeRaw(FILE, "theirs"), "theirs"],
  [
    "another file of the same size",
    (machine) => {
      machine.disk.removeRaw(FILE);
      machine.disk.writeRaw(FILE, "new");
    },
    "new",
  ],
  ["the file taken away", (machine) => machine.disk.removeRaw(FILE), undefined],
  ["our file taken away", (machine) => machine.disk.removeRaw(COMPLETE), "old"],
])("what others did: %s", async (_name, act, expected) => {
  const machine = new LegacyMachine();
  const host = machine.process();
  machine.disk.writeRaw(FILE, "old");
  machine.disk.writeRaw(COMPLETE, "ours");
  const stamp = stampNow(host, FILE);
  act(machine);
  expect(await replaceLegacyFile(host, new LegacyPaths(FILE), COMPLETE, stamp)).toBe(expected === "ours");
  expect(textIn(machine)).toBe(expected);
});

it("nothing is nothing, also below something that is no folder", () => {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, "{}");
  expect(stampNow(machine.process(), `${FILE}/.store`)).toBe("none");
});
