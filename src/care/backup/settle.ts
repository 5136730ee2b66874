/** The arguments of the public functions, checked before anything is touched. */
import type { Trust } from "../../fs/trusted-path.js";
import {
  optionalBoolean,
  optionalFunction,
  optionalInteger,
  optionalOneOf,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "../../store/arguments.js";
import type { BackupOptions, BackupWarning, KeepRules } from "./types.js";

export interface Settled {
  readonly trust: Trust;
  readonly signal: AbortSignal | undefined;
  readonly onWarning: ((warning: BackupWarning) => void) | undefined;
}

const COMMON = ["trust", "signal", "onWarning"] as const;

/**
 * @param paths Paths that were given, by what they are.
 * @param own Names of options that this function has besides those of all.
 * @throws `TypeError` that names the argument.
 */
export function settle(
  options: BackupOptions | undefined,
  paths: Readonly<Record<string, unknown>>,
  own: readonly string[] = [],
): Settled {
  for (const [what, path] of Object.entries(paths)) requirePath(path, what);
  const given = options === undefined ? {} : options;
  requireObject(given, "options");
  requireKnownNames(given, "a backup", new Set([...COMMON, ...own]));
  return {
    trust: optionalOneOf(given.trust, "options.trust", ["owner", "group"]) ?? "owner",
    signal: optionalSignal(given.signal, "options.signal"),
    onWarning: optionalFunction(given.onWarning, "options.onWarning"),
  };
}

export function requirePath(path: unknown, what: string): asserts path is string {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return;
  throw new TypeError(`${what} must be the path of a folder`);
}

export function optionalText(value: unknown, what: string): string | undefined {
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw new TypeError(`${what} must be a string that is not empty`);
}

export { optionalBoolean };

const RULES = ["last", "daily", "weekly", "monthly"] as const;

/** @throws `TypeError` also where no rule is given: nothing is pruned unless somebody says what stays. */
export function settleRules(rules: KeepRules): KeepRules {
  requireObject(rules, "keep");
  requireKnownNames(rules, "keep", new Set(RULES));
  const settled = Object.fromEntries(
    RULES.map((name) => [name, optionalInteger(rules[name], `keep.${name}`, 0)]),
  ) as KeepRules;
  if (RULES.every((name) => settled[name] === undefined))
    throw new TypeError("keep must say what stays: last, daily, weekly or monthly");
  return settled;
}

/** Tells warnings, and keeps them for the report. */
export function warner(onWarning: Settled["onWarning"]): {
  readonly warn: (warning: BackupWarning) => void;
  readonly warnings: readonly BackupWarning[];
} {
  const warnings: BackupWarning[] = [];
  return {
    warnings,
    warn(warning) {
      warnings.push(warning);
      if (onWarning !== undefined) onWarning(warning);
      else process.emitWarning(warning.message, { type: "BackupWarning", code: warning.code });
    },
  };
}
