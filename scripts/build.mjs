// @ts-check
/**
 * `npm run build`: src/ to dist/ with plain tsc, then removes what an earlier build left for modules that are gone, makes
 * the program executable and lets it print its man page.
 *
 * dist/ is never emptied first, so that a process that runs from it keeps working during a build.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const tsc = join(root, "node_modules/typescript/bin/tsc");

const compiled = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const built = join(entry.parentPath, entry.name);
  const source = join(root, "src", relative(dist, built)).replace(/(?:\.d)?\.(c?)[jt]s(?:\.map)?$/, ".$1ts");
  if (!existsSync(source)) rmSync(built);
}

const main = join(dist, "cli/main.js");
chmodSync(main, 0o755);

const page = spawnSync(process.execPath, [main, "man"], { encoding: "utf8" });
if (page.status !== 0) {
  process.stderr.write(page.stderr);
  process.exit(1);
}
mkdirSync(join(dist, "man"), { recursive: true });
writeFileSync(join(dist, "man/sessiondir.1"), page.stdout);
