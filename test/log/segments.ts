/**
 * Random segments of the log, as writers leave them and as they never would: records with good and outdated bases, torn
 * writes that others glued their lines to, malformed lines, bytes that no one can read, seals of all kinds.
 */
import * as fc from "fast-check";
import { encodeLogLine, type LogOp } from "../../src/format/log-line.js";

export const SEGMENT = 1;
export const FIRST_REVISION = 10;

const KEYS = ["a", "b", "c"] as const;
type Base = "latest" | "none" | "old" | "absent" | "outdated";

/** What one append of the segment is; where it stands decides what its bases are. */
export type Step =
  | {
      readonly kind: "record";
      readonly op: "set" | "patch" | "delete" | "check";
      readonly key: string;
      readonly base: Base;
      readonly text: string;
    }
  /** A write that was cut short: its beginning, or all but its newline. */
  | { readonly kind: "torn"; readonly text: string; readonly bytes: number }
  | { readonly kind: "elsewhere" }
  | { readonly kind: "again" }
  | { readonly kind: "malformed" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "seal"; readonly gap?: number | undefined; readonly cut?: number | undefined };

const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.constantFrom('0a1b2c3d {"w', "0a1b2c3d {", "é\u{1f642}"),
);
const record = fc.record({
  kind: fc.constant("record" as const),
  op: fc.constantFrom("set", "set", "patch", "delete", "check"),
  key: fc.constantFrom(...KEYS),
  base: fc.constantFrom<Base[]>("latest", "latest", "latest", "none", "old", "absent", "outdated"),
  text,
});
const torn = fc.record({ kind: fc.constant("torn" as const), text, bytes: fc.nat(200) });

/** What honest writers append, on disks that run full and in processes that are killed. */
export const honestSteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof({ weight: 8, arbitrary: record }, { weight: 1, arbitrary: torn }),
  { maxLength: 25 },
);

/** The same, and what is found in damaged segments only. */
export const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof<fc.WeightedArbitrary<Step>[]>(
    { weight: 14, arbitrary: record },
    { weight: 3, arbitrary: torn },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Step[]>({ kind: "elsewhere" }, { kind: "again" }, { kind: "malformed" }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("bytes" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("seal" as const),
        gap: fc.option(fc.nat(600), { nil: undefined }),
        cut: fc.option(fc.nat(600), { nil: undefined }),
      }),
    },
  ),
  { maxLength: 25 },
);

export function headerLine(segment: number, firstRevision: number, after = firstRevision - 1): Buffer {
  return encodeLogLine(
    JSON.stringify({ segment, firstRevision, after, store: "id", stage: `${segment}-c0ffee` }),
  );
}

export function recordLine(n: number, g: number, ops: readonly object[], w = "w"): Buffer {
  return encodeLogLine(JSON.stringify({ w, n, g, t: 0, ops }));
}

/** The segment's bytes, its header first. */
export function composeSegment(steps: readonly Step[]): Buffer {
  const parts: Buffer[] = [headerLine(SEGMENT, FIRST_REVISION)];
  let length = parts[0]?.length ?? 0;
  let n = 0;
  let last: Buffer | undefined;
  /** The last append is no complete line without its newline. */
  let ended = true;
  /** Of each key, the revisions of its commits, with 0 for a delete: nobody builds on a record that did not commit. */
  const revisions = new Map<string, number[]>();
  const push = (bytes: Buffer): void => {
    parts.push(bytes);
    length += bytes.length;
    ended ||= bytes.at(-1) === 0x0a;
  };
  for (const step of steps) {
    switch (step.kind) {
      case "record": {
        const known = revisions.get(step.key) ?? [];
        const op = opOf(step, known);
        last = recordLine(++n, SEGMENT, [op]);
        if (step.op !== "check" && commits(op, known.at(-1)))
          known.push(step.op === "delete" ? 0 : FIRST_REVISION + length);
        revisions.set(step.key, known);
        push(last);
        break;
      }
      case "torn": {
        const whole = recordLine(1, SEGMENT, [{ k: "torn", s: { text: step.text } }], `w${length}`);
        // Behind a complete line without its newline a shorter beginning would be damage: nothing shows that it begins there.
        const bytes = ended ? step.bytes : Math.max(step.bytes, 12);
        const part = whole.subarray(0, Math.min(bytes, whole.length - 1));
        push(part);
        ended &&= part.length < whole.length - 1;
        break;
      }
      case "elsewhere":
        push(recordLine(++n, SEGMENT + 1, [{ k: "a", s: {} }]));
        break;
      case "again":
        if (last !== undefined) push(last);
        break;
      case "malformed":
        push(encodeLogLine('{"seal":"8"}'));
        break;
      case "bytes":
        push(Buffer.from([...step.bytes, 0x0a]));
        break;
      case "seal":
        push(encodeLogLine(JSON.stringify({ seal: SEGMENT + 1, gap: step.gap, cut: step.cut })));
    }
  }
  return Buffer.concat(parts);
}

function commits({ b, p }: LogOp, latest: number | undefined): boolean {
  if (latest === undefined) return p === undefined;
  return (b === undefined || b === latest) && !(p !== undefined && latest === 0);
}

function opOf({ op, key: k, base, text: value }: Step & { kind: "record" }, known: readonly number[]): LogOp {
  const b = { latest: known.at(-1) ?? 3, none: undefined, old: 3, absent: 0, outdated: known.at(-2) ?? 4 }[
    base
  ];
  const based = b === undefined ? {} : { b };
  switch (op) {
    case "set":
      return { k, ...based, s: { value } };
    case "delete":
      return { k, ...based, d: 1 };
    case "patch": // always with a base above 0
      return { k, b: b === undefined || b === 0 ? 3 : b, p: { value } };
    case "check":
      return { k, b: b ?? 0 };
  }
}
