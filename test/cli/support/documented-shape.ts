/**
 * The shapes that docs/cli.md promises: its JSON examples. A section `## \`sessiondir NAME\`` has one example a shape;
 * names and types in it are the promise, values are not.
 */
import { readFileSync } from "node:fs";

const PAGE = new URL("../../../docs/cli.md", import.meta.url);

/** The examples in the section of a command, in order. */
export function documentedExamples(title: string): unknown[] {
  const page = readFileSync(PAGE, "utf8");
  const section = page.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  if (section === undefined) throw new Error(`docs/cli.md has no section "${title}"`);
  return Array.from(
    section.matchAll(/^```json\n([\s\S]*?)^```$/gm),
    ([, json]) => JSON.parse(json ?? "") as unknown,
  );
}

/**
 * Where a value has another shape than the example: paths with `+` for what is not documented, `-` for what is missing, `!`
 * for another type. Items of arrays are compared with the example's items, any of them.
 */
export function deviations(actual: unknown, example: unknown, path = ""): string[] {
  if (typeOf(actual) !== typeOf(example)) return [`! ${path} is ${typeOf(actual)}, not ${typeOf(example)}`];
  if (Array.isArray(actual) && Array.isArray(example)) {
    return actual.flatMap((item: unknown) => {
      const found = (example as unknown[]).map((other) => deviations(item, other, `${path}[]`));
      return found.sort((a, b) => a.length - b.length)[0] ?? [`+ ${path}[]`];
    });
  }
  if (typeOf(actual) !== "object" || path.endsWith(".data")) return []; // data differs from code to code
  const [have, want] = [actual, example] as [Record<string, unknown>, Record<string, unknown>];
  return [
    ...Object.keys(want)
      .filter((name) => !Object.hasOwn(have, name))
      .map((name) => `- ${path}.${name}`),
    ...Object.keys(have).flatMap((name) =>
      Object.hasOwn(want, name)
        ? deviations(have[name], want[name], `${path}.${name}`)
        : [`+ ${path}.${name}`],
    ),
  ];
}

function typeOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

/** The same without names that are documented as absent at times. */
export function deviationsBut(optional: readonly string[], actual: unknown, example: unknown): string[] {
  const absent = new RegExp(`^- .*\\.(?:${optional.join("|")})$`);
  return deviations(actual, example).filter((deviation) => !absent.test(deviation));
}
