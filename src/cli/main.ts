#!/usr/bin/env node
/**
 * The program `sessiondir`. It answers `--version` by itself and loads everything else only when it is needed: scripts
 * ask for the version often, and must not wait for a store.
 */
import * as nodeModule from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { VERSION } from "./version.js";

const args = process.argv.slice(2);
// Everybody on this machine can read what a process was called with. From here on it is not there any more.
if (args.some((arg) => /postgres(?:ql)?:\/\//i.test(arg))) process.title = "sessiondir";

if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  process.stdout.write(`${VERSION}\n`);
} else {
  keepCompiled();
  await runProgram();
}

/**
 * From Node 22.1 on: what this process compiles, the next one finds compiled. In the cache folder of this user and nowhere else, for
 * who can write there decides what runs. `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */
function keepCompiled(): void {
  const { enableCompileCache } = nodeModule as { enableCompileCache?: (folder: string) => unknown };
  enableCompileCache?.(join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sessiondir"));
}

async function runProgram(): Promise<void> {
  let program;
  try {
    program = await import("./program.js");
  } catch (error) {
    // Nothing of ours could be loaded that would say it better.
    const why = error instanceof Error ? error.message.replace(/\s*\n\s*/g, " ") : String(error);
    process.stderr.write(
      `sessiondir: the program itself could not be loaded: ${why}. Install it anew, or let node read ${import.meta.dirname}.\n`,
    );
    process.exitCode = 1;
    return;
  }
  const { exitCode, abandoned } = await program.run(args);
  process.exitCode = exitCode;
  if (abandoned) process.exit();
}
