// @ts-check
/** OpenClaw's gateway as a process of its own, and a client that calls its RPCs over a WebSocket. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS_MAX = 150_000;
const CALL_MS_MAX = 60_000;
const END_MS_MAX = 20_000;
const TOKEN = "example";

/**
 * @typedef {object} Installation
 * @property {string} node The Node that runs it. @property {string} program @property {string} state The state directory.
 * @property {string} config Path of its configuration.
 */

/** @param {Installation} installation */
export function environmentOf({ state, config }) {
  return {
    ...process.env,
    HOME: state,
    OPENCLAW_STATE_DIR: state,
    OPENCLAW_CONFIG_PATH: config,
    OPENCLAW_NO_RESPAWN: "1",
    OPENCLAW_SKIP_CHANNELS: "1",
    OPENCLAW_SKIP_CANVAS_HOST: "1",
    OPENCLAW_DISABLE_BONJOUR: "1",
    NO_COLOR: "1",
  };
}

/** What `openclaw <arguments>` prints. @param {Installation} installation @param {string[]} parameters */
export async function openclaw(installation, ...parameters) {
  const child = spawn(installation.node, [installation.program, ...parameters], {
    env: environmentOf(installation),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: START_MS_MAX,
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += chunk));
  child.stderr.on("data", (chunk) => (output.stderr += chunk));
  const [code] = await once(child, "close");
  if (code !== 0)
    throw new Error(`openclaw ${parameters.join(" ")} ended with ${code}: ${output.stderr || output.stdout}`);
  return output.stdout;
}

/** @param {Installation} installation */
export async function startGateway(installation) {
  const port = await freePort();
  const child = spawn(
    installation.node,
    [
      installation.program,
      "gateway",
      "run",
      "--port",
      String(port),
      "--bind",
      "loopback",
      "--auth",
      "token",
      "--token",
      TOKEN,
    ],
    { env: environmentOf(installation), stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  const ended = once(child, "close");
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
    await ended;
    clearTimeout(timer);
  };
  try {
    await isReady(port, child);
    const client = await connect(installation, port);
    return {
      ...client,
      log: () => log,
      stop: async () => {
        client.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw new Error(`the gateway did not start:\n${log.slice(-3000)}`, { cause: error });
  }
}

/** @param {number} port @param {import("node:child_process").ChildProcess} child */
async function isReady(port, child) {
  const end = Date.now() + START_MS_MAX;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const health = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(5000),
    }).catch(() => undefined);
    if (health?.ok === true) return;
    await sleep(250);
  }
  throw new Error(`no answer within ${START_MS_MAX / 1000} s`);
}

/** @param {Installation} installation @param {number} port */
async function connect({ program }, port) {
  const WebSocket = createRequire(program)("ws");
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  /** @type {Map<string, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  /** @type {{ event: string, payload: any }[]} */
  const events = [];
  let count = 0;
  const call = (/** @type {string} */ method, /** @type {object} */ params = {}) =>
    new Promise((resolve, reject) => {
      const id = String(++count);
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), CALL_MS_MAX);
      waiting.set(id, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  const challenged = new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", (/** @type {number} */ code, /** @type {Buffer} */ reason) => {
      const error = new Error(`the connection was closed: ${code} ${reason}`);
      reject(error);
      for (const { reject: fail } of waiting.values()) fail(error);
    });
    socket.on("message", (/** @type {Buffer} */ data) => {
      const frame = JSON.parse(data.toString());
      if (frame.type === "event" && frame.event === "connect.challenge") resolve(undefined);
      else if (frame.type === "event") events.push(frame);
      const asked = frame.type === "res" ? waiting.get(frame.id) : undefined;
      if (frame.ok === true) asked?.resolve(frame.payload);
      else asked?.reject(new Error(JSON.stringify(frame.error)));
    });
  });
  await challenged;
  const client = { id: "gateway-client", version: "1", platform: process.platform, mode: "backend" };
  const scopes = ["operator.admin", "operator.read", "operator.write"];
  await call("connect", {
    minProtocol: 3,
    maxProtocol: 3,
    client,
    role: "operator",
    scopes,
    auth: { token: TOKEN },
  });
  return { call, events, close: () => socket.close() };
}

async function freePort() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
