// @ts-check
/**
 * Tries the gateway: starts it on an old `sessions.json`, delivers messages, kills a worker in the middle, and counts.
 *
 *     npm run example:gateway
 *
 * Exits with 0 if every acknowledged message is in the store exactly once, and the old sessions are there.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { loadSessionStore } from "sessiondir/openclaw";
import { deliver, someMessages } from "./channel.mjs";

const MESSAGES = 400;
const WORKERS = 3;
/** After so many answers a worker is killed. */
const KILL_AFTER = 100;

const folder = mkdtempSync(join(tmpdir(), "example-gateway-"));
const sessions = join(folder, "agents", "main", "sessions");
const storePath = join(sessions, "sessions.json");
mkdirSync(sessions, { recursive: true });
writeFileSync(
  storePath,
  JSON.stringify({ "agent:main:main": { sessionId: "old", updatedAt: Date.now(), turns: 7 } }),
);

const gateway = spawn(
  process.execPath,
  [
    fileURLToPath(new URL("gateway.mjs", import.meta.url)),
    "--state-dir",
    folder,
    "--workers",
    String(WORKERS),
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
const ended = once(gateway, "exit");
process.once("exit", () => gateway.kill("SIGKILL"));

/** @type {Set<number>} */
const workers = new Set();
let started = 0;
const url = await new Promise((resolve, reject) => {
  let found = "";
  void ended.then(([code]) => reject(new Error(`the gateway ended with ${String(code)}`)));
  createInterface({ input: gateway.stdout }).on("line", (line) => {
    console.log(`  ${line}`);
    found = /^listening on (\S+)/.exec(line)?.[1] ?? found;
    const worker = /is ready, process (\d+)/.exec(line)?.[1];
    if (worker === undefined) return;
    workers.add(Number(worker));
    if (++started === WORKERS) resolve(found);
  });
});

let killed = 0;
const messages = someMessages(MESSAGES);
const { answers, repeated } = await deliver(url, messages, {
  onAnswer(answer, answered) {
    if (answered < KILL_AFTER || killed !== 0) return;
    killed = answer.process; // one that is busy just now
    console.log(`  (killing process ${killed})`);
    process.kill(killed, "SIGKILL");
  },
});
gateway.kill("SIGTERM");
const [code] = await ended;

const found = loadSessionStore(storePath);
const turns = Object.entries(found).filter(([key]) => key !== "agent:main:main");
const counted = turns.reduce((sum, [, { turns: count }]) => sum + Number(count), 0);
const distinct = new Set([...answers.values()].map(({ session, turn }) => `${session} ${turn}`));
const facts = {
  "messages delivered": MESSAGES,
  acknowledged: answers.size,
  "delivered again": repeated,
  "counted in the store": counted,
  "turns answered once": distinct.size,
  sessions: turns.length,
  "old session kept": found["agent:main:main"]?.["turns"] === 7,
  "workers that were ready": started,
  "gateway ended with": code,
};
for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(26)}${String(value)}`);
const isRight =
  answers.size === MESSAGES &&
  counted === MESSAGES &&
  distinct.size === MESSAGES &&
  facts["old session kept"] &&
  code === 0;
console.log(isRight ? "nothing was lost, nothing was counted twice" : "THAT IS NOT RIGHT");
rmSync(folder, { recursive: true });
process.exitCode = isRight ? 0 : 1;
