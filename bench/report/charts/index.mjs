// @ts-check
/** The charts of the page, from results. A chart that has nothing to show is left out. */
import { median } from "../statistics.mjs";
import { inWords } from "../words.mjs";
import { barChart, lineChart } from "./svg.mjs";

/**
 * @typedef {import("../results.mjs").Results} Results
 * @typedef {import("../../runner/sheet.mjs").Figure} Figure
 */

const OURS = "sessiondir";

/**
 * @param {Results} results
 * @returns {{ file: string, alt: string, svg: string }[]}
 */
export function makeCharts(results) {
  const figures = new Map(
    results.workloads.flatMap(({ figures }) => figures.map((figure) => [figure.id, figure])),
  );
  const source = { figures, peers: results.peers };
  return [
    lines(source, {
      file: "update-latency.svg",
      title: "One update, by size of the store",
      subtitle: "Read, change, write one small session, durability «os», one process. Less is better.",
      xLabel: "sessions in the store",
      points: [
        ["update os 650", 650],
        ["update os 10000", 10_000],
        ["update os 100000", 100_000],
      ],
      format: (value) => inWords(value, "time").replace(".0 ", " "),
    }),
    lines(source, {
      file: "processes.svg",
      title: "Updates per second, by number of processes",
      subtitle: "All processes together, each its own small sessions, durability «os». More is better.",
      xLabel: "processes",
      points: [
        ["1 process os", 1],
        ["2 processes os", 2],
        ["4 processes os", 4],
      ],
      format: (value) => inWords(value, "rate").replace(".0/s", "/s"),
    }),
    bars(source, {
      file: "disk.svg",
      id: "disk large",
      title: "650 large sessions on disk",
      subtitle: "Blocks that the file system gives. Less is better.",
    }),
    bars(source, {
      file: "memory.svg",
      id: "memory large",
      title: "650 large sessions in memory",
      subtitle: "A process that holds all of them and has looked into each, above idle. Less is better.",
    }),
    bars(source, {
      file: "gateway-day.svg",
      id: "day",
      title: "A gateway day",
      subtitle: "Operations per second: messages, cron runs, listings, cleanup; one process. More is better.",
    }),
  ].flatMap((chart) => (chart === undefined ? [] : [chart]));
}

/**
 * @param {{ figures: Map<string, Figure>, peers: Results["peers"] }} source
 * @param {{ file: string, title: string, subtitle: string, xLabel: string,
 *   points: readonly (readonly [id: string, x: number])[], format: (value: number) => string }} chart
 */
function lines({ figures, peers }, { file, title, subtitle, xLabel, points, format }) {
  const series = peers.flatMap(({ name, short }) => {
    const found = points.flatMap(([id, x]) => {
      const samples = figures.get(id)?.samples[name];
      return samples === undefined || samples.length === 0 ? [] : [{ x, y: median(samples) }];
    });
    return found.length < 2 ? [] : [{ name: short, emphasis: name === OURS, points: found }];
  });
  if (series.length === 0) return undefined;
  const xTicks = points.map(([, x]) => x);
  const formatX = (/** @type {number} */ x) => x.toLocaleString("en-US");
  return {
    file,
    alt: title,
    svg: lineChart({ title, subtitle, xLabel, xTicks, formatX, formatY: format, series }),
  };
}

/**
 * @param {{ figures: Map<string, Figure>, peers: Results["peers"] }} source
 * @param {{ file: string, id: string, title: string, subtitle: string }} chart
 */
function bars({ figures, peers }, { file, id, title, subtitle }) {
  const figure = figures.get(id);
  if (figure === undefined) return undefined;
  const found = peers.flatMap(({ name, short }) => {
    const samples = figure.samples[name];
    if (samples === undefined || samples.length === 0) return [];
    const value = median(samples);
    // What is lost in the noise of the process's own growth has no place on a logarithmic axis.
    return value <= 0
      ? []
      : [{ name: short, value, text: inWords(value, figure.unit), emphasis: name === OURS }];
  });
  if (found.length === 0) return undefined;
  const formatX = (/** @type {number} */ value) => inWords(value, figure.unit).replace(/\.0+(?= |\/)/, "");
  const direction = figure.unit === "rate" ? -1 : 1;
  found.sort((a, b) => direction * (a.value - b.value));
  return { file, alt: title, svg: barChart({ title, subtitle, formatX, bars: found }) };
}
