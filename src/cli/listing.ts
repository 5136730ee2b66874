/** Prints sessions: a table for people, or JSON with one session a line. */
import type { SessionRecord } from "../store/types.js";
import { formatAge, formatCount, formatTime, tableLines, type Column } from "./figures.js";
import type { Invocation } from "./invocation.js";
import type { Entry } from "./open-store.js";
import { factsOf } from "./session-facts.js";
import { jsonText } from "./visible-text.js";

export interface ListingRow {
  readonly record: SessionRecord<Entry>;
  /** The agent whose store has it; absent in the listing of one store. */
  readonly agent?: string;
}

export interface Listing {
  /** Fields of the JSON before and after the sessions. */
  readonly head: object;
  readonly tail: object;
  readonly rows: readonly ListingRow[];
  /** Said when there is no session. */
  readonly where: string;
  /** Whether some may be there that cannot be read; asked when there is no session. */
  readonly hidesSome: () => Promise<boolean>;
}

export async function printListing(invocation: Invocation, listing: Listing): Promise<void> {
  invocation.signal.throwIfAborted();
  if (invocation.terminal.json) await printJson(invocation, listing);
  else await printTable(invocation, listing);
}

/** One session at a time, so that a hundred thousand need no room. */
async function printJson(invocation: Invocation, { head, tail, rows }: Listing): Promise<void> {
  const { terminal } = invocation;
  await terminal.write(`${jsonText(head).slice(0, -1)},"sessions":[`);
  await inTurns(invocation, rows, ({ record, agent }, index) => {
    const { key, revision, modifiedAt } = record;
    const row = { key, revision, modifiedAt, ...factsOf(record), ...(agent !== undefined && { agent }) };
    return terminal.write(`${index === 0 ? "" : ","}\n${jsonText(row)}`);
  });
  const end = jsonText(tail).slice(1);
  await terminal.line(end === "}" ? "]}" : `],${end}`);
}

/** What is left out first on a narrow terminal comes first in order; key and age stay. */
const COLUMNS: readonly Column[] = [
  { title: "KEY" },
  { title: "UPDATED", dispensable: 2 },
  { title: "AGE", right: true },
  { title: "REVISION", right: true, dispensable: 1 },
  { title: "CHANNEL", dispensable: 4 },
  { title: "MODEL", dispensable: 3 },
  { title: "TOKENS", right: true, dispensable: 5 },
];

async function printTable(invocation: Invocation, { rows, where, hidesSome }: Listing): Promise<void> {
  const { terminal } = invocation;
  if (rows.length === 0) {
    const sessions = (await hidesSome()) ? "no sessions that can be read" : "no sessions";
    terminal.say(`${sessions} in ${where} match`);
    return;
  }
  const now = Date.now();
  const ofAgents = rows.some(({ agent }) => agent !== undefined);
  const cells: string[][] = [];
  await inTurns(invocation, rows, async (row) => {
    cells.push(ofAgents ? [row.agent ?? "-", ...cellsOf(row, now)] : cellsOf(row, now));
  });
  const columns = ofAgents ? [{ title: "AGENT" }, ...COLUMNS] : COLUMNS;
  const lines = tableLines(columns, cells, terminal.dataColumns);
  await inTurns(invocation, lines, (line, index) =>
    terminal.line(index === 0 ? terminal.colors.bold(line) : line),
  );
}

function cellsOf({ record }: ListingRow, now: number): string[] {
  const { updatedAt, channel = "-", model = "-", tokens } = factsOf(record);
  const time = updatedAt === undefined ? undefined : formatTime(updatedAt);
  return [
    record.key,
    time ?? "-",
    time === undefined || updatedAt === undefined ? "-" : formatAge(now - updatedAt),
    String(record.revision),
    channel,
    model,
    tokens === undefined ? "-" : formatCount(tokens),
  ];
}

const ITEMS_A_TURN = 500;

/** Runs `use` for every item, and lets a signal through now and then. @throws the reason of the signal. */
async function inTurns<Item>(
  { signal }: Invocation,
  items: readonly Item[],
  use: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index % ITEMS_A_TURN === ITEMS_A_TURN - 1) await new Promise(setImmediate);
    signal.throwIfAborted();
    await use(item, index);
  }
}
