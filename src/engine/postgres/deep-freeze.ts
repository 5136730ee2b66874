/** Without recursion: what others stored may nest deeper than this process would store. */
export function deepFreeze<T extends object>(value: T): T {
  const open: object[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    Object.freeze(next);
    for (const item of Object.values(next) as unknown[])
      if (typeof item === "object" && item !== null && !Object.isFrozen(item)) open.push(item);
  }
  return value;
}
