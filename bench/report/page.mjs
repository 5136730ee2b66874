// @ts-check
/**
 * Writes results into docs/performance.md and docs/evidence/figures.md, between their markers, and the charts beside them. What stands outside of the
 * markers was written by people and stays.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { makeCharts } from "./charts/index.mjs";
import { evaluateGoals, GOAL_COLUMNS, goalRows, GOALS, obstaclesOf, TRANSCRIPT_GOALS } from "./goals.mjs";
import { partOf } from "./results.mjs";
import { FLOORS } from "../peers/index.mjs";
import { rowsOf } from "./terminal.mjs";
import { median } from "./statistics.mjs";
import { factor, wrap } from "./words.mjs";

/** @typedef {import("./results.mjs").Results} Results */

const PAGE = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));
const FIGURES = fileURLToPath(new URL("../../docs/evidence/figures.md", import.meta.url));
const CHARTS = fileURLToPath(new URL("../../docs/charts/", import.meta.url));
const OURS = "sessiondir";
/** Of text. */
const COLUMNS = 120;
/** Less than that is noise. */
const CLEARLY = 1.15;

/** The section that is about the workloads of that folder, and can be rebuilt alone. */
export const TRANSCRIPTS = "transcripts";

/** @param {Results} whole Of a complete run. @returns {string[]} The files that were written. */
export function renderPage(whole) {
  const results = { ...whole, workloads: partOf(whole, "") };
  const charts = makeCharts(results);
  mkdirSync(CHARTS, { recursive: true });
  for (const { file, svg } of charts) writeFileSync(`${CHARTS}${file}`, svg);
  write(PAGE, {
    machine: machineOf(results),
    goals: goalsOf(results, GOALS, "What stands in the way"),
    charts: charts.map(({ file, alt }) => `![${alt}](charts/${file})`).join("\n\n"),
    better: betterOf(results),
    peers: peersOf(results),
  });
  write(FIGURES, { tables: tablesOf(results) });
  return [
    "docs/performance.md",
    "docs/evidence/figures.md",
    ...charts.map(({ file }) => `docs/charts/${file}`),
  ];
}

/** @param {Results} whole Of a run that has the workloads of transcripts. @returns {string[]} As of the page. */
export function renderTranscripts(whole) {
  const results = { ...whole, workloads: partOf(whole, TRANSCRIPTS) };
  const peers = results.peers.filter(({ transcripts = "" }) => transcripts !== "");
  const section = [
    machineOf({ ...results, skipped: [] }),
    goalsOf(results, TRANSCRIPT_GOALS, "What stands in the way of transcripts"),
    "Who is better, and how many times:",
    betterOf(results),
    "How each keeps transcripts:",
    markdownTable([
      ["peer", "version", "transcripts"],
      ...peers.map(({ name, version, transcripts = "" }) => [name, version, transcripts]),
    ]),
  ];
  write(PAGE, { transcripts: section.join("\n\n") });
  write(FIGURES, { transcripts: tablesOf({ ...results, peers }) });
  return ["docs/performance.md", "docs/evidence/figures.md"];
}

/** @param {string} path @param {Record<string, string>} sections */
function write(path, sections) {
  writeFileSync(path, fillIn(readFileSync(path, "utf8"), sections));
}

/**
 * @param {string} page
 * @param {Record<string, string>} sections By the names in the markers.
 */
