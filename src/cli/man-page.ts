/**
 * The man page, from the tree of commands: what `--help` says of every command on one page, and what they share. In the
 * man macros, which man-db, mandoc and the BSDs read alike.
 */
import type { Command } from "commander";
import { commandTree, optionsOf, runnable, type CommandInfo, type OptionInfo } from "./command-tree.js";
import { EXIT_MEANINGS } from "./failure.js";
import { VERSION } from "./version.js";

const ENVIRONMENT: readonly (readonly [name: string, text: string])[] = [
  ["SESSIONDIR_STORE", "The store that is meant when no option says which."],
  ["OPENCLAW_STATE_DIR", "The state directory when --state-dir is not given; ~/.openclaw without it."],
  ["NO_COLOR", "No colours."],
  ["FORCE_COLOR", "Colours also in a pipe."],
];

/** The page as roff. */
export function manPage(program: Command): string {
  const commands = runnable(commandTree(program));
  const lines = [
    `.TH SESSIONDIR 1 "" "sessiondir ${VERSION}" "User Commands"`,
    ".SH NAME",
    `sessiondir \\- ${text("look into session stores, change them, and bring sessions.json files over and back")}`,
    ".SH SYNOPSIS",
    ...commands.flatMap(({ usage }, index) => [
      ...(index === 0 ? [] : [".br"]),
      ".B sessiondir",
      text(usage),
    ]),
    ".SH DESCRIPTION",
    text(
      "A session store is a folder with a folder for each session of an AI agent gateway. Every command works while gateways " +
        "run: it opens the store like any other process and locks nobody out. Commands that read change nothing on disk.",
    ),
    ".PP",
    text(
      "The store is --store or the argument; else that of an agent in --state-dir; else $SESSIONDIR_STORE; else that of an " +
        "agent in $OPENCLAW_STATE_DIR; else ./sessions.d; else that of an agent in ~/.openclaw. " +
        "The agent is --agent, else that of the key, else the only one that has sessions.",
    ),
    ".PP",
    text(
      'A path to a field is written usage.total, messages[0].text, or "a.b".c with a JSON string for a name that has other ' +
        "characters; a backslash takes the next character as it is.",
    ),
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH OPTIONS",
    ...optionsOf(program).flatMap(optionLines),
    ".SH EXIT STATUS",
    ...EXIT_MEANINGS.flatMap(([code, , long]) => [".TP", `.B ${code}`, text(long)]),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, meaning]) => [".TP", `.B ${text(name)}`, text(meaning)]),
    ".SH SEE ALSO",
    text("The shapes of the JSON and everything else: docs/cli.md of the package."),
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines({ usage, description, options, examples }: CommandInfo): string[] {
  return [
    `.SS "sessiondir ${text(usage)}"`,
    text(`${description.slice(0, 1).toUpperCase()}${description.slice(1)}.`),
    ...options.flatMap(optionLines),
    ...(examples.length === 0 ? [] : [".PP", "Examples:", ".PP", ".nf", ".RS 4"]),
    ...examples.map((example) => text(`sessiondir ${example}`)),
    ...(examples.length === 0 ? [] : [".RE", ".fi"]),
  ];
}

function optionLines({ flags, description }: OptionInfo): string[] {
  return [".TP", `.B ${text(flags)}`, text(description)];
}

/** Text that roff takes as text: no escapes, no requests, hyphens that can be copied. */
function text(plain: string): string {
  const escaped = plain.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
