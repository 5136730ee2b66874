/**
 * Schedules in which sessions move: from a legacy file into a store, back, and into a mirror, while processes are stopped
 * and killed, the power fails and the disk is full, and an old gateway goes on writing its file.
 *
 * A schedule is cut into phases, for nobody promises that a rollback and a gateway that writes to the store can go on at
 * the same time. At the end of each phase everything comes to rest, the phase's work is done once more by a process that
 * nothing happens to, and then every session must have at least the newest version whose writer was told that it is kept.
 */
import { SessionStoreError } from "../src/errors.js";
import { migrateOn } from "../src/legacy/migrate.js";
import { startMirrorOn, type Mirror } from "../src/legacy/back/mirror.js";
import { rollbackOn } from "../src/legacy/back/rollback.js";
import { openDirectoryStoreOn } from "../src/store/open.js";
import { SimulatedDisk } from "../src/testing/simulated/disk.js";
import { seededRandom } from "../src/testing/seeded-random.js";
import { Oracle, STORE, type Fields } from "./oracle.js";
import { SimulatedProcess } from "./process.js";
import type { Operation, Schedule } from "./schedule.js";
import { settle } from "./settle.js";
import { turn } from "./turn.js";
import { World } from "./world.js";
import { Violation } from "./violation.js";

const FOLDER = "/data";
const FILE = `${FOLDER}/sessions.json`;
const KEYS = ["one", "Two:x", "__proto__"];
const SNAPSHOT = { prompt: "s".repeat(400), list: [1, { deep: [null, true] }] };
const PHASES = ["migrate", "mirror", "migrate", "roll back"] as const;

type Phase = (typeof PHASES)[number];

interface Versions {
  /** Time of the newest one whose writer was told that it is kept. */
  kept: number;
  readonly all: Map<number, string>;
}

/** No log is read along: the store comes and goes. */
class NoOracle extends Oracle {
  override readOn(): void {}
  override powerWasCut(): void {}
}

export class LegacyWorld extends World {
  readonly #versions = new Map<string, Versions>();
  readonly #mirrors = new Map<SimulatedProcess, Mirror>();
  #phase: Phase = "migrate";
  #clock = 1_000;
  #helpers = 0;

  constructor(schedule: Schedule) {
    const disk = new SimulatedDisk({ random: seededRandom(schedule.seed) });
    disk.makeDirectory(FOLDER);
    super(disk, new NoOracle(disk), schedule);
    for (const key of KEYS.slice(schedule.image % 2)) this.#writeFile(key);
  }

  async runPhases(): Promise<void> {
    const { steps } = this.schedule;
    const length = Math.ceil(steps.length / PHASES.length);
    for (const [index, phase] of PHASES.entries()) {
      this.#phase = phase;
      for (let slot = 0; slot < this.schedule.processes; slot++) {
        this.processes[slot]?.fs.kill();
        this.boot(slot);
      }
      this.goOn();
      await this.takeAll(steps.slice(index * length, (index + 1) * length));
      if (this.violation === undefined) await settle(this);
      if (this.violation !== undefined) return;
      await this.#finish();
      if (this.violation !== undefined) return;
    }
  }

  /** Nothing: not every process opens the store. */
  protected override begin(): void {}

