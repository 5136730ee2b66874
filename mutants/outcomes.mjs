// @ts-check
/**
 * What became of each mutant when it was tried last, in docs/evidence/mutants.json: so a run of a few of them keeps the page true, and
 * which ones have to be tried is a question to a file.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** @typedef {import("./suites.mjs").Mutant} Mutant */

/**
 * @typedef {object} Kept
 * @property {string} file
 * @property {string} name
 * @property {string} change Digest of what the mutant changes.
 * @property {string} source Digest of the file that it was tried on; "" where that is not known.
 * @property {string | null} by What failed; null for a survivor.
 * @property {number} seconds
 */

export class Outcomes {
  /** @readonly @type {Map<string, Kept>} */
  #kept = new Map();

  /** @param {string} path */
  constructor(path) {
    this.path = path;
    if (!existsSync(path)) return;
    /** @type {Kept[]} */
    const kept = JSON.parse(readFileSync(path, "utf8"));
    for (const one of kept) this.#kept.set(placeOf(one), one);
  }

  /**
   * Of a mutant that was tried as it is; undefined: it was not.
   * @param {Mutant} mutant
   * @returns {Kept | undefined}
   */
  of(mutant) {
    const kept = this.#kept.get(placeOf(mutant));
    return kept?.change === changeOf(mutant) ? kept : undefined;
  }

  /**
   * Whether it was tried on its file as that is now.
   * @param {Mutant} mutant
   * @param {string | undefined} source
   */
  isFresh(mutant, source) {
    return source !== undefined && this.of(mutant)?.source === digestOf(source);
  }

  /**
   * @param {Mutant} mutant
   * @param {string | undefined} source
   * @param {import("./sandbox.mjs").Outcome} outcome
   */
  add(mutant, source, { by, seconds }) {
    const { file, name } = mutant;
    const change = changeOf(mutant);
    const rounded = Math.round(seconds);
    this.#kept.set(placeOf(mutant), {
      file,
      name,
      change,
      source: source === undefined ? "" : digestOf(source),
      by: by ?? null,
      seconds: rounded,
    });
  }

  /** Writes those of the list, in its order, one a line. @param {readonly Mutant[]} mutants */
  write(mutants) {
    const lines = mutants.flatMap((mutant) => {
      const kept = mutant.equivalent === undefined ? this.of(mutant) : undefined;
      return kept === undefined ? [] : [JSON.stringify(kept)];
    });
    writeFileSync(this.path, `[\n${lines.join(",\n")}\n]\n`);
  }
}

/** @param {{ readonly file: string, readonly name: string }} mutant */
function placeOf({ file, name }) {
  return `${file}\n${name}`;
}

/** @param {Mutant} mutant */
function changeOf({ find, replace }) {
  return digestOf(JSON.stringify([find, replace]));
}

/** @param {string} text */
function digestOf(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
