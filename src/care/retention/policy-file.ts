/** A policy as a file: JSON, described by docs/retention.schema.json. Only read, so nothing can be left half done. */
import { dirname, resolve } from "node:path";
import { asStoreError, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import { unlessAbsent } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { jsonFault } from "../../format/json-fault.js";
import { checkPolicy, PolicyFault, type Policy } from "./policy.js";
import type { RetentionPolicy } from "./policy-types.js";

const BYTES_MAX = 4 * 1024 * 1024;

/**
 * Reads a policy from a file. Its archive folder is relative to the file.
 * @throws `file_not_found`, `file_unsafe` for what is no regular file; `policy_invalid`, with `data.member`; `io_error`.
 * @example
 * const policy = readPolicyFile("retention.json");
 */
export function readPolicyFile(path: string): Policy {
  return readPolicyFileOn(nodeFileSystem, path);
}

/** The same on a file system of the caller's, for tests. */
export function readPolicyFileOn(fs: FileSystem, path: string): Policy {
  const file = resolve(path);
  const text = textOf(fs, file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const at = jsonFault(text) ?? text.length;
    const line = text.slice(0, at).split("\n").length;
    throw invalid(file, `is not JSON: line ${line} is where it shows.`, { line });
  }
  try {
    return checkPolicy(value as RetentionPolicy, dirname(file));
  } catch (error) {
    if (!(error instanceof PolicyFault)) throw error;
    throw invalid(file, `cannot be used: ${error.message}`, { member: error.member });
  }
}

function textOf(fs: FileSystem, file: string): string {
  try {
    const bytes = unlessAbsent(() => readRegularFile(fs, file, { bytesMax: BYTES_MAX }));
    if (bytes !== undefined) return bytes.toString("utf8").replace(/^\ufeff/, "");
  } catch (error) {
    throw asStoreError(error, `read ${file}`);
  }
  throw new SessionStoreError(
    "file_not_found",
    `there is no file ${file}. Nothing was removed: check its path.`,
    {
      data: { path: file },
    },
  );
}

function invalid(path: string, what: string, data: SessionStoreError["data"]): SessionStoreError {
  return new SessionStoreError(
    "policy_invalid",
    `the policy ${path} ${what} Nothing was removed: correct it, docs/retention.md has every member.`,
    { data: { path, ...data } },
  );
}
