/**
 * The doctor: looks at a store, says how it is, and repairs it if it is told to.
 */
import { dirname, resolve } from "node:path";
import { asStoreError, SessionStoreError } from "../../errors.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { Layout } from "../../format/layout.js";
import { agentsFolderIn, fileOfAgent } from "../../legacy/base/agent-places.js";
import { systemRuntime } from "../../runtime.js";
import {
  optionalBoolean,
  optionalFunction,
  optionalInteger,
  optionalOneOf,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "../../store/arguments.js";
import { storeDirectoryOf } from "../../store/target.js";
import { fix } from "./fix/fix.js";
import { storeIdIn } from "./patient.js";
import { sourceAt, Unpacker, type Source, type Unpacked } from "./unpack.js";
import { readHistory } from "./history.js";
import { look, type Looks } from "./look.js";
import type { Action, DoctorHost, DoctorOptions, DoctorReport, Finding, Severity, Verdict } from "./types.js";

const SYSTEM: DoctorHost = { fs: nodeFileSystem, runtime: systemRuntime };

const NAMES: ReadonlySet<string> = new Set([
  "level",
  "sample",
  "fix",
  "alone",
  "backups",
  "trust",
  "signal",
  "settleMs",
  "onProgress",
] satisfies (keyof DoctorOptions)[]);

/**
 * Looks at one store and says how it is. Reads only, unless `fix` says so, and may run beside processes that use the store.
 * Damage never makes it reject: it is in the report.
 * @param target A store's folder, or the `…/NAME.json` that it stands for.
 * @throws `store_not_found`, `not_a_store` where there is none; `io_error`, `disk_full` where the system refuses; a `TypeError` for
 *   a wrong option; the signal's reason.
 * @example
 * const { verdict, findings } = await examineStore("sessions.d");
 */
export function examineStore(target: string, options?: DoctorOptions): Promise<DoctorReport> {
  return examineStoreOn(SYSTEM, target, options);
}

/** For tests: {@link examineStore} on a file system and a clock of the caller's. */
export async function examineStoreOn(
  host: DoctorHost,
  target: string,
  options: DoctorOptions = {},
): Promise<DoctorReport> {
  assertOptions(options);
  const path = storeDirectoryOf(target);
  options = { ...options, backups: (options.backups ?? []).map(sourcePathOf) };
  const seed = host.runtime.randomName(4);
  const unpacker = new Unpacker(host, options);
  try {
    const named = options;
    const all = sourcesOf(host, path, named);
    options = { ...options, backups: all.flatMap((source) => (source.kind === "copy" ? [source.path] : [])) };
    let first = await look(host, path, options, seed);
    const unpacked = new Map<string, Unpacked>();
    const failures: unknown[] = [];
    if (first.findings.some(({ severity }) => mayNeedSource(severity, options))) {
      await unpackNewest(all, unpacker, unpacked, failures);
      const copies = [...unpacked.values()].filter(({ isCopy }) => isCopy);
      const labels = new Map([...unpacked.values()].map(({ path: at, label }) => [at, label]));
      host = { ...host, labels };
      options = { ...options, backups: [...(options.backups ?? []), ...copies.map((copy) => copy.path)] };
      if (unpacked.size > 0) first = await look(host, path, options, seed);
    }
    const history = readHistory(host.fs, new Layout(first.path));
    if (options.fix !== true) return reportOf(first, options, [], history, failures);
    const { surgery, looks } = await fix(host, path, options, seed, first, { unpacker, all, unpacked });
    return reportOf(looks, options, surgery.actions, history, [...failures, ...surgery.failures]);
  } catch (error) {
    throw asStoreError(error, `examine the session store ${path}`);
  } finally {
    await unpacker.remove();
  }
}

/** What is lost may be hidden by what has to be repaired first: a store without its format is not looked at any further. */
function mayNeedSource(severity: Severity, { fix: isFix = false }: DoctorOptions): boolean {
  return severity === "lost" || (isFix && severity !== "note");
}

/** @throws `backup_not_found`, `backup_place` */
function sourcesOf(host: DoctorHost, path: string, options: DoctorOptions): Source[] {
  const { backups = [] } = options;
  if (backups.length === 0) return [];
  const storeId = storeIdIn(host.fs, new Layout(path));
  return backups.map((each) => sourceAt(host, each, storeId, options));
}

/** What everybody who is lost something may be in: the newest backup, and all of an export. */
async function unpackNewest(
  sources: readonly Source[],
  unpacker: Unpacker,
  unpacked: Map<string, Unpacked>,
  failures: unknown[],
): Promise<void> {
  for (const source of sources) {
    const [newest] = source.names;
    try {
      if (source.kind === "export") unpacked.set(source.path, await unpacker.export(source));
      else if (newest !== undefined)
        unpacked.set(`${source.path}/${newest}`, await unpacker.backup(source, newest));
    } catch (error) {
      const told = asStoreError(error, `read ${source.path}`);
      if (!(told instanceof SessionStoreError) || ["disk_full", "io_error"].includes(told.code)) throw told;
      failures.push(told);
    }
  }
}

/** An export's path stands for itself, a `…/NAME.json` for the store beside it. */
function sourcePathOf(path: string): string {
  return /\.jsonl(?:\.gz)?$/.test(path) ? resolve(path) : storeDirectoryOf(path);
}

/** What became of one agent's store. */
export interface AgentReport {
  readonly agent: string;
  /** The store's folder. */
  readonly path: string;
  readonly report?: DoctorReport;
  /** Why there is no report. */
  readonly error?: unknown;
}

/**
 * The same for every agent of a gateway's state directory that has a store. One that cannot be looked at hides none of the others.
 * @param stateDirectory As in `~/.openclaw`.
 * @throws `store_not_found` where no agent has one; otherwise as {@link examineStore}.
 */
export async function examineStateDirectory(
  stateDirectory: string,
  options: DoctorOptions = {},
): Promise<AgentReport[]> {
  assertOptions(options);
  const folder = agentsFolderIn(stateDirectory);
  const reports: AgentReport[] = [];
  try {
    for (const agent of namesInNow(nodeFileSystem, folder)) {
      const path = storeDirectoryOf(fileOfAgent(folder, agent));
      options.signal?.throwIfAborted();
      if (statusNow(nodeFileSystem, dirname(path)) === undefined) continue;
      if (statusNow(nodeFileSystem, path) === undefined) continue;
      reports.push(await ofAgent(agent, path, options));
    }
  } catch (error) {
    throw asStoreError(error, `look for agents in ${folder}`);
  }
  if (reports.length > 0) return reports;
  throw new SessionStoreError(
    "store_not_found",
    `no agent has a session store below ${stateDirectory}. Check the path; nothing was made.`,
    { data: { path: stateDirectory } },
  );
}

async function ofAgent(agent: string, path: string, options: DoctorOptions): Promise<AgentReport> {
  try {
    return { agent, path, report: await examineStore(path, options) };
  } catch (error) {
    options.signal?.throwIfAborted();
    return { agent, path, error };
  }
}

function assertOptions(options: DoctorOptions): void {
  requireObject(options, "options");
  requireKnownNames(options, "examineStore", NAMES);
  optionalOneOf(options.level, "options.level", ["quick", "default", "deep"]);
  optionalBoolean(options.fix, "options.fix");
  optionalBoolean(options.alone, "options.alone");
  optionalOneOf(options.trust, "options.trust", ["owner", "group"]);
  optionalSignal(options.signal, "options.signal");
  optionalInteger(options.settleMs, "options.settleMs", 0);
  optionalFunction(options.onProgress, "options.onProgress");
  const { sample, backups } = options;
  if (sample !== undefined && !(typeof sample === "number" && sample > 0 && sample <= 1))
    throw new TypeError("options.sample must be a number above 0 and up to 1");
  const isList = Array.isArray(backups) && backups.every((one) => typeof one === "string" && one !== "");
  if (backups !== undefined && !isList) throw new TypeError("options.backups must be a list of paths");
}

function reportOf(
  looks: Looks,
  options: DoctorOptions,
  actions: readonly Action[],
  history: readonly Action[],
  failures: readonly unknown[],
): DoctorReport {
  const { path, checks, sessions } = looks;
  const left = looks.findings.some(({ severity }) => severity !== "note");
  // What failed and left nothing wrong behind was done by another way.
  const findings = left
    ? [...looks.findings, ...failures.map((error) => asFinding(path, error))]
    : looks.findings;
  return {
    path,
    verdict: verdictOf(findings, actions),
    level: options.level ?? "default",
    sample: options.sample ?? 1,
    findings,
    checks,
    actions,
    history,
    sessions,
  };
}

function asFinding(path: string, error: unknown): Finding {
  const told = asStoreError(error, "repair it");
  return {
    code: "check_failed",
    severity: "needs-you",
    path,
    cause: `a repair could not be done: ${told instanceof Error ? told.message : String(told)}`,
    next: "mend the cause, then run it again",
  };
}

function verdictOf(findings: readonly Finding[], actions: readonly Action[]): Verdict {
  if (findings.some(({ severity }) => severity === "lost") || actions.some(({ lost }) => lost)) return "lost";
  if (findings.some(({ severity }) => severity !== "note")) return "needs-you";
  return actions.length > 0 ? "repaired" : "healthy";
}
