// @ts-check
/**
 * Charts as SVG text: no script, no font of its own, readable on light and on dark ground (the colours follow
 * `prefers-color-scheme`). Axes are logarithmic, for what is compared differs by factors, not by amounts.
 */

/**
 * @typedef {{ name: string, emphasis?: boolean, points: { x: number, y: number }[] }} Series
 * @typedef {{ name: string, value: number, text: string, emphasis?: boolean }} Bar
 * @typedef {{ title: string, subtitle: string }} Caption
 */

const WIDTH = 760;
const FONT = 13;
const LIGHT = [
  "#0b6bcb",
  "#c4432b",
  "#2e8540",
  "#8a4fbf",
  "#b26a00",
  "#00808a",
  "#a03070",
  "#5b6b00",
  "#6a5a4a",
  "#5a6472",
];
const DARK = [
  "#5fb0ff",
  "#ff8a73",
  "#6fce85",
  "#c9a0f5",
  "#f0b050",
  "#4fd0d8",
  "#f08cc4",
  "#c2d050",
  "#cbb8a4",
  "#aab6c4",
];

/**
 * @param {Caption & { xLabel: string, xTicks: readonly number[], formatX: (x: number) => string,
 *   formatY: (y: number) => string, series: readonly Series[] }} chart
 * @returns {string}
 */
export function lineChart({ title, subtitle, xLabel, xTicks, formatX, formatY, series }) {
  const left = 72;
  const right = 190;
  const top = 64;
  const bottom = 48;
  const height = 430;
  const ys = series.flatMap(({ points }) => points.map(({ y }) => y));
  const y = logScale(Math.min(...ys), Math.max(...ys), height - bottom, top);
  const x = logScale(xTicks[0] ?? 1, xTicks.at(-1) ?? 1, left + 14, WIDTH - right - 14, false);
  const parts = [
    ...y.ticks.map(
      (tick) =>
        `<line class="grid" x1="${left}" x2="${WIDTH - right}" y1="${at(y.place(tick))}" y2="${at(y.place(tick))}"/>` +
        text(left - 8, y.place(tick) + 4, formatY(tick), "end soft"),
    ),
    ...xTicks.map((tick) => text(x.place(tick), height - bottom + 20, formatX(tick), "middle soft")),
    text((left + WIDTH - right) / 2, height - 8, xLabel, "middle soft"),
  ];
  const labels = spaced(
    series.map(({ points }) => y.place(points.at(-1)?.y ?? 1)),
    15,
    top,
    height - bottom,
  );
  for (const [index, { name, emphasis, points }] of series.entries()) {
    const path = points.map(({ x: px, y: py }) => `${at(x.place(px))},${at(y.place(py))}`).join(" ");
    const last = points.at(-1) ?? { x: 1, y: 1 };
    const strong = emphasis ? " strong" : "";
    parts.push(`<polyline class="line c${index % LIGHT.length}${strong}" points="${path}"/>`);
    for (const point of points)
      parts.push(
        `<circle class="dot c${index % LIGHT.length}" cx="${at(x.place(point.x))}" cy="${at(y.place(point.y))}" r="${emphasis ? 4 : 3}"/>`,
      );
    const labelY = labels[index] ?? 0;
    const lineEnd = WIDTH - right + 4;
    parts.push(
      `<line class="leader" x1="${at(x.place(last.x) + 5)}" y1="${at(y.place(last.y))}" x2="${lineEnd}" y2="${at(labelY)}"/>`,
      text(
        lineEnd + 4,
        labelY + 4,
        `${name} ${formatY(last.y)}`,
        `start label c${index % LIGHT.length}${strong}`,
      ),
    );
  }
  return frame(height, { title, subtitle }, parts);
}

/**
 * @param {Caption & { formatX: (x: number) => string, bars: readonly Bar[] }} chart
 * @returns {string}
 */
