/**
 * Goal: damage costs at most what was in the damaged bytes and nowhere else. Whatever happens to one file of a store, every
 * session that its own file, a later whole entry or a living process still has is there in the end, nothing older is
 * given in its place, no change is acknowledged on top of something older, and no newer file is replaced.
 * Method: stores of fifty sessions in use on the simulated disk, half of them with a process that had read everything
 * and lives on. One file is damaged by chance; a newcomer reads, lists and writes everything; then the living
 * process goes on, or the store is opened with `soleProcess`. What evidence was left is found out from the bytes, not from the
 * store. `npm run damages` makes thousands; `SESSIONDIR_DAMAGES` says how many, `SESSIONDIR_SEED` which.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import type { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, turn, type Entry, type Process } from "../../../support/processes.js";
import { linesIn } from "../../../../src/log/cut-segment.js";
import { newLedger, type SegmentLedger } from "../../../../src/log/segment-ledger.js";
import { decide } from "../../../../src/log/verdict.js";
import { damage, HOW, type Damage, type How, type Where } from "./damaging.js";
import {
  chainOf,
  changesIn,
  changesOf,
  entryFile,
  fileRevision,
  startWatched,
  type Change,
} from "./scenes.js";
import { KEYS, newEntry, plain, usedStore, type Fact, type UsedStore } from "./traffic.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261129);
const DAMAGES = Number(process.env["SESSIONDIR_DAMAGES"] ?? 150);
/** The log is where most of it matters. */
const SHARES: readonly Where[] = [
  "log",
  "entry file",
  "log",
  "catalog",
  "log header",
  "log",
  "entry file",
  "log",
  "shared value",
  "log",
  "durable mark",
  "log",
  "format.json",
];
/** Far more than one takes on a busy machine. */
const DAMAGE_MS_MAX = 2000;

/** What became of the sessions after damages of one kind. */
interface Figures {
  damages: number;
  /** Sessions whose latest state was in the damaged bytes only. */
  lost: number;
  /** Answers to a newcomer: right; refused with an error that names the file; older, where no bytes say that. */
  right: number;
  refused: number;
  old: number;
  /** The same, until a living process had written what it knew. */
  oldMeanwhile: number;
  /** Writes of a newcomer on damaged sessions that were refused. */
  writesRefused: number;
  /** Sessions that damage cost which looks like what an honest writer leaves (docs/durability.md has the list). */
  unnoticed: number;
  /** Stores that did not open until a file was put back. */
  notOpened: number;
  /** Living processes that stopped with an error, for others went on without what they had read. */
  stopped: number;
  /** Must all be 0. */
  harmed: number;
  stale: number;
  overwritten: number;
}

/** What a store says whose `format.json` is damaged: unreadable, with another id, or with another number. */
const WITHOUT_FORMAT = new Set(["format_damaged", "log_foreign", "format_unsupported"]);

const wrong: string[] = [];
const figures = new Map<string, Figures>();

function figuresOf(where: Where, how: How): Figures {
  const name = `${where}, ${how}`;
  let of = figures.get(name);
  if (of === undefined) {
    of = {
      damages: 0,
      lost: 0,
      right: 0,
      refused: 0,
      old: 0,
      oldMeanwhile: 0,
      writesRefused: 0,
      unnoticed: 0,
      notOpened: 0,
      stopped: 0,
      harmed: 0,
      stale: 0,
      overwritten: 0,
    };
    figures.set(name, of);
  }
  return of;
}

describe(`${DAMAGES} damages with seed ${SEED}`, () => {
  it(
    "cost no session that anything else still has",
    async () => {
      let made = 0;
      for (let seed = SEED; made < DAMAGES; seed++) if (await judged(seed)) made++;
      const table = Object.fromEntries([...figures].sort(([a], [b]) => (a < b ? -1 : 1)));
      console.table(table);
      expect(wrong).toEqual([]);
      const total = [...figures.values()].reduce((sum, { right }) => sum + right, 0);
      if (DAMAGES >= 100) expect(total).toBeGreaterThan(DAMAGES * KEYS.length * 0.7);
    },
    DAMAGES * DAMAGE_MS_MAX,
  );
});

