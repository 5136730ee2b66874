// @ts-check
/**
 * `npm run example:openclaw`: the ten minutes of docs/adopting.md, done with a released OpenClaw.
 *
 * Its gateway runs on the `sessions.json` of two agents: unmodified, then adopted (adopt.mjs). The stores are migrated while it runs,
 * it is restarted on the directories, and rolled back; the unmodified gateway has the last word. It is driven by its RPCs,
 * its model is a script (model.mjs), and at each step it has to list every session, as it did before. Ends with 1 at the first
 * difference.
 *
 * `--installed <folder>`: a folder with `node_modules/openclaw` to use instead of the one that bench/ installs. `--keep`: leave
 * the temporary folder.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { installOpenclaw, newerNode, openclawFolder, OPENCLAW_VERSIONS } from "../../bench/install.mjs";
import { adopt } from "./adopt.mjs";
import { openclaw, startGateway } from "./gateway.mjs";
import { ANSWER, startModel } from "./model.mjs";
import { seedSessions } from "./seed.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const library = join(here, "../../dist/openclaw/index.js");
const command = join(here, "../../dist/cli/main.js");
const AGENTS = ["main", "work"];
const SESSIONS_PER_AGENT = 150;
const NODE_PACKAGE = `node-${process.platform}-${process.arch}`;
const REPLY_MS_MAX = 60_000;

const { values } = parseArgs({ options: { installed: { type: "string" }, keep: { type: "boolean" } } });
const { version } = OPENCLAW_VERSIONS.JSON;
const began = Date.now();

const installed = values.installed ?? openclawFolder("JSON");
const missing = whatIsMissing();
if (missing !== undefined) {
  console.log(`skipped: ${missing}`);
  process.exit(0);
}
const node = nodeForOpenclaw() ?? "";
const root = mkdtempSync(join(tmpdir(), "sessiondir-openclaw-"));
const model = await startModel();
/** @type {Awaited<ReturnType<typeof startGateway>> | undefined} */
let gateway;
try {
  await run();
  console.log(`\nall of it held: OpenClaw ${version}, ${seconds()} s`);
} catch (error) {
  console.error(`\nNOT as it should be, after ${seconds()} s:`, error);
  if (gateway !== undefined) console.error(`\nthe gateway's last lines:\n${gateway.log().slice(-2000)}`);
  process.exitCode = 1;
} finally {
  await gateway?.stop();
  model.close();
  if (values.keep) console.log(`left: ${root}`);
  else rmSync(root, { recursive: true, force: true });
}

async function run() {
  const state = join(root, "state");
  const config = writeConfig(state);
  const stores = seed(state);
  const setUp = writeSetUp(config);
  const original = adopt(installed, join(root, "original"), setUp, { replace: false });
  const adopted = adopt(installed, join(root, "adopted"), setUp);
  const theirs = { node, program: original.program, state, config };
  const ours = { node, program: adopted.program, state, config };
  done(`OpenClaw ${version} copied; ${adopted.replaced} of its functions now come from sessiondir/openclaw`);

  gateway = await startGateway(theirs);
  const before = await listed();
  assert.equal(Object.keys(before).length, AGENTS.length * SESSIONS_PER_AGENT);
  await gateway.stop();
  const rows = await commandRows(theirs);
  done(
    `unmodified, on sessions.json: sessions.list has ${count(before)}, \`openclaw sessions\` ${rows.length}`,
  );

  gateway = await startGateway(ours);
  same(await listed(), before, "sessions.list of the adopted gateway");
  assert.deepEqual(await commandRows(ours), rows, "openclaw sessions --json of the adopted gateway");
  await talk("agent:main:main", "one");
  await gateway.call("sessions.patch", { key: "agent:work:main", label: "from the file" });
  done(`adopted, on the same sessions.json: the same ${count(before)}, field for field; a chat was answered`);

  const inFile = await listedAtRest();
  const talking = talk("agent:main:during", "two");
  for (const store of stores) sessiondir("migrate", "--store", store);
  await talking;
  assert.deepEqual(
    stores.filter((store) => existsSync(store)),
    [],
    "sessions.json after the migration",
  );
  const migrated = await listed();
  assert.equal(migrated["agent:main:during"]?.status, "done");
  same(without(migrated, "agent:main:during"), inFile, "sessions.list after the migration");
  done(`migrated while it ran, a chat in flight included: sessions.list has ${count(migrated)}`);

  await drive();
  const inDirectory = await listedAtRest();
  assert.deepEqual(
    stores.filter((store) => existsSync(store)),
    [],
    "sessions.json after working on the directory",
  );
  done(
    `create, chat, patch, resolve, preview, compact, reset, delete on the directories: ${count(inDirectory)}`,
  );

  await gateway.stop();
  gateway = await startGateway(ours);
  same(await listed(), inDirectory, "sessions.list after the restart");
  const directoryRows = await commandRows(ours);
  assert.deepEqual(directoryRows.map(({ key }) => key).sort(), Object.keys(inDirectory).sort());
  await talk("agent:main:main", "after the restart");
  const atLast = await listedAtRest();
  done(`restarted: the same ${count(inDirectory)}; \`openclaw sessions\` ${directoryRows.length}`);

  await gateway.stop();
  for (const store of stores) sessiondir("rollback", "--store", store);
  gateway = await startGateway(theirs);
  same(await listed(), atLast, "sessions.list of the unmodified gateway after the rollback");
  await talk("agent:main:main", "rolled back");
  done(`rolled back: the unmodified gateway lists the same ${count(atLast)}, and answers`);
  await gateway.stop();
}

