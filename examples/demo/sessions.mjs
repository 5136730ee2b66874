// @ts-check
/**
 * Sessions as the stores of busy gateways have them, from a seed: the same seed gives the same sessions.
 *
 * The proportions are from public reports of people who run OpenClaw (numbers are issues and pull requests of
 * openclaw/openclaw):
 *
 *  - 80 MB for 650 sessions (PR 19528): what 650 of these sessions come to as one `sessions.json`.
 *  - `skillsSnapshot`: `prompt` 17,308 characters, `skills` 4,388, `resolvedSkills` 87,601, identical in all 142
 *    sessions of that store and 68 % of its bytes (#77932). Here a few variants, one of them in most sessions.
 *  - `systemPromptReport`: 56 - 60 KiB each in a store of 243 sessions (#120521), 31 KB a session on average in one of
 *    1,035 (#45718); 158 sessions had 18 distinct prompts (#83269). Here one prompt per agent and channel; in
 *    37 % of the sessions, so that the sum is right.
 *  - Everything else in a session is 0.2 - 2 KB; an update changes about 1 KB of 56 MB (#11950).
 *  - Most sessions of a gateway that runs jobs are from cron: 2,678 of 2,703 in #15225, here fewer, so that chats can
 *    be seen. Keys have the forms that the issues quote.
 */

/**
 * @typedef {Record<string, unknown> & { sessionId: string, updatedAt: number, tokenBudget: number }} Session
 * @typedef {{ key: string, entry: Session }} KeyedSession
 */

/** Kinds of sessions and how many of a thousand there are. */
export const KINDS = /** @type {const} */ ([
  ["cron run", 440],
  ["telegram direct", 190],
  ["telegram group topic", 120],
  ["discord channel", 110],
  ["subagent", 80],
  ["openai", 60],
]);

/** Agents, and how many of ten sessions are theirs. */
const AGENTS = /** @type {const} */ ([
  ["main", 7],
  ["support", 2],
  ["ops", 1],
]);

const SKILLS_SNAPSHOT_PER_THOUSAND = 920;
const PROMPT_REPORT_PER_THOUSAND = 370;
/** Of a hundred skill snapshots; the rest is from before somebody installed another skill. */
const SKILLS_VARIANTS = [84, 10, 6];
const SKILLS_PROMPT_CHARS = 17_308;
const SKILLS_LIST_BYTES = 4_388;
const RESOLVED_SKILLS_BYTES = 87_601;
const SYSTEM_PROMPT_CHARS = 46_000;
const START_BUDGET = 1_000_000;
/** Sessions were last used in the fortnight before this instant. */
const NOW = Date.UTC(2026, 1, 14, 9, 30);
const FORTNIGHT_MS = 14 * 24 * 3600 * 1000;

/**
 * @param {number} count
 * @param {number} seed
 * @returns {KeyedSession[]} With distinct keys; the first one is the main session of the main agent.
 */
export function makeSessions(count, seed) {
  const random = new Random(seed);
  const shared = new SharedParts(random);
  /** @type {Map<string, KeyedSession>} */
  const sessions = new Map();
  const add = (/** @type {KeyedSession} */ session) => sessions.set(session.key, session);
  if (count > 0) add(makeSession("main", "telegram direct", "agent:main:main", random, shared));
  while (sessions.size < count) {
    const agent = random.weighted(AGENTS);
    const kind = random.weighted(KINDS);
    add(makeSession(agent, kind, makeKey(agent, kind, random), random, shared));
  }
  return [...sessions.values()];
}

/**
 * @param {string} agent
 * @param {(typeof KINDS)[number][0]} kind
 * @param {Random} random
 */
function makeKey(agent, kind, random) {
  switch (kind) {
    case "cron run":
      return `agent:${agent}:cron:${random.pick(random.jobs)}:run:${random.uuid()}`;
    case "telegram direct":
      return `agent:${agent}:telegram:direct:${random.digits(10)}`;
    case "telegram group topic":
      return `agent:${agent}:telegram:group:-100${random.digits(10)}:topic:${random.below(40) + 1}`;
    case "discord channel":
      return `agent:${agent}:discord:channel:${random.digits(18)}`;
    case "subagent":
      return `agent:${agent}:subagent:${random.uuid()}`;
    case "openai":
      return `agent:${agent}:openai:${random.uuid()}`;
  }
}