/** One damage from beginning to end. */
class Case {
  readonly #evidence: Evidence;
  readonly #changed = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly used: UsedStore,
    private readonly damage: Damage,
    private readonly figures: Figures,
    changes: readonly Change[],
  ) {
    this.#evidence = new Evidence(used.disk, damage, changes);
  }

  #wrong(what: "harmed" | "stale" | "overwritten", text: string): void {
    this.figures[what]++;
    wrong.push(`${this.name}: ${what}: ${text}`);
  }

  async run(): Promise<void> {
    const { disk, facts, live, overwritten } = this.used;
    this.figures.damages++;
    for (const [key, fact] of facts) if (!this.#evidence.anywhere(key, fact)) this.figures.lost++;
    const watch = (what: string): void => void overwritten.push(what);
    if (this.damage.where === "format.json") await this.#refusedUntilRestored();
    const newcomer = await startWatched(disk, "newcomer", watch, { durability: "os", cacheBytes: 0 });
    await this.#readAll(newcomer);
    await this.#listAll(newcomer);
    await this.#writeSome(newcomer);
    if (live === undefined) await settled(newcomer.store.close(), newcomer);
    // A process in whose log bytes were inserted, or to whose log others add where its end was, does not know its own place any more.
    const knowsItsPlace = this.damage.how !== "inserted block" && !this.damage.endIsMissing;
    const lives = live !== undefined && knowsItsPlace;
    let last: Process;
    if (lives) last = await this.#livedOn(live, newcomer, watch);
    else {
      if (live !== undefined) await this.#stops(live, newcomer);
      last = await this.#mended(watch);
    }
    await this.#expectAll(last, lives);
    for (const what of overwritten) this.#wrong("overwritten", what);
    for (const process of [live, newcomer, last]) process?.fs.kill();
  }

  /** The file without which nobody knows that a folder is a store: a person puts it back from any copy. */
  async #refusedUntilRestored(): Promise<void> {
    const { path, before } = this.damage;
    try {
      const opened = await startWatched(this.used.disk, "refused", () => undefined, { durability: "os" });
      opened.fs.kill();
    } catch (error) {
      if (!(error instanceof SessionStoreError) || !WITHOUT_FORMAT.has(error.code)) throw error;
      this.figures.notOpened++;
    }
    this.used.disk.writeRaw(path, before);
  }

  /** What a process that comes after the damage answers. */
  async #readAll(newcomer: Process): Promise<void> {
    for (const key of KEYS) {
      const fact = this.used.facts.get(key);
      const answer = await answerOf(newcomer, key);
      if (answer instanceof SessionStoreError) {
        this.figures.refused++;
        const evidence = this.#evidence.forReader(key, fact);
        if (evidence !== undefined)
          this.#wrong("harmed", `${key} is refused (${answer.code}) despite ${evidence}`);
      } else if (this.#isRight(answer, fact)) this.figures.right++;
      else this.#judgeOld(key, fact, "reads", answer);
    }
  }

  #judgeOld(key: string, fact: Fact | undefined, does: string, answer: unknown): void {
    const evidence = this.#evidence.forReader(key, fact);
    if (evidence === undefined) this.figures[this.used.live === undefined ? "old" : "oldMeanwhile"]++;
    else this.#wrong("stale", `${does} ${key} as ${short(answer)} despite ${evidence}, ${short(fact)}`);
  }

  #isRight(answer: Fact | undefined, fact: Fact | undefined): boolean {
    return (
      same(answer?.entry, fact?.entry) && (answer?.entry === undefined || answer.revision === fact?.revision)
    );
  }

  /** Listings leave out nothing silently. */
  async #listAll(newcomer: Process): Promise<void> {
    const { sessions, damaged = [] } = await settled(newcomer.store.list(), newcomer);
    const named = new Set(damaged.map(({ key }) => key));
    const listed = new Map(sessions.map((record) => [record.key, record]));
    for (const key of KEYS) {
      const fact = this.used.facts.get(key);
      const record = listed.get(key);
      if (named.has(key)) {
        const evidence = this.#evidence.forReader(key, fact);
        if (evidence !== undefined) this.#wrong("harmed", `${key} is listed as damaged despite ${evidence}`);
      } else if (record?.revision !== (fact?.entry === undefined ? undefined : fact.revision)) {
        // Its name was in what looks like a write cut short: only its file has it.
        if (record === undefined && this.#evidence.looksHonest) this.figures.unnoticed++;
        else this.#judgeOld(key, fact, "lists", record?.revision);
      }
    }
  }

  /** Updates build on the latest state, or are refused; whole entries always work. */
  async #writeSome(newcomer: Process): Promise<void> {
    const { facts, pick } = this.used;
    for (const key of KEYS) {
      const chance = pick(4);
      if (chance < 2) continue;
      const { store } = newcomer;
      try {
        if (chance === 2) {
          const { revision, entry } = await settled(store.put(key, newEntry(1000, pick)), newcomer);
          facts.set(key, { revision, entry: plain(entry) });
          this.#changed.add(key);
          continue;
        }
        let base: Entry | undefined;
        const record = await settled(
          store.update(key, (entry) => {
            base = entry === undefined ? undefined : plain(entry);
            return { ...(base ?? { made: true }), updated: true };
          }),
          newcomer,
        );
        if (!same(base, facts.get(key)?.entry)) this.#judgeOld(key, facts.get(key), "builds on", base);
        if (record !== undefined) facts.set(key, { revision: record.revision, entry: plain(record.entry) });
        this.#changed.add(key);
      } catch (error) {
        if (!(error instanceof SessionStoreError)) throw error;
        this.figures.writesRefused++;
        if (chance === 2) this.#wrong("harmed", `a whole entry of ${key} is refused: ${error.message}`);
        else if (!isOfLog(this.damage) && this.#evidence.forReader(key, facts.get(key)) !== undefined)
          this.#wrong("harmed", `an update of ${key} is refused: ${error.message}`);
      }
    }
  }

  /** Nobody else is there: the doctor comes. */
  async #mended(watch: (what: string) => void): Promise<Process> {
    return startWatched(this.used.disk, "sole", watch, {
      durability: "os",
      soleProcess: true,
      cacheBytes: 0,
    });
  }

  /** The process that had read everything goes on, and does in the background what it always does. */
  async #livedOn(live: Process, newcomer: Process, watch: (what: string) => void): Promise<Process> {
    await this.#goesOn(live, newcomer);
    await settled(newcomer.store.close(), newcomer, live);
    return startWatched(this.used.disk, "later", watch, { durability: "os", cacheBytes: 0 });
  }

  async #goesOn(live: Process, newcomer: Process): Promise<void> {
    await live.store.read("nobody");
    for (let turns = 0; turns < BACKGROUND_TURNS; turns++) {
      live.runtime.advance(1000);
      newcomer.runtime.advance(1000);
      await turn();
    }
    await settled(live.store.checkpoint(), live, newcomer);
  }

  /** What others went on without it does not write over, and it may say so. Then somebody stops it. */
  async #stops(live: Process, newcomer: Process): Promise<void> {
    try {
      await this.#goesOn(live, newcomer);
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "log_damaged") throw error;
      this.figures.stopped++;
    }
    for (const process of [live, newcomer]) process.fs.kill();
  }

  /** In the end every session of which anything was left is right, and can be written. */
  async #expectAll(last: Process, lived: boolean): Promise<void> {
    const { sessions } = await settled(last.store.list(), last);
    const listed = new Map(sessions.map(({ key, revision }) => [key, revision]));
    for (const key of KEYS) {
      const fact = this.used.facts.get(key);
      const evidence = this.#changed.has(key)
        ? "a later whole entry"
        : lived
          ? this.#evidence.forLiving(key, fact)
          : this.#evidence.anywhere(key, fact);
      const answer = await answerOf(last, key);
      const right = !(answer instanceof SessionStoreError) && this.#isRight(answer, fact);
      if (evidence === undefined) continue;
      if (!lived && this.damage.endIsMissing && this.used.live !== undefined) {
        if (!right) this.figures.unnoticed++; // two histories, and neither process could know of the other
        continue;
      }
      const revision = fact?.entry === undefined ? undefined : fact.revision;
      if (right && listed.get(key) !== revision)
        this.#wrong("harmed", `${key} is not listed as it is in the end`);
      if (!right) {
        this.#wrong("harmed", `${key} is ${short(answer)} in the end despite ${evidence}, ${short(fact)}`);
        continue;
      }
      try {
        await settled(
          last.store.update(key, (entry) => ({ ...entry, written: true })),
          last,
        );
      } catch (error) {
        this.#wrong("harmed", `${key} cannot be written in the end: ${String(error)}`);
      }
    }
  }
}

