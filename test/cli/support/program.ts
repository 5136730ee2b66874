/**
 * The built program, the way a user meets it: arguments, standard input, environment; and what came out of it. Needs
 * `npm run build`.
 *
 * `start` and `runAlone` start a process, which costs a third of a second. Where what is looked at is what a command
 * says and does, `run` leaves it to one process that has run others before (resident.mjs).
 */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const MAIN = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const RESIDENT = fileURLToPath(new URL("resident.mjs", import.meta.url));

/** More than any pipe holds. */
const PIPE_BYTES = 4 * 1024 * 1024;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  /** Variables that the program sees besides a PATH and a HOME that is nowhere; undefined takes one of these away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** User and group to run as; only root can. */
  readonly user?: number | undefined;
  /** Of Node itself. */
  readonly nodeOptions?: readonly string[];
}

/** What only a process of its own can be given. */
export interface StartOptions extends RunOptions {
  /** Standard input does not end. */
  readonly keepInputOpen?: true;
}

/** What only a process that has run others can be given: anew it would not get as far as the program, or by chance. */
export interface ResidentOptions extends RunOptions {
  /** The folder is removed as soon as the program stands in it. */
  readonly cwdGone?: true;
  /** Whoever read the program's output has gone. */
  readonly outputGone?: true;
}

/** A started program. Killed when the test ends, whatever happened. */
export class Running {
  stdout = "";
  stderr = "";
  readonly ended: Promise<Ended>;

  constructor(readonly process: ChildProcess) {
    process.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    process.stdin?.on("error", () => {}); // it ended before it read
    this.ended = new Promise((resolve, reject) => {
      process.on("error", reject);
      process.on("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
    this.ended.catch(() => {});
  }

  /** Resolves when the program reads its input: more was written than fits between us. */
  readsInput(): Promise<unknown> {
    const written = new Promise((resolve) => this.process.stdin?.write(" ".repeat(PIPE_BYTES), resolve));
    return Promise.race([written, this.ended]);
  }

  /** Resolves as soon as stdout or stderr has this text; rejects when the program ends without it. */
  async says(text: string): Promise<void> {
    const said = (): boolean => this.stdout.includes(text) || this.stderr.includes(text);
    while (!said()) {
      const news = new Promise<"news">((resolve) => {
        this.process.stdout?.once("data", () => resolve("news"));
        this.process.stderr?.once("data", () => resolve("news"));
      });
      if ((await Promise.race([news, this.ended])) === "news" || said()) continue;
      throw new Error(`ended without saying ${text}: ${this.stdout}${this.stderr}`);
    }
  }
}

/** Environment without what would change the output: colours, a state directory of the machine's own. */
function environment(extra: RunOptions["env"] = {}): NodeJS.ProcessEnv {
  const { PATH = "" } = process.env;
  // What Node keeps compiled would be kept in the homes that tests look into.
  return { PATH, HOME: "/nonexistent", NODE_DISABLE_COMPILE_CACHE: "1", ...extra };
}

export function start(args: readonly string[], options: StartOptions = {}): Running {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npm run build`);
  const { input, cwd, env, user, nodeOptions = [] } = options;
  const child = spawn(process.execPath, [...nodeOptions, MAIN, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: environment(env),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { uid: user, gid: user }),
  });
  if (options.keepInputOpen === undefined) child.stdin.end(input ?? "");
  const running = new Running(child);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await running.ended;
  });
  return running;
}

/** Runs the program to its end, in a process of its own. */
export function runAlone(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return start(args, options).ended;
}

/** Processes that run the program again and again: of each kind the last one that is idle, if any. */
const residents = new Map<string, ChildProcess>();

/** Runs the program to its end, in a process that is kept for the next run. */
export async function run(args: readonly string[], options: ResidentOptions = {}): Promise<Ended> {
  const { input = "", cwd = process.cwd(), cwdGone = false, outputGone = false, env } = options;
  const kind = JSON.stringify([options.user, options.nodeOptions]);
  const resident = residents.get(kind) ?? startResident(options);
  residents.delete(kind); // it is busy: who comes meanwhile gets another one
  const ended = await new Promise<Ended>((resolve) => {
    resident.once("message", (message) => resolve(message as Ended));
    let stderr = "";
    resident.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    resident.once("close", (code) => resolve({ code, stdout: "", stderr }));
    resident.send({ args, env: environment(env), cwd, input, cwdGone, outputGone });
    onTestFinished(() => resolve({ code: null, stdout: "", stderr: "the test did not wait" }));
  });
  resident.removeAllListeners();
  resident.stderr?.removeAllListeners();
  if (resident.connected && ended.code !== null) residents.set(kind, resident);
  else resident.kill("SIGKILL");
  return ended;
}

function startResident({ user, nodeOptions = [] }: RunOptions): ChildProcess {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npm run build`);
  return fork(RESIDENT, [MAIN], {
    execArgv: [...nodeOptions],
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    ...(user !== undefined && { uid: user, gid: user }),
  });
}

export interface ErrorReport {
  readonly error: { code: string; message: string; data: Record<string, unknown>; exitCode: number };
}

/** The error of a run with `--json`: the last line of stderr. */
export function errorOf({ stderr }: Ended): ErrorReport["error"] {
  return (JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as ErrorReport).error;
}
