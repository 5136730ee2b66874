// @ts-check
/** One change to one file, which must have the text to be changed exactly once. */

/**
 * @param {string} source
 * @param {import("./suites.mjs").Mutant} mutant
 * @returns {string} The file as the mutant has it.
 */
export function apply(source, mutant) {
  const problem = misfit(source, mutant);
  if (problem !== undefined) throw new Error(problem);
  return source.replace(mutant.find, () => mutant.replace);
}

/**
 * @param {string | undefined} source Undefined if there is no such file.
 * @param {import("./suites.mjs").Mutant} mutant
 * @returns {string | undefined} Why the mutant does not fit the file as it is.
 */
export function misfit(source, { name, file, find, replace }) {
  if (source === undefined) return `${name}: there is no ${file}`;
  const at = source.indexOf(find);
  if (at < 0) return `${name}: ${file} does not have ${JSON.stringify(find)}`;
  if (source.includes(find, at + 1)) return `${name}: ${file} has ${JSON.stringify(find)} twice`;
  return find === replace ? `${name} changes nothing` : undefined;
}