const BACKGROUND_TURNS = 60;

/** What is left of each session after the damage, found out from the bytes. */
class Evidence {
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

function isOfLog({ where }: Damage): boolean {
  return where === "log" || where === "log header";
}

/** Everything follows from the seed, so that one case can be run again. */
async function judged(seed: number): Promise<boolean> {
  const round = Math.trunc(seed / SHARES.length);
  const where = SHARES[seed % SHARES.length] ?? "log";
  const how = HOW[round % HOW.length] ?? "bit flip";
  const hasLive = Math.trunc(round / HOW.length) % 2 === 1;
  const used = await usedStore(seed, hasLive);
  const changes = changesIn(used.disk);
  const done = damage(used.disk, where, how, used.pick);
  if (done !== undefined) {
    const name = `seed ${seed}, ${where}, ${how}, ${hasLive ? "a process lives on" : "nobody lives on"}, ${done.path}`;
    try {
      await new Case(name, used, done, figuresOf(where, how), changes).run();
    } catch (error) {
      wrong.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  used.live?.fs.kill();
  return done !== undefined;
}

async function answerOf(process: Process, key: string): Promise<Fact | undefined | SessionStoreError> {
  try {
    const record = await settled(process.store.read(key), process);
    return record && { revision: record.revision, entry: plain(record.entry) };
  } catch (error) {
    if (error instanceof SessionStoreError) return error;
    throw error;
  }
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function short(value: unknown): string {
  const text = value instanceof SessionStoreError ? value.code : (JSON.stringify(value) ?? "nothing");
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
