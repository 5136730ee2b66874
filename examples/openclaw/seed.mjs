// @ts-check
/** Sessions as a gateway has them after a while: direct chats, groups, threads, subagents, scheduled runs; old field names too. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const HOUR = 3600_000;

/**
 * @param {string} agent @param {string} folder The sessions folder: some sessions have a transcript there. @param {number} total
 * @returns {Record<string, object>}
 */
export function seedSessions(agent, folder, total) {
  /** @type {Record<string, object>} */
  const sessions = {};
  for (let number = 0; number < total; number++) {
    const [key, fields] = kindOf(number);
    const sessionId = idOf(agent, number);
    const updatedAt = Date.now() - number * HOUR;
    sessions[`agent:${agent}:${key}`] = {
      sessionId,
      updatedAt,
      systemSent: true,
      totalTokens: 10 * number,
      ...fields,
    };
    if (number % 10 === 0) writeTranscript(folder, sessionId, updatedAt);
  }
  return sessions;
}

/** @param {number} number @returns {[key: string, fields: object]} */
function kindOf(number) {
  const route = {
    lastChannel: "telegram",
    lastTo: `${number}`,
    deliveryContext: { channel: "telegram", to: `${number}` },
  };
  if (number === 0) return ["main", route];
  switch (number % 6) {
    case 0:
      return [
        `telegram:group:-100${number}`,
        {
          ...route,
          chatType: "group",
          channel: "telegram",
          groupId: `-100${number}`,
          subject: `Group ${number}`,
        },
      ];
    case 1:
      return [`session-${number}`, { label: `Session ${number}`, thinkingLevel: "low", compactionCount: 1 }];
    case 2:
      return [
        `telegram:direct:${number}`,
        { ...route, origin: { provider: "telegram", from: `telegram:${number}`, chatType: "direct" } },
      ];
    case 3:
      return [
        `subagent:${number}`,
        { spawnedBy: "agent:main:main", spawnDepth: 1, status: "done", endedAt: 1 },
      ];
    case 4:
      return [
        `slack:channel:c${number}:thread:${number}.5`,
        { lastProvider: "slack", room: `#room-${number}`, lastThreadId: `${number}.5` },
      ];
    default:
      return [`cron:job-${number}`, { label: `Cron ${number}`, modelProvider: "scripted", model: "one" }];
  }
}

/** @param {string} folder @param {string} sessionId @param {number} at */
function writeTranscript(folder, sessionId, at) {
  const timestamp = new Date(at).toISOString();
  const lines = [
    { type: "session", version: 3, id: sessionId, timestamp, cwd: folder },
    {
      type: "message",
      id: "a1",
      parentId: null,
      timestamp,
      message: { role: "user", content: [{ type: "text", text: "Hello" }], timestamp: at },
    },
  ];
  writeFileSync(
    join(folder, `${sessionId}.jsonl`),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
}

/** @param {string} agent @param {number} number */
function idOf(agent, number) {
  return `${agent === "main" ? "0" : "1"}0000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}
