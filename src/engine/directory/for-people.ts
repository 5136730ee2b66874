/** Paths through a pinned descriptor mean nothing to people: errors and warnings name the real ones. */
import { asStoreError, SessionStoreError, type ErrorData, type StoreWarning } from "../../errors.js";
import type { TrustedRoot } from "../../fs/trusted-path.js";
import type { DamagedSession } from "../contract.js";

/** The error as people should see it; a failed system call becomes one of the store's. */
export function errorForPeople(error: unknown, root: TrustedRoot): unknown {
  if (!(error instanceof Error)) return error;
  const known = asStoreError(error, "use the session store");
  if (!(known instanceof SessionStoreError)) return error;
  const data = dataForPeople(known.data, root);
  const message = textForPeople(known.message, root);
  if (message === known.message && data === known.data) return known;
  return new SessionStoreError(known.code, message, { data, cause: known.cause });
}

export function warningForPeople({ code, message, data }: StoreWarning, root: TrustedRoot): StoreWarning {
  return { code, message: textForPeople(message, root), data: dataForPeople(data, root) };
}

export function damagedForPeople(damaged: DamagedSession, root: TrustedRoot): DamagedSession {
  const { path, reason } = damaged;
  return { ...damaged, path: textForPeople(path, root), reason: textForPeople(reason, root) };
}

function textForPeople(text: string, root: TrustedRoot): string {
  return text.replaceAll(root.path, root.realPath);
}

function dataForPeople(data: ErrorData, root: TrustedRoot): ErrorData {
  const entries = Object.entries(data);
  if (!entries.some(([, value]) => typeof value === "string" && value.includes(root.path))) return data;
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "string" ? textForPeople(value, root) : value]),
  );
}
