// @ts-check
/** One change to one file, which must have the text to be changed exactly once. */

/**
 * @param {string} source
 * @param {import("./suites.mjs").Mutant} mutant
 * @returns {string} The file as the mutant has it.
 */
export function apply(source, { name, file, find, replace }) {
  const at = source.indexOf(find);
  if (at < 0) throw new Error(`${name}: ${file} does not have ${JSON.stringify(find)}`);
  if (source.includes(find, at + 1)) throw new Error(`${name}: ${file} has ${JSON.stringify(find)} twice`);
  if (find === replace) throw new Error(`${name} changes nothing`);
  return source.slice(0, at) + replace + source.slice(at + find.length);
}
