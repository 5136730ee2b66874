/**
 * `sessiondir mirror`: keeps `sessions.json` in step with the store for tools that read it, until Ctrl-C; with `--once` just
 * now. Any number of them may run, also inside of gateways, and each may be killed at any time.
 */
import { normalizeStoreSessionKey } from "../../openclaw/base/session-key.js";
import { SessionStoreError } from "../../errors.js";
import { entriesOf } from "../../plural.js";
import { setTimeout } from "node:timers/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import type { InspectionReport, LegacyWarning } from "../../legacy/base/types.js";
import type { Mirror, MirrorState } from "../../legacy/back/mirror.js";
import { asUsage, EXIT } from "../failure.js";
import { formatCount } from "../figures.js";
import { addExamples, addStoreOptions, wholeNumber, type Invocation } from "../invocation.js";
import {
  addForceOption,
  addKeyOption,
  legacyTarget,
  libraryOptions,
  type LegacyCommandOptions,
} from "../legacy-options.js";
import { exitCodeOfReport } from "../report-text.js";
import { visible } from "../visible-text.js";

interface Options extends LegacyCommandOptions {
  readonly once?: boolean;
  readonly debounce?: number;
}

/** The documented shape of `mirror --json`: one object for every time that the file was brought in step. */
interface MirrorResult extends MirrorState {
  readonly store: string;
  readonly path: string;
  readonly dryRun: boolean;
  /** What was heard since the last object; it is on stderr as well. */
  readonly warnings: readonly LegacyWarning[];
}

/** How long it may take after Ctrl-C to write what is missing; big stores take seconds. */
const FINISH_MS = 10_000;
/** How often the mirror is asked what it has done. */
const LOOK_INTERVAL_MS = 250;

export function addMirror(program: Command, invocation: Invocation): void {
  const command = program
    .command("mirror")
    .description("keep sessions.json in step with the store for tools that read it, until Ctrl-C or --once");
  addForceOption(addKeyOption(addStoreOptions(command)))
    .option("--once", "bring it in step now and end")
    .option("--debounce <ms>", "collect changes for so long (default: 5000)", wholeNumber("--debounce", 0))
    .option("--dry-run", "say what would be done and do nothing")
    .action((options: Options) => mirror(invocation, options));
  addExamples(
    command,
    "mirror --store ~/.openclaw/agents/main/sessions/sessions.d",
    "mirror --state-dir ~/.openclaw --agent main --once",
  );
}

async function mirror(invocation: Invocation, options: Options): Promise<void> {
  const store = await legacyTarget(invocation, options, "mirror");
  const { assertMayOpen } = await import("../open-store.js");
  assertMayOpen(store, false);
  if (options.dryRun === true) return plan(invocation, store, options);

  const { terminal, signal } = invocation;
  const { startMirror } = await import("../../legacy/back/mirror.js");
  const heard: LegacyWarning[] = [];
  const running = await asUsage(() =>
    startMirror(store, {
      debounceMs: options.debounce,
      trust: options.trust,
      force: options.force,
      ...(options.lowercaseKeys === true && { normalizeKey: normalizeStoreSessionKey }),
      onWarning: (warning) => {
        heard.push(warning);
        tell(invocation, warning);
      },
    }),
  );
  let printed: MirrorState | undefined;
  const show = async (state: MirrorState): Promise<void> => {
    if (printed?.written === state.written && printed.merged === state.merged) return;
    printed = state;
    await print(invocation, store, running, state, heard.splice(0));
  };
  try {
    invocation.doing = `writing ${running.path}`;
    if (options.once === true) {
      const state = await running.flush();
      if (state.damaged > 0) invocation.exitCode = EXIT.needsPerson;
      return await show(state);
    }
    terminal.say(`keeping ${running.path} in step with ${store}; Ctrl-C ends it`);
    invocation.doing = `keeping ${running.path} in step`;
    invocation.finishMs = FINISH_MS;
    // The mirror's own timers do not keep a process alive.
    while (!signal.aborted) {
      if (running.state.revision > 0) await show(running.state);
      await setTimeout(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
    }
    terminal.say(`writing what is missing to ${running.path}; Ctrl-C again ends it at once, which is safe`);
  } finally {
    await running.stop(); // writes what is still missing
  }
  await show(running.state);
  invocation.exitCode = terminal.closed ? EXIT.ok : EXIT.interrupted; // the usual end, and no failure
}

function tell(invocation: Invocation, { code, message, data }: LegacyWarning): void {
  invocation.terminal.warn(code, message, data);
}

function print(
  { terminal }: Invocation,
  store: string,
  { path }: Mirror,
  state: MirrorState,
  warnings: readonly LegacyWarning[],
): Promise<void> {
  const result: MirrorResult = { store, path, dryRun: false, ...state, warnings };
  if (terminal.json) return terminal.result(result);
  const merged = state.merged === 0 ? "" : `, after merging ${state.merged} foreign writes`;
  return terminal.done(
    `${visible(path)} has every change up to revision ${formatCount(state.revision)}${merged}`,
  );
}

/** What the first round would do: a foreign file is merged first, any other one is written. */
async function plan(invocation: Invocation, store: string, options: Options): Promise<void> {
  const { terminal } = invocation;
  const { inspectLegacyStore } = await import("../../legacy/inspect.js");
  const library = libraryOptions(invocation, options);
  const found: InspectionReport = await asUsage(() => inspectLegacyStore(store, library.options)).finally(
    library.end,
  );
  const { systemHost, writeWarning } = await import("../../legacy/base/host.js");
  const unwritable = writeWarning(systemHost, [dirname(found.path), found.directory]);
  const warnings = unwritable === undefined ? found.warnings : [...found.warnings, unwritable];
  for (const warning of warnings) tell(invocation, warning);
  const { error } = found;
  // The first round would fail with the same.
  if (error !== undefined) throw new SessionStoreError(error.code, error.message, { data: error.data });
  invocation.exitCode = exitCodeOfReport(found);
  const foreign = found.entries.kept > 0 ? 1 : 0;
  const { withStore } = await import("../open-store.js");
  const revision = await withStore(invocation, store, {}, (opened) => opened.revision());
  const result: MirrorResult = {
    store,
    path: found.path,
    dryRun: true,
    revision,
    written: 1,
    merged: foreign,
    damaged: found.damaged ?? 0,
    warnings,
  };
  if (terminal.json) return terminal.result(result);
  const first = foreign === 0 ? "" : `merge ${entriesOf(found.entries.kept)} of somebody else's, then `;
  await terminal.line(`would ${first}bring ${visible(found.path)} up to revision ${formatCount(revision)}`);
}
