/** `--rewrite FIELD FROM TO`, the same for every command that has it. */
import type { Command } from "commander";
import { asUsage, usageError } from "./failure.js";
import type { RewriteRule } from "../care/moving/rewrite-rule.js";

export interface RewriteOption {
  /** All words behind all of them. */
  readonly rewrite?: readonly string[];
}

export function addRewriteOption(command: Command): Command {
  return command.option(
    "--rewrite <field-from-to...>",
    "FIELD FROM TO: what is at or below the path FROM in this field is at TO; may be repeated. It takes three words, so write it last",
  );
}

/** @throws a usage error where the words are not three for each. */
export async function rulesOf({ rewrite = [] }: RewriteOption): Promise<RewriteRule[]> {
  if (rewrite.length % 3 !== 0)
    throw usageError(
      `--rewrite takes FIELD FROM TO, and there are ${rewrite.length} words behind it: ${rewrite.join(" ")}. Write it behind all arguments`,
    );
  const rules: RewriteRule[] = [];
  for (let at = 0; at < rewrite.length; at += 3) {
    const [field = "", from = "", to = ""] = rewrite.slice(at, at + 3);
    rules.push(await ruleOf(field, from, to, "--rewrite"));
  }
  return rules;
}

/** @param option Where the field stands, for messages. */
export async function ruleOf(field: string, from: string, to: string, option: string): Promise<RewriteRule> {
  const { parseFieldPath } = await import("./field-path.js"); // for a command that has rules
  const { checkRules } = await import("../care/moving/rewrite-rule.js");
  const rule = { field: parseFieldPath(field, option).map(({ name }) => name), from, to };
  await asUsage(() => checkRules([rule]));
  return rule;
}
