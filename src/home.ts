/** Where a gateway's home is, by OpenClaw's rule: `$OPENCLAW_HOME`, then `$HOME`, then what the system says. */
import { homedir } from "node:os";
import { join, resolve, sep } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

export function homeDirectory({ OPENCLAW_HOME, HOME, USERPROFILE }: Environment = process.env): string {
  const home = HOME?.trim() || USERPROFILE?.trim() || homedir();
  const own = OPENCLAW_HOME?.trim();
  return resolve(own === undefined || own === "" ? home : own.replace(/^~(?=$|[\\/])/, () => home));
}

/** A path with a leading `~` for the home. */
export function withHome(path: string, environment: Environment = process.env): string {
  const isHome = path === "~" || path.startsWith("~/") || path.startsWith(`~${sep}`);
  return isHome ? join(homeDirectory(environment), path.slice(1)) : path;
}
