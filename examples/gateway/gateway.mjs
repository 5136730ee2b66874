// @ts-check
/**
 * A small gateway: webhooks in over HTTP on this machine, several worker processes, one session store that they share.
 *
 *     node examples/gateway/gateway.mjs [--state-dir DIR] [--port N] [--workers N]
 *
 * This process brings old stores into the new form once, listens, and keeps the workers alive; worker.mjs answers. A worker
 * may be killed at any instant: what it had acknowledged is in the store, what it had not the channel delivers again.
 */
import cluster from "node:cluster";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runStartupSessionStoreMigration } from "sessiondir/openclaw";

/** A worker that cannot even start is not started again and again. */
const FAILED_STARTS_MAX = 3;
const STOP_MS_MAX = 5_000;

const { values } = parseArgs({
  options: {
    "state-dir": { type: "string" },
    port: { type: "string", default: "0" },
    workers: { type: "string", default: "3" },
  },
});
const stateDir = values["state-dir"] ?? mkdtempSync(join(tmpdir(), "example-gateway-"));
const workers = Number(values.workers);
if (!Number.isInteger(workers) || workers < 1 || workers > 64) throw new Error("--workers must be 1 to 64");

const say = (/** @type {string} */ line) => console.log(line);
say(`state directory ${stateDir}`);
const log = { info: say, warn: say };
await runStartupSessionStoreMigration({ stateDir, log });

const storePath = join(stateDir, "agents", "main", "sessions", "sessions.json");
cluster.setupPrimary({
  exec: fileURLToPath(new URL("worker.mjs", import.meta.url)),
  args: [storePath, values.port],
});

let stopping = false;
let failedStarts = 0;
/** Where the workers listen: all at the same place, also if it was "any free port". */
let port = 0;

function startWorker() {
  const worker = cluster.fork();
  let listened = false;
  worker.on("listening", (address) => {
    listened = true;
    failedStarts = 0;
    if (address.port !== port) {
      port = address.port;
      say(`listening on http://127.0.0.1:${port}`);
    }
    say(`worker ${worker.id} is ready, process ${worker.process.pid}`);
    if (stopping) worker.send("stop"); // it could not hear us yet when the others did
  });
  worker.on("message", (line) => say(`worker ${worker.id}: ${String(line)}`));
  worker.on("exit", (code, signal) => {
    if (stopping) return;
    say(`worker ${worker.id} ended with ${signal ?? code}`);
    if (!listened && ++failedStarts >= FAILED_STARTS_MAX) {
      say("workers do not start: giving up");
      process.exitCode = 1;
      stop();
    } else startWorker();
  });
}

function stop() {
  if (stopping) return;
  stopping = true;
  say("stopping");
  const alive = Object.values(cluster.workers ?? {});
  for (const worker of alive) worker?.send("stop");
  // A worker that hangs does not keep the others, or us, from ending.
  setTimeout(() => alive.forEach((worker) => worker?.kill("SIGKILL")), STOP_MS_MAX).unref();
}

process.once("SIGINT", stop);
process.once("SIGTERM", stop);

for (let count = 0; count < workers; count++) startWorker();
