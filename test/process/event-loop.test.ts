/**
 * Goal: opening, counting and listing very many sessions never keeps the event loop of a gateway from its
 * other work for long.
 * Method: one program makes the store, another opens and lists it while it asks for turns of the event loop
 * and notes the longest wait. A shared machine may take the processor away at any time, so the bound is 50 ms or ten
 * times the longest wait during reference work in slices of 8 ms, measured in the same run, whichever is more.
 */
import { join } from "node:path";
import { expect, it } from "vitest";
import { start } from "./support/child.js";
import { temporaryFolderForMany } from "./support/temporary-folder.js";
import { many } from "../support/thoroughness.js";

const SESSIONS = many(100_000, 20_000);

it(
  `${SESSIONS} sessions are opened and listed without holding the event loop`,
  { timeout: 600_000 },
  async () => {
    const path = join(temporaryFolderForMany(), "sessions.d");
    const maker = start("hundred-thousand", { path, sessions: SESSIONS, work: "make" });
    await maker.finished();
    const reader = start("hundred-thousand", { path, sessions: SESSIONS, work: "look" });
    await reader.finished();

    const answers = reader.messages.filter(({ event }) => event === "answer");
    expect(answers.map(({ count }) => count)).toEqual([SESSIONS, 50, SESSIONS]);
    const measured = [...maker.messages, ...reader.messages].filter(({ event }) => event === "measured");
    for (const { step, blockMs, totalMs } of measured) {
      console.log(`${String(step)}: longest block ${String(blockMs)} ms of ${String(totalMs)} ms`);
    }
    const reference = Number(measured.find(({ step }) => step === "reference")?.["blockMs"]);
    const bound = Math.max(50, 10 * reference);
    const steps = measured.filter(({ step }) => step !== "reference" && step !== "checkpoint");
    expect(steps).toHaveLength(8);
    for (const { step, blockMs } of steps)
      expect({ step, short: Number(blockMs) < bound }).toEqual({ step, short: true });
  },
);
