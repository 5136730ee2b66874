/**
 * Goal: whatever happens to the files of a store, the doctor says so without failing, never hands out a wrong value as good, and after
 * its fix the store opens, lists and takes writes, what nobody damaged is as it was, and a second run finds nothing.
 * Method: a store of 50 sessions with shared values and transcripts, half of them in the log too; seeded flips, cuts, zeroed
 * blocks, removed and swapped files. With an odd seed the doctor has a backup, from which all that is known to be lost has to come back.
 * `SESSIONDIR_STORE_DAMAGES` sets how many (`npm run store-damages`), `SESSIONDIR_SEED` the first seed: a failure prints its own.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { expect, it } from "vitest";
import { createBackup } from "../../../src/backup/index.js";
import { BIG, filesBelow, useSandbox, type Entry, type Sandbox } from "../../engine/directory/sandbox.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { many } from "../../support/thoroughness.js";
import { codes, diagnosed, examine, wrong } from "./ward.js";

const holder = useSandbox();

const GIVEN = process.env["SESSIONDIR_STORE_DAMAGES"];
const RUNS = Number(GIVEN ?? many(100, 25));
const SEED = Number((GIVEN && process.env["SESSIONDIR_SEED"]) ?? 1);
const SESSIONS = 50;

/** Every state that a session ever had, as JSON: anything else would be a wrong value. */
type States = Map<string, Set<string>>;

interface Original {
  readonly states: States;
  /** What each session has last. */
  readonly last: Map<string, Entry>;
}

/** As a killed process leaves it. */
async function original(box: Sandbox): Promise<Original> {
  const states: States = new Map();
  const last = new Map<string, Entry>();
  const store = await box.open();
  const put = async (key: string, entry: Entry): Promise<void> => {
    await store.put(key, entry);
    last.set(key, entry);
    const known = states.get(key) ?? new Set();
    states.set(key, known.add(JSON.stringify(entry)));
  };
  for (let n = 0; n < SESSIONS; n++) {
    const shared = n % 5 === 0 ? { prompt: `${BIG} ${n % 3}` } : {};
    await put(`agent:main:${n}`, { n, updatedAt: n, text: "x".repeat(n * 7), ...shared });
    if (n % 10 === 0)
      await store.append(
        `agent:main:${n}`,
        Array.from({ length: 9 }, (_, i) => ({ n, i })),
      );
  }
  await store.checkpoint();
  for (let n = 0; n < SESSIONS; n += 2) {
    const { prompt } = last.get(`agent:main:${n}`) ?? {};
    await put(`agent:main:${n}`, { n, again: true, ...(prompt !== undefined && { prompt }) });
  }
  for (let n = 0; n < SESSIONS; n += 4) await put(`agent:main:${n}`, { n, third: n });
  cpSync(box.path, box.outside("killed"), { recursive: true });
  await box.close();
  // Of the same commits: closing adds none.
  await createBackup(box.path, box.outside("backups"), { onWarning: () => {} });
  rmSync(box.path, { recursive: true });
  return { states, last };
}

/** How {@link harm} calls what it does. */
const KINDS = ["a bit of", " cut at ", "zeros in", " removed", " swapped", "nothing"];

/** @returns What was done, for a person. */
function harm(box: Sandbox, random: () => number): string {
  const files = filesBelow(box.path).filter((path) => !path.endsWith("/reserve"));
  const any = (): string => files[Math.floor(random() * files.length)]!;
  const path = any();
  const bytes = readFileSync(path);
  const at = Math.floor(random() * bytes.length);
  const name = path.slice(box.path.length);
  switch (Math.floor(random() * 5)) {
    case 0:
      if (bytes.length === 0) return "nothing";
      bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8));
      writeFileSync(path, bytes);
      return `a bit of ${name} at ${at}`;
    case 1:
      truncateSync(path, at);
      return `${name} cut at ${at}`;
    case 2:
      bytes.fill(0, at, Math.min(bytes.length, at + 1 + Math.floor(random() * 512)));
      writeFileSync(path, bytes);
      return `zeros in ${name} at ${at}`;
    case 3:
      rmSync(path);
      return `${name} removed`;
    default: {
      const other = any();
      if (other === path || !existsSync(other)) return "nothing";
      renameSync(path, `${path}.x`);
      renameSync(other, path);
      renameSync(`${path}.x`, other);
      return `${name} and ${other.slice(box.path.length)} swapped`;
    }
  }
}

