/**
 * Goal: whatever the moment at which the power goes, every commit that was acknowledged as durable is there, what was
 * deleted stays deleted, no record is half there, and of two commits never only the later one is.
 * Method: a real file system on a loop device, real processes that write down outside of it what they were told, and
 * the file system's shutdown call at a random moment; then journal replay, and a clean process that opens the store.
 * `SESSIONDIR_POWER_CUTS` says how many (`npm run power-cuts -- --cuts 200`).
 *
 * That the method notices losses is tested too: with syncs that do nothing it must find some.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { Appenders } from "./support/appenders.js";
import { start, type Child } from "./support/child.js";
import { diskImage, diskKinds, withPowerCuts, type DiskImage } from "./support/disk-image.js";
import { copyPrograms } from "./support/ownership.js";
import { canInject, run, type Case, type Place } from "./support/injection.js";
import { LegacyScene, type Action } from "./support/legacy-scene.js";
import { AFTER_POWER_CUT, Recording, type RecordingOptions } from "./support/recording.js";
import { casesOf, sample, SUBJECTS, type Subject } from "./support/subjects.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { many } from "../support/thoroughness.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const CUTS = Number(process.env["SESSIONDIR_POWER_CUTS"] ?? many(6, 3));
/** Of migrations and rollbacks, on each disk. */
const CUTS_OF_LEGACY = 2 * Math.ceil(CUTS / 16);
/** In front of exact system calls, on each disk. */
const CUTS_AT_CALLS = Math.ceil(CUTS / 3);
const NO_STRACE = " (skipped: strace is not installed or may not attach)";
/** Far more than a cut takes on a busy machine: only a hang is meant to meet it. */
const CUT_MS_MAX = 20_000;

/** What calls of a store may end with when its disk is gone. */
const WHEN_GONE = new Set(["io_error", "durability_unknown", "commit_unknown"]);

const OPTIONS = {
  options: { segmentBytes: 24 * 1024, flushDelayMs: 10 },
  mayFail: true,
} satisfies RecordingOptions;

