/** The operation that a transaction is, as its caller names it and as engines remember it. */
import { createHash } from "node:crypto";
import type { Operation } from "../engine/contract.js";
import type { Limits } from "../format/limits.js";
import { assertId } from "../format/transcript-name.js";
import { canonicalJson } from "../format/value-json.js";
import { requireKnownNames, requireObject } from "./arguments.js";
import type { OperationOptions } from "./types.js";

const NAMES: ReadonlySet<string> = new Set(["id", "content"]);

/** @throws `TypeError`, `id_too_long`, and what a content that is no JSON value gives. */
export function toOperation(given: OperationOptions["operation"], limits: Limits): Operation {
  requireObject(given, "options.operation");
  requireKnownNames(given, "options.operation", NAMES);
  const { id, content } = given;
  assertId(id, "options.operation.id");
  const text = content === undefined ? "" : canonicalJson(content, "options.operation.content", limits);
  return { id, hash: createHash("sha256").update(text).digest("hex") };
}
