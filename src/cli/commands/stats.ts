/**
 * `sessiondir stats`: what fills the store. Bytes by field, sessions by agent, channel and age, figures of the log and of
 * shared values. Reads page by page, so it needs little memory and can be stopped anywhere.
 */
import type { Command } from "commander";
import { SessionStoreError } from "../../errors.js";
import type { TranscriptStats } from "../../engine/contract.js";
import type { DamagedSession, SessionRecord, StoreStats } from "../../store/types.js";
import { FieldMeter } from "../field-bytes.js";
import { DAY_MS, formatBytes, formatCount, formatShare, HOUR_MS, tableLines } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import type { Entry, Store } from "../open-store.js";
import { Progress } from "../progress.js";
import { plural } from "../../plural.js";
import { factsOf } from "../session-facts.js";
import { resolveStore } from "../store-target.js";
import type { Terminal } from "../terminal.js";

const PAGE_SESSIONS = 500;
/** Shorter work needs no bar. */
const QUIET_MS = 1000;
/** More fields are one line, "others"; `--json` has all. */
const FIELDS_SHOWN_MAX = 15;

const AGES: readonly (readonly [label: string, maxMs: number])[] = [
  ["under 1 hour", HOUR_MS],
  ["under 1 day", DAY_MS],
  ["under 7 days", 7 * DAY_MS],
  ["under 30 days", 30 * DAY_MS],
  ["30 days or more", Number.POSITIVE_INFINITY],
];
const NO_TIME = "no updatedAt";

interface Tally {
  sessions: number;
  asJson: number;
}

interface Survey {
  readonly meter: FieldMeter;
  readonly agents: Map<string | null, Tally>;
  readonly channels: Map<string | null, Tally>;
  readonly ages: Map<string, Tally>;
  readonly total: Tally & { inline: number };
  readonly damaged: DamagedSession[];
}

export function addStats(program: Command, invocation: Invocation): void {
  const command = program
    .command("stats")
    .description(
      "what fills the store: bytes by field, sessions by agent, channel and age, log, shared values, transcripts",
    );
  addStoreOptions(addStoreArgument(command)).action((store: string | undefined, options: StoreOptions) =>
    stats(invocation, withStoreArgument(options, store)),
  );
  addExamples(
    command,
    "stats --store sessions.d",
    "stats --state-dir ~/.openclaw --agent main --json | jq '.fields[0]'",
  );
}

async function stats(invocation: Invocation, options: StoreOptions): Promise<void> {
  const path = await resolveStore(invocation, options);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, {}, async (store) => {
    invocation.doing = `counting the transcripts of ${path}`;
    const figures = await store.stats({ transcripts: true });
    if ((figures.transcripts?.damaged ?? 0) > 0) needsPerson(invocation);
    const survey = await surveyOf(invocation, path, store, figures.sessions);
    const result = resultOf(path, figures, survey);
    if (invocation.terminal.json) await invocation.terminal.result(result);
    else await printTables(invocation.terminal, result);
  });
}

async function surveyOf(
  invocation: Invocation,
  path: string,
  store: Store,
  expected: number,
): Promise<Survey> {
  const survey: Survey = {
    meter: new FieldMeter(),
    agents: new Map(),
    channels: new Map(),
    ages: new Map(
      [...AGES.map(([label]) => label), NO_TIME].map((label) => [label, { sessions: 0, asJson: 0 }]),
    ),
    total: { sessions: 0, asJson: 0, inline: 0 },
    damaged: [],
  };
  const { warnOfHidden } = await import("../damaged-log.js");
  const progress = new Progress(invocation, QUIET_MS);
  const now = Date.now();
  let cursor: string | undefined;
  do {
    const page = await store.list({ limit: PAGE_SESSIONS, cursor });
    warnOfHidden(invocation, path, page.damaged);
    survey.damaged.push(...(page.damaged ?? []));
    for (const record of page.sessions) {
      invocation.signal.throwIfAborted();
      addSession(invocation, survey, record, now);
    }
    progress.show({ doing: "measuring", done: survey.total.sessions, total: expected, unit: "sessions" });
    await new Promise(setImmediate); // a signal must get through
    cursor = page.cursor;
  } while (cursor !== undefined);
  progress.end();
  return survey;
}

function addSession(invocation: Invocation, survey: Survey, record: SessionRecord<Entry>, now: number): void {
  const { key, entry } = record;
  const { asJson, inline } = survey.meter.add(entry, (field, error) => {
    if (!(error instanceof SessionStoreError)) throw error;
    needsPerson(invocation);
    const message = `the field ${field} of session ${JSON.stringify(key)} cannot be read: ${error.message}`;
    invocation.terminal.warn(error.code, message, { ...error.data, key, field });
  });
  const { agent, channel, updatedAt } = factsOf(record);
  tally(survey.agents, agent ?? null, asJson);
  tally(survey.channels, channel ?? null, asJson);
  const age = AGES.find(([, maxMs]) => updatedAt !== undefined && now - updatedAt < maxMs);
  tally(survey.ages, age?.[0] ?? NO_TIME, asJson);
  survey.total.sessions += 1;
  survey.total.asJson += asJson;
  survey.total.inline += inline;
}

function tally<Name>(tallies: Map<Name, Tally>, name: Name, asJson: number): void {
  const found = tallies.get(name);
  if (found === undefined) tallies.set(name, { sessions: 1, asJson });
  else {
    found.sessions += 1;
    found.asJson += asJson;
  }
}