/** What became of how many, for `npm run store-damages`. */
const figures: Record<string, number> = {};
const count = (what: string, by = 1): number => (figures[what] = (figures[what] ?? 0) + by);

async function check(
  box: Sandbox,
  { states, last }: Original,
  harmed: readonly string[],
  backups: readonly string[],
): Promise<void> {
  const report = await diagnosed(box);
  const first = await examine(box, { level: "deep", fix: true, alone: true, backups });
  const with_ = backups.length > 0 ? "with a backup" : "without a backup";
  count(`${with_}: stores`);
  count(`${with_}: ${first.verdict}`);
  for (const code of codes(report)) count(`found ${code}`);
  const text = JSON.stringify(
    {
      harmed,
      codes: codes(report),
      left: wrong(first),
      actions: first.actions.map(({ done, path }) => [path, done]),
    },
    null,
    1,
  );
  if (report.findings.some(({ code }) => code === "format_unsupported")) return; // a flipped digit: it is refused, rightly
  expect(wrong(first), text).toEqual([]);
  const again = await diagnosed(box);
  expect(wrong(again), text).toEqual([]);

  const store = await box.open();
  const { sessions, damaged } = await store.list();
  expect(damaged, text).toBeUndefined();
  const given = new Set(first.actions.filter(({ lost }) => lost).map(({ key }) => key));
  // Of what only damaged bytes of the log had nobody knows, and a copy that is cut off at the end of a line looks whole.
  const logIsLost = harmed.some((harm) => harm.includes("/.store/log/"));
  for (const { key, entry } of sessions) {
    const json = JSON.stringify(entry);
    const without = [...(states.get(key) ?? [])].map((state) => {
      const { prompt: _, ...rest } = JSON.parse(state) as Entry;
      return JSON.stringify(rest);
    });
    const isTaken = given.has(key) && without.includes(json);
    expect(states.get(key)?.has(json) === true || isTaken, `${key}: ${json.slice(0, 99)} ${text}`).toBe(true);
    count(
      `${with_}: sessions ${json === JSON.stringify(last.get(key)) ? "as they were" : "in an older state"}`,
    );
    if ((!given.has(key) || backups.length > 0) && !logIsLost)
      expect(json, `${key} ${text}`).toBe(JSON.stringify(last.get(key)));
  }
  // Of a file that is gone only the catalog knows.
  count(`${with_}: sessions that are gone`, last.size - sessions.length);
  if (!logIsLost && !harmed.some((harm) => harm.includes("/.store/catalog-")))
    for (const key of last.keys())
      if (!given.has(key) || backups.length > 0)
        expect(
          sessions.some((one) => one.key === key),
          `${key} ${text}`,
        ).toBe(true);
  await store.put("agent:main:new", { written: true });
  await store.checkpoint();
  expect(await store.get("agent:main:new")).toEqual({ written: true });
  for await (const item of store.iterateItems("agent:main:10")) void item;
  await box.close();
}

it(`${RUNS} damaged stores from seed ${SEED}`, { timeout: RUNS * 20_000 }, async () => {
  const { box } = holder;
  const made = await original(box);
  const failures: string[] = [];
  for (let run = 0; run < RUNS; run++) {
    const random = seededRandom(SEED + run);
    rmSync(box.path, { recursive: true, force: true });
    mkdirSync(box.path, { mode: 0o700 });
    cpSync(box.outside("killed"), box.path, { recursive: true });
    const harmed = [`seed ${SEED + run}`];
    for (let times = 1 + Math.floor(random() * 4); times > 0; times--) harmed.push(harm(box, random));
    for (const kind of harmed.slice(1)) count(`harm: ${KINDS.find((one) => kind.includes(one)) ?? kind}`);
    const backups = (SEED + run) % 2 === 1 ? [box.outside("backups")] : [];
    await check(box, made, harmed, backups).catch(async (error: unknown) => {
      await box.close().catch(() => {});
      const seed = `SESSIONDIR_SEED=${SEED + run} SESSIONDIR_STORE_DAMAGES=1`;
      failures.push(`${seed}: ${harmed.join("; ")}: ${String(error)}`);
    });
  }
  if (GIVEN !== undefined) process.stderr.write(`${JSON.stringify(sorted(figures), null, 2)}\n`);
  expect(failures).toEqual([]);
});

function sorted(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
