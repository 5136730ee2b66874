// @ts-check
/**
 * Looks at the shared value of a session of a listing. It is read when it is touched, and a value that no session refers to any more
 * is removed: a worker that was stopped between its listing and this look may find it gone. That is excused only if the session
 * has gone on since.
 */

/** Characters of a `prompt` that several sessions share. */
export const PROMPT_LENGTH = 5000;

/**
 * @param {Pick<import("sessiondir").SessionStore<any>, "read">} store
 * @param {{ readonly key: string, readonly revision: number, readonly entry: any }} listed
 * @returns {Promise<"right" | "gone on">} "gone on" if the value was not there, and the session is not what was listed.
 */
export async function lookAtShared(store, { key, revision, entry }) {
  let prompt;
  try {
    prompt = entry.shared?.prompt;
  } catch (error) {
    if (/** @type {any} */ (error).code !== "blob_missing") throw error;
    const now = await store.read(key);
    if (now?.revision !== revision) return "gone on";
    throw new Error(`${key} is as it was listed, but its shared value is gone`, { cause: error });
  }
  if (prompt !== undefined && prompt.length !== PROMPT_LENGTH)
    throw new Error(`${key} has a wrong shared value`);
  return "right";
}
