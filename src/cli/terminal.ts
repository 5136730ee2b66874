/**
 * The two streams of the program: data on stdout, talk on stderr.
 *
 * Colour and progress are for a person who watches: each stream has them only when it is a terminal itself, and
 * colour not with NO_COLOR or TERM=dumb (FORCE_COLOR turns it on anywhere). A reader that goes away (`| head`) ends
 * the program quietly: `closed` is then true, writing does nothing, and the work is interrupted.
 */
import type { ErrorData } from "../errors.js";
import { jsonText, visible } from "./visible-text.js";

export interface Colors {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
}

const same = (text: string): string => text;
const PLAIN: Colors = { bold: same, dim: same, red: same, yellow: same };

export class Terminal {
  /** Nobody reads stdout any more. */
  closed = false;
  /** Talk is a person's terminal, so that a line may be drawn over and over. */
  readonly interactive = process.stderr.isTTY;
  /** Width of the terminal that talk goes to. */
  readonly columns = process.stderr.columns ?? 80;
  #drawn = false;

  private constructor(
    /** `--json`: data and errors are JSON. */
    readonly json: boolean,
    /** Colours of stdout. */
    readonly colors: Colors,
    private readonly talkColors: Colors,
  ) {}

  static async open(json: boolean): Promise<Terminal> {
    const [data, talk] = [wantsColor(process.stdout), wantsColor(process.stderr)];
    if (json || (!data && !talk)) return new Terminal(json, PLAIN, PLAIN);
    const { default: picocolors } = await import("picocolors");
    const colored = picocolors.createColors(true);
    return new Terminal(json, data ? colored : PLAIN, talk ? colored : PLAIN);
  }

  /** Data, as it is. Resolves when there is room for more. */
  async write(text: string): Promise<void> {
    if (this.closed || text === "") return;
    this.erase();
    if (process.stdout.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        process.stdout.off("drain", done).off("close", done);
        resolve();
      };
      process.stdout.on("drain", done).on("close", done);
    });
  }

  /** Everything was handed over to the system, or nobody wants it. */
  async written(): Promise<void> {
    if (!this.closed) await new Promise((resolve) => process.stdout.write("", resolve));
  }

  /** One line of data. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** The result of a command as JSON, on one line. */
  result(value: object): Promise<void> {
    return this.line(jsonText(value));
  }

  /** One line for the person; not with `--json`, where stderr is for errors and warnings. */
  say(text: string): void {
    if (!this.json) this.talk(visible(text));
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
    process.stderr.write(`\r\u001b[2K${visible(text).slice(0, this.columns - 1)}`);
  }

  /** Takes the drawn line away, so that other lines stand alone. */
  erase(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    process.stderr.write("\r\u001b[2K");
  }

  private talk(text: string): void {
    this.erase();
    process.stderr.write(`${text}\n`);
  }
}

function wantsColor(stream: { isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "") return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
  return stream.isTTY === true && TERM !== "dumb";
}
