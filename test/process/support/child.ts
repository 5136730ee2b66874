/**
 * A helper program in a process of its own, and a conversation with it: one JSON value a line each way.
 *
 * Whatever happens to a test, its processes end with it: they are killed, by their own id, before the next one.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** What a program says: `event` tells which kind of message it is. */
export interface Message {
  readonly event: string;
  readonly [name: string]: unknown;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export interface ChildOptions {
  /** User and group to run as; only root can. */
  readonly user?: number | undefined;
  /** What comes before `node` in the command line, `strace` for example. */
  readonly prefix?: readonly string[] | undefined;
  /** Options of Node's own, such as `--import`. */
  readonly nodeOptions?: readonly string[] | undefined;
  /** Folder that holds the programs, where it is not this repository. */
  readonly programs?: string | undefined;
}

const PROGRAMS = fileURLToPath(new URL("../programs", import.meta.url));

interface Listener {
  readonly wants: (message: Message) => boolean;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

export class Child {
  /** Everything that the program said so far. */
  readonly messages: Message[] = [];
  /** Resolves, whatever the ending. */
  readonly ended: Promise<Ending>;
  ending: Ending | undefined;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<Listener>();
  #stderr = "";
  #rest = "";
  #read = 0;

  constructor(
    readonly name: string,
    process: ChildProcess,
  ) {
    this.#process = process;
    process.stdout?.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    process.stdin?.on("error", () => {}); // it ended before it read
    this.ended = new Promise((resolve, reject) => {
      process.on("error", reject);
      process.on("close", (code, signal) => {
        this.ending = { code, signal, stderr: this.#stderr };
        for (const { reject } of this.#listeners) reject(this.#endedEarly());
        this.#listeners.clear();
        resolve(this.ending);
      });
    });
    this.ended.catch(() => {});
  }

  get id(): number {
    return this.#process.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.ending === undefined) this.#process.kill(signal);
  }

  say(message: Message): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** The next message of a kind that was not taken yet; messages of other kinds before it are skipped. */
  async next(event: string): Promise<Message> {
    for (; this.#read < this.messages.length; this.#read++) {
      const message = this.messages[this.#read];
      if (message?.event !== event) continue;
      this.#read++;
      return message;
    }
    const found = await this.#wait((message) => message.event === event);
    this.#read = this.messages.indexOf(found) + 1;
    return found;
  }

  /** Waits for the program to end by itself, with code 0. */
  async finished(): Promise<void> {
    const { code, signal, stderr } = await this.ended;
    if (code !== 0)
      throw new Error(`${this.name} ended with ${code ?? signal}: ${stderr}${this.#lastWords()}`);
  }

  #wait(wants: (message: Message) => boolean): Promise<Message> {
    if (this.ending !== undefined) return Promise.reject(this.#endedEarly());
    return new Promise((resolve, reject) => this.#listeners.add({ wants, resolve, reject }));
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      this.messages.push(message);
      for (const listener of this.#listeners) {
        if (!listener.wants(message)) continue;
        this.#listeners.delete(listener);
        listener.resolve(message);
      }
    }
  }

  #endedEarly(): Error {
    const { code, signal, stderr } = this.ending ?? { code: null, signal: null, stderr: "" };
    return new Error(`${this.name} ended too early, with ${code ?? signal}: ${stderr}${this.#lastWords()}`);
  }

  #lastWords(): string {
    return JSON.stringify(this.messages.slice(-2));
  }
}

/** Starts a program of `test/process/programs/` with one JSON value as its argument. */
export function start(program: string, argument: object, options: ChildOptions = {}): Child {
  const { prefix = [], nodeOptions = [], user, programs = PROGRAMS } = options;
  const [command, ...args] = [
    ...prefix,
    process.execPath,
    ...nodeOptions,
    `${programs}/${program}.mjs`,
    JSON.stringify(argument),
  ];
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    ...(user !== undefined && { uid: user, gid: user }),
  });
  const started = new Child(program, child);
  onTestFinished(async () => {
    started.signal("SIGKILL"); // also ends a stopped one
    await started.ended.catch(() => {});
  });
  return started;
}
