/** `sessiondir transcript`: the commands on the transcripts of a session, a file each. */
import type { Command } from "commander";
import { usageError } from "../failure.js";
import type { Invocation } from "../invocation.js";
import { addTranscriptAppend } from "./transcript-append.js";
import { addTranscriptCat } from "./transcript-cat.js";
import { addTranscriptImport } from "./transcript-import.js";
import { addTranscriptLs } from "./transcript-ls.js";
import { addTranscriptRm } from "./transcript-rm.js";
import { addTranscriptTail } from "./transcript-tail.js";
import { addTranscriptTruncate } from "./transcript-truncate.js";

const COMMANDS = [
  addTranscriptLs,
  addTranscriptTail,
  addTranscriptCat,
  addTranscriptAppend,
  addTranscriptTruncate,
  addTranscriptRm,
  addTranscriptImport,
];

export function addTranscript(program: Command, invocation: Invocation): void {
  const group = program
    .command("transcript")
    .description("look into the transcripts of a session, append to them, truncate, remove and import them")
    .helpCommand(false)
    .allowExcessArguments()
    .action(() => {
      const names = group.commands.map((command) => command.name()).join(", ");
      const [unknown] = group.args;
      const what =
        unknown === undefined ? "which command" : `transcript has no command ${JSON.stringify(unknown)}`;
      throw usageError(`${what}: it has ${names}. See sessiondir transcript --help`);
    });
  for (const add of COMMANDS) add(group, invocation);
}