export function fillIn(page, sections) {
  return Object.entries(sections).reduce((text, [name, content]) => {
    const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the page has no markers for «${name}»`);
    return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
  }, page);
}

/** @param {Results} results */
function machineOf({ started, seconds, machine, skipped }) {
  const { node, cpu, memory, platform, fileSystem, load } = machine;
  const lines = [
    `${started.slice(0, 10)}, Node ${node}, ${cpu}, ${memory}, ${platform}, ${fileSystem}; load before the run ${load}; ` +
      `the run took ${Math.round(seconds / 60)} minutes.`,
    ...skipped.map(({ name, reason }) => `Not measured: ${name}: ${reason}.`),
  ];
  return lines.map(paragraph).join("\n\n");
}

/**
 * @param {Results} results
 * @param {readonly import("./goals.mjs").Goal[]} wanted
 * @param {string} title Of what stands in the way of them.
 */
function goalsOf({ workloads }, wanted, title) {
  const outcomes = evaluateGoals(
    workloads.flatMap(({ figures }) => figures),
    wanted,
  );
  const measured = new Set(outcomes.map(({ label }) => label));
  const goals = markdownTable([
    GOAL_COLUMNS,
    ...goalRows(outcomes, factor, { met: "met", missed: "**missed**" }),
    ...wanted
      .filter(({ label }) => !measured.has(label))
      .map(({ label, wanted }) => [label, factor(wanted), "", "", "", "**not measured**"]),
  ]);
  return `${goals}${obstaclesIn(outcomes, title)}`;
}

/** @param {readonly import("./goals.mjs").Outcome[]} outcomes @param {string} title */
function obstaclesIn(outcomes, title) {
  const rows = obstaclesOf(outcomes, factor);
  if (rows.length === 1) return "";
  return [
    "",
    `### ${title}`,
    paragraph(
      "For each missed goal the least that has to be done for it in this design, measured by turns in the same rounds; what " +
        "each of these floors does is said with [the peers](#the-peers). «Reachable at most» is how many times better the floor " +
        "alone is: where that is below «wanted», nothing that makes these calls from Node can reach the goal on this machine; " +
        "what is between «measured» and «reachable at most» is what sessiondir costs.",
    ),
    markdownTable(rows),
  ].join("\n\n");
}

/** @param {string} text */
function paragraph(text) {
  return wrap(text, COLUMNS).join("\n");
}

/** @param {Results} results */
function peersOf({ peers, workloads }) {
  const measured = new Set(
    workloads.flatMap(({ figures }) => figures.flatMap(({ samples }) => Object.keys(samples))),
  );
  const floors = FLOORS.filter(({ name }) => measured.has(name)).map(({ name, settings }) => [
    name,
    settings,
  ]);
  const stores = markdownTable([
    ["peer", "version", "set up", "a warm read gives"],
    ...peers.map(({ name, version, settings, reads }) => [name, version, settings, reads]),
  ]);
  if (floors.length === 0) return stores;
  const title = "No stores, but what none of sessiondir's design can do without:";
  return [stores, title, markdownTable([["floor", "what it does"], ...floors])].join("\n\n");
}

/** @param {Results} results Every figure in which another store is clearly better, and by how much. */
function betterOf({ workloads, peers }) {
  const others = new Set(peers.map(({ name }) => name).filter((name) => name !== OURS));
  const rows = workloads.flatMap(({ title, figures }) =>
    figures.flatMap(({ label, unit, samples }) => {
      const ours = samples[OURS];
      if (ours === undefined || ours.length === 0) return [];
      const own = median(ours);
      const better = Object.entries(samples)
        .filter(([name, found]) => others.has(name) && found.length > 0)
        .map(([name, found]) => ({
          name,
          times: unit === "rate" ? median(found) / own : own / median(found),
        }))
        .filter(({ times }) => times >= CLEARLY)
        .sort((a, b) => b.times - a.times);
      if (better.length === 0) return [];
      return [[`${title}: ${label}`, better.map(({ name, times }) => `${name} ${factor(times)}`).join(", ")]];
    }),
  );
  return markdownTable([["figure", "who is better, and how many times"], ...rows]);
}

/** @param {Results} results */
function tablesOf({ workloads, peers }) {
  const names = peers.map(({ name }) => name);
  return workloads
    .flatMap(({ title, note, figures, failures }) => {
      const tables = [];
      for (let first = 0; first < figures.length; first += 4)
        tables.push(markdownTable(rowsOf(figures.slice(first, first + 4), names)));
      const missing = failures.map(
        ({ peer, part, reason }) => `No figure for ${peer} in «${part}»: ${reason}.`,
      );
      return [`## ${title.charAt(0).toUpperCase()}${title.slice(1)}`, note, ...tables, ...missing];
    })
    .join("\n\n");
}

/**
 * As prettier would print it, so that the check of the formatting has nothing to say.
 * @param {readonly (readonly string[])[]} rows The first one is the header.
 */
export function markdownTable(rows) {
  const clean = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = (clean[0] ?? []).map((_, column) =>
    Math.max(3, ...clean.map((row) => (row[column] ?? "").length)),
  );
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const [header = [], ...body] = clean;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
