#!/usr/bin/env node
/**
 * The program `sessiondir`. It answers `--version` by itself and loads everything else only when it is needed: scripts
 * ask for the version often, and must not wait for a store.
 */
import { VERSION } from "./version.js";

const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  process.stdout.write(`${VERSION}\n`);
} else {
  const { run } = await import("./program.js");
  process.exitCode = await run(args);
}