describe.runIf(diskKinds.length > 0)(withPowerCuts(`power cuts with seed ${SEED}`), () => {
  it.each(diskKinds)(
    "lose nothing that was acknowledged as durable, on $name",
    async (kind) => {
      const folder = temporaryFolder();
      const image = diskImage(folder, kind);
      const recording = new Recording(image.path, folder, { ...OPTIONS, programs: copyPrograms(folder) });
      const random = seededRandom(SEED + kind.name.length);
      const cuts = Math.ceil(CUTS / diskKinds.length);
      const failures = new Map<string, number>();
      const began = performance.now();
      // A cut may come before anything is durable: more of them, so that those that tell something are as many as were asked for.
      for (let cut = 0; cut < cuts || (recording.total.durable <= cuts && cut < 5 * cuts); cut++) {
        const workers = startWorkers(recording, random);
        const { wrong } = await recording.settle(await cutAtRandom(image, workers, random, failures));
        expect({ cut, wrong }).toEqual({ cut, wrong: [] });
      }
      const seconds = Math.round((performance.now() - began) / 1000);
      const counts = { ...recording.total, warnings: Object.fromEntries(recording.warnings) };
      console.log("power cuts", JSON.stringify({ seed: SEED, disk: kind.name, cuts, ...counts, seconds }));
      expect([...failures.keys()].filter((code) => !WHEN_GONE.has(code))).toEqual([]);
      expect(recording.total.durable).toBeGreaterThan(cuts);
    },
    CUTS * CUT_MS_MAX,
  );

  it.each(diskKinds)(
    "lose no item that was acknowledged as durable, and leave no gap and no half of a batch, on $name",
    async (kind) => {
      const folder = temporaryFolder();
      const image = diskImage(folder, kind);
      const appenders = new Appenders(image.path, folder, { ...OPTIONS, programs: copyPrograms(folder) });
      expect(await appenders.settle()).toEqual([]); // the store itself is there before the first cut
      const random = seededRandom(SEED + kind.name.length);
      const cuts = Math.ceil(CUTS / diskKinds.length);
      const failures = new Map<string, number>();
      const began = performance.now();
      for (let cut = 0; cut < cuts || (appenders.total.durable <= cuts && cut < 5 * cuts); cut++) {
        const workers = startAppenders(appenders, random);
        const wrong = await appenders.settle(await cutAtRandom(image, workers, random, failures));
        expect({ cut, wrong }).toEqual({ cut, wrong: [] });
      }
      const seconds = Math.round((performance.now() - began) / 1000);
      const counts = { ...appenders.total, warnings: Object.fromEntries(appenders.warnings), seconds };
      console.log(
        "power cuts while transcripts grow",
        JSON.stringify({ seed: SEED, disk: kind.name, cuts, ...counts }),
      );
      expect([...failures.keys()].filter((code) => !WHEN_GONE.has(code))).toEqual([]);
      expect([...appenders.warnings.keys()].filter((code) => !AFTER_POWER_CUT.has(code))).toEqual([]);
      expect(appenders.total.durable).toBeGreaterThan(cuts);
    },
    CUTS * CUT_MS_MAX,
  );

  it.each(diskKinds)(
    "leave one complete side in a migration and a rollback, on $name",
    async (kind) => {
      const folder = temporaryFolder();
      const image = diskImage(folder, kind);
      const programs = copyPrograms(folder);
      const random = seededRandom(SEED + kind.name.length);
      const found: Record<string, number> = { file: 0, directory: 0, told: 0 };
      for (let cut = 0; cut < CUTS_OF_LEGACY; cut += 2) {
        const scene = new LegacyScene(join(image.path, `scene-${cut}`), 40);
        for (const action of ["migrate", "rollback"] as const) {
          const outcome = await cutWhile(image, scene, action, random, programs);
          if (outcome !== undefined) found["told"] = (found["told"] ?? 0) + 1;
          const authority = scene.authority();
          found[authority] = (found[authority] ?? 0) + 1;
          expect({ cut, action, wrong: await scene.wrong(action, outcome) }).toEqual({
            cut,
            action,
            wrong: [],
          });
          const again = start("legacy", { path: scene.file, action }, { programs });
          again.say({ event: "begin" });
          const report = await again.next("report");
          await again.finished();
          const wrong = await scene.wrongAfterAll(action, report["outcome"]);
          expect({ cut, action, report, wrong }).toEqual({ cut, action, report, wrong: [] });
          if (action === "migrate") await scene.change();
        }
      }
      console.log("power cuts of migrations", JSON.stringify({ seed: SEED, disk: kind.name, ...found }));
    },
    CUTS * CUT_MS_MAX,
  );

  let kills: Awaited<ReturnType<typeof killsOf>> | undefined;

  it.runIf(canInject).each(diskKinds)(
    `leave nothing half done in front of any one system call, on $name${canInject ? "" : NO_STRACE}`,
    async (kind) => {
      const folder = temporaryFolder();
      const image = diskImage(folder, kind);
      const place = { folder: image.path, programs: copyPrograms(folder) };
      kills ??= await killsOf(place); // the same on every disk
      const chosen = sample(kills, CUTS_AT_CALLS, SEED + kind.name.length);
      let happened = 0;
      for (const [index, { subject, fault }] of chosen.entries()) {
        const own = join(image.path, `case-${index}`);
        mkdirSync(own, { mode: 0o700 });
        const argument = await subject.prepare(own);
        await image.prepareCut();
        // Killed in front of the call, so that nothing else happens until the cut.
        const outcome = await run({ ...place, output: folder }, subject.program, argument, fault);
        await image.cutPower();
        image.unmount();
        image.mount();
        const wrong = await subject.wrong(own, outcome, true);
        const what = { subject: subject.name, ...fault };
        expect({ ...what, wrong }).toEqual({ ...what, wrong: [] });
        if (outcome.injected) happened += 1;
        rmSync(own, { recursive: true, force: true }); // its own name may be lost in a cut before anything was acknowledged
      }
      console.log(
        "power cuts at calls",
        JSON.stringify({ seed: SEED, disk: kind.name, calls: kills.length, run: chosen.length, happened }),
      );
      expect(happened).toBeGreaterThan(chosen.length * 0.8);
    },
    CUTS * CUT_MS_MAX,
  );

  it(
    "are noticed when syncs do nothing",
    async () => {
      const [kind] = diskKinds;
      if (kind === undefined) throw new Error("no disk");
      const folder = temporaryFolder();
      const image = diskImage(folder, kind);
      const programs = copyPrograms(folder);
      const nodeOptions = ["--import", `${programs}/without-syncs.mjs`];
      const recording = new Recording(image.path, folder, {
        ...OPTIONS,
        programs,
        nodeOptions,
        keepsEvidence: false,
      });
      // The store itself is made with syncs: what is to be lost are commits, not everything.
      expect((await recording.settle()).wrong).toEqual([]);
      const random = seededRandom(SEED);
      const cutOnce = async () => {
        const workers = startWorkers(recording, random);
        return recording.settle(await cutAtRandom(image, workers, random, new Map()));
      };
      let { wrong, durable } = await cutOnce();
      // A cut may come before anything is durable: then there was nothing to lose.
      for (let cut = 1; durable === 0 && cut < 10; cut++) ({ wrong, durable } = await cutOnce());
      expect(durable).toBeGreaterThan(0);
      expect(wrong.filter((text) => /in the end, not/.test(text)).length).toBeGreaterThan(0);
    },
    CUT_MS_MAX,
  );
});

