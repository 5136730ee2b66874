/**
 * Goal: what once went wrong does not go wrong again.
 * Method: every schedule in `test/bug-base/`, shortened when it was found, runs from beginning to end. Some were found by
 * taking a step of the protocol away; they show that the step is needed, and must pass with it.
 */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bugsIn, readBug } from "../../sim/bug-base.js";
import { Runner } from "../../sim/runner.js";

const FOLDER = fileURLToPath(new URL("../bug-base", import.meta.url));

it("has something in it", () => {
  expect(bugsIn(FOLDER).length).toBeGreaterThan(0);
});

it.each(bugsIn(FOLDER).map((path) => [basename(path), path] as const))("%s", async (_name, path) => {
  const { schedule, cause, violation } = readBug(path);
  expect(cause, "why it failed").not.toBe("");
  expect(violation).not.toBe("");
  const runner = await Runner.make();
  const outcome = await runner.run(schedule);
  runner.dispose();
  expect(outcome.violation).toBeUndefined();
});
