// @ts-check
/** @param {number} n */
export function keyOf(n) {
  return `agent:main:${String(n).padStart(6, "0")}`;
}

/**
 * Calls a second of so many lanes, each of which waits for its call.
 * @param {(key: string) => Promise<unknown>} call
 * @param {{ lanes: number, ms: number, keys: number, from?: number }} how
 */
export async function rate(call, { lanes, ms, keys, from = 0 }) {
  const began = performance.now();
  const end = began + ms;
  let calls = 0;
  const run = async (/** @type {number} */ lane) => {
    for (let i = lane; performance.now() < end; i += lanes) {
      await call(keyOf(from + (i % keys)));
      calls++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)));
  return (calls * 1000) / (performance.now() - began);
}
