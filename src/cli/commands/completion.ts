/**
 * `sessiondir completion`: a script that completes commands, options and keys in bash, zsh or fish. Commands and options
 * are in the script, so that they cost no process; keys come from the hidden command `__keys`.
 */
import type { Command } from "commander";
import { usageError } from "../failure.js";
import { addExamples, type Invocation } from "../invocation.js";
import { KEYS_COMMAND } from "../completion-keys.js";

export function addCompletion(program: Command, invocation: Invocation): void {
  const command = program
    .command("completion")
    .description("print a script for completion in bash, zsh or fish; keys are completed from the store")
    .argument("<shell>", "bash, zsh or fish")
    .action(async (shell: string) => {
      const { completionScript, SHELLS } = await import("../completion-scripts.js");
      const known = SHELLS.find((name) => name === shell);
      if (known === undefined)
        throw usageError(`the shell must be ${SHELLS.join(", ")}, not ${JSON.stringify(shell)}`);
      await invocation.terminal.write(completionScript(program, known));
    });
  addExamples(
    command,
    "completion bash > ~/.local/share/bash-completion/completions/sessiondir",
    "completion zsh > ~/.zfunc/_sessiondir",
    "completion fish > ~/.config/fish/completions/sessiondir.fish",
  );
  program
    .command(KEYS_COMMAND, { hidden: true })
    .argument("<prefix>")
    .argument("[words...]", "the command line so far, for --store and the like")
    .action(async (prefix: string, words: readonly string[]) => {
      const { printKeys } = await import("../completion-keys.js");
      await printKeys(invocation, prefix, words);
    });
}