/** Every call in front of which a process can be killed, and the power cut then. */
async function killsOf(place: Place): Promise<{ subject: Subject; fault: Case }[]> {
  const kills: { subject: Subject; fault: Case }[] = [];
  for (const subject of SUBJECTS) {
    const { cases } = await casesOf(place, subject);
    for (const fault of cases) if (fault.fault === "KILL") kills.push({ subject, fault });
  }
  return kills;
}

/** How long a migration or rollback of the scene takes from its beginning, more or less. */
const LEGACY_MS: Record<Action, number> = { migrate: 160, rollback: 60 };

/** @returns What the run had said before the cut. */
async function cutWhile(
  image: DiskImage,
  scene: LegacyScene,
  action: Action,
  random: () => number,
  programs: string,
): Promise<string | undefined> {
  const child = start("legacy", { path: scene.file, action }, { programs });
  await child.next("ready");
  await image.prepareCut();
  child.say({ event: "begin" });
  await delay(random() * LEGACY_MS[action]); // a moment of chance, nothing to wait for
  const said = child.messages.find(({ event }) => event === "report");
  await image.cutPower();
  child.signal("SIGKILL");
  await child.ended;
  image.unmount();
  image.mount();
  return said && String(said["outcome"]);
}

function startWorkers(recording: Recording, random: () => number): Child[] {
  // Sometimes nobody asks for durability: then any number of the newest commits may be lost, but never one of the middle.
  const disk = random() < 0.2 ? 0 : 0.7;
  return Array.from({ length: 3 }, () =>
    recording.startWorker({
      durability: random() < disk ? "disk" : "os",
      seed: Math.trunc(random() * 2 ** 31),
      lanes: 4,
      stores: 1 + Math.trunc(random() * 2),
      threads: 0,
    }),
  );
}

/** Three that write, and one that reads. */
function startAppenders(appenders: Appenders, random: () => number): Child[] {
  const disk = random() < 0.2 ? 0 : 0.7;
  return Array.from({ length: 4 }, (_, slot) =>
    appenders.startWorker({
      slot,
      durability: random() < disk ? "disk" : "os",
      seed: Math.trunc(random() * 2 ** 31),
      lanes: slot === 3 ? 0 : 4,
    }),
  );
}

/** Lets the workers work for a moment, then takes the disk away from them. Mounts it again. @returns When it was still there. */
async function cutAtRandom(
  image: DiskImage,
  workers: readonly Child[],
  random: () => number,
  failures: Map<string, number>,
): Promise<number> {
  await image.prepareCut();
  // Now and then in the middle of opening the store.
  if (random() < 0.9) await Promise.all(workers.map((worker) => worker.next("open")));
  await delay(random() * 500); // a moment of chance, nothing to wait for
  const early = workers.filter(({ ending }) => ending !== undefined);
  expect(early.map(({ name, ending, messages }) => ({ name, ending, messages }))).toEqual([]);
  const before = await image.cutPower();
  for (const worker of workers) worker.signal("SIGKILL");
  for (const worker of workers) {
    await worker.ended;
    for (const { event, code } of worker.messages) {
      if (event === "failed") failures.set(String(code), (failures.get(String(code)) ?? 0) + 1);
    }
  }
  image.unmount();
  image.mount();
  return before;
}
