/**
 * Progress of long work, on stderr: a bar that is drawn over when a person watches, otherwise a line for each phase
 * and one every few seconds. With `--json` only the bar, because stderr is read by a program then.
 */
import { formatBytes, formatCount } from "./figures.js";
import type { Terminal } from "./terminal.js";

const DRAW_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5000;
const BAR_CELLS = 24;

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
    private readonly terminal: Terminal,
    /** Work that is over sooner is not worth a line. */
    private readonly quietMs = 0,
    private readonly startedAt = performance.now(),
  ) {}

  show(state: ProgressState): void {
    const now = performance.now();
    if (now - this.startedAt < this.quietMs) return;
    const { interactive, json } = this.terminal;
    const another = state.doing !== this.#doing;
    const interval = interactive ? DRAW_INTERVAL_MS : LINE_INTERVAL_MS;
    if (!another && now - this.#shownAt < interval) return;
    this.#doing = state.doing;
    this.#shownAt = now;
    if (interactive) this.terminal.draw(bar(state));
    else if (!json) this.terminal.say(`${state.doing}: ${amounts(state)}`);
  }

  /** Nothing of it stays on the terminal. */
  end(): void {
    this.terminal.erase();
  }
}

function bar(state: ProgressState): string {
  const share = state.total > 0 ? Math.min(state.done / state.total, 1) : 0;
  const full = Math.round(share * BAR_CELLS);
  const cells = "█".repeat(full) + "░".repeat(BAR_CELLS - full);
  return `${cells} ${String(Math.floor(share * 100)).padStart(3)} %  ${amounts(state)}  ${state.doing}`;
}

function amounts({ done, total, unit, note }: ProgressState): string {
  const amount =
    unit === "bytes"
      ? `${formatBytes(done)} of ${formatBytes(total)}`
      : `${formatCount(done)} of ${formatCount(total)} ${unit}`;
  return note === undefined ? amount : `${amount}, ${note}`;
}
