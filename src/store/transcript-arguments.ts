/**
 * Arguments of the methods of transcripts, checked and made into what engines are given. Items become their JSON at the moment of the
 * call: whatever the caller does to them while the call waits for its turn changes nothing.
 */
import type { EngineItemQuery, NewItem, TranscriptOp } from "../engine/contract.js";
import type { Limits } from "../format/limits.js";
import { assertId, assertTranscriptName } from "../format/transcript-name.js";
import { itemJson } from "../format/value-json.js";
import {
  kindOf,
  optionalBoolean,
  optionalInteger,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "./arguments.js";
import type {
  AppendOptions,
  ExpectedSuffix,
  IterateItemsOptions,
  ReadItemsOptions,
  TranscriptOptions,
} from "./transcript-types.js";

const MAIN = "main";
const PAGE_ITEMS = 1000;

const CHANGE_OPTIONS: ReadonlySet<string> = new Set(["transcript", "ifLast", "ifLength", "signal"]);
const APPEND_OPTIONS: ReadonlySet<string> = new Set([...CHANGE_OPTIONS, "ids", "maxLength"]);
const READ_OPTIONS: ReadonlySet<string> = new Set(["transcript", "from", "to", "limit", "backwards"]);
const ITERATE_OPTIONS: ReadonlySet<string> = new Set([
  "transcript",
  "from",
  "to",
  "backwards",
  "pageItems",
  "signal",
]);

/** What the caller says that the transcript must be like. */
export interface Conditions {
  readonly ifLast?: number;
  readonly ifLength?: number;
}

export interface ChangeArguments {
  readonly key: string;
  readonly name: string;
  readonly conditions: Conditions;
  readonly signal: AbortSignal | undefined;
}

export interface AppendArguments extends ChangeArguments {
  readonly items: readonly NewItem[];
  readonly maxLength: number | undefined;
}

export function transcriptName(name: string | undefined, key: string): string {
  if (name === undefined) return MAIN;
  assertTranscriptName(name, key);
  return name;
}

export function changeArguments(
  method: string,
  key: string,
  options: TranscriptOptions | undefined,
  known = CHANGE_OPTIONS,
): ChangeArguments {
  if (options === undefined) return { key, name: MAIN, conditions: {}, signal: undefined };
  requireObject(options, "options");
  requireKnownNames(options, method, known);
  const ifLast = optionalInteger(options.ifLast, "options.ifLast", 0);
  const ifLength = optionalInteger(options.ifLength, "options.ifLength", 0);
  return {
    key,
    name: transcriptName(options.transcript, key),
    conditions: { ...(ifLast !== undefined && { ifLast }), ...(ifLength !== undefined && { ifLength }) },
    signal: optionalSignal(options.signal, "options.signal"),
  };
}

export function appendArguments(
  method: string,
  key: string,
  items: readonly unknown[],
  options: AppendOptions | undefined,
  limits: Limits,
): AppendArguments {
  const common = changeArguments(method, key, options, APPEND_OPTIONS);
  const maxLength = optionalInteger(options?.maxLength, "options.maxLength", 1);
  requireArray(items, "items");
  const ids = idsFor(items, options?.ids);
  return { ...common, maxLength, items: newItems(items, ids, limits, key) };
}

/** `expected` of `replaceSuffix`. */
export function suffixArguments(
  expected: ExpectedSuffix,
  limits: Limits,
  key: string,
): { readonly from: number; readonly items: unknown[] } {
  requireObject(expected, "expected");
  const from = requiredInteger(expected.from, "expected.from", 1);
  const list = "expected.items";
  requireArray(expected.items, list);
  const plain = (item: unknown, index: number): unknown =>
    JSON.parse(itemJson(item, list, index, limits, key)) as unknown;
  return { from, items: Array.from(expected.items, plain) };
}

/** What `truncate` and `trim` are to keep, by the number of items or by a seq. */
export type Keep = { readonly length: number } | { readonly seq: number };

/** @param seqName `afterSeq` or `beforeSeq`. */
export function keepArguments(keep: object, seqName: "afterSeq" | "beforeSeq"): Keep {
  requireObject(keep, "keep");
  requireKnownNames(keep, "keep", new Set([seqName, "length"]));
  const given = keep as { readonly length?: number } & Readonly<Record<string, unknown>>;
  const length = optionalInteger(given.length, "keep.length", 0);
  const seq = optionalInteger(given[seqName], `keep.${seqName}`, 0);
  if (length !== undefined && seq === undefined) return { length };
  if (length === undefined && seq !== undefined) return { seq };
  throw new TypeError(`keep must have either ${seqName} or length`);
}

export function readArguments(
  key: string,
  options: ReadItemsOptions | undefined,
): { readonly name: string; readonly query: EngineItemQuery } {
  if (options === undefined) return { name: MAIN, query: { limit: PAGE_ITEMS, backwards: false } };
  requireObject(options, "options");
  requireKnownNames(options, "readItems", READ_OPTIONS);
  const limit = optionalInteger(options.limit, "options.limit", 1) ?? PAGE_ITEMS;
  return { name: transcriptName(options.transcript, key), query: { ...rangeOf(options), limit } };
}

export function iterateArguments(
  key: string,
  options: IterateItemsOptions | undefined,
): { readonly name: string; readonly query: EngineItemQuery; readonly signal: AbortSignal | undefined } {
  const given = options === undefined ? {} : options;
  requireObject(given, "options");
  requireKnownNames(given, "iterateItems", ITERATE_OPTIONS);
  const limit = optionalInteger(given.pageItems, "options.pageItems", 1) ?? PAGE_ITEMS;
  const signal = optionalSignal(given.signal, "options.signal");
  return { name: transcriptName(given.transcript, key), query: { ...rangeOf(given), limit }, signal };
}

/** The engine's op, without what it does. */
export function opOn({ key, name, conditions }: ChangeArguments): TranscriptOp {
  return { kind: "transcript", key, transcript: name, ...conditions };
}

function rangeOf(options: ReadItemsOptions): Omit<EngineItemQuery, "limit"> {
  const from = optionalInteger(options.from, "options.from", 0);
  const to = optionalInteger(options.to, "options.to", 0);
  const backwards = optionalBoolean(options.backwards, "options.backwards") ?? false;
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }), backwards };
}

function newItems(
  items: readonly unknown[],
  ids: readonly (string | undefined)[] | undefined,
  limits: Limits,
  key: string,
): NewItem[] {
  return Array.from(items, (item, index): NewItem => {
    const json = itemJson(item, "items", index, limits, key);
    const id = ids?.[index];
    return id === undefined ? { json } : { json, id };
  });
}

function idsFor(
  items: readonly unknown[],
  ids: readonly (string | undefined)[] | undefined,
): readonly (string | undefined)[] | undefined {
  if (ids === undefined) return undefined;
  requireArray(ids, "options.ids");
  if (ids.length !== items.length) {
    throw new TypeError(
      `options.ids must have one for each of the ${items.length} items, and has ${ids.length}`,
    );
  }
  return Array.from(ids, (id, index) => {
    if (id !== undefined) assertId(id, `options.ids[${index}]`);
    return id;
  });
}

function requireArray(value: unknown, what: string): void {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be an array, not ${kindOf(value)}`);
}

function requiredInteger(value: unknown, what: string, min: number): number {
  const integer = optionalInteger(value, what, min);
  if (integer === undefined)
    throw new TypeError(`${what} must be an integer of at least ${min}, not undefined`);
  return integer;
}
