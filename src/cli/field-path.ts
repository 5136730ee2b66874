/**
 * Paths to a value inside of an entry: one way to write them for every command that takes one.
 *
 *     usage.total            a field of a field
 *     messages[0].text       an item of an array; messages.0.text is the same
 *     "usage.total"          one field whose name has a dot: a JSON string stands for a name
 *     labels["a b"]          the same in brackets
 *     usage\.total           a backslash takes the next character as it is
 *
 * Only what an entry really has is followed or changed, never what every object or array inherits: `__proto__` and
 * `length` are names like any other. Nothing that was read is changed; what is changed is copied on the way to it.
 */
import { EXIT, CliError } from "./failure.js";

export interface FieldStep {
  readonly name: string;
  /** Written as `[0]`: an item of an array and nothing else. */
  readonly isIndex: boolean;
}

/** At least one step. */
export type FieldPath = readonly [FieldStep, ...FieldStep[]];

/** More than any entry may be deep. */
const STEPS_MAX = 1000;
/** An array that a path makes longer grows by one item, so an index needs no more digits than this. */
const INDEX = /^(?:0|[1-9]\d{0,8})$/;

/** @throws `field_path_invalid` (code 2) with the character at which it shows. */
export function parseFieldPath(text: string, option: string): FieldPath {
  const reader = new PathReader(text, option);
  const path = reader.path();
  if (reader.position < text.length) reader.fail(`${reader.found()} does not belong there`);
  return path;
}

/** `path=value`: the first `=` outside of quotes ends the path; undefined if there is none. */
export function parseAssignment(text: string, option: string): [path: FieldPath, value: string] | undefined {
  if (!text.includes("=") || text.startsWith("=")) return undefined;
  const reader = new PathReader(text, option);
  const path = reader.path();
  if (text[reader.position] !== "=") reader.fail(`${reader.found()} where "=" is needed`);
  return [path, text.slice(reader.position + 1)];
}

/** What is asked of a field. */
export interface FieldCondition {
  readonly path: FieldPath;
  /** Undefined: that it is there. */
  readonly operator: Comparison | undefined;
  readonly value: string;
}

const COMPARISONS = ["!=", "<=", ">=", "=", "<", ">"] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** `path`, or `path=value` with any of {@link COMPARISONS}; names with such a character are written in quotes. */
export function parseCondition(text: string, option: string): FieldCondition {
  const reader = new PathReader(text, option, /[.[\]="<>!]/);
  const path = reader.path();
  const rest = text.slice(reader.position);
  if (rest === "") return { path, operator: undefined, value: "" };
  const operator = COMPARISONS.find((sign) => rest.startsWith(sign));
  if (operator === undefined)
    return reader.fail(`${reader.found()} where one of ${COMPARISONS.join(" ")} is needed`);
  return { path, operator, value: rest.slice(operator.length) };
}

/** The path as it is written, names quoted where they must be. */
export function formatFieldPath(path: readonly FieldStep[]): string {
  return path
    .map(({ name, isIndex }, index) => {
      if (isIndex) return `[${name}]`;
      const written = /^[^\s."'=\\[\]]+$/.test(name) ? name : JSON.stringify(name);
      return index === 0 ? written : `.${written}`;
    })
    .join("");
}

/** A top-level field by its name, whatever characters that has. */
export function topLevel(name: string): FieldPath {
  return [{ name, isIndex: false }];
}

/** Whether a value has this field or item of its own. */
export function hasStep(value: unknown, { name, isIndex }: FieldStep): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return INDEX.test(name) && Number(name) < value.length;
  return !isIndex && Object.hasOwn(value, name);
}

class PathReader {
  position = 0;

  constructor(
    private readonly text: string,
    private readonly option: string,
    /** What ends a name that is not quoted. */
    private readonly end = /[.[\]="]/,
  ) {}

  /** Reads as far as there is a path. */
  path(): FieldPath {
    const steps: FieldStep[] = [];
    // A path begins with a name; a bracket may stand for it.
    if (this.text[this.position] !== "[") steps.push(this.#name());
    for (;;) {
      const character = this.text[this.position];
      if (character === "[") steps.push(this.#bracket());
      else if (character === ".") {
        this.position += 1;
        steps.push(this.#name());
      } else break;
      if (steps.length > STEPS_MAX) this.fail(`it has more than ${STEPS_MAX} steps`);
    }
    return steps as [FieldStep, ...FieldStep[]];
  }

  #name(): FieldStep {
    if (this.text[this.position] === '"') return { name: this.#quoted(), isIndex: false };
    let name = "";
    for (;;) {
      const character = this.text[this.position];
      if (character === undefined || this.end.test(character)) break;
      if (character === "\\") {
        const escaped = String.fromCodePoint(this.text.codePointAt(this.position + 1) ?? 0);
        if (this.position + 1 >= this.text.length) this.fail("a backslash with nothing behind it");
        name += escaped;
        this.position += 1 + escaped.length;
      } else {
        name += character;
        this.position += 1;
      }
    }
    if (name === "") this.fail(`a name is missing before ${this.found()}; the name "" is written as ""`);
    return { name, isIndex: false };
  }

  /** A JSON string. */
  #quoted(): string {
    const start = this.position;
    const end = /"(?:[^"\\]|\\.)*"/sy;
    end.lastIndex = start;
    const [literal] = end.exec(this.text) ?? [];
    if (literal === undefined) return this.fail('a quote (") that is never closed');
    try {
      const name = JSON.parse(literal) as string;
      this.position += literal.length;
      return name;
    } catch {
      return this.fail(`${literal} is no JSON string`);
    }
  }

  #bracket(): FieldStep {
    this.position += 1;
    if (this.text[this.position] === '"') {
      const name = this.#quoted();
      this.#close();
      return { name, isIndex: false };
    }
    const digits = /\d*/y;
    digits.lastIndex = this.position;
    const [name = ""] = digits.exec(this.text) ?? [];
    if (!INDEX.test(name)) {
      this.fail(`${this.found()} where the number of an item, from 0, or a name in double quotes is needed`);
    }
    this.position += name.length;
    this.#close();
    return { name, isIndex: true };
  }

  #close(): void {
    if (this.text[this.position] !== "]") this.fail(`${this.found()} where "]" is needed`);
    this.position += 1;
  }

  found(): string {
    const code = this.text.codePointAt(this.position);
    return code === undefined ? "the end" : JSON.stringify(String.fromCodePoint(code));
  }

  fail(what: string): never {
    const { text, option, position } = this;
    const character = Array.from(text.slice(0, position)).length + 1;
    throw new CliError(
      "field_path_invalid",
      `${option} ${JSON.stringify(text)} is no path to a field: ${what}, at character ${character}. ` +
        'Write usage.total, messages[0].text, or "a.b" in double quotes for a name with such characters.',
      { exitCode: EXIT.usage, data: { option, path: text, character } },
    );
  }
}