  override operate(process: SimulatedProcess, operation: Operation): void {
    if (process.dead || process.busy) return;
    this.figures.operations++;
    const { variant } = operation;
    switch (this.#phase) {
      case "migrate":
        if (variant % 4 === 0) this.#writeFile(this.#key(operation));
        else if (variant % 4 === 1)
          this.track(process, "writing", () => this.#writeStore(process, operation));
        else this.track(process, "migrating", () => this.#migrate(process));
        return;
      case "mirror":
        if (variant % 3 === 0) this.track(process, "writing", () => this.#writeStore(process, operation));
        else this.track(process, "mirroring", () => this.#mirror(process));
        return;
      case "roll back":
        this.track(process, "rolling back", () => this.#rollBack(process));
    }
  }

  #key({ key }: Operation): string {
    return KEYS[key % KEYS.length] ?? "one";
  }

  /** A version of a session, newer than all before. */
  #version(key: string): Fields {
    const updatedAt = ++this.#clock;
    const token = this.nextToken();
    let versions = this.#versions.get(key);
    if (versions === undefined) this.#versions.set(key, (versions = { kept: 0, all: new Map() }));
    versions.all.set(updatedAt, token);
    return { sessionId: token, updatedAt, skillsSnapshot: SNAPSHOT };
  }

  #kept(key: string, { updatedAt }: Fields): void {
    const versions = this.#versions.get(key);
    if (versions !== undefined) versions.kept = Math.max(versions.kept, Number(updatedAt));
  }

  /** What an old gateway does: the whole file, written beside and renamed, all in one instant. */
  #writeFile(key: string): void {
    const text = this.disk.readRaw(FILE)?.toString() ?? "{}";
    const sessions = new Map(Object.entries(JSON.parse(text) as Record<string, Fields>));
    const version = this.#version(key);
    sessions.set(key, version);
    const before = this.disk.freeBytes;
    this.disk.freeBytes = Number.POSITIVE_INFINITY;
    this.disk.removeRaw(FILE);
    this.disk.writeRaw(FILE, JSON.stringify(Object.fromEntries(sessions), null, 2));
    this.disk.freeBytes = before;
    this.#kept(key, version);
  }

  async #writeStore(process: SimulatedProcess, operation: Operation): Promise<void> {
    if (this.disk.readRaw(`${STORE}/.store/format.json`) === undefined) return;
    const store = await openDirectoryStoreOn<Fields>(process.fs, process.runtime, STORE, {
      blobThresholdBytes: 256,
      flushDelayMs: 50,
      onWarning: () => {},
    });
    const key = this.#key(operation);
    let version: Fields | undefined;
    // Its time is taken when it is composed: a put that has to wait would replace what is newer.
    await store.update(key, () => (version = this.#version(key)));
    if (!process.dead && version !== undefined) this.#kept(key, version);
    await store.close();
  }

  async #migrate(process: SimulatedProcess): Promise<void> {
    this.figures.migrations++;
    const { outcome, error, warnings } = await migrateOn(process, FILE);
    if (process.dead || MIGRATED.has(outcome)) return;
    if (outcome === "failed" && (process.faulty || OVERTAKEN.has(error?.code ?? ""))) return;
    throw new Violation(`a migration ended in ${outcome}: ${JSON.stringify(error ?? warnings)}`);
  }

  async #rollBack(process: SimulatedProcess): Promise<void> {
    this.figures.rollbacks++;
    const { outcome, error, warnings } = await rollbackOn(process, FILE);
    if (process.dead || ROLLED_BACK.has(outcome)) return;
    if (outcome === "failed" && (process.faulty || OVERTAKEN.has(error?.code ?? ""))) return;
    throw new Violation(`a rollback ended in ${outcome}: ${JSON.stringify(error ?? warnings)}`);
  }

