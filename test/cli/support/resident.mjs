// @ts-check
/**
 * The built program again and again in one process: what starting Node and loading the program cost is paid once. Each run
 * is its `main.js` anew, with arguments, environment, folder, standard input and outputs of its own, one after the other.
 *
 * Argument: path of `main.js`. Talks with its parent by messages, and ends with it.
 */
import { rmdirSync } from "node:fs";
import { Readable, Writable } from "node:stream";

/**
 * @typedef {object} Request
 * @property {string[]} args
 * @property {Record<string, string>} env
 * @property {string} cwd
 * @property {string} input
 * @property {boolean} cwdGone The folder is removed as soon as the program stands in it.
 * @property {boolean} outputGone Whoever read the program's output has gone.
 */

const [main = ""] = process.argv.slice(2);
const { exit } = process;
let runs = 0;

/** A stream that keeps what it is given; like a pipe it takes it a moment later, or tells that nobody reads it. */
class Kept extends Writable {
  text = "";

  constructor(gone = false) {
    super({
      decodeStrings: false,
      defaultEncoding: "utf8",
      write: (chunk, _encoding, taken) => {
        if (gone) return void setImmediate(taken, brokenPipe());
        this.text += String(chunk);
        setImmediate(taken);
      },
    });
  }
}

function brokenPipe() {
  return Object.assign(new Error("write EPIPE"), { errno: -32, code: "EPIPE", syscall: "write" });
}

/** @param {"stdin" | "stdout" | "stderr"} name @param {Readable | Writable} stream */
function redirect(name, stream) {
  Object.defineProperty(process, name, { value: stream, configurable: true, writable: true });
}

/** What the program left as its code; it ends by itself with it. */
function exitCode() {
  return Number(process.exitCode ?? 0);
}

/** @param {Request} request */
async function run({ args, env, cwd, input, cwdGone, outputGone }) {
  const [stdout, stderr] = [new Kept(outputGone), new Kept()];
  redirect("stdin", Readable.from(input === "" ? [] : [Buffer.from(input)]));
  redirect("stdout", stdout);
  redirect("stderr", stderr);
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  if (cwdGone) rmdirSync(cwd);
  process.argv = [process.execPath, main, ...args];
  process.exitCode = undefined;
  const warned = (/** @type {Error} */ { name, message }) => void stderr.write(`${name}: ${message}\n`);
  const answer = (/** @type {number} */ code) =>
    process.send?.({ code, stdout: stdout.text, stderr: stderr.text });
  // A program that gives up ends its process: then this run was the last one here.
  process.exit = (code = exitCode()) => {
    answer(Number(code));
    return exit(code);
  };
  process.on("warning", warned);
  runs += 1;
  await import(`${main}?run=${runs}`);
  for (const stream of [stdout, stderr]) {
    await new Promise((resolve) => void (stream.destroyed ? resolve(undefined) : stream.end(resolve)));
  }
  process.off("warning", warned);
  answer(exitCode());
}

process.on("message", (request) => void run(/** @type {Request} */ (request)));
process.on("disconnect", () => exit());
