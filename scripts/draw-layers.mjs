// @ts-check
/**
 * `npm run draw:layers`: writes the drawing of src/'s rooms into ARCHITECTURE.md, from the imports as they are.
 *
 * A room stands on those that it imports; what one of them stands on anyway is left out, so that the lines that remain
 * are the ones to keep in mind. A test compares the page with a fresh drawing.
 */
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { importsOf, readSources } from "./check-layers.mjs";
import { roomOf, ROOMS } from "./layers.mjs";

const BEGIN = "<!-- layers: npm run draw:layers -->";
const END = "<!-- end of layers -->";

/**
 * The drawing, highest room first: files, what lives there, and what it stands on.
 * @param {ReadonlyMap<string, string>} sources path in src/ -> text
 */
export function drawing(sources) {
  const rooms = ROOMS.map((room) => ({
    ...room,
    files: 0,
    uses: new Set(),
  }));
  for (const [file, text] of sources) {
    const number = roomOf(file);
    const room = rooms[number];
    if (room === undefined) continue;
    room.files += 1;
    for (const { specifier } of importsOf(file, text)) {
      if (!specifier?.startsWith(".")) continue;
      const target = posix.normalize(posix.join(posix.dirname(file), specifier)).replace(/\.js$/, ".ts");
      if (roomOf(target) !== number) room.uses.add(roomOf(target));
    }
  }
  const below = rooms.map(({ uses }) => new Set(uses));
  for (const reach of below)
    for (const room of reach) for (const lower of below[room] ?? []) reach.add(lower);
  const rows = rooms.map(({ name, what, files, uses }) => {
    const direct = [...uses].filter((room) => ![...uses].some((other) => below[other]?.has(room)));
    const on = direct.sort((a, b) => b - a).map((room) => ROOMS[room]?.name ?? "");
    return `${name.padEnd(23)}${String(files).padStart(3)}  ${what}\n${on.length > 0 ? `${" ".repeat(28)}└ on ${on.join("; ")}\n` : ""}`;
  });
  const head = `${"room".padEnd(20)} files  what lives there, and what it stands on\n`;
  return `\`\`\`text\n${head}${rows.reverse().join("")}\`\`\``;
}

/** The page with a fresh drawing in place of the one it has. @param {string} page @param {string} drawn */
export function withDrawing(page, drawn) {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`ARCHITECTURE.md lacks ${BEGIN} … ${END}`);
  return `${before}${BEGIN}\n\n${drawn}\n\n${END}${after}`;
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === self) {
  const root = join(self, "../..");
  const path = join(root, "ARCHITECTURE.md");
  writeFileSync(path, withDrawing(readFileSync(path, "utf8"), drawing(readSources(join(root, "src")))));
}
