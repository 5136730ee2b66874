// @ts-check
/** Numbers as people read them. */
import { count, duration, size } from "../../examples/demo/report.mjs";
import { spread } from "./statistics.mjs";

/** @param {number} value @param {import("../runner/sheet.mjs").Unit} unit */
export function inWords(value, unit) {
  if (unit === "bytes") return size(value);
  if (unit === "time") return value < 1 ? `${value.toFixed(2)} µs` : duration(value);
  return `${value < 10 ? value.toFixed(1) : count(value)}/s`;
}

/**
 * @param {readonly number[]} samples
 * @param {import("../runner/sheet.mjs").Unit} unit
 * @returns {string} The median, and the middle 80 % where there were several rounds.
 */
export function spreadInWords(samples, unit) {
  const { median, p10, p90 } = spread(samples);
  const middle = inWords(median, unit);
  if (samples.length < 3) return middle;
  const bare = (/** @type {number} */ value) => inWords(value, unit).replace("/s", "");
  const [low, high] = [bare(p10), bare(p90)];
  const [number, measure] = low.split(" ");
  return `${middle} (${high.endsWith(` ${measure}`) && measure !== undefined ? number : low} - ${high})`;
}

/** @param {number} ratio */
export function factor(ratio) {
  if (ratio >= 100) return `${count(ratio)}x`;
  return `${ratio >= 10 ? ratio.toFixed(1) : ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2)}x`;
}

/** @param {string} text @param {number} width Of a line. @returns {string[]} */
export function wrap(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
