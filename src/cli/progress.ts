/**
 * Progress of long work: a bar on stderr that is drawn over while a person watches, and nothing in a pipe, a log or with
 * `--quiet`. What is going on is kept in any case: a person who interrupts the program is told what that was.
 */
import { formatBytes, formatCount } from "./figures.js";
import type { Invocation } from "./invocation.js";

const DRAW_INTERVAL_MS = 100;
const BAR_CELLS = 24;
/** Of a terminal in which there is no room for more. */
const SHORT_BAR_CELLS = 8;
/** Columns from which the bar is the long one. */
const LONG_BAR_COLUMNS = 72;

export interface ProgressState {
  /** What is going on, as in "reading /var/lib/gateway/sessions.json". */
  readonly doing: string;
  readonly done: number;
  readonly total: number;
  /** What `done` and `total` count. */
  readonly unit: "bytes" | "files" | "sessions";
  /** More to say, as in "325 entries". */
  readonly note?: string | undefined;
}

export class Progress {
  #doing = "";
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly invocation: Pick<Invocation, "terminal" | "doing">,
    /** Work that is over sooner is not worth a line. */
    private readonly quietMs = 0,
    private readonly startedAt = performance.now(),
  ) {}

  show(state: ProgressState): void {
    const { terminal } = this.invocation;
    this.invocation.doing = state.doing;
    if (!terminal.interactive) return;
    const now = performance.now();
    if (now - this.startedAt < this.quietMs) return;
    if (state.doing === this.#doing && now - this.#shownAt < DRAW_INTERVAL_MS) return;
    this.#doing = state.doing;
    this.#shownAt = now;
    terminal.draw(bar(state, terminal.talkColumns));
  }

  /** Nothing of it stays on the terminal. */
  end(): void {
    this.invocation.terminal.erase();
  }
}

/** Cut at the end where the terminal ends, so what matters comes first. */
function bar(state: ProgressState, columns: number): string {
  const share = state.total > 0 ? Math.min(state.done / state.total, 1) : 0;
  const cells = columns < LONG_BAR_COLUMNS ? SHORT_BAR_CELLS : BAR_CELLS;
  const full = Math.round(share * cells);
  const drawn = "█".repeat(full) + "░".repeat(cells - full);
  const line = `${drawn} ${String(Math.floor(share * 100)).padStart(3)} %  ${amounts(state)}`;
  return `${line}  ${state.doing}`;
}

function amounts({ done, total, unit, note }: ProgressState): string {
  const amount =
    unit === "bytes"
      ? `${formatBytes(done)} of ${formatBytes(total)}`
      : `${formatCount(done)} of ${formatCount(total)} ${unit}`;
  return note === undefined ? amount : `${amount}, ${note}`;
}
