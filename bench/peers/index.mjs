// @ts-check
import { betterSqlite3, betterSqlite3Caching } from "./better-sqlite3.mjs";
import { sessiondir } from "./sessiondir.mjs";

export const PEERS = [sessiondir, betterSqlite3, betterSqlite3Caching];

/** @param {string} name */
export function peerNamed(name) {
  const peer = PEERS.find((peer) => peer.name === name);
  if (peer === undefined) throw new RangeError(`no peer is called ${name}`);
  return peer;
}
