/**
 * JSON that comes in: from an option, a file or standard input, bounded, and with the place of the fault when it is no
 * JSON.
 */
import { isUtf8 } from "node:buffer";
import { SessionStoreError } from "../errors.js";
import { unlessMissing } from "../fs/missing.js";
import { readRegularFile } from "../fs/regular-file.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { jsonFault } from "../format/json-fault.js";
import { parseJson as parseWithOddNumbers } from "../legacy/reading/odd-numbers.js";
import { CliError, EXIT, usageError } from "./failure.js";
import { formatFieldPath, type FieldStep } from "./field-path.js";
import type { Invocation } from "./invocation.js";
import type { Entry } from "./open-store.js";

/** Four times the largest entry, for indented and escaped JSON. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface InputOptions {
  readonly data?: string | undefined;
  readonly file?: string | undefined;
}

/** The JSON object of `--data`, `--file` or standard input. */
export async function readObject(invocation: Invocation, { data, file }: InputOptions): Promise<Entry> {
  if (data !== undefined && file !== undefined)
    throw usageError("--data and --file both give the JSON; give one");
  if (data !== undefined) return parseObject(data, "--data");
  if (file !== undefined && file !== "-") return parseObject(readText(file), file);
  return parseObject(await readStandardInput(invocation), "standard input");
}

/** @throws a usage error that names the source, and the line and column of a fault. */
export function parseObject(text: string, source: string): Entry {
  const value = parseJson(text, source);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Entry;
  const kind = value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;
  throw usageError(`${source} must be a JSON object, and it is ${kind}`);
}

export function parseJson(text: string, source: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    if (text.trim() === "") throw usageError(`${source} is empty; a JSON object is needed, {} at least`);
    const at = jsonFault(text) ?? text.length;
    const before = text.slice(0, at).split("\n");
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const found = at >= text.length ? "it ends too early" : `found ${JSON.stringify(text[at])}`;
    throw usageError(`${source} is not JSON: ${found} at ${place}`);
  }
  assertExact(text, source);
  return value;
}

/**
 * Refuses what JSON has and a number cannot hold.
 * @param json What was parsed.
 * @param field Where its value stands in the entry.
 */
export function assertExact(json: string, source: string, field: readonly FieldStep[] = []): void {
  const found = inexactNumber(json, field);
  if (found === undefined) return;
  const { name, number, becomes } = found;
  throw usageError(
    `${name} in ${source} is ${number}, which ${becomes}. Nothing was written: write it as a string, ` +
      `${JSON.stringify(number)}, or as a number that is exact`,
    { field: name, number },
  );
}

/**
 * The first number in it that a number cannot hold: 1e999, which would become null, and integers above 2^53 whose last digits
 * would be lost, as ids often have them. Digits behind the point that a double does not hold are noise, and may go.
 */
export function inexactNumber(
  json: string,
  field: readonly FieldStep[] = [],
): { readonly name: string; readonly number: string; readonly becomes: string } | undefined {
  const { value, odd } = parseWithOddNumbers(`[${json}]`); // in an array, a number by itself is found as well
  for (const { path, text } of odd) {
    const number = Number(text);
    if (Math.abs(number) <= Number.MAX_SAFE_INTEGER) continue;
    const name = formatFieldPath([...field, ...stepsTo(path.slice(1), (value as unknown[])[0])]);
    const becomes = Number.isFinite(number) ? `would become ${String(number)}` : "is too large for JSON";
    return { name, number: text, becomes };
  }
  return undefined;
}

function stepsTo(path: readonly string[], value: unknown): FieldStep[] {
  let holder = value;
  return path.map((name) => {
    const isIndex = Array.isArray(holder);
    holder = (holder as Record<string, unknown>)[name];
    return { name, isIndex };
  });
}

/** What is not UTF-8 would be written with replacement characters, and nobody would know. */
export function textOf(bytes: Buffer, source: string): string {
  if (!isUtf8(bytes)) throw usageError(`${source} is not UTF-8: convert it first, with iconv for example`);
  return bytes.toString("utf8");
}

/**
 * A file that the command line names; undefined: there is none. What is refused as a file of the store is refused here as well, but
 * it is for the person to name another one.
 * @throws `file_unsafe`
 */
export function namedFile<R>(path: string, read: () => R): R | undefined {
  try {
    return unlessMissing(read);
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "file_unsafe" || "limit" in error.data)
      throw error;
    const message = `${path} is no regular file but a link, a folder or a device: give the path of the file itself. Nothing was changed.`;
    throw new CliError("file_unsafe", message, { data: error.data, exitCode: EXIT.needsPerson });
  }
}

function readText(path: string): string {
  const bytes = namedFile(path, () => readRegularFile(nodeFileSystem, path, { bytesMax: INPUT_BYTES_MAX }));
  if (bytes !== undefined) return textOf(bytes, path);
  throw new CliError("input_not_found", `there is no file ${path}; check --file`, { data: { path } });
}

async function readStandardInput(invocation: Invocation): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of standardInput(invocation)) {
    bytes += chunk.length;
    if (bytes > INPUT_BYTES_MAX) throw usageError(`standard input has more than ${INPUT_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return textOf(Buffer.concat(chunks), "standard input");
}

/** Standard input as it comes. @throws the reason of the signal. */
export async function* standardInput(invocation: Invocation): AsyncGenerator<Buffer, void> {
  const { terminal, signal } = invocation;
  const { stdin } = process;
  invocation.doing = "reading standard input";
  signal.throwIfAborted();
  if (stdin.isTTY) terminal.say("reading JSON from the keyboard; end it with Ctrl-D");
  const stop = (): void => void stdin.destroy();
  signal.addEventListener("abort", stop);
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer>) yield chunk;
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted(); // a destroyed stream complains
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
