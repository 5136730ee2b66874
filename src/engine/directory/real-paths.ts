/**
 * A store is reached through a descriptor of its folder where the system can do that, and `/proc/self/fd/7/log` means
 * nothing to people: errors and warnings name the real paths. Only paths are rewritten here. What was being
 * attempted, and with which session, is said by the layer that knows it: see `store/engine-calls.ts`.
 */
import { errnoOf, SessionStoreError, type ErrorData, type StoreWarning } from "../../errors.js";
import type { TrustedRoot } from "../../fs/trusted-path.js";
import type { DamagedSession } from "../contract.js";

/** The same error with real paths. A failed system call stays one, and names the store where it named no path. */
export function withRealPaths(error: unknown, root: TrustedRoot): unknown {
  if (error instanceof SessionStoreError) {
    const data = dataWithRealPaths(error.data, root);
    const message = realPathsIn(error.message, root);
    if (message === error.message && data === error.data) return error;
    return new SessionStoreError(error.code, message, { data, cause: error.cause });
  }
  const { syscall, path } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  if (!(error instanceof Error) || errnoOf(error) === undefined || syscall === undefined) return error;
  return Object.assign(new Error(realPathsIn(error.message, root), { cause: error }), {
    code: errnoOf(error),
    syscall,
    path: path === undefined ? root.realPath : realPathsIn(path, root),
  });
}

/** An iteration fails in one of its steps, long after the call that began it. */
export function iterationWithRealPaths<T>(
  iteration: AsyncIterable<T>,
  told: (error: unknown) => unknown,
): AsyncIterable<T> {
  const refuse = (error: unknown): never => {
    throw told(error);
  };
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = iteration[Symbol.asyncIterator]();
      return {
        next: () => iterator.next().catch(refuse),
        return: async (value?: unknown) => (await iterator.return?.(value)) ?? { done: true, value },
      };
    },
  };
}

export function warningWithRealPaths({ code, message, data }: StoreWarning, root: TrustedRoot): StoreWarning {
  return { code, message: realPathsIn(message, root), data: dataWithRealPaths(data, root) };
}

export function damageWithRealPaths(damaged: DamagedSession, root: TrustedRoot): DamagedSession {
  const { path, reason } = damaged;
  return { ...damaged, path: realPathsIn(path, root), reason: realPathsIn(reason, root) };
}

function realPathsIn(text: string, root: TrustedRoot): string {
  return text.replaceAll(root.path, root.realPath);
}

function dataWithRealPaths(data: ErrorData, root: TrustedRoot): ErrorData {
  const entries = Object.entries(data);
  if (!entries.some(([, value]) => typeof value === "string" && value.includes(root.path))) return data;
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "string" ? realPathsIn(value, root) : value]),
  );
}
