// @ts-check
/** docs/evidence/mutants.md: which suite killed which mutant. */
import { format, resolveConfig } from "prettier";

const HEAD = `# Mutants

Rebuilt by \`npm run mutants\`; what it is and what it is not: [testing](../testing.md#mutants). Each line is a program in which one step is
missing or wrong, and the first test that failed with it when it was tried last. Seconds are those of the machine that tried it, other
work beside it included.
`;

/**
 * @param {readonly import("./suites.mjs").Mutant[]} mutants
 * @param {import("./outcomes.mjs").Outcomes} outcomes
 * @param {string} path Where the page will be.
 * @returns {Promise<string>}
 */
export async function describeMutants(mutants, outcomes, path) {
  const open = mutants.filter((mutant) => mutant.equivalent === undefined);
  const tried = open.filter((mutant) => outcomes.of(mutant) !== undefined);
  const survivors = tried.filter((mutant) => outcomes.of(mutant)?.by === null).length;
  const lines = [
    HEAD,
    `${tried.length} mutants, ${tried.length - survivors} killed, ${survivors} survived.\n`,
  ];
  if (tried.length < open.length) lines.push(`${open.length - tried.length} more were not tried yet.\n`);
  for (const file of new Set(tried.map((mutant) => mutant.file))) {
    lines.push(`## ${file}\n`);
    const rows = tried
      .filter((mutant) => mutant.file === file)
      .map((mutant) => {
        const { by = null, seconds = 0 } = outcomes.of(mutant) ?? {};
        return [mutant.name, mutant.rule, by ?? "**nothing**", seconds.toFixed(0)];
      });
    lines.push(table(["mutant", "attacks", "killed by", "seconds"], rows));
  }
  const equivalent = mutants.filter((mutant) => mutant.equivalent !== undefined);
  if (equivalent.length > 0) {
    lines.push("## Not tried, because no test can tell\n");
    const rows = equivalent.map(({ name, file, equivalent: why }) => [name, file, why ?? ""]);
    lines.push(table(["mutant", "file", "why"], rows));
  }
  return format(lines.join("\n"), { ...(await resolveConfig(path)), parser: "markdown" });
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
function table(head, rows) {
  const lines = [head, head.map(() => "---"), ...rows.map((row) => row.map(inCell))];
  return `${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
}

/** @param {string} text */
function inCell(text) {
  return text.replace(/\s+/g, " ").replace(/[\\|*_<>`[\]]/g, (sign) => `\\${sign}`);
}
