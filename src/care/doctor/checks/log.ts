/**
 * The log: segments and lines. It is read as every process reads it, and where bytes cannot be read, the store itself is asked
 * whether that is damage or what a power cut leaves.
 */
import { SessionStoreError } from "../../../errors.js";
import { namesInNow } from "../../../fs/status.js";
import { catalogNumber, liveRun, segmentNumber } from "../../../format/layout.js";
import { parseLogLines } from "../../../format/log-line.js";
import type { LogLook } from "../log-look.js";
import type { Patient, Store } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";
import { firstLine } from "./format.js";

export const checkLog: Check = {
  name: "log",
  level: "default",
  async look(patient) {
    const { fs, layout, log, storeId } = patient;
    if (log === undefined || storeId === undefined) return []; // the check of the format tells
    const numbers = namesInNow(fs, layout.log).flatMap((name) => segmentNumber(name) ?? []);
    if (numbers.length === 0) return [missingLog(patient)];
    const live = liveRun(numbers);
    const findings = [
      ...foreignSegments(patient, live, storeId),
      ...leftBehind(patient, numbers, live),
      ...behindHighest(patient, log, live.at(-1) ?? 0),
    ];
    if (log.error !== undefined) {
      if (!findings.some(({ code }) => code === "log_foreign")) findings.push(unusable(patient, log.error));
      return findings;
    }
    findings.push(...(await unreadable(patient, log)));
    for (const { path, offset, reason } of log.malformed) {
      findings.push(
        patient.finding({
          code: "log_line_malformed",
          severity: "repairable",
          path,
          offset,
          cause: `a line has a right checksum and is none that this version knows (${reason}), so it counts for nothing`,
          next: `find out which program writes into the store, then ${patient.fix("live")}`,
          repair: "live",
        }),
      );
    }
    const torn = log.tornTail();
    if (torn !== undefined && log.gaps.length === 0) {
      const { path, offset, bytes } = torn;
      findings.push(
        patient.finding({
          code: "log_torn_tail",
          severity: "note",
          path,
          offset,
          bytes,
          cause: "it ends in the middle of a line: a write that was cut short and was never acknowledged",
          next: `nothing; ${patient.fix("live")} begins a new segment`,
          repair: "live",
        }),
      );
    }
    return findings;
  },
};

function missingLog(patient: Patient): Finding {
  return patient.finding({
    code: "log_missing",
    severity: "lost",
    path: patient.layout.log,
    cause: "there is no segment of the log: changes that were only in it are gone",
    next: `restore the log from a backup of the same moment; if there is none, ${patient.fix("alone")}`,
    repair: "alone",
  });
}

function unusable(patient: Patient, error: unknown): Finding {
  const { path, offset } = error instanceof SessionStoreError ? error.data : {};
  const isDamage = error instanceof SessionStoreError && error.code === "log_damaged";
  const next = isDamage
    ? `restore the segment from a backup of the same store; if there is none, ${patient.fix("alone")}`
    : "mend the cause, then look again";
  return patient.finding({
    code: "log_unusable",
    severity: isDamage ? "lost" : "needs-you",
    path: typeof path === "string" ? path : patient.layout.log,
    ...(typeof offset === "number" && { offset }),
    cause: error instanceof Error ? error.message : String(error),
    next,
    ...(isDamage && { repair: "alone" as const }),
  });
}

function foreignSegments(patient: Patient, live: readonly number[], storeId: string): Finding[] {
  const { fs, layout } = patient;
  const findings: Finding[] = [];
  for (const number of live) {
    const path = layout.segment(number);
    const bytes = firstLine(fs, path);
    const [first] = bytes === undefined ? [] : parseLogLines(bytes, 0, bytes.length);
    if (first?.line.kind !== "header" || first.line.header.store === storeId) continue;
    findings.push(
      patient.finding({
        code: "log_foreign",
        severity: "lost",
        path,
        offset: 0,
        cause: `it is a segment of store ${first.line.header.store}, not of ${storeId}: two stores were mixed by a copy`,
        next: `restore one of them into an empty folder; or, to go on without this segment, ${patient.fix("alone")}`,
        repair: "alone",
      }),
    );
  }
  return findings;
}

