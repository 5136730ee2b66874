/** Pieces of a file, unpacked if they are gzip: what they begin with tells, whatever the file is called. */
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { SessionStoreError } from "../../errors.js";

/** The first two bytes of every gzip file; no JSON begins with them. */
const MAGIC = [0x1f, 0x8b] as const;

/** @throws `export_invalid` from the iteration, where the packed bytes are cut or damaged. */
export async function* unpacked(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    const head: Uint8Array[] = [];
    let length = 0;
    while (length < MAGIC.length) {
      const next = await iterator.next();
      if (next.done === true) break;
      head.push(next.value);
      length += next.value.length;
    }
    const first = Buffer.concat(head);
    const all = prepend(first, iterator);
    if (first[0] !== MAGIC[0] || first[1] !== MAGIC[1]) yield* all;
    else yield* gunzipped(all);
  } finally {
    await iterator.return?.();
  }
}

async function* prepend(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* gunzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const source = Readable.from(pieces, { objectMode: false });
  const gunzip = createGunzip();
  // The reason why the source ended is that of the iteration.
  source.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const piece of source.pipe(gunzip) as AsyncIterable<Buffer>) yield piece;
  } catch (error) {
    throw asInvalid(error);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

function asInvalid(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code !== "string" || !code.startsWith("Z_")) return error;
  const isCut = code === "Z_BUF_ERROR";
  const what = isCut ? "the gzip file ends too early: it was cut" : "the gzip file is damaged";
  return new SessionStoreError(
    "export_invalid",
    `${what}. Get it once more from where it was made, or take what can be read of it (--salvage).`,
    { data: { reason: isCut ? "cut" : "gzip" }, cause: error },
  );
}
