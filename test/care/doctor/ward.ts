/** Stores for the doctor's tests: what is wrong with one, what is repaired, and that nobody else is harmed. */
import { expect } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { examineStoreOn } from "../../../src/care/doctor/examine.js";
import type { DoctorOptions, DoctorReport, Finding, FindingCode } from "../../../src/care/doctor/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { snapshot, type Entry, type Sandbox } from "../../engine/directory/sandbox.js";

let seed = 0;

/** As a person would, without the pause between two looks. */
export function examine(box: Sandbox, options: DoctorOptions = {}): Promise<DoctorReport> {
  const runtime = new ManualRuntime({ seed: ++seed, yields: "event-loop" });
  return examineStoreOn({ fs: nodeFileSystem, runtime }, box.path, { settleMs: 0, ...options });
}

/** What is wrong, without notes. */
export function wrong({ findings }: DoctorReport): Finding[] {
  return findings.filter(({ severity }) => severity !== "note");
}

export const codes = (report: DoctorReport): string[] =>
  [...new Set(wrong(report).map(({ code }) => code))].sort();

/** Looks, and shows that looking changes nothing. */
export async function diagnosed(box: Sandbox, options: DoctorOptions = {}): Promise<DoctorReport> {
  const before = snapshot(box.path);
  const report = await examine(box, { level: "deep", ...options });
  expect(snapshot(box.path)).toEqual(before);
  expect(JSON.stringify(report)).not.toContain("/proc/self/fd");
  for (const { cause, next, path } of report.findings) {
    expect(cause).not.toBe("");
    expect(next).not.toBe("");
    expect(path.startsWith("/")).toBe(true);
  }
  return report;
}

/** Repairs a store that is alone; a second run finds nothing. */
export async function cured(box: Sandbox, options: DoctorOptions = {}): Promise<DoctorReport> {
  const report = await examine(box, { level: "deep", fix: true, alone: true, ...options });
  expect(wrong(report)).toEqual([]);
  const again = await diagnosed(box);
  expect(wrong(again)).toEqual([]);
  expect(again.verdict).toBe("healthy");
  if (report.actions.length > 0)
    expect(again.history.slice(-report.actions.length)).toEqual(report.actions.slice(-100));
  return report;
}

/** The store opens, has these sessions and no others, is not damaged, and takes writes. */
export async function expectSessions(box: Sandbox, sessions: Readonly<Record<string, Entry>>): Promise<void> {
  const store = await box.open();
  const { sessions: found, damaged } = await store.list();
  const entries = Object.fromEntries(
    found.map(({ key, entry }) => [key, JSON.parse(JSON.stringify(entry)) as Entry]),
  );
  expect(entries).toEqual(sessions);
  expect(damaged).toBeUndefined();
  await store.put("doctor:test", { written: true });
  expect(await store.get("doctor:test")).toEqual({ written: true });
  await store.checkpoint();
  await store.delete("doctor:test");
  await store.checkpoint();
  await box.close();
}

export function found(report: DoctorReport, code: FindingCode): Finding {
  const finding = report.findings.find((one) => one.code === code);
  if (finding === undefined)
    throw new Error(
      `no ${code} among ${JSON.stringify(report.findings.map((one) => [one.code, one.cause]))}`,
    );
  return finding;
}
