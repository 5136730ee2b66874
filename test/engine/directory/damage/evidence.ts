/** What is left of sessions after a damage, found out from the bytes alone: the store is not asked. */
import { linesIn } from "../../../../src/log/cut-segment.js";
import { newLedger, type SegmentLedger } from "../../../../src/log/segment-ledger.js";
import { decide } from "../../../../src/log/verdict.js";
import type { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { Damage } from "./damaging.js";
import { chainOf, changesOf, entryFile, fileRevision, type Change } from "./scenes.js";
import { KEYS, type Fact } from "./traffic.js";

/** What is left of each session after the damage, found out from the bytes. */
export class Evidence {
  /** Revision in each file that is whole. */
  readonly #files: ReadonlyMap<string, number | undefined>;
  /** The first byte that differs. */
  readonly #from: number;
  readonly #damagedBlob: boolean;
  /** Nothing in the damaged segment shows that it is damaged. */
  readonly looksHonest: boolean;
  /** Sessions of records that damage has put into another place: which of two is the right one, no byte says. */
  readonly #copied = new Set<string>();

  constructor(
    disk: SimulatedDisk,
    private readonly damage: Damage,
    private readonly changes: readonly Change[],
  ) {
    this.#damagedBlob = damage.where === "shared value";
    this.#files = new Map(KEYS.map((key) => [key, fileRevision(disk, entryFile(key))]));
    let same = 0;
    while (same < damage.after.length && damage.after[same] === damage.before[same]) same++;
    this.#from = same;
    this.looksHonest = isOfLog(damage) && isWhole(damage.after);
    if (!isOfLog(damage)) return;
    for (const { at, end, op } of changesOf(damage.path, damage.after)) {
      if (!damage.before.subarray(at, end).equals(damage.after.subarray(at, end))) this.#copied.add(op.k);
    }
  }

  /** For a process that came after the damage and may guess nothing. */
  forReader(key: string, fact: Fact | undefined): string | undefined {
    if (fact === undefined) return "that it never was there";
    if (this.#damagedBlob && fact.entry !== undefined && "big" in fact.entry) return undefined;
    if (this.#moved(key, fact) || this.#copied.has(key)) return undefined;
    const hasFile = fact.entry !== undefined && this.#files.get(key) === fact.revision;
    const chain = chainOf(this.changes, key, fact.revision);
    if (hasFile) return "its file";
    if (chain === undefined) return this.#forCheckpointed(key, fact);
    if (!isOfLog(this.damage)) return "the log";
    if (chain.every(({ path, end }) => path !== this.damage.path || end <= this.#from)) return "the log";
    return undefined;
  }

  /** With nothing but the bytes, and guesses allowed. */
  anywhere(key: string, fact: Fact | undefined): string | undefined {
    const known = this.forReader(key, fact);
    if (known !== undefined || fact === undefined || !isOfLog(this.damage)) return known;
    if (this.#isLostToAll(key, fact)) return undefined;
    const chain = chainOf(this.changes, key, fact.revision);
    if (chain === undefined) return undefined;
    const { path, before, after } = this.damage;
    const intact = chain.every(
      (change) =>
        change.path !== path ||
        before.subarray(change.at, change.end).equals(after.subarray(change.at, change.end)),
    );
    return intact ? "its records" : undefined;
  }

  /** A process that had read all the log knows every session that the log had. */
  forLiving(key: string, fact: Fact | undefined): string | undefined {
    const known = this.forReader(key, fact);
    if (known !== undefined || fact === undefined) return known;
    return isOfLog(this.damage) && !this.#isLostToAll(key, fact) ? "a living process" : undefined;
  }

  #isLostToAll(key: string, fact: Fact): boolean {
    return this.damage.endIsMissing || this.#moved(key, fact) || this.#copied.has(key);
  }

  /** Behind what was inserted every line has the revision of another place: it can only be refused, and mended. */
  #moved(key: string, { revision }: Fact): boolean {
    if (!isOfLog(this.damage) || this.damage.how !== "inserted block") return false;
    const chain = chainOf(this.changes, key, revision) ?? [];
    return chain.some(({ path, end }) => path === this.damage.path && end > this.#from);
  }

  /** Not in the log: a deleted session has no file, any other one only that. */
  #forCheckpointed(key: string, fact: Fact): string | undefined {
    return fact.entry === undefined && this.#files.get(key) === undefined ? "that it has no file" : undefined;
  }
}

/** Whether a segment's lines, taken by themselves, hide nothing. */
function isWhole(bytes: Buffer): boolean {
  let ledger: SegmentLedger | undefined;
  for (const { at, end, from, line } of linesIn(bytes)) {
    ledger ??= newLedger(line.kind === "header" ? line.header.segment : 0);
    decide(ledger, line, at, end, from);
  }
  return ledger?.gap === undefined;
}

export function isOfLog({ where }: Damage): boolean {
  return where === "log" || where === "log header";
}
