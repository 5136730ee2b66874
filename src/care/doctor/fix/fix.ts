/**
 * Rounds of repairs, each of what the look before it has found: first what the store does not open without, then what the store does itself,
 * then files. It ends when nothing is left that can be repaired, or when a round has changed nothing.
 */
import { asStoreError, isDiskFull, SessionStoreError } from "../../../errors.js";
import { look, type Looks } from "../look.js";
import { Patient } from "../patient.js";
import type { DoctorHost, DoctorOptions, Finding } from "../types.js";
import { bringBack, type Sources } from "./bring-back.js";
import { mendFiles, putBack } from "./files.js";
import { mendFoundations } from "./foundations.js";
import { Surgery } from "./surgery.js";
import { mendThroughStore } from "./through-store.js";

/** One repair may show what it has hidden: a store that opens, a session that is missing, a value of it. */
const ROUNDS_MAX = 6;

export async function fix(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
  first: Looks,
  sources: Sources,
): Promise<{ readonly surgery: Surgery; readonly looks: Looks }> {
  const surgery = new Surgery();
  let looks = first;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const todo = looks.findings.filter((finding) => isRepairable(finding, options));
    if (todo.length === 0) break;
    const before = surgery.actions.length;
    await operate(host, path, options, seed, surgery, todo);
    const after = await look(host, path, options, seed);
    const gone = await tellWhatIsGone(host, path, options, seed, surgery, todo, after);
    looks = after;
    if (surgery.actions.length === before && gone === 0) break;
  }
  if (options.alone === true && surgery.givenUp.size > 0 && sources.all.length > 0) {
    await onPatient(host, path, options, seed, (patient) => bringBack(surgery, patient, sources));
    looks = await look(host, path, options, seed);
  }
  return { surgery, looks };
}

function isRepairable({ repair }: Finding, { alone = false }: DoctorOptions): boolean {
  return repair === "live" || (repair === "alone" && alone);
}

async function operate(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
  surgery: Surgery,
  todo: readonly Finding[],
): Promise<void> {
  const { alone = false } = options;
  const on = (work: (patient: Patient) => Promise<void>): Promise<void> =>
    onPatient(host, path, options, seed, work);
  if (alone) await on((patient) => mendFoundations(surgery, patient, todo));
  if (alone) await on((patient) => putBack(surgery, patient, todo));
  await on((patient) => mendThroughStore(surgery, patient, todo));
  if (!alone) return;
  // The store has written what its log had: of what was wrong, this is what is left.
  const { findings } = await look(host, path, options, seed);
  await on((patient) => mendFiles(surgery, patient, findings));
}

async function onPatient(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
  work: (patient: Patient) => Promise<void>,
): Promise<void> {
  const patient = Patient.admit(host, path, options, seed);
  try {
    await work(patient);
  } catch (error) {
    throw told(error, patient);
  } finally {
    await patient.discharge();
  }
}

/** What the library says of such a failure is about one write; this was many. */
const ALONE_ADVICE = /(?:Nothing was changed|The stored state is unchanged)[:.].*$/;

function told(error: unknown, patient: Patient): unknown {
  const told = asStoreError(error, `repair the session store ${patient.path}`);
  if (!(told instanceof SessionStoreError)) return told;
  const { code, data } = told;
  const next = isDiskFull(told) ? "Free some space" : "Mend the cause";
  const message = patient
    .real(told.message)
    .replace(
      ALONE_ADVICE,
      `What was done before stays done, and nothing was removed: what was put aside is in ${patient.path}/.store/quarantine. ` +
        `${next}, then run the same command again; it goes on from there.`,
    );
  return new SessionStoreError(code, message, { data, cause: error });
}

/** What the store has seen to by itself is told as well. @returns How many findings are gone. */
async function tellWhatIsGone(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
  surgery: Surgery,
  todo: readonly Finding[],
  after: Looks,
): Promise<number> {
  const left = new Set(after.findings.map(identityOf));
  const gone = todo.filter((finding) => !left.has(identityOf(finding)));
  const patient = Patient.admit(host, path, options, seed);
  try {
    const { placed } = await patient.entries();
    for (const finding of gone) {
      if (surgery.actions.some((action) => isAbout(action, finding))) continue;
      const { key, severity, path: about } = finding;
      // A catalog that cannot be used is made anew without the sessions that only it knew.
      const isLost = severity === "lost" && key !== undefined && !placed.has(key);
      if (isLost) surgery.givenUp.set(key, undefined);
      const done = isLost ? "nothing of the session is left" : "the store has seen to it with its log";
      await surgery.did(patient, finding, about, done, { lost: isLost });
    }
  } finally {
    await patient.discharge();
  }
  return gone.length;
}

function identityOf({ code, path, key, field, hash }: Finding): string {
  return JSON.stringify([code, path, key, field, hash]);
}

function isAbout(
  action: { readonly code: string; readonly path: string; readonly key?: string },
  { code, path, key }: Finding,
): boolean {
  return action.code === code && (action.path === path || (key !== undefined && action.key === key));
}
