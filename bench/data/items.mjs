// @ts-check
/**
 * The items of transcripts that are measured: what an agent's turn leaves behind (a user's message, an answer that calls a
 * tool, the tool's result, an answer), each 1,024 bytes of JSON. Who wrote it and as which of its writer's items is in
 * each, so that a reader can check that nothing is missing, doubled, or in another order.
 */
import { Random } from "../../examples/demo/sessions.mjs";

/**
 * @typedef {{ type: string, id: string, parentId: string, writer: number, n: number,
 *   message: { role: string, content: Record<string, any>[], timestamp: number, [more: string]: unknown } }} Item
 */

export const ITEM_BYTES = 1_024;
/** Distinct ones, made once; only the ids and numbers of an item are its own. */
const DISTINCT = 240;
/** So that all have as many digits. */
const [FIRST_WRITER, FIRST_NUMBER] = [10, 10_000_001];
const FIRST_MS = Date.UTC(2026, 0, 1);
const BETWEEN_MS = 20_000;

/** @type {Item[]} */
let templates = [];

/**
 * The same item each time, and of the same size each time while `n` has no more than eight digits, `writer` two.
 * @param {number} writer
 * @param {number} n From 0.
 * @returns {Item}
 */
export function itemOf(writer, n) {
  return {
    ...templateOf(n),
    id: idOf(writer, n),
    parentId: idOf(writer, n - 1),
    writer: FIRST_WRITER + writer,
    n: FIRST_NUMBER + n,
  };
}

/** @param {number} n @returns {Item} */
function templateOf(n) {
  if (templates.length === 0) templates = makeTemplates();
  const template = templates[n % DISTINCT];
  if (template === undefined) throw new RangeError(`no item has the number ${n}`);
  return template;
}

/** @param {number} writer @param {number} n */
function idOf(writer, n) {
  return `msg_${FIRST_WRITER + writer}_${FIRST_NUMBER + n}`;
}

/** Looks at every item of a transcript in its order. */
export class ItemCheck {
  /** @readonly @type {Map<number, number>} The item that must come next, by writers. */
  #next = new Map();
  count = 0;
  #chars = 0;
  #wrong = 0;

  /** @param {{ writer: number, first: number }[]} writers */
  constructor(writers) {
    for (const { writer, first } of writers) this.#next.set(FIRST_WRITER + writer, FIRST_NUMBER + first);
  }

  /** @param {Item} item */
  see(item) {
    this.count++;
    if (this.#next.get(item.writer) !== item.n) this.#wrong++;
    this.#next.set(item.writer, item.n + 1);
    this.#chars += item.message.content[0]?.text.length ?? 0;
  }

  /**
   * @param {{ writer: number, first: number, count: number }[]} expected
   * @throws {Error} If it was not exactly these, each writer's in its order.
   */
  end(expected) {
    const count = expected.reduce((sum, one) => sum + one.count, 0);
    if (this.count !== count) throw new Error(`not verified: ${this.count} items instead of ${count}`);
    if (this.#wrong > 0) throw new Error(`not verified: ${this.#wrong} of ${count} items in a wrong place`);
    const chars = expected.reduce((sum, { first, count }) => sum + charsOf(first, count), 0);
    if (this.#chars !== chars) throw new Error(`not verified: ${this.#chars} characters instead of ${chars}`);
  }
}

/** @param {number} first @param {number} count */
function charsOf(first, count) {
  let chars = 0;
  for (let n = first; n < first + count; n++) chars += templateOf(n).message.content[0]?.text.length ?? 0;
  return chars;
}

function makeTemplates() {
  const random = new Random(ITEM_BYTES);
  return Array.from({ length: DISTINCT }, (_, index) => {
    const message = /** @type {Item["message"]} */ ({
      ...MESSAGES[index % MESSAGES.length]?.(random),
      timestamp: FIRST_MS + index * BETWEEN_MS,
    });
    const item = {
      type: "message",
      id: idOf(0, 0),
      parentId: idOf(0, 0),
      writer: FIRST_WRITER,
      n: FIRST_NUMBER,
      message,
    };
    const [part = {}] = message.content;
    part.text = "";
    part.text = textOf(random, ITEM_BYTES - Buffer.byteLength(JSON.stringify(item)));
    return item;
  });
}

/** @param {Random} random @param {number} bytes Of JSON, without the quotes. */
function textOf(random, bytes) {
  let text = random.text(bytes);
  while (Buffer.byteLength(JSON.stringify(text)) - 2 > bytes) text = text.slice(0, -1);
  return text.padEnd(text.length + bytes - (Buffer.byteLength(JSON.stringify(text)) - 2), ".");
}

/** One turn. @type {((random: Random) => Omit<Item["message"], "timestamp">)[]} */
const MESSAGES = [
  () => ({ role: "user", content: [{ type: "text", text: "" }] }),
  (random) => ({
    role: "assistant",
    content: [
      { type: "text", text: "" },
      {
        type: "toolCall",
        id: `toolu_${random.digits(20)}`,
        name: "read",
        arguments: { path: `notes/${random.words(2)}.md` },
      },
    ],
    ...answered(random, "toolUse"),
  }),
  (random) => ({
    role: "toolResult",
    toolCallId: `toolu_${random.digits(20)}`,
    toolName: "read",
    content: [{ type: "text", text: "" }],
    isError: false,
  }),
  (random) => ({ role: "assistant", content: [{ type: "text", text: "" }], ...answered(random, "stop") }),
];

/** @param {Random} random @param {string} stopReason */
function answered(random, stopReason) {
  const [input, output, cacheRead] = [random.below(9_000), random.below(2_000), random.below(150_000)];
  return {
    api: "anthropic-messages",
    provider: "anthropic",
    model: "claude-opus-4-6",
    usage: {
      input,
      output,
      cacheRead,
      cacheWrite: 0,
      totalTokens: input + output + cacheRead,
      cost: { input: input * 5e-6, output: output * 25e-6, cacheRead: cacheRead * 5e-7, cacheWrite: 0 },
    },
    stopReason,
  };
}
