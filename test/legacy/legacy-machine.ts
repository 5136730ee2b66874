/** A simulated machine with one legacy store, for the tests of this folder. */
import { expect } from "vitest";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk, type PowerCutMode } from "../../src/testing/simulated/disk.js";
import type {
  SimulatedCall,
  SimulatedFileSystem,
  SystemCallName,
} from "../../src/testing/simulated/file-system.js";
import { systemError } from "../../src/testing/simulated/system-error.js";
import { seededRandom } from "../../src/testing/seeded-random.js";
import type { LegacyHost } from "../../src/legacy/base/host.js";

const FOLDER = "/home/sessions";
export const FILE = `${FOLDER}/sessions.json`;
export const DIRECTORY = `${FOLDER}/sessions.d`;

export type Sessions = Record<string, Record<string, unknown>>;

/** Shared big values, odd names, every kind of scalar; the order of fields differs from session to session. */
export function someSessions(count = 3): Sessions {
  const snapshot = {
    prompt: 'p\n"'.repeat(900),
    skills: [1, { deep: [null, true] }],
    $blob: "not a reference",
  };
  const sessions: [string, Record<string, unknown>][] = [];
  for (let index = 0; index < count; index++) {
    const entry: [string, unknown][] = [
      ["sessionId", `id-${index}`],
      ["updatedAt", 1_795_000_000_000 + index],
      ["skillsSnapshot", snapshot],
      ["__proto__", { polluted: index }],
      ["zero", -0.5e-3],
      ["10", "integer-like"],
      ["text", "é\u2028\u0000🙂"],
    ];
    if (index % 2 === 1) entry.reverse();
    sessions.push([index === 0 ? "__proto__" : `agent:main:Telegram:${index}`, Object.fromEntries(entry)]);
  }
  return Object.fromEntries(sessions);
}

export function pretty(sessions: unknown): string {
  return JSON.stringify(sessions, null, 2);
}

/** Room for what the tests write, and so little that the reserve of each store, a part of it, is quickly written. */
const DISK_BYTES = 1024 * 1024;

export class LegacyMachine {
  readonly disk: SimulatedDisk;
  #clock = 1_000_000;
  #processes = 0;