/**
 * @param {string} agent
 * @param {(typeof KINDS)[number][0]} kind
 * @param {string} key
 * @param {Random} random
 * @param {SharedParts} shared
 * @returns {KeyedSession}
 */
function makeSession(agent, kind, key, random, shared) {
  const channel = kind.startsWith("telegram")
    ? "telegram"
    : kind === "discord channel"
      ? "discord"
      : "webchat";
  const to = channel === "webchat" ? undefined : `${channel}:${key.split(":")[4] ?? random.digits(10)}`;
  const sessionId = random.uuid();
  const inputTokens = random.below(180_000);
  const outputTokens = random.below(24_000);
  /** @type {Session} */
  const entry = {
    sessionId,
    updatedAt: NOW - random.below(FORTNIGHT_MS),
    sessionFile: `/home/gateway/.openclaw/agents/${agent}/sessions/${sessionId}.jsonl`,
    systemSent: true,
    abortedLastRun: random.below(40) === 0,
    chatType: kind === "telegram group topic" ? "group" : kind === "discord channel" ? "channel" : "direct",
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens,
    contextTokens: 200_000,
    modelProvider: "anthropic",
    model: random.pick(["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"]),
    compactionCount: random.below(4),
    tokenBudget: START_BUDGET,
  };
  if (to !== undefined) {
    entry.lastChannel = channel;
    entry.lastTo = to;
    entry.lastAccountId = "default";
    entry.deliveryContext = { channel, to, accountId: "default" };
    entry.origin = { provider: channel, surface: channel, from: to, label: random.words(3) };
  }
  if (kind === "telegram group topic") entry.subject = random.words(4);
  if (kind === "cron run") entry.label = `Cron: ${random.words(3)}`;
  if (kind === "subagent") entry.spawnedBy = `agent:${agent}:main`;
  if (random.below(3) === 0) {
    entry.queue = Array.from({ length: random.below(5) }, () => ({
      id: random.uuid(),
      text: random.words(24),
    }));
  }
  if (random.below(1000) < SKILLS_SNAPSHOT_PER_THOUSAND) entry.skillsSnapshot = shared.skillsSnapshot();
  if (random.below(1000) < PROMPT_REPORT_PER_THOUSAND) {
    entry.systemPromptReport = {
      source: "run",
      generatedAt: entry.updatedAt,
      sessionId,
      sessionKey: key,
      provider: "anthropic",
      model: entry.model,
      workspaceDir: `/home/gateway/.openclaw/workspace-${agent}`,
      ...shared.promptReport(agent, channel),
    };
  }
  return { key, entry };
}

/** What many sessions have in common, made once for each variant. */
class SharedParts {
  /** @readonly */
  #random;
  /** @readonly @type {object[]} */
  #snapshots;
  /** @readonly @type {Map<string, object>} */
  #reports = new Map();

  /** @param {Random} random */
  constructor(random) {
    this.#random = random;
    this.#snapshots = SKILLS_VARIANTS.map((_, version) => makeSkillsSnapshot(version, random));
  }

  skillsSnapshot() {
    const weighted = SKILLS_VARIANTS.map((weight, version) => /** @type {const} */ ([version, weight]));
    return this.#snapshots[this.#random.weighted(weighted)];
  }

  /**
   * @param {string} agent
   * @param {string} channel
   */
  promptReport(agent, channel) {
    const name = `${agent}/${channel}`;
    let report = this.#reports.get(name);
    if (report === undefined) this.#reports.set(name, (report = makePromptReport(this.#random)));
    return report;
  }
}

/**
 * @param {number} version
 * @param {Random} random
 */
