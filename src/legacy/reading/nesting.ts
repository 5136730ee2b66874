/** How deep parsed values nest. */

/** An object of scalars being 1; stops counting above `max`. Never recurses deeper than that. */
export function levelsOf(value: unknown, max: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (max <= 0) return 1;
  let deepest = 0;
  for (const child of Object.values(value)) {
    const levels = levelsOf(child, max - 1);
    if (levels > deepest) deepest = levels;
    if (deepest > max) break;
  }
  return deepest + 1;
}
