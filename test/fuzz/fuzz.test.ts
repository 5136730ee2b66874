/**
 * Goal: no bytes whatever make a reader crash, hang, touch a prototype, eat the memory, or believe what was not written.
 * Method: inputs that are made from good ones (`corpus/`, and the seeds of each target) by mutation. `npm test` runs a
 * fixed number with a seed. `npm run fuzz -- --minutes 10` runs for that long, guided by coverage: an input that reaches
 * a part of the source which none reached before is kept and mutated further; `--keep` adds the small ones to the corpus.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { Coverage } from "./coverage.js";
import { mutate } from "./mutate.js";
import type { Target } from "./targets.js";
import { Watchdog } from "./watchdog.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const MINUTES = Number(process.env["SESSIONDIR_FUZZ_MINUTES"] ?? 0);
const KEEP = process.env["SESSIONDIR_FUZZ_KEEP"] === "yes";
/** Inputs of each target where no time is given. */
const EXECUTIONS = 1500;
/** Inputs between two looks at the coverage, which cost as much as many inputs. */
const BATCH = 256;
const INPUT_BYTES_MAX = 16 * 1024;
const KEPT_BYTES_MAX = 400;
const HEAP_BYTES_MAX = 256 * 2 ** 20;

const coverage = MINUTES > 0 ? new Coverage() : undefined;
const { TARGETS } = await import("./targets.js");
const watchdog = new Watchdog();
// The parser of JSON5 talks to the console about odd line ends.
vi.spyOn(console, "warn").mockImplementation(() => {});
afterAll(async () => {
  coverage?.stop();
  await watchdog.end();
});

/** Every place where a polluted prototype would show. */
const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Map.prototype];
const PROPERTIES = prototypes();

function prototypes(): string {
  return PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).map(String).join()).join("\n");
}

/** One input a line, as a JSON string of its bytes. */
function corpusOf(target: Target): { path: string; inputs: Buffer[] } {
  const path = fileURLToPath(new URL(`./corpus/${target.name.replaceAll(" ", "-")}.jsonl`, import.meta.url));
  const lines = existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
  return { path, inputs: lines.map((line) => Buffer.from(JSON.parse(line) as string, "latin1")) };
}

async function execute(target: Target, bytes: Buffer): Promise<void> {
  watchdog.watch(bytes);
  try {
    await target.check(bytes);
    assert.equal(prototypes(), PROPERTIES);
  } catch (error) {
    const input = JSON.stringify(bytes.toString("latin1"));
    throw new Error(`${target.name}, seed ${SEED}, input ${input}`, { cause: error });
  }
}

describe(`fuzzing with seed ${SEED}`, () => {
  it.each(TARGETS)(
    "$name: nothing but what was written is believed, and nothing crashes",
    async (target) => {
      const { path, inputs } = corpusOf(target);
      const corpus = [...target.seeds, ...inputs];
      for (const input of corpus) await execute(target, input);
      const heap = process.memoryUsage().heapUsed;
      const random = seededRandom(SEED);
      const next = (): Buffer => mutate(random, corpus, INPUT_BYTES_MAX);
      if (coverage === undefined) {
        for (let run = 0; run < EXECUTIONS; run++) await execute(target, next());
      } else {
        const found = await guided(target, coverage, corpus, next, (MINUTES * 60_000) / TARGETS.length);
        console.log("fuzzed", JSON.stringify({ target: target.name, seed: SEED, ...found }));
        const small = corpus.slice(target.seeds.length).filter(({ length }) => length <= KEPT_BYTES_MAX);
        const lines = small.map((input) => `${JSON.stringify(input.toString("latin1"))}\n`);
        if (KEEP && lines.length > 0) writeFileSync(path, lines.join(""));
      }
      expect(process.memoryUsage().heapUsed - heap).toBeLessThan(HEAP_BYTES_MAX);
    },
    MINUTES * 60_000 + 120_000,
  );
});

/** Keeps what reaches something new. */
async function guided(
  target: Target,
  coverage: Coverage,
  corpus: Buffer[],
  next: () => Buffer,
  ms: number,
): Promise<{ executions: number; corpus: number; characters: number; slowestMs: number }> {
  coverage.forget();
  for (const input of corpus) await execute(target, input);
  let characters = coverage.take();
  let executions = 0;
  let slowestMs = 0;
  for (const end = performance.now() + ms; performance.now() < end;) {
    const batch = Array.from({ length: BATCH }, next);
    for (const input of batch) {
      const began = performance.now();
      await execute(target, input);
      slowestMs = Math.max(slowestMs, performance.now() - began);
    }
    executions += BATCH;
    if (coverage.reached() === 0) continue;
    for (const input of batch) {
      await execute(target, input);
      const found = coverage.take();
      if (found > 0) corpus.push(input);
      characters += found;
    }
    // What only all of them together reach, such as code that is compiled anew, must not be looked for again and again.
    for (const input of batch) await execute(target, input);
    characters += coverage.take();
  }
  return { executions, corpus: corpus.length, characters, slowestMs: Math.round(slowestMs) };
}
