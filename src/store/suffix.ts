/** Whether the end of a transcript is what a caller expects it to be. */
import type { EngineItem, EngineItemQuery, MaybePromise } from "../engine/contract.js";
import type { SessionStoreError } from "../errors.js";
import { equalJson } from "../format/equal-json.js";
import { conflict } from "./transcript-answers.js";
import type { ChangeArguments } from "./transcript-arguments.js";
import type { ExpectedSuffix } from "./transcript-types.js";

type Read = (
  query: EngineItemQuery,
) => MaybePromise<{ readonly items: readonly EngineItem[]; readonly more: boolean }>;

/**
 * The conflict if it is not: `data.seq` is the first item that differs.
 * @param last Highest `seq` of the transcript.
 */
export async function compareSuffix(
  { key, name }: ChangeArguments,
  expected: ExpectedSuffix,
  last: number,
  read: Read,
): Promise<SessionStoreError | undefined> {
  const wanted = expected.items.length;
  const found: EngineItem[] = [];
  let { from } = expected;
  // One more than expected, to see that there is none.
  for (let more = true; more && found.length <= wanted;) {
    const page = await read({ from, limit: wanted + 1 - found.length, backwards: false });
    found.push(...page.items);
    from = (found.at(-1)?.seq ?? from) + 1;
    ({ more } = page);
  }
  const length = Math.max(found.length, wanted);
  for (let index = 0; index < length; index++) {
    const item = found[index];
    if (item !== undefined && index < wanted && equalJson(item.item, expected.items[index])) continue;
    const seq = item?.seq ?? Math.max(expected.from, last + 1);
    const why = `its items are not the expected ones from number ${seq} on`;
    return conflict("replace the end of", key, name, why, { expected: wanted, actual: found.length, seq });
  }
  return undefined;
}
