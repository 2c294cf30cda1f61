/** The answer of one row: decisions large, then scores, values, embeddings and whatever else the signature has. */

import { bar, bars } from "./bars.js";
import { el, icon, readable } from "./element.js";
import { figure, percent } from "./figures.js";
import { explained } from "./fields/card.js";
import { sheet } from "./sheet.js";
import { strip } from "./strip.js";

/**
 * @typedef {{vector: number[], summary: string}} Seen an embedding and what it was made from
 * @typedef {{all: boolean, vectors: Record<string, {now?: Seen, before?: Seen}>}} View what lasts between answers
 * @typedef {{spec: any, row: any}} Output `row`: the value without its batch axis
 */

const ORDER = ["decision", "value", "score", "embedding", "ranking", "detections", "sequence"];

/** @param {Record<string, unknown>} outputs batch of one @param {any} signature @param {Set<string>} hidden @param {View} view */
export function answerNodes(outputs, signature, hidden, view) {
  const found = outputsOf(outputs, signature, hidden);
  return found.map((output) => section(output, found, view));
}

/** Before another input is shown, the last one becomes the one to compare with; a text that is still being typed stays the same input. @param {View} view @param {string} summary */
export function turn(view, summary) {
  for (const [name, { now, before }] of Object.entries(view.vectors)) {
    if (now && !isEdit(now.summary, summary)) view.vectors[name] = { now, before: now };
    else view.vectors[name] = { now, before };
  }
}

/** @param {string} from @param {string} to */
function isEdit(from, to) {
  return to.startsWith(from) || (from.startsWith(to) && to.length > from.length / 2);
}

/** One sentence for those who listen, and for small screens. @param {Record<string, unknown>} outputs @param {any} signature @param {Set<string>} hidden */
export function spoken(outputs, signature, hidden) {
  const found = outputsOf(outputs, signature, hidden);
  const parts = found.filter(({ row }) => !Array.isArray(row)).map(({ spec, row }) => `${readable(spec.name)}: ${spec.kind === "score" ? percent(row) : word(spec, row)}`);
  const scores = parts.length ? null : found.find(({ spec, row }) => spec.kind === "score" && Array.isArray(row));
  if (scores) parts.push(`${readable(scores.spec.name)}: ${percent(Math.max(...scores.row))} at most`);
  return parts.join("; ") || found.map(({ spec }) => `${readable(spec.name)} answered`).join("; ");
}

/** @param {Record<string, any>} outputs @param {any} signature @param {Set<string>} hidden @returns {Output[]} */
function outputsOf(outputs, signature, hidden) {
  const shown = signature.outputs.filter((/** @type {any} */ spec) => !hidden.has(spec.name) && outputs[spec.name] !== undefined);
  const found = shown.map((/** @type {any} */ spec) => ({ spec, row: rowOf(outputs[spec.name], spec.batch_axis) }));
  const place = (/** @type {Output} */ { spec }) => (ORDER.includes(spec.kind) ? ORDER.indexOf(spec.kind) : ORDER.length);
  return found.sort((/** @type {Output} */ one, /** @type {Output} */ other) => place(one) - place(other));
}

/** @param {any} value @param {number|null} axis @returns {any} */
function rowOf(value, axis) {
  if (axis === null) return value;
  return axis === 0 || axis === undefined ? value[0] : value.map((/** @type {any} */ part) => rowOf(part, axis - 1));
}

/** @param {Output} output @param {Output[]} all @param {View} view */
function section(output, all, view) {
  const { spec } = output;
  const title = el("h3.output-name", { title: spec.name }, readable(spec.name));
  return el("section", { "data-output": spec.name }, title, ...[body(output, all, view)].flat());
}

/** @param {Output} output @param {Output[]} all @param {View} view */
function body({ spec, row: held }, all, view) {
  const row = spec.kind === "score" && Array.isArray(held) && held.length === 1 && !Array.isArray(held[0]) ? held[0] : held;
  const vector = Array.isArray(row) && !Array.isArray(row[0]);
  if (spec.kind === "score" && vector) return bars(row, namesOf(row.length, all), view);
  if (spec.kind === "embedding" && vector) return strip(row, view.vectors[spec.name]?.before ?? null);
  if (spec.kind === "score" && !Array.isArray(row)) return [el("p.figure", {}, percent(row)), row >= 0 && row <= 1 ? bar(row) : ""];
  if (Array.isArray(row)) return sheet(row, spec.name);
  if (spec.kind === "decision") return [decision(spec, row), sure(row, spec, all)];
  return el("p.figure", {}, word(spec, row), spec.unit ? el("small", {}, spec.unit) : "");
}

/** @param {any} spec @param {any} row */
function decision(spec, row) {
  return el(`p.decision${row === null ? ".none" : ""}`, {}, word(spec, row));
}

/** How sure the scores beside a decision are of it. @param {any} row @param {any} spec @param {Output[]} all */
function sure(row, spec, all) {
  const scores = all.find((one) => one.spec.kind === "score" && Array.isArray(one.row) && !Array.isArray(one.row[0]));
  const place = spec.categories ? spec.categories.indexOf(row) : row;
  const score = scores?.row[place];
  return typeof score === "number" ? el("p.sure", {}, `${percent(score)} sure`) : "";
}

/** @param {any} spec @param {any} row */
function word(spec, row) {
  if (row === null) return spec.kind === "decision" || spec.categories ? "no category" : "missing";
  if (typeof row === "boolean") return row ? "Yes" : "No";
  return typeof row === "string" ? row : figure(row, 6);
}

/** Names for scores: the categories of a decision with as many. @param {number} count @param {Output[]} all @returns {string[]} */
function namesOf(count, all) {
  const named = all.find(({ spec }) => spec.categories?.length === count);
  return named ? named.spec.categories : Array.from({ length: count }, (_, place) => String(place));
}

/** What stands in the answer's place while there is none. @param {string} title @param {string} text */
export function empty(title, text) {
  return el("div.empty", {}, icon("wait"), el("b", {}, title), el("span", {}, text));
}

/** An error that belongs to no field. @param {any} error */
export function failure(error) {
  return el("div.fault", { role: "alert" }, ...explained(error));
}