/** What people do with sessions, each checked by what the gateway says afterwards. */
async function drive() {
  const { call } = current();
  const { sessionId } = await call("sessions.create", { key: "agent:work:made", label: "made here" });
  await talk("agent:work:made", "hello");
  await call("sessions.patch", { key: "agent:work:made", thinkingLevel: "low", label: "renamed" });
  const made = (await listed())["agent:work:made"];
  assert.deepEqual([made?.label, made?.thinkingLevel, made?.sessionId], ["renamed", "low", sessionId]);
  const { key } = await call("sessions.resolve", { sessionId });
  assert.equal(key, "agent:work:made");
  const { previews } = await call("sessions.preview", { keys: ["agent:work:made"] });
  assert.match(JSON.stringify(previews), new RegExp(ANSWER));
  assert.equal((await call("sessions.compact", { key: "agent:work:made", maxLines: 1 })).ok, true);
  const { entry } = await call("sessions.reset", { key: "agent:work:made" });
  assert.notEqual(entry.sessionId, sessionId);
  assert.equal((await listed())["agent:work:made"]?.sessionId, entry.sessionId);
  assert.equal((await call("sessions.delete", { key: "agent:work:session-7" })).deleted, true);
  assert.equal((await listed())["agent:work:session-7"], undefined);
  await call("status");
  await call("usage.cost", {});
}

/** A message, and the model's answer to it. @param {string} sessionKey @param {string} message */
async function talk(sessionKey, message) {
  const { call, events } = current();
  const { runId } = await call("chat.send", {
    sessionKey,
    message,
    idempotencyKey: `${sessionKey} ${message}`,
  });
  const end = Date.now() + REPLY_MS_MAX;
  const isEnd = (/** @type {any} */ { event, payload }) =>
    event === "chat" && payload.runId === runId && payload.state !== "delta";
  while (!events.some(isEnd)) {
    if (Date.now() > end) throw new Error(`${sessionKey}: no answer to ${JSON.stringify(message)}`);
    await sleep(50);
  }
  const { payload } = events.find(isEnd) ?? { payload: undefined };
  assert.match(JSON.stringify(payload?.message), new RegExp(ANSWER), `the answer in ${sessionKey}`);
  // The entry is written once more when the run is over.
  while ((await listed())[sessionKey]?.status === "running") {
    if (Date.now() > end) throw new Error(`${sessionKey} goes on running`);
    await sleep(50);
  }
}

/** Every session that the gateway lists, by its key. @returns {Promise<Record<string, any>>} */
async function listed() {
  const { sessions } = await current().call("sessions.list", {
    limit: 10_000,
    includeGlobal: true,
    includeUnknown: true,
  });
  return Object.fromEntries(sessions.map((/** @type {any} */ row) => [row.key, row]));
}

/** The same once nothing changes any more: the gateway notes what a chat cost after it has answered. */
async function listedAtRest() {
  for (let before = await listed(); ;) {
    await sleep(500);
    const now = await listed();
    if (isDeepStrictEqual(now, before)) return now;
    before = now;
  }
}

/** The rows of `openclaw sessions --json`, but for what changes with the clock. @param {import("./gateway.mjs").Installation} installation */
async function commandRows(installation) {
  const { sessions } = JSON.parse(await openclaw(installation, "sessions", "--json", "--all-agents"));
  return sessions.map(({ ageMs: _, ...row }) => row);
}

