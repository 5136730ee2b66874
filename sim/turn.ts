/** Everything that can run has run when this resolves: ticks come when no microtask is left. */
export function turn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
