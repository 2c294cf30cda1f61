/** An embedding as a strip of its values, and how much it resembles the one before. */

import { el, svg } from "./element.js";
import { cosine, figure } from "./figures.js";

/** @param {number[]} vector @param {{vector: number[], summary: string}|null} before */
export function strip(vector, before) {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  const words = `${vector.length} values, length ${figure(length, 3)}`;
  const pairs = el("p.pairs", {}, el("span", {}, `${vector.length} values`), el("span", {}, `length ${figure(length, 3)}`), el("span", {}, `from ${figure(Math.min(...vector), 3)} to ${figure(Math.max(...vector), 3)}`));
  return el("div", {}, plot(vector, words), pairs, before ? likeness(cosine(vector, before.vector), before.summary) : first());
}

/** @param {number[]} vector @param {string} words */
function plot(vector, words) {
  const most = Math.max(...vector.map(Math.abs)) || 1;
  const path = (/** @type {(value: number) => boolean} */ wanted) =>
    vector.map((value, place) => (wanted(value) ? `M${place + 0.5} 50V${(50 - (value / most) * 46).toFixed(1)}` : "")).join("");
  return svg("svg", { class: "strip", viewBox: `0 0 ${vector.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": words },
             svg("path", { class: "above", d: path((value) => value >= 0) }), svg("path", { class: "below", d: path((value) => value < 0) }));
}

/** @param {number} value @param {string} summary */
function likeness(value, summary) {
  const short = summary.length > 90 ? `${summary.slice(0, 90)}…` : summary;
  return el("div.likeness", { "data-cosine": value }, el("p", {}, "Cosine to the previous input"), el("p.figure", {}, value.toFixed(3)), el("p", {}, el("q", {}, short)));
}

function first() {
  return el("div.likeness", {}, el("p", {}, "Give a second input to see how alike the two are."));
}
