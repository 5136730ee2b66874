// @ts-check
/**
 * @param {number} count
 * @param {number} exponent
 * @param {{ next(): number }} random
 * @returns {() => number} Draws from 0 to below count; 0 most often. Which sessions are busy says nothing else.
 */
export function zipfDraw(count, exponent, random) {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) cumulative[rank] = sum += 1 / (rank + 1) ** exponent;
  return () => {
    const wanted = random.next() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? sum) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