function current() {
  if (gateway === undefined) throw new Error("no gateway is running");
  return gateway;
}

/** @param {Record<string, any>} actual @param {Record<string, any>} expected @param {string} what */
function same(actual, expected, what) {
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  const different = [...keys].filter((key) => JSON.stringify(actual[key]) !== JSON.stringify(expected[key]));
  const [key] = different;
  if (key === undefined) return;
  assert.deepEqual(
    actual[key],
    expected[key],
    `${what}: ${different.length} sessions differ, the first is ${key}`,
  );
}

/** @param {Record<string, any>} rows @param {string} key */
function without(rows, key) {
  const { [key]: _, ...rest } = rows;
  return rest;
}

/** @param {Record<string, any>} rows */
function count(rows) {
  return `${Object.keys(rows).length} sessions`;
}

/** @param {string} text */
function done(text) {
  console.log(`ok  ${text} (${seconds()} s)`);
}

function seconds() {
  return ((Date.now() - began) / 1000).toFixed(0);
}

/** The command line of this package, as its users call it. @param {string[]} parameters */
function sessiondir(...parameters) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...parameters], {
    encoding: "utf8",
  });
  assert.equal(status, 0, `sessiondir ${parameters.join(" ")}: ${stdout}${stderr}`);
}

/** @param {string} state */
function seed(state) {
  return AGENTS.map((agent) => {
    const folder = join(state, "agents", agent, "sessions");
    mkdirSync(folder, { recursive: true });
    const store = join(folder, "sessions.json");
    writeFileSync(store, JSON.stringify(seedSessions(agent, folder, SESSIONS_PER_AGENT), null, 2));
    return store;
  });
}

/** @param {string} state */
function writeConfig(state) {
  mkdirSync(state, { recursive: true });
  const path = join(root, "openclaw.json");
  const one = {
    id: "one",
    name: "one",
    reasoning: false,
    input: ["text"],
    contextWindow: 100_000,
    maxTokens: 1000,
  };
  const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const provider = {
    baseUrl: model.url,
    apiKey: "none",
    api: "openai-completions",
    models: [{ ...one, cost }],
  };
  const defaults = {
    model: "scripted/one",
    workspace: join(root, "workspace"),
    skipBootstrap: true,
    heartbeat: { every: "0m" },
  };
  const config = {
    gateway: { mode: "local" },
    agents: { defaults, list: AGENTS.map((id) => ({ id, default: id === "main" })) },
    models: { mode: "replace", providers: { scripted: provider } },
    plugins: { enabled: false },
    session: { maintenance: { mode: "enforce", pruneAfter: "90d", maxEntries: 1000 } },
  };
  writeFileSync(path, JSON.stringify(config, null, 2));
  return path;
}

/** What an adopted gateway's own module of session functions would be: ours, configured. @param {string} config */
function writeSetUp(config) {
  const path = join(root, "session-store.mjs");
  const from = JSON.stringify(pathToFileURL(library).href);
  const { session } = JSON.parse(readFileSync(config, "utf8"));
  writeFileSync(
    path,
    `import { configureSessionMaintenance, configureSessionStores } from ${from};
export * from ${from};
configureSessionStores({ release: "2026.4" });
configureSessionMaintenance(${JSON.stringify(session.maintenance)});
`,
  );
  return path;
}

/** @returns {string | undefined} */
function whatIsMissing() {
  if (!existsSync(library)) return `${library} is not there. Run: npm run build`;
  if (values.installed === undefined) {
    const failed = installOpenclaw("JSON");
    if (failed !== undefined)
      return `${failed}. Run: npm install --prefix ${installed} --ignore-scripts --omit=optional openclaw@${version}`;
  } else if (!readdirSync(join(installed, "node_modules")).includes("openclaw")) {
    return `${installed} has no openclaw. Run: npm install --prefix ${installed} --ignore-scripts openclaw@${version}`;
  }
  if (nodeForOpenclaw() !== undefined) return undefined;
  return `OpenClaw needs Node 22.19 or newer. Run: npm install --prefix ${installed} --ignore-scripts ${NODE_PACKAGE}@24.21.0`;
}

function nodeForOpenclaw() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath;
  const own = join(installed, "node_modules", NODE_PACKAGE, "bin/node");
  return existsSync(own) ? own : newerNode();
}
