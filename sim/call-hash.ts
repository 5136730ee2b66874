/** A hash of all calls of a run, in order: it says whether two runs were the same. */
import type { SimulatedCall } from "../src/testing/simulated/file-system.js";

const PATH_END = 24;

export class CallHash {
  #hash = 0x811c9dc5;

  /** @param ordinal Of the process that makes the call. */
  add(ordinal: number, { name, args: [target] }: SimulatedCall): void {
    this.#mix(ordinal * 31 + name.length * 7 + name.charCodeAt(2));
    if (typeof target === "string") {
      for (let at = Math.max(0, target.length - PATH_END); at < target.length; at++) {
        this.#mix(target.charCodeAt(at));
      }
    } else if (typeof target === "number") this.#mix(target);
  }

  #mix(number: number): void {
    this.#hash = Math.imul(this.#hash ^ number, 0x01000193);
  }

  toString(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }
}
