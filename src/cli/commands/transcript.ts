/** `sessiondir transcript`: the commands on the transcripts of a session, a file each. */
import type { Command } from "commander";
import { addGroup } from "../command-group.js";
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
  const description =
    "look into the transcripts of a session, append to them, truncate, remove and import them";
  addGroup(program, invocation, "transcript", description, COMMANDS);
}
