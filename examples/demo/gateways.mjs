// @ts-check
/** Starts four gateway processes on one store, kills one in the middle, starts another, and collects what they noted. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readJournal } from "./journal.mjs";

const PROCESSES = 4;
/** Which one is killed, and when in the round. */
const VICTIM = 2;
const KILLED_AT = 0.4;
const START_MS_MAX = 20_000;
const GATEWAY = fileURLToPath(new URL("gateway.mjs", import.meta.url));

/**
 * @typedef {{ name: string } & ReturnType<typeof readJournal>} GatewayJournal
 */

/**
 * @param {{ path: string, folder: string, durability: "disk" | "os", seconds: number, seed: number,
 *   sessions: readonly { key: string }[] }} options
 */
export async function runGateways({ path, folder, durability, seconds, seed, sessions }) {
  const keys = sessions.map(({ key }) => key);
  /** @type {{ name: string, journal: string }[]} */
  const started = [];
  /** @type {Set<import("node:child_process").ChildProcess>} */
  const alive = new Set();

  const start = async (/** @type {string} */ name, /** @type {number} */ milliseconds) => {
    const journal = join(folder, `${name}.journal`);
    const child = fork(GATEWAY, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    alive.add(child);
    const ended = once(child, "exit").then(([code, signal]) => {
      alive.delete(child);
      return signal ?? code;
    });
    started.push({ name, journal });
    child.send({
      name,
      store: path,
      durability,
      keys,
      journal,
      seed: seed + started.length * 7919,
      milliseconds,
    });
    const timeOut = setTimeout(() => child.kill("SIGKILL"), START_MS_MAX);
    const ready = once(child, "message").then(([message]) => /** @type {{ openedMs: number }} */ (message));
    const first = await Promise.race([ready, ended]);
    clearTimeout(timeOut);
    if (first === null || typeof first !== "object") throw new Error(`${name} did not start: ${first}`);
    return { name, child, ended, openedMs: first.openedMs };
  };

  const stopAll = () => alive.forEach((child) => child.kill("SIGKILL"));
  process.prependOnceListener("exit", stopAll);
  try {
    const totalMs = seconds * 1000;
    const names = Array.from({ length: PROCESSES }, (_, index) => `${durability}-gateway-${index + 1}`);
    const gateways = await Promise.all(names.map((name) => start(name, totalMs)));
    const beginning = performance.now();
    for (const { child } of gateways) child.send("go");

    const victim = gateways[VICTIM - 1];
    if (victim === undefined) throw new RangeError("there is no such gateway");
    await new Promise((resolve) => setTimeout(resolve, totalMs * KILLED_AT));
    victim.child.kill("SIGKILL");
    const victimEnd = await victim.ended;
    if (victimEnd !== "SIGKILL") throw new Error(`${victim.name} ended by itself with ${victimEnd}`);
    const afterUs = (performance.now() - beginning) * 1000;
    const left = Math.max(100, totalMs - (performance.now() - beginning));
    const successor = await start(`${victim.name}-again`, left);
    successor.child.send("go");

    for (const { name, ended, child } of [...gateways, successor]) {
      const result = await ended;
      if (child !== victim.child && result !== 0) throw new Error(`${name} ended with ${result}`);
    }
    const journals = started.map(({ name, journal }) => ({ name, ...readJournal(journal, keys.length) }));
    const victims = /** @type {GatewayJournal} */ (journals.find(({ name }) => name === victim.name));
    return {
      durability,
      journals,
      microseconds: journals.flatMap(({ microseconds }) => microseconds).sort((a, b) => a - b),
      killed: {
        name: victim.name,
        afterUs,
        unacknowledged: victims.unacknowledged,
        openedUs: successor.openedMs * 1000,
      },
    };
  } finally {
    stopAll();
    process.off("exit", stopAll);
  }
}
