// @ts-check
/**
 * One worker of the gateway: takes webhooks, keeps sessions, answers.
 *
 *     POST /webhook   { "channel", "from", "id", "text", "group"?, "thread"? }   ->  { "session", "turn", "reply" }
 *     GET  /sessions  the sessions, the latest first
 *
 * A webhook is acknowledged after its session is in the store. Channels deliver again what was not acknowledged, so a message
 * may come twice, also to two workers at the same time: the ids of the latest messages are in the session, written with
 * the same commit as everything else, and a message that was counted is not counted again.
 */
import { createServer } from "node:http";
import {
  closeSessionStores,
  configureSessionMaintenance,
  configureSessionStores,
  loadSessionStore,
  recordSessionMetaFromInbound,
  updateLastRoute,
  updateSessionStoreEntry,
} from "sessiondir/openclaw";

/** @typedef {{ channel: string, from: string, id: string, text: string, group?: string, thread?: string }} Message */
/** @typedef {{ id: string, turn: number }} Answered Which turn of the session a message was. */

const BODY_BYTES_MAX = 64 * 1024;
/** A channel gives up on a message long before so many others of the same session were answered. */
const ANSWERED_MAX = 200;
const LISTED_MAX = 20;

const [storePath = "sessions.json", port = "0"] = process.argv.slice(2);
configureSessionStores({ migrate: "on-write" });
configureSessionMaintenance({ pruneAfter: "30d", maxEntries: 10_000 });

const server = createServer((request, response) => {
  handle(request).then(
    ({ status, body }) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)),
    (error) => {
      process.send?.(`failed: ${error instanceof Error ? error.message : String(error)}`);
      if (!response.headersSent) response.writeHead(500);
      response.end(); // not acknowledged: the channel delivers it again
    },
  );
});

/** @param {import("node:http").IncomingMessage} request */
async function handle(request) {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (request.method === "GET" && pathname === "/sessions") return { status: 200, body: latestSessions() };
  if (request.method !== "POST" || pathname !== "/webhook")
    return { status: 404, body: { error: "not here" } };
  const text = await bodyOf(request);
  if (text === undefined) return { status: 413, body: { error: "too large" } };
  const message = parse(text);
  if (message === undefined) return { status: 400, body: { error: "not a message" } };
  return { status: 200, body: await answer(message) };
}

/** @param {Message} message */
async function answer(message) {
  const sessionKey = keyOf(message);
  const to = message.group ?? message.from;
  // Where the message came from: makes the session if it is new, and is no use of it yet.
  await recordSessionMetaFromInbound({
    storePath,
    sessionKey,
    ctx: {
      Provider: message.channel,
      From: `${message.channel}:${message.group === undefined ? message.from : `group:${message.group}`}`,
      To: to,
      ChatType: message.group === undefined ? "direct" : "group",
      SenderName: message.from,
    },
  });
  // Where the answer goes, and with it every later message of ours.
  const { channel, thread } = message;
  await updateLastRoute({
    storePath,
    sessionKey,
    channel,
    to,
    ...(thread !== undefined && { threadId: thread }),
  });
  // The turn itself. Called again if another worker was faster, so it does nothing but compute.
  let turn = 0;
  await updateSessionStoreEntry({
    storePath,
    sessionKey,
    update: (entry) => {
      const answered = /** @type {Answered[]} */ (entry["answered"] ?? []);
      const known = answered.find(({ id }) => id === message.id);
      turn = known?.turn ?? Number(entry["turns"] ?? 0) + 1;
      if (known !== undefined) return null;
      return {
        turns: turn,
        answered: [...answered, { id: message.id, turn }].slice(-ANSWERED_MAX),
        inputTokens: (entry.inputTokens ?? 0) + message.text.length,
      };
    },
  });
  return { session: sessionKey, turn, reply: `${message.from}, this is turn ${turn}`, process: process.pid };
}

/** @param {Message} message */
function keyOf({ channel, from, group }) {
  return group === undefined
    ? `agent:main:${channel}:direct:${from}`
    : `agent:main:${channel}:group:${group}`;
}

function latestSessions() {
  const sessions = Object.entries(loadSessionStore(storePath));
  sessions.sort(([, a], [, b]) => b.updatedAt - a.updatedAt);
  return sessions.slice(0, LISTED_MAX).map(([key, { lastChannel, lastTo, updatedAt, turns }]) => ({
    key,
    turns,
    lastChannel,
    lastTo,
    updatedAt,
  }));
}

/** @param {import("node:http").IncomingMessage} request @returns {Promise<string | undefined>} Undefined if too large. */
async function bodyOf(request) {
  /** @type {Buffer[]} */
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk); // read to its end all the same, or nobody would hear the answer
  }
  return bytes <= BODY_BYTES_MAX ? Buffer.concat(chunks).toString() : undefined;
}

/** @param {string} text @returns {Message | undefined} */
function parse(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { channel, from, id, text: said, group, thread } = value;
  const isName = (/** @type {unknown} */ name) => typeof name === "string" && /^[\w.@+-]{1,100}$/.test(name);
  if (!isName(channel) || !isName(from) || !isName(id) || typeof said !== "string") return undefined;
  if ((group !== undefined && !isName(group)) || (thread !== undefined && !isName(thread))) return undefined;
  return { channel, from, id, text: said, ...(group && { group }), ...(thread && { thread }) };
}

/** What is being answered is answered; then the store is let go. */
function stop() {
  server.close(async () => {
    await closeSessionStores();
    process.exit(0);
  });
  server.closeIdleConnections();
}

process.on("message", (message) => {
  if (message === "stop" && server.listening) stop();
});
process.once("disconnect", () => process.exit(1)); // the gateway is gone: nobody sends us anything any more
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the gateway tells us when to stop
server.listen(Number(port), "127.0.0.1");
