/** `sessiondir transcript ls`: the transcripts of a session, one line each. */
import type { Command } from "commander";
import { SessionStoreError } from "../../errors.js";
import { formatCount, formatTime, tableLines } from "../figures.js";
import { addExamples, needsPerson, type Invocation } from "../invocation.js";
import type { Store } from "../open-store.js";
import {
  addKeyOfTranscripts,
  isSession,
  transcriptTarget,
  type TranscriptOptions,
} from "../transcript-target.js";

/** One of `transcripts` in the documented JSON. */
interface Row {
  readonly name: string;
  /** Items that are there. */
  readonly length?: number;
  /** Highest `seq` ever used. */
  readonly last?: number;
  /** Of the newest item; absent where there is none. */
  readonly time?: number;
  /** It cannot be read. */
  readonly error?: { readonly code: string; readonly message: string };
}

export function addTranscriptLs(group: Command, invocation: Invocation): void {
  const command = group
    .command("ls")
    .description("list the transcripts of a session: name, items, last number, time of the last item");
  addKeyOfTranscripts(command).action((key: string, options: TranscriptOptions) =>
    transcriptLs(invocation, key, options),
  );
  addExamples(
    command,
    "transcript ls agent:main:main --store sessions.d",
    "transcript ls agent:main:main --store sessions.d --json | jq '.transcripts[].length'",
  );
}

async function transcriptLs(invocation: Invocation, key: string, options: TranscriptOptions): Promise<void> {
  const { path } = await transcriptTarget(invocation, key, options);
  const { withStore } = await import("../open-store.js");
  await withStore(invocation, path, { key }, async (store) => {
    const { terminal, signal } = invocation;
    const transcripts: Row[] = [];
    for (const name of await store.transcripts(key)) {
      signal.throwIfAborted();
      const row = await rowOf(invocation, store, key, name);
      if (row !== undefined) transcripts.push(row);
    }
    if (transcripts.length === 0 && !(await isSession(store, key))) {
      const { missingSession } = await import("../plan-write.js");
      throw await missingSession(store, path, key);
    }
    if (terminal.json) return terminal.result({ store: path, key, transcripts });
    if (transcripts.length === 0) return terminal.say(`session ${JSON.stringify(key)} has no transcripts`);
    const [head = "", ...lines] = tableLines(COLUMNS, transcripts.map(cellsOf), terminal.dataColumns);
    await terminal.line(terminal.colors.bold(head));
    for (const line of lines) await terminal.line(line);
  });
}

/** @returns Undefined if it was removed meanwhile. */
async function rowOf(
  invocation: Invocation,
  store: Store,
  key: string,
  name: string,
): Promise<Row | undefined> {
  try {
    const { items, last, length } = await store.readItems(key, {
      transcript: name,
      backwards: true,
      limit: 1,
    });
    if (last === 0) return undefined;
    const [newest] = items;
    return { name, length, last, ...(newest && { time: newest.time }) };
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "transcript_damaged") throw error;
    const { code, message, data } = error;
    needsPerson(invocation);
    invocation.terminal.warn(code, message, data);
    return { name, error: { code, message } };
  }
}

const COLUMNS = [
  { title: "NAME" },
  { title: "ITEMS", right: true },
  { title: "LAST", right: true, dispensable: 1 },
  { title: "TIME", dispensable: 2 },
];

function cellsOf({ name, length, last, time, error }: Row): string[] {
  if (error !== undefined || length === undefined) return [name, "damaged", "-", "-"];
  return [name, formatCount(length), String(last), (time !== undefined && formatTime(time)) || "-"];
}