/** Segments below a missing number count for nothing. */
function leftBehind(patient: Patient, numbers: readonly number[], live: readonly number[]): Finding[] {
  const { fs, layout } = patient;
  const catalogs = namesInNow(fs, layout.store).flatMap((name) => catalogNumber(name) ?? []);
  const latest = Math.max(0, ...catalogs);
  return numbers
    .filter((number) => !live.includes(number))
    .map((number) => {
      const path = layout.segment(number);
      if (number <= latest)
        return patient.finding({
          code: "segment_left_behind",
          severity: "repairable",
          path,
          cause: "it was checkpointed before: a power cut undid its removal. It counts for nothing",
          next: patient.fix("live"),
          repair: "live",
        });
      return patient.finding({
        code: "segment_missing",
        severity: "lost",
        path,
        cause: `a segment behind it is missing (number ${number + 1} or a later one), so it counts for nothing`,
        next: `restore the missing segment from a backup; if there is none, ${patient.fix("alone")} keeps this one aside`,
        repair: "alone",
      });
    });
}

/** What is said to be durable must be there. */
function behindHighest(patient: Patient, { mark }: LogLook, highest: number): Finding[] {
  if (mark === undefined || mark.segment <= highest) return [];
  return [
    patient.finding({
      code: "segment_missing",
      severity: "lost",
      path: patient.layout.segment(mark.segment),
      cause: `it had ${mark.bytes} bytes that were durable, as ${patient.layout.durable} says, and is not there`,
      next: `restore it from a backup; if there is none, ${patient.fix("alone")}`,
      repair: "alone",
    }),
  ];
}

/** Of a store that lacks a folder there are no figures: then whatever cannot be read counts as damage. */
async function damagedSegmentsOf(store: Store, log: LogLook): Promise<readonly number[]> {
  try {
    return (await store.stats()).directory?.damagedSegments ?? [];
  } catch (error) {
    if (error instanceof SessionStoreError) return log.gaps.map(({ segment }) => segment);
    throw error;
  }
}

async function unreadable(patient: Patient, log: LogLook): Promise<Finding[]> {
  const opened = await patient.opened();
  if ("error" in opened) return log.gaps.length === 0 ? [unusable(patient, opened.error)] : [];
  const damagedSegments = await damagedSegmentsOf(opened.store, log);
  const findings: Finding[] = [];
  const told = new Set<number>();
  for (const { path, segment, offset, reason } of log.gaps) {
    const isDamage = damagedSegments.includes(segment);
    told.add(segment);
    findings.push(
      patient.finding(
        isDamage
          ? {
              code: "log_unreadable",
              severity: "repairable",
              path,
              offset,
              cause: `bytes cannot be read (${reason}): changes may be hidden in them and behind them`,
              next:
                "if a process has been open since before the damage, leave it running: it mends the log within seconds. " +
                `If there is none, ${patient.fix("alone")}`,
              repair: "alone",
            }
          : {
              code: "log_power_cut",
              severity: "note",
              path,
              offset,
              cause: `bytes cannot be read (${reason}): a power cut left them, and nothing in them was acknowledged as durable`,
              next: `nothing; ${patient.fix("live")} begins a new segment`,
              repair: "live",
            },
      ),
    );
  }
  for (const segment of damagedSegments) {
    if (told.has(segment)) continue;
    findings.push(
      patient.finding({
        code: "log_unreadable",
        severity: "repairable",
        path: patient.layout.segment(segment),
        cause: "it was cut off, or does not have all that it had: changes may be missing",
        next: patient.fix("alone"),
        repair: "alone",
      }),
    );
  }
  return findings;
}
