// @ts-check
/**
 * The two sizes of entries that are measured: small, 537 bytes of JSON; large, 90 KB, of which an 81 KB
 * `skillsSnapshot` is the same in most sessions and 8 KB are the session's own.
 */
import { Random } from "../../examples/demo/sessions.mjs";

/**
 * @typedef {{ sessionId: string, updatedAt: number, n: number, contextTokens: number, inputTokens: number,
 *   note: string,
 *   skillsSnapshot?: { prompt: string } }} Entry `n` counts the updates, so that they can be verified.
 * @typedef {"small" | "large"} EntrySize
 */

const SMALL_BYTES = 537;
const SNAPSHOT_PROMPT_CHARS = 17_308;
const SNAPSHOT_BYTES = 81_000;
const OWN_REPORT_BYTES = 8_400;
/** One session in this many has another snapshot than the rest. */
const OTHER_SNAPSHOT = 20;
const FIRST_UPDATE = Date.UTC(2026, 0, 1);

/** @param {number} index */
export function keyOf(index) {
  return `agent:main:telegram:direct:${String(7_000_000_000 + index * 7919)}`;
}

/**
 * Makes the same sessions for every peer.
 * @param {number} count
 * @param {(index: number) => EntrySize} sizeOf
 * @returns {Generator<[key: string, entry: Entry]>}
 */
export function* makeEntries(count, sizeOf) {
  const random = new Random(count);
  const snapshots = [0, 1].map((version) => makeSnapshot(random, version));
  for (let index = 0; index < count; index++) {
    const entry = makeSmall(index, random);
    if (sizeOf(index) === "large") {
      const snapshot = snapshots[index % OTHER_SNAPSHOT === 1 ? 1 : 0];
      Object.assign(entry, { skillsSnapshot: snapshot, systemPromptReport: makeReport(random) });
    }
    yield [keyOf(index), entry];
  }
}

/**
 * @param {number} index
 * @param {Random} random
 * @returns {Entry}
 */
function makeSmall(index, random) {
  const to = `telegram:${7_000_000_000 + index * 7919}`;
  const entry = {
    sessionId: random.uuid(),
    updatedAt: FIRST_UPDATE + random.below(1_000_000_000),
    n: 0,
    inputTokens: 1000,
    outputTokens: 100,
    contextTokens: 200_000,
    model: "claude-opus-4-6",
    modelProvider: "anthropic",
    chatType: "direct",
    lastChannel: "telegram",
    lastTo: to,
    deliveryContext: { channel: "telegram", to, accountId: "default" },
    note: "",
  };
  entry.note = random.text(SMALL_BYTES - JSON.stringify(entry).length).replaceAll("\n", " ");
  return entry;
}

/**
 * @param {Random} random
 * @param {number} version
 */
function makeSnapshot(random, version) {
  const skill = (/** @type {number} */ index) => ({
    name: `skill-${index}`,
    primaryEnv: `KEY_${index}_${random.words(3)}`,
  });
  const snapshot = {
    version,
    prompt: random.text(SNAPSHOT_PROMPT_CHARS),
    skills: Array.from({ length: 70 }, (_, index) => skill(index)),
    resolvedSkills: /** @type {object[]} */ ([]),
  };
  while (JSON.stringify(snapshot).length < SNAPSHOT_BYTES) {
    snapshot.resolvedSkills.push({
      name: `skill-${snapshot.resolvedSkills.length}`,
      description: random.words(200),
      filePath: `/home/gateway/.openclaw/skills/skill-${snapshot.resolvedSkills.length}/SKILL.md`,
      source: "openclaw-managed",
    });
  }
  return snapshot;
}

/** @param {Random} random */
function makeReport(random) {
  const tools = Array.from({ length: 80 }, (_, index) => ({
    name: `tool_${index}`,
    summaryChars: random.below(300),
    schemaChars: random.below(2_000),
    digest: random.digits(24),
  }));
  return { source: "run", tools, notes: random.text(OWN_REPORT_BYTES - JSON.stringify(tools).length) };
}

/**
 * What every update does: a gateway's turn changes a few small fields.
 * @param {Entry} entry
 * @returns {Entry}
 */
export function nextTurn(entry) {
  const n = entry.n + 1;
  return { ...entry, n, updatedAt: FIRST_UPDATE + 1_000_000_000 + n, inputTokens: entry.inputTokens + 37 };
}
