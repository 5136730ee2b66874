// @ts-check
/**
 * What stands for Telegram, Slack and the others: delivers messages to the gateway, several at a time, and again until each is
 * acknowledged. That is what real channels do, and why a killed worker loses nothing.
 */

const TRIES_MAX = 50;
const PAUSE_MS = 20;
/** A connection that was on its way to a worker when that was killed may never be answered, nor closed. */
const ANSWER_MS_MAX = 5_000;

/** @typedef {{ channel: string, from: string, id: string, text: string, group?: string }} Message */
/** @typedef {{ session: string, turn: number, reply: string, process: number }} Answer */

/**
 * @param {string} url The gateway's.
 * @param {readonly Message[]} messages
 * @param {{ atOnce?: number, onAnswer?: (answer: Answer, answered: number) => void }} [options]
 * @returns {Promise<{ answers: Map<string, Answer>, repeated: number }>} Answers by message, and how many deliveries failed.
 */
export async function deliver(url, messages, { atOnce = 16, onAnswer } = {}) {
  /** @type {Map<string, Answer>} */
  const answers = new Map();
  let [next, repeated] = [0, 0];
  const sender = async () => {
    for (let index = next++; index < messages.length; index = next++) {
      const message = messages[index];
      if (message === undefined) continue;
      for (let tries = 1; ; tries++) {
        const answer = await deliverOnce(url, message);
        if (answer !== undefined) {
          answers.set(message.id, answer);
          onAnswer?.(answer, answers.size);
          break;
        }
        repeated++;
        if (tries >= TRIES_MAX)
          throw new Error(`message ${message.id} was not acknowledged ${TRIES_MAX} times`);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * tries));
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  return { answers, repeated };
}

/** @param {string} url @param {Message} message @returns {Promise<Answer | undefined>} Undefined if it was not acknowledged. */
async function deliverOnce(url, message) {
  try {
    const response = await fetch(`${url}/webhook`, {
      method: "POST",
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    return response.ok ? /** @type {Answer} */ (await response.json()) : undefined;
  } catch {
    return undefined; // the worker was killed with our message in its hands
  }
}

/**
 * Messages of a few people in a few channels, and of one group that everybody writes to.
 * @param {number} count
 * @returns {Message[]}
 */
export function someMessages(count) {
  const [channels, people] = [
    ["telegram", "slack", "matrix"],
    ["ada", "grace", "edsger", "barbara", "donald"],
  ];
  return Array.from({ length: count }, (_, index) => {
    const from = people[index % people.length] ?? "ada";
    const channel = channels[Math.floor(index / people.length) % channels.length] ?? "telegram";
    const message = { channel, from, id: `m${index}`, text: `message number ${index}` };
    return index % 4 === 0 ? { ...message, channel: "telegram", group: "everybody" } : message;
  });
}
