/**
 * One process of several that take a lease by turns: while it has it, it counts in a session and says so in a transcript, in one
 * transaction. Its wall clock jumps by an hour now and then.
 *
 *     node leases.mjs '{"path":…,"owner":…,"ttlMs":…,"sections":…,"seed":…,"fenced":…,"stops":…}'
 *
 * `sections`: the count at which it ends. `stops`: it stops itself before its first write, as a machine that hangs would.
 */
import { openDirectoryStore } from "sessiondir";
import { openLeases } from "sessiondir/lease";

const { path, owner, ttlMs, sections, seed, fenced, stops } = JSON.parse(process.argv[2] ?? "{}");

let state = seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
const now = Date.now;
let jump = 0;
Date.now = () => now() + jump;

const store = await openDirectoryStore(path, { durability: "os" });
const leases = openLeases(store);
let stopped = false;

for (let entered = 0; ; entered++) {
  jump = Math.trunc((random() - 0.5) * 2) * 3_600_000 + Math.trunc(random() * 3 - 1) * 3_600_000;
  const counted = await store.get("counter");
  if ((counted?.n ?? 0) >= sections) break;
  const lease = await leases.acquire("counter", { owner, ttlMs, waitMs: 60_000 });
  try {
    const times = 1 + Math.trunc(random() * 60);
    for (let time = 0; time < times; time++) {
      const id = `${owner}.${entered}.${time}`;
      const write = async (tx) => {
        const { n = 0 } = (await tx.get("counter")) ?? {};
        await tx.put("counter", { n: n + 1 });
        await tx.append("counter", [{ n: n + 1, token: lease.token, owner }], {
          transcript: "work",
          ids: [id],
        });
      };
      if (stops && !stopped) {
        stopped = true;
        process.kill(process.pid, "SIGSTOP");
      }
      await (fenced ? lease.transact(write) : store.transact(write));
    }
    if (random() < 0.9) await lease.release();
  } catch (error) {
    if (error?.code !== "lease_lost") throw error;
  }
}
await store.close();
process.disconnect?.();
