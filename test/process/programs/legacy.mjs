// @ts-check
/** Migrates a legacy file or rolls a store back, when told to, and says what came of it. */
import { migrateLegacyStore, rollbackToLegacy } from "sessiondir/legacy";
import { argument, say, told } from "./conversation.mjs";

const { path, action } = argument;
const begin = told("begin");
say({ event: "ready" });
await begin;
const { outcome, error } =
  action === "migrate" ? await migrateLegacyStore(path) : await rollbackToLegacy(path);
say({ event: "report", outcome, error });
