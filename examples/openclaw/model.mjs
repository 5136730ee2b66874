// @ts-check
/** A model provider on this machine that always gives the same answer, over the protocol that many of them speak. */
import { once } from "node:events";
import { createServer } from "node:http";

export const ANSWER = "A scripted answer.";
const USAGE = { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 };

/** @returns {Promise<{ url: string, calls: () => number, close: () => void }>} */
export async function startModel() {
  let calls = 0;
  const server = createServer((request, response) => {
    const chunks = /** @type {Buffer[]} */ ([]);
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      calls++;
      const { stream = false } = JSON.parse(Buffer.concat(chunks).toString() || "{}");
      const head = { id: "scripted", created: 0, model: "one" };
      const message = { role: "assistant", content: ANSWER };
      response.setHeader("content-type", stream ? "text/event-stream" : "application/json");
      if (!stream) {
        const choices = [{ index: 0, message, finish_reason: "stop" }];
        response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage: USAGE }));
        return;
      }
      const send = (/** @type {object} */ part) =>
        response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...part })}\n\n`);
      send({ choices: [{ index: 0, delta: message, finish_reason: null }] });
      send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage: USAGE });
      response.end("data: [DONE]\n\n");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    calls: () => calls,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
