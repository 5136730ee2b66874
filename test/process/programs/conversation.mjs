// @ts-check
/**
 * A helper program's side of the conversation with its test: its argument, what it says and what it is told, one
 * JSON value a line. The same program runs as a thread: then its argument is `workerData` and lines are messages.
 */
import { createInterface } from "node:readline";
import { writevSync } from "node:fs";
import { isMainThread, parentPort, workerData } from "node:worker_threads";

/** The value that the test started this program with. */
export const argument = isMainThread ? JSON.parse(process.argv[2] ?? "{}") : workerData;

const NEWLINE = Buffer.from("\n");

/** Tells the test something, at once: a process may be gone a moment later. @param {{ event: string, [name: string]: unknown }} message */
export function say(message) {
  if (parentPort !== null) {
    parentPort.postMessage(message);
    return;
  }
  const bytes = Buffer.from(JSON.stringify(message));
  for (let written = 0; written <= bytes.length;) {
    try {
      // Two parts, so that it is a `writev`: tests that let a `write` fail mean one of the library's.
      written += writevSync(1, [bytes.subarray(written), NEWLINE]);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EAGAIN") throw error; // the test is slow to read
    }
  }
}

/** Hands over what the test says, until the returned function is called. @param {(message: any) => void} listener */
export function onMessage(listener) {
  if (parentPort !== null) {
    const port = parentPort;
    port.on("message", listener);
    return () => {
      port.off("message", listener);
    };
  }
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => listener(JSON.parse(line)));
  return () => {
    lines.close();
    process.stdin.destroy();
  };
}

/** A message that resolves when the test says this kind of thing next. @param {string} event */
export function told(event) {
  return new Promise((resolve) => {
    const stop = onMessage((message) => {
      if (message.event !== event) return;
      stop();
      resolve(message);
    });
  });
}
