// @ts-check
/** What an update costs when all sessions are in one `sessions.json`, as gateways used to keep them. */
import { lstatSync } from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import { quantile } from "./report.mjs";

const REPEATS = 3;

/**
 * @param {string} path
 * @param {readonly { key: string, entry: object }[]} records
 */
export async function measureSingleFile(path, records) {
  await replaceFile(
    path,
    JSON.stringify(Object.fromEntries(records.map(({ key, entry }) => [key, entry])), null, 2),
  );
  /** @type {number[]} */
  const microseconds = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now();
    const sessions = JSON.parse(await readFile(path, "utf8"));
    sessions[records[repeat % records.length]?.key ?? ""].updatedAt = Date.now();
    await replaceFile(path, JSON.stringify(sessions, null, 2));
    microseconds.push((performance.now() - start) * 1000);
  }
  const { size, blocks } = lstatSync(path);
  return {
    rewriteUs: quantile(
      microseconds.sort((a, b) => a - b),
      0.5,
    ),
    apparent: size,
    allocated: process.platform === "win32" ? size : blocks * 512,
  };
}

/**
 * @param {string} path
 * @param {string} text
 */
async function replaceFile(path, text) {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
