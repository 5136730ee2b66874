/**
 * Goal: a transcript is not in memory: a process that appends to a long one, or reads all of it, needs no more for it than the
 * texts that are kept at most, or a page.
 * Method: processes of their own append 32 MB to a transcript, and read them in both directions, and collect their garbage again and
 * again on the way; the most that was then in use counts.
 */
import { join } from "node:path";
import { expect, it } from "vitest";
import { start } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const ITEMS = 4_000;
const CHARS = 8_192;
const MEGABYTE = 1024 * 1024;
/**
 * Of 33 MB: a page; or the 8 MiB of texts that are kept at most, a chunk of 4 MiB on its way to a file, and what is known of the items
 * in the live log. Measured: 11, and 20 to 22 MB; of three times as much, 29 MB.
 */
const MOST = 25 * MEGABYTE;

it("a transcript of 32 MB is not in the memory of those who append to it and read it", async () => {
  const path = join(temporaryFolder(), "sessions.d");
  const most: Record<string, number> = {};
  for (const doing of ["append", "read", "read backwards"]) {
    const argument = { path, doing, items: ITEMS, chars: CHARS };
    const child = start("long-transcript", argument, { nodeOptions: ["--expose-gc"] });
    const { most: bytes, done } = await child.next("done");
    await child.ended;
    expect(done).toBeGreaterThanOrEqual(ITEMS);
    most[doing] = Number(bytes);
  }
  expect(Object.entries(most).filter(([, bytes]) => !(bytes < MOST))).toEqual([]);
}, 120_000);
