/** `sessiondir man`: the man page, made from the tree of commands. The package installs what this prints. */
import type { Command } from "commander";
import { addExamples, type Invocation } from "../invocation.js";

export function addMan(program: Command, { terminal }: Invocation): void {
  const command = program
    .command("man")
    .description("print the man page, for man -l - and mandoc")
    .action(async () => {
      const { manPage } = await import("../man-page.js");
      await terminal.write(manPage(program));
    });
  addExamples(command, "man | man -l -", "man > /usr/local/share/man/man1/sessiondir.1");
}