function makeSkillsSnapshot(version, random) {
  const names = Array.from({ length: 52 - version }, () => random.words(2).replace(" ", "-"));
  const skills = fill(SKILLS_LIST_BYTES, (index) => ({
    name: names[index % names.length],
    primaryEnv: `${random.words(1).toUpperCase()}_API_KEY`,
  }));
  const resolvedSkills = fill(RESOLVED_SKILLS_BYTES, (index) => {
    const name = names[index % names.length];
    const baseDir = `/home/gateway/.openclaw/skills/${name}`;
    return {
      name,
      description: random.words(220),
      filePath: `${baseDir}/SKILL.md`,
      baseDir,
      source: "openclaw-managed",
      disableModelInvocation: false,
    };
  });
  return { prompt: random.text(SKILLS_PROMPT_CHARS), skills, resolvedSkills, version };
}

/** @param {Random} random */
function makePromptReport(random) {
  const files = ["AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "HEARTBEAT.md", "MEMORY.md"];
  return {
    bootstrapMaxChars: 20_000,
    systemPrompt: { chars: SYSTEM_PROMPT_CHARS, text: random.text(SYSTEM_PROMPT_CHARS) },
    injectedWorkspaceFiles: files.map((name) => {
      const rawChars = random.below(9_000);
      return {
        name,
        path: `/home/gateway/.openclaw/workspace/${name}`,
        missing: false,
        rawChars,
        truncated: false,
      };
    }),
    skills: {
      promptChars: SKILLS_PROMPT_CHARS,
      entries: fill(3_000, () => ({ name: random.words(2), blockChars: 331 })),
    },
    tools: {
      listChars: 2_816,
      schemaChars: 21_440,
      entries: fill(7_500, () => ({
        name: random.words(2).replace(" ", "_"),
        summaryChars: random.below(300),
        schemaChars: random.below(1_200),
        propertiesCount: random.below(14),
      })),
    },
  };
}

/**
 * As many items as make up `bytes` of JSON, roughly.
 * @template T
 * @param {number} bytes
 * @param {(index: number) => T} make
 * @returns {T[]}
 */
function fill(bytes, make) {
  /** @type {T[]} */
  const items = [];
  for (let size = 2; ;) {
    const item = make(items.length);
    size += JSON.stringify(item).length + 1;
    if (size > bytes) return items;
    items.push(item);
  }
}

const WORDS = (
  "the agent reads a message from its channel then plans which tool to call and writes what it found into memory " +
  "before it answers never share private data with strangers ask when unsure keep answers short use the workspace " +
  "files list search fetch browser calendar mail weather notes deploy review summary report daily check status"
).split(" ");

/** Numbers that only look random (mulberry32), and things made from them. */
export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
    this.jobs = Array.from({ length: 12 }, () => this.uuid());
  }

  /** From 0 to below 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** @param {number} limit An integer from 0 to below this. */
  below(limit) {
    return Math.floor(this.next() * limit);
  }

  /**
   * @template T
   * @param {readonly T[]} items
   * @returns {T}
   */
  pick(items) {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("no items");
    return item;
  }

  /**
   * @template T
   * @param {readonly (readonly [item: T, weight: number])[]} items
   * @returns {T}
   */
  weighted(items) {
    let left = this.below(items.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [item, weight] of items) if ((left -= weight) < 0) return item;
    throw new RangeError("no items");
  }

  /** @param {number} length */
  digits(length) {
    let digits = String(this.below(9) + 1);
    while (digits.length < length) digits += this.below(10);
    return digits;
  }

  uuid() {
    const hex = Array.from({ length: 32 }, () => this.below(16).toString(16)).join("");
    const variant = (8 + this.below(4)).toString(16);
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `${variant}${hex.slice(17, 20)}`,
      hex.slice(20),
    ].join("-");
  }

  /** @param {number} count */
  words(count) {
    return Array.from({ length: count }, () => this.pick(WORDS)).join(" ");
  }

  /** @param {number} chars */
  text(chars) {
    let text = "";
    while (text.length < chars) text += `${this.words(12)}.\n`;
    return text.slice(0, chars);
  }
}
