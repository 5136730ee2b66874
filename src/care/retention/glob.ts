/**
 * Patterns of keys: `*` is any text, also with `:` in it, or none; everything else is itself. Pure, and no pattern takes longer than
 * pattern times key, whatever somebody calls a session.
 */
export function globOf(pattern: string): (key: string) => boolean {
  const parts = pattern.split("*");
  const first = parts[0] ?? "";
  if (parts.length === 1) return (key) => key === first;
  const last = parts.at(-1) ?? "";
  const middle = parts.slice(1, -1).filter((part) => part !== "");
  return (key) => {
    if (key.length < first.length + last.length || !key.startsWith(first) || !key.endsWith(last))
      return false;
    const end = key.length - last.length;
    let at = first.length;
    for (const part of middle) {
      // The first place is as good as any: what follows has the most room behind it.
      const found = key.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
