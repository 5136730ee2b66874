/**
 * One round of checks, and a second one over what the first has found: a live process may be between two steps, and what it is about to
 * change is no damage. Only what both rounds find is told.
 *
 * A check that cannot be done says so as a finding; damage never makes the doctor fail.
 */
import { folderNameForKey } from "../../format/session-key.js";
import { asStoreError, SessionStoreError } from "../../errors.js";
import { CHECKS } from "./checks/all.js";
import type { Check } from "./checks/check.js";
import { Patient } from "./patient.js";
import type { CheckReport, DoctorHost, DoctorOptions, Finding, Severity } from "./types.js";

export interface Looks {
  /** The store's real path. */
  readonly path: string;
  readonly findings: readonly Finding[];
  readonly checks: readonly CheckReport[];
  readonly sessions: number;
}

const SETTLE_MS = 300;
const SEVERITIES: readonly Severity[] = ["lost", "needs-you", "repairable", "note"];

/** @param seed Which sample is read. */
export async function look(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
): Promise<Looks> {
  const first = await lookOnce(host, path, options, seed, CHECKS);
  const suspicious = CHECKS.filter(({ name }) =>
    first.found.get(name)?.some(({ severity }) => severity !== "note"),
  );
  if (suspicious.length === 0 || options.alone === true) return asLooks(first);
  const { settleMs = SETTLE_MS } = options;
  if (settleMs > 0) await host.runtime.sleep(settleMs);
  const second = await lookOnce(host, path, options, seed, suspicious);
  for (const { name } of suspicious) {
    const before = new Set(first.found.get(name)?.map(identityOf));
    const both = second.found.get(name)?.filter((finding) => before.has(identityOf(finding))) ?? [];
    first.found.set(name, both);
  }
  return asLooks(first);
}

function identityOf({ code, path, key, field }: Finding): string {
  return JSON.stringify([code, path, key, field]);
}

interface Round {
  readonly path: string;
  readonly found: Map<string, readonly Finding[]>;
  readonly checks: Omit<CheckReport, "findings">[];
  readonly sessions: number;
}

function asLooks({ path, found, checks, sessions }: Round): Looks {
  const findings = [...found.values()].flat();
  return {
    path,
    sessions,
    findings: findings.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)),
    checks: checks.map((check) => ({ ...check, findings: found.get(check.name)?.length ?? 0 })),
  };
}

async function lookOnce(
  host: DoctorHost,
  path: string,
  options: DoctorOptions,
  seed: string,
  wanted: readonly Check[],
): Promise<Round> {
  const { runtime } = host;
  const began = runtime.monotonic();
  let patient: Patient;
  try {
    patient = Patient.admit(host, path, options, seed);
  } catch (error) {
    const finding = untrusted(error, path);
    if (finding === undefined) throw asStoreError(error, `look at the session store ${path}`);
    const milliseconds = runtime.monotonic() - began;
    const checks = [{ name: "trusted path", level: "quick" as const, milliseconds }];
    return { path, found: new Map([["trusted path", [finding]]]), checks, sessions: 0 };
  }
  const found = new Map<string, readonly Finding[]>();
  const checks: Omit<CheckReport, "findings">[] = [];
  try {
    checks.push({ name: "trusted path", level: "quick", milliseconds: runtime.monotonic() - began });
    for (const check of wanted) {
      const { name, level } = check;
      options.signal?.throwIfAborted();
      const skipped = reasonToSkip(check, patient);
      const start = runtime.monotonic();
      options.onProgress?.(name);
      if (skipped === undefined) found.set(name, await findingsOf(check, patient));
      const milliseconds = runtime.monotonic() - start;
      checks.push({ name, level, milliseconds, ...(skipped !== undefined && { skipped }) });
    }
    const sessions = await sessionsOf(patient);
    return { path: patient.path, found, checks, sessions };
  } finally {
    await patient.discharge();
  }
}

/** Those that are in their places, or in the log only; where no content was read, the folders. */
async function sessionsOf(patient: Patient): Promise<number> {
  const folders = new Set<string>(patient.folders);
  if (patient.includes("default")) {
    folders.clear();
    const { all, placed } = await patient.entries();
    for (const key of placed.keys()) folders.add(folderNameForKey(key));
    for (const { folder, state } of all) if (state.kind === "unread") folders.add(folder);
  }
  const log = patient.hasStore ? patient.log : undefined;
  for (const [key, { stored }] of log?.error === undefined ? (log?.states ?? []) : []) {
    if (stored === undefined) folders.delete(folderNameForKey(key));
    else folders.add(folderNameForKey(key));
  }
  return folders.size;
}

function reasonToSkip(check: Check, patient: Patient): string | undefined {
  if (!patient.includes(check.level)) return `it belongs to the level ${check.level}`;
  if (!patient.hasStore) return check.withoutStore === true ? undefined : "there is no .store to look at";
  if (check.needsLog !== true) return undefined;
  if (patient.log === undefined) return "format.json has to be mended first";
  return patient.log.error === undefined ? undefined : "the log has to be mended first";
}

async function findingsOf(check: Check, patient: Patient): Promise<readonly Finding[]> {
  try {
    return await check.look(patient);
  } catch (error) {
    patient.signal?.throwIfAborted();
    const told = asStoreError(error, `do the check "${check.name}"`);
    if (!(told instanceof SessionStoreError)) throw told;
    return [
      patient.finding({
        code: "check_failed",
        severity: "needs-you",
        path: typeof told.data["path"] === "string" ? told.data["path"] : patient.path,
        cause: `the check "${check.name}" could not be done: ${told.message}`,
        next: "mend the cause, then look again",
      }),
    ];
  }
}

function untrusted(error: unknown, path: string): Finding | undefined {
  if (!(error instanceof SessionStoreError) || error.code !== "path_untrusted") return undefined;
  const { mend } = error.data;
  return {
    code: "path_untrusted",
    severity: "needs-you",
    path: typeof error.data["path"] === "string" ? error.data["path"] : path,
    cause: error.message,
    next: typeof mend === "string" && mend !== "" ? mend : "see to it that only this user can write there",
  };
}
