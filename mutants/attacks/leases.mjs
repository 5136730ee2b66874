// @ts-check
/** Mutants of leases: who may take one, and whose writes count. */
import { inFile } from "../suites.mjs";

const LEASES = "test/lease/leases.test.ts";

const HELD = inFile(
  "src/lease/lease.ts",
  [LEASES],
  [
    {
      name: "a write does not look who has the lease",
      rule: "fencing",
      find: `        await this.#guard(tx);\n        return fn(tx);`,
      replace: `        return fn(tx);`,
    },
    {
      name: "any newer token counts as well",
      rule: "fencing",
      find: `if (holder.token === token && holder.ttlMs !== undefined) return;`,
      replace: `if (holder.token >= token && holder.ttlMs !== undefined) return;`,
    },
    {
      name: "a lease that was given back still counts",
      rule: "fencing",
      find: `if (holder.token === token && holder.ttlMs !== undefined) return;`,
      replace: `if (holder.token === token || holder.ttlMs === undefined) return;`,
    },
    {
      name: "a lease that was lost is renewed",
      rule: "fencing",
      find: `        await this.#guard(tx);\n        await tx.append(place, [{}], {`,
      replace: `        await tx.append(place, [{}], {`,
    },
    {
      name: "a lease that was lost is given back for its new holder",
      rule: "fencing",
      find: `        await this.#guard(tx);\n        await tx.append(place, [item], {`,
      replace: `        await tx.append(place, [item], {`,
    },
    {
      name: "a lease renews itself once",
      rule: "renewal",
      find: `    if (!this.signal.aborted) this.#renewLater();`,
      replace: ``,
    },
    {
      name: "one renewal that fails ends a lease",
      rule: "renewal",
      find: `if (runtime.monotonic() - this.#renewedAt >= this.ttlMs)`,
      replace: `if (runtime.monotonic() >= this.#renewedAt)`,
    },
    {
      name: "a lease that cannot be renewed goes on for its holder",
      rule: "renewal",
      find: `if (runtime.monotonic() - this.#renewedAt >= this.ttlMs)`,
      replace: `if (runtime.monotonic() - this.#renewedAt >= this.ttlMs * 1e6)`,
    },
    {
      name: "whose lease was lost is not told",
      rule: "renewal",
      find: `if (this.#isOurs(error)) this.#end(error);`,
      replace: ``,
    },
  ],
);

const TAKING = inFile(
  "src/lease/leases.ts",
  [LEASES],
  [
    {
      name: "a lease is taken whatever happened since it was looked at",
      rule: "one holder",
      find: `if (seen !== undefined && !isSame(await readLease(tx, place), seen)) return false;`,
      replace: ``,
    },
    {
      name: "whoever asks gets a lease that somebody has",
      rule: "one holder",
      find: `if (reason === "held") {`,
      replace: `if (reason === "held" && Number.isNaN(waitMs)) {`,
    },
  ],
);

const WAITING = inFile(
  "src/lease/waiting.ts",
  [LEASES],
  [
    {
      name: "a renewal does not make the waiter count anew",
      rule: "one holder",
      find: `if (!isSame(latest, state)) seenAt = at;`,
      replace: ``,
    },
    {
      name: "a lease is over before its time",
      rule: "one holder",
      find: `if (at - seenAt >= ttlMs)`,
      replace: `if (at - seenAt >= ttlMs / 2)`,
    },
    {
      name: "a lease is never over",
      rule: "one holder",
      find: `if (at - seenAt >= ttlMs)`,
      replace: `if (at - seenAt >= ttlMs * 1e6)`,
    },
    {
      name: "a holder of this machine is not looked for",
      rule: "ended holders",
      find: `isHere ? LOOK_MS : POLL_MS`,
      replace: `POLL_MS`,
    },
    {
      name: "a store is looked into only when a watch tells of something",
      rule: "one holder",
      find: `isHere ? LOOK_MS : POLL_MS`,
      replace: `isHere ? LOOK_MS : Number.POSITIVE_INFINITY`,
    },
    {
      name: "what happens while a wait begins is told to nobody",
      rule: "one holder",
      find: `if (key !== place) continue;`,
      replace: `continue;`,
    },
  ],
);

const STATE = inFile(
  "src/lease/lease-state.ts",
  [LEASES],
  [
    {
      name: "a renewal is not seen",
      rule: "one holder",
      find: `a.token === b.token && a.beat === b.beat`,
      replace: `a.token === b.token`,
    },
    {
      name: "the number of the item is the token",
      rule: "fencing",
      find: `return { token: newest.revision,`,
      replace: `return { token: newest.seq,`,
    },
    {
      name: "what another program wrote is a lease that is free",
      rule: "one holder",
      find: `ttlMs: isHolder && ttlMs === undefined ? undefined : given,`,
      replace: `ttlMs: ttlMs === undefined ? undefined : given,`,
    },
  ],
);

const PROCESSES = inFile(
  "src/fs/processes.ts",
  ["test/fs/processes.test.ts"],
  [
    {
      name: "a process of another machine has ended",
      rule: "ended holders",
      find: ` || space !== spaceOf(nodeFileSystem)) return false;`,
      replace: `) return false;`,
    },
    {
      name: "a process whose id was used again has not ended",
      rule: "ended holders",
      find: `(stat.start !== start || ENDED`,
      replace: `(ENDED`,
    },
    {
      name: "a process that nobody has asked after has not ended",
      rule: "ended holders",
      find: ` || ENDED_STATES.has(stat.state))`,
      replace: `)`,
    },
  ],
);

export const LEASE = [...HELD, ...TAKING, ...WAITING, ...STATE, ...PROCESSES];