  async #mirror(process: SimulatedProcess): Promise<void> {
    const running = this.#mirrors.get(process);
    try {
      if (running === undefined) {
        const mirror = await startMirrorOn(process, FILE, { debounceMs: 200 });
        if (!process.dead) this.#mirrors.set(process, mirror);
      } else await running.flush();
    } catch (error) {
      if (process.dead || !(error instanceof SessionStoreError)) throw error;
      if (error.code !== "store_not_found" && error.code !== "legacy_changing" && error.code !== "closed")
        throw error;
    }
  }

  /** The phase's work once more, with nothing in its way; then nothing may be missing. */
  async #finish(): Promise<void> {
    const mirrors = [...this.#mirrors].filter(([process]) => !process.dead);
    this.#mirrors.clear();
    for (const [process, mirror] of mirrors) await this.#toTheEnd(process, mirror.stop());
    const process = this.#helper();
    if (this.#phase === "migrate") {
      await this.#toTheEnd(process, this.#migrate(process));
      await this.#toTheEnd(process, this.#expectStore(process));
    } else if (this.#phase === "mirror") {
      await this.#toTheEnd(process, this.#expectMirrored(process));
    } else {
      await this.#toTheEnd(process, this.#rollBack(process));
      this.#expect(this.#fileSessions(), "the file");
    }
    const left = this.disk.names(FOLDER).filter((name) => !KNOWN.test(name));
    // A mirror does not clear up what a power cut brings back of a migration.
    if (left.length > 0 && this.#phase !== "mirror") throw new Violation(`${left.join(", ")} is left over`);
    process.fs.kill();
  }

  #helper(): SimulatedProcess {
    const options = {
      segmentBytes: 4096,
      inline: false,
      durability: "disk",
      readOnly: false,
      soleProcess: false,
    } as const;
    return new SimulatedProcess(this.disk, 500 + ++this.#helpers, options);
  }

  async #toTheEnd(process: SimulatedProcess, work: Promise<unknown>): Promise<void> {
    let done = false;
    let failure: unknown;
    work.then(
      () => (done = true),
      (error: unknown) => {
        done = true;
        failure = error;
      },
    );
    for (let turns = 0; !done; turns++) {
      await turn();
      const deferred = process.waiting.shift();
      if (deferred !== undefined) deferred.answer();
      else if (turns % 20 === 19) process.runtime.runNextTimer();
      if (turns > TURNS_MAX) throw new Violation(`${process.name} does not come to an end`);
    }
    if (failure !== undefined) throw failure as Error;
  }

  async #expectStore(process: SimulatedProcess): Promise<void> {
    const store = await openDirectoryStoreOn<Fields>(process.fs, process.runtime, STORE, {
      readOnly: true,
      onWarning: () => {},
    });
    const { sessions } = await store.list();
    const found = new Map(
      sessions.map(({ key, entry }) => [key, JSON.parse(JSON.stringify(entry)) as Fields]),
    );
    await store.close();
    this.#expect(found, "the store");
  }

  async #expectMirrored(process: SimulatedProcess): Promise<void> {
    const mirror = await startMirrorOn(process, FILE, {});
    await mirror.flush();
    await mirror.stop();
    this.#expect(this.#fileSessions(), "the mirror");
    await this.#expectStore(process);
  }

  #fileSessions(): Map<string, Fields> {
    const text = this.disk.readRaw(FILE)?.toString();
    if (text === undefined) throw new Violation("there is no legacy file");
    return new Map(Object.entries(JSON.parse(text) as Record<string, Fields>));
  }

  #expect(found: ReadonlyMap<string, Fields>, where: string): void {
    for (const [key, { kept, all }] of this.#versions) {
      const entry = found.get(key);
      const time = Number(entry?.["updatedAt"] ?? 0);
      if (time < kept) throw new Violation(`${where} has ${key} of ${time}, and ${kept} was kept`);
      if (entry === undefined) continue;
      const expected = { sessionId: all.get(time), updatedAt: time, skillsSnapshot: SNAPSHOT };
      if (JSON.stringify(entry) !== JSON.stringify(expected)) {
        throw new Violation(`${where} has ${key} as ${JSON.stringify(entry)}`);
      }
    }
    for (const key of found.keys()) {
      if (!this.#versions.has(key)) throw new Violation(`${where} has ${key}, which nobody wrote`);
    }
  }
}

const TURNS_MAX = 20_000;
/** Of several that do the same at once, one finds that another one took away what it worked on. */
const OVERTAKEN: ReadonlySet<string> = new Set(["legacy_changing"]);
const KNOWN = /^sessions\.(json|d)(\.saved-.+)?$/;
const MIGRATED: ReadonlySet<string> = new Set(["migrated", "merged", "already_directory", "missing"]);
const ROLLED_BACK: ReadonlySet<string> = new Set(["rolled_back", "already_legacy", "missing"]);