  constructor(seed = 1, disk?: SimulatedDisk) {
    this.disk =
      disk ??
      new SimulatedDisk({ random: seededRandom(seed), now: () => ++this.#clock, capacityBytes: DISK_BYTES });
    this.disk.makeDirectory(FOLDER);
  }

  /** A process of its own. */
  process(): LegacyHost & { readonly fs: SimulatedFileSystem; readonly runtime: ManualRuntime } {
    const number = ++this.#processes;
    return {
      fs: this.disk.mount(`process ${number}`),
      runtime: new ManualRuntime({ seed: number, yields: "event-loop" }),
    };
  }

  /** All sessions of the store, as JSON gives them; undefined when there is no store. */
  async sessions(path = DIRECTORY): Promise<Sessions | undefined> {
    if (this.disk.readRaw(`${path}/.store/format.json`) === undefined) return undefined;
    const { fs, runtime } = this.process();
    const warnings: string[] = [];
    const store = await openDirectoryStoreOn<Record<string, unknown>>(fs, runtime, path, {
      readOnly: true,
      // A gap is what a power cut may leave in a log, and no fault.
      onWarning: ({ code, message }) => void (code === "log_gap" || warnings.push(message)),
    });
    const { sessions } = await store.list();
    const found = Object.fromEntries(
      sessions.map(({ key, entry }) => [key, JSON.parse(JSON.stringify(entry)) as object]),
    );
    await store.close();
    expect(warnings).toEqual([]);
    return found as Sessions;
  }

  /** Content of files beside the store whose paths begin like this. */
  files(prefix: string): string[] {
    const paths = this.names().map((name) => `${FOLDER}/${name}`);
    return paths
      .filter((path) => path.startsWith(prefix))
      .flatMap((path) => this.disk.readRaw(path)?.toString() ?? []);
  }

  /** Names beside the legacy file, its own and the store's included. */
  names(): string[] {
    return this.disk.names(FOLDER).sort();
  }

  /** A machine whose disk has the same past, to go another way from here. */
  copy(): LegacyMachine {
    const copy = new LegacyMachine(1, this.disk.clone(seededRandom(1)));
    copy.#processes = this.#processes;
    return copy;
  }
}

/** Same content, order of fields of each session included; the order of sessions is not looked at. */
export function expectSameSessions(actual: Sessions | undefined, expected: Sessions): void {
  expect(texts(actual ?? {})).toEqual(texts(expected));
}

function texts(sessions: Sessions): [string, string][] {
  return Object.entries(sessions)
    .map(([key, entry]): [string, string] => [
      key,
      JSON.stringify(entry).replaceAll('p\\n\\"'.repeat(900), "(prompt)"),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Calls that leave another disk behind, or a disk on which a power cut has another effect. */
const CHANGES: ReadonlySet<SystemCallName> = new Set([
  "write",
  "mkdir",
  "rmdir",
  "unlink",
  "rename",
  "link",
  "fdatasync",
  "fsync",
]);

function changes({ name, args }: SimulatedCall): boolean {
  return CHANGES.has(name) || (name === "open" && args[1] === "create");
}

/**
 * Runs work in a process that dies before its Nth change of the disk, for every N until the work runs through. Dying
 * before a call that only looks leaves the same as dying before the next change, or after the last.
 * @param prepare Makes the machine, of which each run gets a copy; what `work` returns is waited for.
 * @param check Gets the machine afterwards, dead process included.
 * @returns How many changes the work makes.
 */
export async function killAtEveryChange(
  prepare: () => Promise<LegacyMachine> | LegacyMachine,
  work: (host: LegacyHost) => Promise<unknown>,
  check: (machine: LegacyMachine, at: string) => Promise<void>,
  powerCut?: PowerCutMode,
): Promise<number> {
  const prepared = await prepare();
  for (let last = 1; ; last++) {
    const machine = prepared.copy();
    const host = machine.process();
    let made = 0;
    let killedAt: string | undefined;
    const killed = new Promise<void>((resolve) => {
      host.fs.onCall = (call: SimulatedCall) => {
        if (!changes(call) || ++made !== last) return;
        killedAt = `change ${last}: ${call.name} ${call.args.filter((arg) => typeof arg === "string").join(" ")}`;
        host.fs.kill();
        resolve();
      };
    });
    const finished = work(host).then(
      () => {},
      (error: unknown) => {
        if (killedAt === undefined) throw error;
      },
    );
    await Promise.race([finished, killed.then(() => new Promise((resolve) => setImmediate(resolve)))]);
    if (powerCut !== undefined) machine.disk.powerCut(powerCut);
    await check(machine, killedAt ?? "the end");
    if (killedAt === undefined) return made;
  }
}

/** Of these some answer that the disk is full, on one file system or the other; a call that only looks never does. */
function needsRoom(call: SimulatedCall): boolean {
  return changes(call) && call.name !== "unlink" && call.name !== "rmdir";
}

/**
 * Lets one call of a process fail.
 * @param nth Which, from 1: among all calls, or among those that need room when there is none.
 * @returns What struck, as soon as it did.
 */
export function failCall(
  fs: SimulatedFileSystem,
  nth: number,
  code: "EIO" | "ENOSPC",
): { readonly struck: SimulatedCall | undefined } {
  const result: { struck: SimulatedCall | undefined } = { struck: undefined };
  let seen = 0;
  fs.onCall = (call) => {
    if ((code === "ENOSPC" && !needsRoom(call)) || ++seen !== nth) return;
    result.struck = call;
    throw systemError(code, call);
  };
  return result;
}

/** Suspends a process before the first deferred call that `isIt` recognises; what it does until then is `work`. */
export async function parkedAt(
  { fs }: { readonly fs: SimulatedFileSystem },
  isIt: (call: SimulatedCall) => boolean,
  work: () => Promise<unknown>,
): Promise<{ readonly release: () => void }> {
  let wake = (): void => {};
  const parked = new Promise<void>((resolve) => {
    fs.gate = (call) => {
      if (!isIt(call)) return undefined;
      resolve();
      return new Promise((release) => (wake = release));
    };
  });
  const ended = work().then(() => {
    throw new Error("the call to be suspended at never came");
  });
  ended.catch(() => {}); // behind the first one it is no news
  await Promise.race([parked, ended]);
  return {
    release: () => {
      fs.gate = undefined;
      wake();
    },
  };
}
