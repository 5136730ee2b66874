// @ts-check
/**
 * A copy of the project in a temporary folder, in which one mutant after the other is tried. The project itself is never
 * changed. A run that is killed leaves the folder, which nobody uses again.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { apply } from "./apply.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COPIED = ["src", "test", "sim", "scripts", "mutants", "package.json"];
const CONFIGURATION = ["tsconfig.json", "tsconfig.sim.json"];
/** A mutant that makes a loop endless is noticed by that, too. */
const SUITES_MS_MAX = 120_000;
const UNCHANGED_MS_MAX = 900_000;
const SIMULATION_MS_MAX = 600_000;
const SIMULATED = ["--seed", "1", "--schedules", "20000", "--workers", "0"];

/** @typedef {{ by: string | undefined, seconds: number }} Outcome `by`: what failed, undefined for a survivor. */

export class Sandbox {
  /** @readonly */
  #folder = mkdtempSync(join(tmpdir(), "sessiondir-mutants-"));
  /** Process group of what runs. @type {number | undefined} */
  #group;

  constructor() {
    for (const name of [...COPIED, ...CONFIGURATION])
      cpSync(join(ROOT, name), join(this.#folder, name), { recursive: true });
    for (const name of ["node_modules", "docs"]) symlinkSync(join(ROOT, name), join(this.#folder, name));
  }

  /** May be called while something runs: that is ended. */
  dispose() {
    this.#end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #end() {
    if (this.#group !== undefined) process.kill(-this.#group, "SIGKILL");
    this.#group = undefined;
  }

  /**
   * What fails in the program as it is: then no outcome would mean anything.
   * @param {readonly string[]} suites
   */
  unchanged(suites) {
    return this.#runSuites(suites, UNCHANGED_MS_MAX);
  }

  /**
   * @param {import("./suites.mjs").Mutant} mutant
   * @param {boolean} simulate
   * @returns {Promise<Outcome>}
   */
  async try(mutant, simulate) {
    const path = join(this.#folder, mutant.file);
    const source = readFileSync(path, "utf8");
    const start = performance.now();
    writeFileSync(path, apply(source, mutant));
    try {
      let by = await this.#runSuites(mutant.suites, SUITES_MS_MAX);
      if (by === undefined && simulate) by = await this.#simulate();
      return { by, seconds: (performance.now() - start) / 1000 };
    } finally {
      writeFileSync(path, source);
    }
  }

  /**
   * @param {readonly string[]} suites
   * @param {number} msMax
   */
  async #runSuites(suites, msMax) {
    const report = join(this.#folder, "report.json");
    rmSync(report, { force: true });
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const args = [
      "run",
      "--config",
      "mutants/vitest.config.mjs",
      "--reporter",
      "json",
      "--outputFile",
      report,
    ];
    const status = await this.#run([vitest, ...args], msMax, {
      SESSIONDIR_MUTANT_SUITES: suites.join(),
    });
    if (status === 0) return undefined;
    return status === "late" ? `${suites[0] ?? ""}: no end` : firstFailure(report, this.#folder);
  }

  async #simulate() {
    const built = await this.#run(
      [join(ROOT, "node_modules/typescript/bin/tsc"), ...BUILD],
      SIMULATION_MS_MAX,
    );
    if (built === "late") throw new Error("the simulator could not be built");
    const status = await this.#run(
      [join(this.#folder, "build/sim/main.js"), ...SIMULATED],
      SIMULATION_MS_MAX,
    );
    return status === 0 ? undefined : `the simulator (${SIMULATED.join(" ")})`;
  }

  /**
   * @param {readonly string[]} args
   * @param {number} msMax
   * @param {NodeJS.ProcessEnv} [env]
   * @returns {Promise<number | "late">}
   */
  #run(args, msMax, env) {
    return new Promise((resolve, reject) => {
      // A process group of its own, so that vitest's workers end with it.
      const child = spawn(process.execPath, args, {
        cwd: this.#folder,
        env: { ...process.env, SESSIONDIR_THOROUGH: "1", ...env },
        stdio: "ignore",
        detached: true,
      });
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        this.#end();
      }, msMax);
      this.#group = child.pid;
      child.on("error", reject);
      child.on("close", (code) => {
        clearTimeout(timer);
        this.#group = undefined;
        resolve(late ? "late" : (code ?? 1));
      });
    });
  }
}

/** Types need not fit in a mutant. */
const BUILD = ["-p", "tsconfig.sim.json", "--noCheck"];

/**
 * @param {string} report
 * @param {string} folder
 */
function firstFailure(report, folder) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  for (const { name, assertionResults, message } of testResults) {
    const suite = name.slice(name.indexOf("/test/") + 1);
    const failed = assertionResults.find(
      (/** @type {{ status: string }} */ { status }) => status === "failed",
    );
    if (failed !== undefined) return `${suite}: ${failed.fullName.trim()}`;
    if (message !== "" && assertionResults.length === 0)
      throw new Error(`${suite} cannot be loaded: ${message.replaceAll(folder, "").slice(0, 500)}`);
  }
  return `${testResults[0]?.name.slice(folder.length + 1) ?? "vitest"}: an error outside of its tests`;
}
