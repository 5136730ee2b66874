/** `sessiondir/lease`: whose turn it is, over a store of any engine. */
export { openLeases } from "./leases.js";
export type { AcquireOptions, LeaseInfo, Leases, LeasesOptions, StealOptions } from "./leases.js";
export type { HeldLease } from "./lease.js";
