/**
 * The two streams of the program: data on stdout, talk on stderr.
 *
 * Colour and progress are for a person who watches: each stream has them only when it is a terminal itself, and
 * colour not with NO_COLOR or TERM=dumb (FORCE_COLOR turns it on anywhere). A reader that goes away (`| head`) ends
 * the program quietly: `closed` is then true, writing does nothing, and the work is interrupted.
 */
import type { ErrorData } from "../errors.js";
import { cutEnd } from "./display-width.js";
import { withoutPasswords } from "../postgres/secrets.js";
import { jsonPortions } from "./json-writer.js";
import { jsonText, visible } from "./visible-text.js";

export interface Colors {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
}

const same = (text: string): string => text;
const PLAIN: Colors = { bold: same, dim: same, red: same, yellow: same };

export interface TerminalOptions {
  /** `--json`: data and errors are JSON. */
  readonly json: boolean;
  /** `--quiet`: data that was asked for, warnings and errors, and nothing else. */
  readonly quiet: boolean;
  /** Output stops when it aborts. */
  readonly signal: AbortSignal;
}

/** What a pipe gets that is not read any more, when the program ends anyway. */
const LAST_WORDS_MS = 200;
/** Shorter documents are written in one go. */
const TURN_CHARACTERS = 64 * 1024;

export class Terminal {
  /** Nobody reads stdout any more. */
  closed = false;
  readonly json: boolean;
  readonly quiet: boolean;
  /** Talk is a person's terminal, so that a line may be drawn over and over. */
  readonly interactive: boolean;
  /** Data goes to a person's terminal. */
  readonly showsData = process.stdout.isTTY;
  #drawn = false;

  private constructor(
    private readonly options: TerminalOptions,
    /** Colours of stdout. */
    readonly colors: Colors,
    private readonly talkColors: Colors,
  ) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.interactive = process.stderr.isTTY && !options.quiet;
  }

  static async open(options: TerminalOptions): Promise<Terminal> {
    const [data, talk] = [wantsColor(process.stdout), wantsColor(process.stderr)];
    if (options.json || (!data && !talk)) return new Terminal(options, PLAIN, PLAIN);
    const { default: picocolors } = await import("picocolors");
    const colored = picocolors.createColors(true);
    return new Terminal(options, data ? colored : PLAIN, talk ? colored : PLAIN);
  }

  /** Width of the terminal that talk goes to; asked every time, because a window changes. */
  get talkColumns(): number {
    return process.stderr.columns ?? 80;
  }

  /** Columns that a line of data should not exceed; a file or a program takes lines of any length. */
  get dataColumns(): number {
    return this.showsData ? (process.stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
  }

  /** Data, as it is. Resolves when there is room for more. */
  async write(text: string): Promise<void> {
    if (this.closed || text === "") return;
    this.erase();
    if (process.stdout.write(text)) return;
    const { signal } = this.options;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        process.stdout.off("drain", done).off("close", done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      process.stdout.on("drain", done).on("close", done);
      signal.addEventListener("abort", done);
    });
  }

  /** Everything was handed over to the system, or nobody wants it. A reader that only waits is not waited for long. */
  async written(): Promise<void> {
    if (this.closed) return;
    const written = new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
    const { signal } = this.options;
    const tooLong = new Promise<void>((resolve) => {
      const wait = (): void => void setTimeout(resolve, LAST_WORDS_MS).unref();
      if (signal.aborted) wait();
      else signal.addEventListener("abort", wait);
    });
    await Promise.race([written, tooLong]);
  }

  /** One line of data. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** The result of a command as JSON, on one line. */
  result(value: object): Promise<void> {
    return this.document(value);
  }

  /**
   * A value as JSON, at the pace of its reader.
   * @param indent Spaces a level; 0 is one line. Default 0.
   * @throws the reason of the signal, between two portions.
   */
  async document(value: unknown, indent = 0): Promise<void> {
    const { signal } = this.options;
    for (const portion of jsonPortions(value, indent)) {
      await this.write(portion);
      if (portion.length < TURN_CHARACTERS) continue;
      await new Promise(setImmediate); // a signal must get through
      signal.throwIfAborted();
    }
    await this.write("\n");
  }

  /** What a command did, as one line of data; `--quiet` does without. */
  async done(text: string): Promise<void> {
    if (!this.quiet) await this.line(text);
  }

  /** One line for the person; not with `--json`, where stderr is for errors and warnings. */
  say(text: string): void {
    if (!this.json && !this.quiet) this.talk(visible(text));
  }

  /** Something that stopped nothing, but that somebody should know. */
  warn(code: string, message: string, data: ErrorData): void {
    if (this.json) this.talk(jsonText({ warning: { code, message, data } }));
    else this.talk(`${this.talkColors.yellow("sessiondir: warning:")} ${visible(message)}`);
  }

  fail(code: string, message: string, data: ErrorData, exitCode: number): void {
    if (this.json) this.talk(jsonText({ error: { code, message, data, exitCode } }));
    else this.talk(`${this.talkColors.red("sessiondir:")} ${visible(message)}`);
  }

  /** Draws the line that is being drawn over, cut to the terminal's width. Only when `interactive`. */
  draw(text: string): void {
    this.#drawn = true;
    process.stderr.write(`\r\u001b[2K${cutEnd(visible(withoutPasswords(text)), this.talkColumns - 1)}`);
  }

  /** Takes the drawn line away, so that other lines stand alone. */
  erase(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    process.stderr.write("\r\u001b[2K");
  }

  private talk(text: string): void {
    this.erase();
    process.stderr.write(`${withoutPasswords(text)}\n`); // whatever was said, of whatever was typed
  }
}

function wantsColor(stream: { isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return stream.isTTY === true && TERM !== "dumb";
}
