/**
 * Goal: the protocol holds in schedules that nobody thought of.
 * Method: three processes work on one store; chance decides which deferred call takes effect next, who starts what, who
 * is killed, when time passes and when the power goes. A witness reads the log along; every answer must be a state that
 * the log had while the question was open, every acknowledged commit must survive, and in the end the disk must
 * hold exactly what the log said. A failure names its seed. `SESSIONDIR_SEEDS=5000` runs that many schedules,
 * `SESSIONDIR_SEED=17` runs one.
 */
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../../src/errors.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../../src/testing/simulated-disk.js";
import type { SessionRecord } from "../../../../src/store/types.js";
import { LogWitness, type State } from "../../../support/log-witness.js";
import {
  bigText,
  boot,
  openOn,
  settled,
  start,
  turn,
  type Entry,
  type Machine,
  type Process,
} from "../../../support/processes.js";
import { expectAnswers, expectTidy, quiesce } from "../../../support/store-checks.js";

const STEPS = 160;
const KEYS = ["a", "b", "c", "from", "to"];
const TOKENS = 100;
const FILLER = "x".repeat(200);

interface Slot {
  machine: Machine;
  process: Process | undefined;
}

class Schedule {
  readonly #random: () => number;
  readonly #disk: SimulatedDisk;
  #witness!: LogWitness;
  #slots: Slot[] = [];
  /** Deferred calls that wait for their turn. */
  #waiting: { machine: Machine; go: () => void }[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];
  /** Every commit up to here was acknowledged as durable; by tag, for not every answer has a revision. */
  readonly #acknowledged = new Set<string>();
  #tags = 0;
  #gated = true;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#disk = new SimulatedDisk({ random: this.#random });
  }

  async run(): Promise<void> {
    const first = await start(this.#disk, "first", { segmentBytes: 4096 });
    this.#witness = new LogWitness(this.#disk);
    await first.store.put("from", { tokens: TOKENS });
    await first.store.put("to", { tokens: 0 });
    if (this.#chance(0.5)) await first.store.checkpoint();
    first.fs.kill();
    this.#witness.look();
    for (let slot = 0; slot < 3; slot++) this.#boot(slot);
    for (let step = 0; step < STEPS; step++) {
      this.#step();
      await turn();
      this.#witness.look();
      if (this.#failures.length > 0) throw this.#failures[0];
    }
    await this.#finish();
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }

  #step(): void {
    const what = this.#random();
    if (what < 0.6) {
      // Several at once, or schedules would be all about waiting.
      for (let count = Math.floor(this.#random() * 12); count >= 0; count--) this.#release();
    } else if (what < 0.93) this.#operate();
    else if (what < 0.97) this.#pick(this.#slots)?.machine.runtime.advance(200 + this.#random() * 4000);
    else if (what < 0.99) this.#kill(Math.floor(this.#random() * this.#slots.length));
    else this.#cutPower();
  }

  #release(): void {
    const index = Math.floor(this.#random() * this.#waiting.length);
    this.#waiting.splice(index, 1)[0]?.go();
  }

  #boot(slot: number): void {
    const machine = boot(this.#disk, `process ${slot}`);
    this.#witness.follow(machine.fs);
    machine.fs.gate = () => {
      if (!this.#gated) return undefined;
      return new Promise<void>((go) => this.#waiting.push({ machine, go }));
    };
    const booted: Slot = { machine, process: undefined };
    this.#slots[slot] = booted;
    this.#track(machine, async () => {
      booted.process = await openOn(machine, { segmentBytes: 4096, flushDelayMs: 100 });
    });
  }

  #kill(slot: number): void {
    const { machine } = this.#slots[slot]!;
    machine.fs.kill();
    this.#waiting = this.#waiting.filter((call) => call.machine !== machine);
    this.#boot(slot);
  }

  #cutPower(): void {
    this.#witness.look();
    const { commits } = this.#witness;
    this.#disk.powerCut("random");
    this.#waiting = [];
    const kept = new LogWitness(this.#disk).logRevision;
    const lost = commits.filter(({ revision }) => revision > kept);
    for (const { after } of lost) {
      for (const { stored } of after.values()) {
        const tag = stored["tag"] as string | undefined;
        if (tag === undefined || !this.#acknowledged.has(tag)) continue;
        if (tagsOf(commits, kept).has(tag)) continue;
        throw new Error(`the power cut lost the acknowledged ${tag}`);
      }
    }
    this.#witness = new LogWitness(
      this.#disk,
      commits.filter(({ revision }) => revision <= kept),
    );
    for (let slot = 0; slot < this.#slots.length; slot++) this.#boot(slot);
  }

  /** Runs something that belongs to a process; when that is dead, it never ends. */
  #track(machine: Machine, work: () => Promise<void>): void {
    const running = work().catch((error: unknown) => {
      if (machine.fs.killed) return;
      if (error instanceof SessionStoreError && error.code === "conflict") return;
      this.#failures.push(error);
    });
    this.#running.add(running);
    void running.finally(() => this.#running.delete(running));
  }

  #operate(): void {
    const slot = this.#pick(this.#slots);
    if (slot?.process === undefined) return;
    const { process } = slot;
    const { store } = process;
    const key = this.#pick(KEYS.slice(0, 3))!;
    const tag = `tag ${++this.#tags}`;
    const fields = (): Entry => ({ tag, ...(this.#chance(0.2) && { filler: FILLER, f1: FILLER.slice(50) }) });
    const write = (work: () => Promise<unknown>): void =>
      this.#track(process, async () => {
        await work();
        this.#acknowledged.add(tag);
      });
    const what = this.#random();
    if (what < 0.2)
      write(() => store.update(key, (entry) => ({ n: ((entry?.["n"] as number) ?? 0) + 1, ...fields() })));
    else if (what < 0.3) write(() => store.put(key, { n: 0, ...fields() }));
    else if (what < 0.4) write(() => store.put(key, { ...this.#big(), ...fields() }));
    else if (what < 0.55) write(() => this.#transfer(process, tag));
    else if (what < 0.65) this.#track(process, async () => void (await store.delete(key)));
    else if (what < 0.75) this.#track(process, () => this.#list(process));
    else if (what < 0.85) this.#track(process, () => this.#get(process, this.#pick(KEYS)!));
    else if (what < 0.92) this.#track(process, () => store.flush());
    else this.#track(process, () => store.checkpoint());
  }

  #big(): Entry {
    const name = `value ${Math.floor(this.#random() * 4)}`;
    return { big: bigText(name), bigOf: name };
  }

  #transfer({ store }: Process, tag: string): Promise<void> {
    const amount = Math.floor(this.#random() * 10);
    return store.transact(async (tx) => {
      const [from, to] = [await tx.get("from"), await tx.get("to")];
      await tx.put("from", { tokens: (from?.["tokens"] as number) - amount, tag });
      await tx.put("to", { tokens: (to?.["tokens"] as number) + amount });
    });
  }

  async #get(process: Process, key: string): Promise<void> {
    const witness = this.#witness;
    witness.look();
    const since = witness.commits.length - 1;
    const record = await process.store.read(key);
    witness.look();
    const found = record?.revision;
    const possible = witness.commits.slice(since).map(({ after }) => after.get(key)?.revision);
    if (!possible.includes(found)) {
      throw new Error(`${process.name} read ${key} at ${found}, possible are ${possible.join(", ")}`);
    }
    if (record?.entry["big"] !== undefined)
      expect(record.entry["big"]).toBe(bigText(String(record.entry["bigOf"])));
  }

  async #list(process: Process): Promise<void> {
    const witness = this.#witness;
    witness.look();
    const since = witness.commits.length - 1;
    const { sessions } = await process.store.list();
    witness.look();
    const tokens = sessions.reduce(
      (sum, { entry }) => sum + ((entry["tokens"] as number | undefined) ?? 0),
      0,
    );
    expect(tokens, `${process.name}'s listing adds up`).toBe(TOKENS);
    const found = listed(sessions);
    const possible = witness.commits.slice(since).map(({ after }) => summary(after));
    if (!possible.includes(found)) {
      throw new Error(`${process.name} listed ${found}, possible were\n${possible.join("\n")}`);
    }
  }

  async #finish(): Promise<void> {
    this.#gated = false;
    for (const { go } of this.#waiting.splice(0)) go();
    const machines = this.#slots.map(({ machine }) => machine);
    while (this.#running.size > 0) {
      const alive = [...this.#running];
      // What belongs to dead processes never ends: then a turn without news is the end.
      const ended = await Promise.race([Promise.all(alive), this.#idle(machines)]);
      if (ended === "idle") break;
    }
    if (this.#failures.length > 0) throw this.#failures[0];
    const live = this.#slots.map(({ process }) => process).filter((process) => process !== undefined);
    expect(live).toHaveLength(3);
    const fresh = await start(this.#disk, "fresh");
    this.#witness.follow(fresh.fs);
    this.#witness.look();
    for (const process of [...live, fresh]) await expectAnswers(process, this.#witness.state, KEYS);
    await quiesce(fresh, ...live);
    this.#witness.look();
    expectTidy(this.#disk, this.#witness.state);
    for (const process of live) await expectAnswers(process, this.#witness.state, KEYS);
    for (const process of live) await settled(process.store.close(), process);
    for (const { fs } of live) expect(fs.openPaths).toEqual([]);
  }

  async #idle(machines: readonly Machine[]): Promise<"idle"> {
    for (let quiet = 0; quiet < 40; quiet++) {
      const { size } = this.#running;
      for (const { runtime, fs } of machines) if (!fs.killed) runtime.runNextTimer();
      await turn();
      if (this.#running.size !== size) quiet = 0;
    }
    return "idle";
  }
}

function tagsOf(commits: LogWitness["commits"], until: number): Set<string> {
  const tags = new Set<string>();
  for (const { after, revision } of commits) {
    if (revision > until) break;
    for (const { stored } of after.values()) tags.add(stored["tag"] as string);
  }
  return tags;
}

function summary(state: State): string {
  return [...state]
    .map(([key, { revision }]) => `${key}@${revision}`)
    .sort()
    .join(" ");
}

function listed(sessions: readonly SessionRecord<Entry>[]): string {
  return sessions
    .map(({ key, revision }) => `${key}@${revision}`)
    .sort()
    .join(" ");
}

const ONE = process.env["SESSIONDIR_SEED"];
const SEEDS = Number(process.env["SESSIONDIR_SEEDS"] ?? 200);
const BATCH = 50;

describe("random schedules of three processes", () => {
  const seeds = ONE === undefined ? Array.from({ length: SEEDS }, (_, index) => index + 1) : [Number(ONE)];
  const batches = Array.from({ length: Math.ceil(seeds.length / BATCH) }, (_, index) =>
    seeds.slice(index * BATCH, (index + 1) * BATCH),
  );
  it.each(batches.map((batch) => [batch[0], batch.at(-1), batch] as const))(
    "seeds %d to %d",
    async (_from, _to, batch) => {
      for (const seed of batch) {
        try {
          await new Schedule(seed).run();
        } catch (error) {
          throw new Error(`SESSIONDIR_SEED=${seed} fails`, { cause: error });
        }
      }
    },
  );
});
