// @ts-check
/** What a figure depends on besides the code: without names of hosts or people. */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS = new Map([
  [0xef53, "ext2/3/4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs: nothing is ever written to a disk here"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
]);

/** @param {string} folder Where the stores are made. */
export function describeMachine(folder) {
  const type = statfsSync(folder).type;
  return {
    node: process.version,
    platform: `${process.platform} ${release()} ${process.arch}`,
    cpu: `${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    fileSystem: mountedType(folder) ?? FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
  };
}

/** @param {string} folder @returns {string | undefined} Linux knows it by name. */
function mountedType(folder) {
  let mounts;
  try {
    mounts = readFileSync("/proc/self/mounts", "utf8");
  } catch {
    return undefined;
  }
  let best = { point: "", type: /** @type {string | undefined} */ (undefined) };
  for (const line of mounts.split("\n")) {
    const [, point = "", type] = line.split(" ");
    const inside = folder === point || folder.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (inside && point.length >= best.point.length) best = { point, type };
  }
  return best.type;
}
