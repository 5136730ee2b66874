/**
 * Checks of arguments. What no state of the world makes right is a `TypeError` that names the argument; it is
 * thrown before anything happens.
 */
/** A JSON object; arrays, null and everything else are refused. */
export function requireObject(value: unknown, what: string): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${what} must be an object, not ${kindOf(value)}`);
  }
  return value;
}

export function requireFunction(value: unknown, what: string): void {
  if (typeof value !== "function") throw new TypeError(`${what} must be a function, not ${kindOf(value)}`);
}

/** Refuses misspelt options: a lost `ifRevision` would be an unconditional write. */
export function requireKnownNames(options: object, what: string, names: ReadonlySet<string>): void {
  for (const name of Object.keys(options)) {
    if (!names.has(name)) {
      throw new TypeError(
        `${what} has no option ${JSON.stringify(name)}; known are ${[...names].join(", ")}`,
      );
    }
  }
}

/** An integer of at least `min`, or undefined. */
export function optionalInteger(value: unknown, what: string, min: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw new TypeError(`${what} must be an integer of at least ${min}, not ${kindOf(value)}`);
  }
  return value;
}

export function optionalBoolean(value: unknown, what: string): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw new TypeError(`${what} must be true or false, not ${kindOf(value)}`);
}

export function optionalOneOf<const Choice extends string>(
  value: unknown,
  what: string,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined) return undefined;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new TypeError(
    `${what} must be ${choices.map((choice) => `"${choice}"`).join(" or ")}, not ${kindOf(value)}`,
  );
}

export function optionalFunction<F>(value: F | undefined, what: string): F | undefined {
  if (value !== undefined) requireFunction(value, what);
  return value;
}

/** A prefix of keys; undefined means all of them. */
export function optionalPrefix(value: unknown, what: string): string {
  if (value === undefined) return "";
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${kindOf(value)}`);
  return value;
}

export function optionalSignal(value: unknown, what: string): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw new TypeError(`${what} must be an AbortSignal, not ${kindOf(value)}`);
}

/** A value as an error message shows it: short, and never a whole entry. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  switch (typeof value) {
    case "number":
    case "boolean":
    case "bigint":
    case "undefined":
      return String(value);
    case "string":
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    default:
      return `a value of type ${typeof value}`;
  }
}
