// @ts-check
/** Marks for whoever looks at this program's system calls. */
import { accessSync } from "node:fs";

/** @param {string} label */
function mark(label) {
  try {
    accessSync(`/sessiondir-mark/${label}`);
  } catch {
    // There is no such file: the call itself is the mark.
  }
}

/** Runs something between two marks. @template R @param {string} name @param {() => R | Promise<R>} work */
export async function region(name, work) {
  mark(`begin-${name}`);
  const result = work();
  const settled = result instanceof Promise ? await result : result;
  mark(`end-${name}`);
  return settled;
}
