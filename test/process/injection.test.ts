/**
 * Goal: a real process that is killed in front of any one system call, or that any one call fails, loses nothing that
 * it acknowledged, leaves nothing half done and nothing that stays; a migration or rollback leaves one complete side,
 * and the next run finishes (faults 1, 8, 9, 33).
 * Method: `strace` attaches to the one thread in question and meddles with its Nth call of a kind, for N = 1, 2, 3 … until
 * a run passes untouched. `SESSIONDIR_INJECTIONS=all` does that for all of them (`npm run injections`); otherwise a
 * seed picks some.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canInject, injected, run, type Case, type Place } from "./support/injection.js";
import { copyPrograms } from "./support/ownership.js";
import { casesOf, sample, SUBJECTS, type Kind, type Subject } from "./support/subjects.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { many } from "../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const ALL = process.env["SESSIONDIR_INJECTIONS"] === "all";
/** Cases of each scenario where not all are run. */
const SAMPLE = Number(process.env["SESSIONDIR_INJECTIONS"] ?? many(14, 7)) || 0;
/** Only a hang is meant to meet it. */
const CASE_MS_MAX = 20_000;
const CASES_MAX = 2000;

describe.runIf(canInject)(injected(`one system call of a real process, seed ${SEED}`), () => {
  let place: Place = { folder: "", programs: "" };
  let number = 0;
  let astray = 0;

  /** One run in a folder of its own. @returns Whether the fault happened. */
  async function attempt(subject: Subject, fault: Case): Promise<boolean> {
    const folder = join(place.folder, `case-${++number}`);
    mkdirSync(folder, { mode: 0o700 });
    const argument = await subject.prepare(folder);
    const outcome = await run(place, subject.program, argument, fault);
    const wrong = await subject.wrong(folder, outcome);
    const killed = outcome.injected && fault.fault === "KILL";
    if (outcome.astray) astray += 1;
    else if (!killed && outcome.code !== 0) wrong.push(`it ended with ${outcome.code ?? outcome.signal}`);
    if (!outcome.astray && outcome.stderr !== "") wrong.push(outcome.stderr);
    expect({ subject: subject.name, ...fault, wrong }).toEqual({
      subject: subject.name,
      ...fault,
      wrong: [],
    });
    rmSync(folder, { recursive: true });
    return outcome.injected;
  }

  it.each(SUBJECTS)(
    "may die or fail in $name",
    async (subject) => {
      place = { folder: temporaryFolder(), programs: copyPrograms(temporaryFolder()) };
      astray = 0;
      const { cases, kinds } = await casesOf(place, subject);
      expect(cases.length).toBeGreaterThan(10);
      const chosen = ALL ? await runAll(subject, kinds) : await runSome(subject, sample(cases, SAMPLE, SEED));
      console.log(
        "injections",
        JSON.stringify({ seed: SEED, subject: subject.name, cases: cases.length, ...chosen, astray }),
      );
    },
    CASES_MAX * CASE_MS_MAX,
  );

  async function runSome(subject: Subject, cases: readonly Case[]): Promise<object> {
    let happened = 0;
    for (const fault of cases) if (await attempt(subject, fault)) happened += 1;
    // A process may make a call less than the one that was counted, but not many.
    expect(happened).toBeGreaterThan(cases.length * 0.8);
    return { run: cases.length, happened };
  }

  /**
   * Every kind of fault at the 1st, 2nd, 3rd … call, until a run passes untouched. Where Node makes such calls too, at
   * those that were the store's.
   */
  async function runAll(subject: Subject, kinds: readonly Kind[]): Promise<object> {
    const happened: Record<string, number> = {};
    for (const { numbers, allOurs, ...kind } of kinds) {
      let count = 0;
      if (allOurs) while (await attempt(subject, { ...kind, nth: count + 1 })) count += 1;
      else for (const nth of numbers) if (await attempt(subject, { ...kind, nth })) count += 1;
      const name = `${kind.thread} ${kind.call} ${kind.fault}`;
      // Node's own calls shift the numbers of ours from run to run, a little.
      const enough = count >= (allOurs ? 1 : Math.trunc(numbers.length / 2));
      expect({ name, count, enough }).toEqual({ name, count, enough: true });
      happened[name] = count;
    }
    const total = Object.values(happened).reduce((sum, calls) => sum + calls, 0);
    return { total, happened };
  }
});
