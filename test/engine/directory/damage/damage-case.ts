/**
 * One damage to one store from beginning to end: a newcomer reads, lists and writes everything, then the living process goes on
 * or the store is opened with `soleProcess`, and each answer is compared with the evidence that was left.
 */
import { SessionStoreError } from "../../../../src/errors.js";
import { settled, turn, type Entry, type Process } from "../../../support/processes.js";
import type { Damage } from "./damaging.js";
import { Evidence, isOfLog } from "./evidence.js";
import type { Figures } from "./figures.js";
import { startWatched, type Change } from "./scenes.js";
import { KEYS, newEntry, plain, type Fact, type UsedStore } from "./traffic.js";

/** What a store says whose `format.json` is damaged: unreadable, with another id, or with another number. */
const WITHOUT_FORMAT = new Set(["format_damaged", "log_foreign", "format_unsupported"]);

const BACKGROUND_TURNS = 60;

export class DamageCase {
  /** What must not have happened, in words. */
  readonly wrong: string[] = [];
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
    this.wrong.push(`${this.name}: ${what}: ${text}`);
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