export function barChart({ title, subtitle, formatX, bars }) {
  const left = 190;
  const right = 120;
  const top = 64;
  const step = 30;
  const bottom = top + bars.length * step;
  const values = bars.map(({ value }) => value);
  const x = logScale(Math.min(...values) / 1.6, Math.max(...values), left, WIDTH - right);
  const parts = x.ticks.map(
    (tick) =>
      `<line class="grid" x1="${at(x.place(tick))}" x2="${at(x.place(tick))}" y1="${top - 6}" y2="${bottom}"/>` +
      text(x.place(tick), bottom + 18, formatX(tick), "middle soft"),
  );
  for (const [index, { name, value, text: words, emphasis }] of bars.entries()) {
    const y = top + index * step;
    const length = Math.max(2, x.place(value) - left);
    parts.push(
      text(left - 10, y + 16, name, `end${emphasis ? " strong-text" : ""}`),
      `<rect class="bar ${emphasis ? "ours" : "theirs"}" x="${left}" y="${y + 2}" width="${at(length)}" height="${step - 10}" rx="2"/>`,
      text(left + length + 8, y + 16, words, emphasis ? "start strong-text" : "start"),
    );
  }
  return frame(bottom + 32, { title, subtitle }, parts);
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} from Where the lowest value is drawn.
 * @param {number} to
 * @param {boolean} [rounded] Begins and ends at a tick.
 */
export function logScale(low, high, from, to, rounded = true) {
  const first = rounded ? Math.floor(Math.log10(low)) : Math.log10(low);
  const last = rounded ? Math.max(first + 1, Math.ceil(Math.log10(high))) : Math.log10(high);
  const span = last - first || 1;
  const ticks = rounded
    ? Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
    : [low, high];
  return {
    ticks,
    place: (/** @type {number} */ value) => from + ((Math.log10(value) - first) / span) * (to - from),
  };
}

/**
 * Moves labels apart that would lie on each other.
 * @param {readonly number[]} wanted
 * @param {number} gap
 * @param {number} top
 * @param {number} bottom
 */
export function spaced(wanted, gap, top, bottom) {
  const order = wanted.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  let previous = top - gap;
  for (const label of order) previous = label.place = Math.max(label.place, previous + gap);
  let next = bottom + gap;
  for (const label of order.reverse()) next = label.place = Math.min(label.place, next - gap);
  const places = wanted.map(() => 0);
  for (const { place, index } of order) places[index] = place;
  return places;
}

/** @param {number} height @param {Caption} caption @param {readonly string[]} parts */
function frame(height, { title, subtitle }, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>
${styles()}
</style>
<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>
${text(20, 28, title, "start title")}
${text(20, 46, subtitle, "start soft")}
${parts.join("\n")}
</svg>
`;
}

/** Without CSS variables, which some viewers of pictures do not know. */
function styles() {
  const colours = (/** @type {string[]} */ list) =>
    list
      .map(
        (colour, index) => `.line.c${index}{stroke:${colour}}.dot.c${index},.label.c${index}{fill:${colour}}`,
      )
      .join("\n");
  return [
    `text{font:${FONT}px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}`,
    ".ground{fill:#ffffff}.title{font-size:16px;font-weight:600}.soft{fill:#59636e;font-size:12px}",
    ".start{text-anchor:start}.middle{text-anchor:middle}.end{text-anchor:end}",
    ".grid{stroke:#d8dee4;stroke-width:1}.leader{stroke:#b6bec6;stroke-width:.7}",
    ".line{fill:none;stroke-width:1.6}.line.strong{stroke-width:3.5}",
    ".label{font-size:12px}.strong-text,.label.strong{font-weight:700}",
    ".bar.ours{fill:#0b6bcb}.bar.theirs{fill:#8c959f}",
    colours(LIGHT),
    "@media (prefers-color-scheme:dark){",
    "text{fill:#e6edf3}.ground{fill:#0d1117}.soft{fill:#9aa4af}.grid{stroke:#2b323b}.leader{stroke:#4b535d}",
    ".bar.ours{fill:#5fb0ff}.bar.theirs{fill:#6e7681}",
    `${colours(DARK)}}`,
  ].join("\n");
}

/** @param {number} x @param {number} y @param {string} words @param {string} classes */
function text(x, y, words, classes) {
  return `<text class="${classes}" x="${at(x)}" y="${at(y)}">${escaped(words)}</text>`;
}

/** @param {number} place */
const at = (place) => String(Math.round(place * 10) / 10);

/** @param {string} words */
function escaped(words) {
  return words
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