/** The documented shape of `stats --json`. All sizes are bytes. */
interface StatsResult {
  readonly store: string;
  readonly storeId: string;
  readonly revision: number;
  readonly sessions: number;
  readonly bytes: {
    /** Of one sessions.json with the same content. */
    readonly asJson: number;
    /** Of the entries themselves, shared values left out. */
    readonly entries: number;
    readonly sharedValues: number;
    readonly log: number;
  };
  readonly fields: readonly (Tally & { readonly field: string; readonly stored: number })[];
  readonly agents: readonly (Tally & { readonly agent: string | null })[];
  readonly channels: readonly (Tally & { readonly channel: string | null })[];
  readonly ages: readonly (Tally & { readonly age: string })[];
  readonly log: { readonly segments: number; readonly bytes: number; readonly activeSegment: number };
  readonly sharedValues: { readonly count: number; readonly bytes: number };
  /** `bytes` are those of their files, what only the log has left out; `damaged` cannot be read. */
  readonly transcripts: TranscriptStats;
  /** Sessions that cannot be read and count nowhere, if there are any. */
  readonly damaged?: readonly DamagedSession[];
}

function resultOf(store: string, figures: StoreStats, survey: Survey): StatsResult {
  const {
    storeId = "",
    logSegments = 0,
    logBytes = 0,
    activeSegment = 0,
    blobs = 0,
    blobBytes = 0,
  } = figures.directory ?? {};
  const { total, meter, agents, channels, ages } = survey;
  const bySize = (a: Tally, b: Tally): number => b.asJson - a.asJson;
  return {
    store,
    storeId,
    revision: figures.revision,
    sessions: total.sessions,
    bytes: { asJson: total.asJson, entries: total.inline, sharedValues: blobBytes, log: logBytes },
    fields: Array.from(meter.fields, ([field, bytes]) => ({ field, ...bytes })).sort(bySize),
    agents: Array.from(agents, ([agent, counts]) => ({ agent, ...counts })).sort(bySize),
    channels: Array.from(channels, ([channel, counts]) => ({ channel, ...counts })).sort(bySize),
    ages: Array.from(ages, ([age, counts]) => ({ age, ...counts })),
    log: { segments: logSegments, bytes: logBytes, activeSegment },
    sharedValues: { count: blobs, bytes: blobBytes },
    transcripts: figures.transcripts ?? { count: 0, items: 0, bytes: 0, damaged: 0 },
    ...(survey.damaged.length > 0 && { damaged: survey.damaged }),
  };
}

async function printTables(terminal: Terminal, result: StatsResult): Promise<void> {
  const { bytes, log, sharedValues, sessions, transcripts } = result;
  const { count, items, damaged } = transcripts;
  const unread = damaged === 0 ? "" : `, ${formatCount(damaged)} damaged`;
  const stored = bytes.entries + bytes.sharedValues + bytes.log;
  await printTable(
    terminal,
    ["STORE", result.store],
    [
      ["sessions", formatCount(sessions)],
      ["revision", formatCount(result.revision)],
      ["as one sessions.json", formatBytes(bytes.asJson)],
      ["stored", `${formatBytes(stored)} (${formatShare(stored, bytes.asJson)})`],
      ["- entries", formatBytes(bytes.entries)],
      ["- shared values", `${formatBytes(sharedValues.bytes)} in ${formatCount(sharedValues.count)}`],
      ["- log", `${formatBytes(log.bytes)} in ${formatCount(log.segments)}`],
      [
        "transcripts",
        `${formatBytes(transcripts.bytes)}: ${plural(items, "item", "items", formatCount(items))} in ${formatCount(count)}${unread}`,
      ],
    ],
  );
  const shown = result.fields.slice(0, FIELDS_SHOWN_MAX);
  const others = result.fields.slice(FIELDS_SHOWN_MAX);
  const rest = others.reduce(
    (sum, field) => ({ asJson: sum.asJson + field.asJson, stored: sum.stored + field.stored }),
    { asJson: 0, stored: 0 },
  );
  await printTable(
    terminal,
    ["FIELD", "AS JSON", "SHARE", "STORED", "SESSIONS"],
    [
      ...shown.map(({ field, asJson, stored, sessions }) => [
        field,
        formatBytes(asJson),
        formatShare(asJson, bytes.asJson),
        formatBytes(stored),
        formatCount(sessions),
      ]),
      ...(others.length === 0
        ? []
        : [
            [
              `${others.length} others`,
              formatBytes(rest.asJson),
              formatShare(rest.asJson, bytes.asJson),
              formatBytes(rest.stored),
              "",
            ],
          ]),
    ],
  );
  const tallies = (title: string, rows: readonly (readonly [name: string, counts: Tally])[]): Promise<void> =>
    printTable(
      terminal,
      [title, "SESSIONS", "SHARE", "AS JSON"],
      rows.map(([name, counts]) => [
        name,
        formatCount(counts.sessions),
        formatShare(counts.sessions, sessions),
        formatBytes(counts.asJson),
      ]),
    );
  await tallies(
    "AGENT",
    result.agents.map((row) => [row.agent ?? "-", row]),
  );
  await tallies(
    "CHANNEL",
    result.channels.map((row) => [row.channel ?? "-", row]),
  );
  await tallies(
    "LAST USED",
    result.ages.map((row) => [row.age, row]),
  );
}

/** A table with a line of space above, unless it is the first. */
async function printTable(
  terminal: Terminal,
  titles: readonly string[],
  rows: readonly string[][],
): Promise<void> {
  // The name and the first figure stay on a terminal however narrow; the others go from the right.
  const columns = titles.map((title, index) => ({
    title,
    right: index > 0 && titles.length > 2,
    ...(index > 1 && { dispensable: -index }),
  }));
  const [head = "", ...lines] = tableLines(columns, rows, terminal.dataColumns);
  await terminal.write(`${titles[0] === "STORE" ? "" : "\n"}${terminal.colors.bold(head)}\n`);
  if (lines.length > 0) await terminal.line(lines.join("\n"));
}
