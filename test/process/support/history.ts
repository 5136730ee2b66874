/**
 * What `programs/recorder.mjs` wrote down, read back: writes with what they were computed from, reads, and changes
 * that a watch told of.
 */
import { readFileSync } from "node:fs";

/** A state of one session: the token of the write that made it, or null where there was no session. */
export type Token = string | null;

export interface Write {
  readonly token: string;
  readonly kind: string;
  readonly keys: readonly string[];
  readonly begin: number;
  /** When it was acknowledged or refused; Infinity if its process never heard. */
  end: number;
  outcome: "acknowledged" | "nothing" | "refused" | "open";
  /** Acknowledged as durable: a power cut must not undo it. */
  durable: boolean;
  /** Where the call tells it. */
  revision: number | null;
  /** What it was computed from, by key; empty for a write that looks at nothing. */
  readonly bases: Map<string, Token>;
}

export interface Read {
  readonly by: string;
  readonly begin: number;
  readonly end: number;
  readonly key: string;
  readonly token: Token;
}

/** One change that a watch told; changes of one watch are in the order in which they came. */
export interface Change {
  readonly watch: string;
  readonly key: string;
  readonly token: Token;
  readonly revision: number;
}

export class History {
  readonly writes = new Map<string, Write>();
  readonly reads: Read[] = [];
  readonly changes: Change[] = [];
  /** Revisions that were told, by token: a token has one, and a revision has one token. */
  readonly revisions = new Map<string, Set<number>>();

  /**
   * Adds what one worker wrote down; its last line may be cut off.
   * @param durableUntil Acknowledgements before this time are promises that survive a power cut.
   */
  readFile(path: string, name: string, durableUntil: number): void {
    let text = "";
    try {
      text = readFileSync(path, "utf8");
    } catch {
      return; // killed before it made the file
    }
    const lines = text.split("\n");
    lines.pop();
    for (const line of lines) this.add(name, durableUntil, JSON.parse(line) as unknown[]);
  }

  /** Notes a state that was seen with its revision. */
  learn(token: Token, revision: number | null): void {
    if (token === null || revision === null) return;
    const known = this.revisions.get(token) ?? new Set();
    this.revisions.set(token, known.add(revision));
  }

  /** Adds one line. */
  add(name: string, durableUntil: number, fields: readonly unknown[]): void {
    const [letter, number] = fields as [string, number];
    if (letter === "V") {
      const [, begin, end, states] = fields as [string, number, number, [string, Token, number | null][]];
      for (const [key, token, revision] of states) {
        this.reads.push({ by: name, begin, end, key, token });
        this.learn(token, revision);
      }
      return;
    }
    if (letter === "W") {
      const [, watch, key, token, revision] = fields as [string, number, string, Token, number];
      this.changes.push({ watch: `${name} watch ${watch}`, key, token, revision });
      this.learn(token, revision);
      return;
    }
    const token = `${name}.${number}`;
    if (letter === "B") {
      const [, , begin, kind, keys] = fields as [string, number, number, string, string[]];
      const state = {
        end: Number.POSITIVE_INFINITY,
        outcome: "open",
        durable: false,
        revision: null,
      } as const;
      this.writes.set(token, { token, kind, keys, begin, ...state, bases: new Map() });
      return;
    }
    const write = this.writes.get(token);
    if (write === undefined) throw new Error(`${name} ends ${number} without having begun it`);
    if (letter === "S") {
      const [, , key, base, revision] = fields as [string, number, string, Token, number | null];
      write.bases.set(key, base);
      this.learn(base, revision);
      return;
    }
    const [, , end, detail, written] = fields as [string, number, number, number | string | null, unknown];
    if (letter === "R" && mayCount(detail, written)) return;
    write.end = end;
    write.outcome = letter === "A" ? "acknowledged" : letter === "N" ? "nothing" : "refused";
    write.durable = letter === "A" && end < durableUntil;
    if (letter !== "A" || typeof detail !== "number") return;
    write.revision = detail;
    this.learn(token, detail);
  }
}

/** Errors after which a write may count or not; after all others it does not, says docs/errors.md. */
function mayCount(code: unknown, written: unknown): boolean {
  return code === "commit_unknown" || (code === "durability_unknown" && written === true);
}
