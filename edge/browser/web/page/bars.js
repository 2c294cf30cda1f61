/** Scores as bars, highest first: ten at once, all of them on demand. */

import { el } from "./element.js";
import { percent } from "./figures.js";

const SHOWN = 10;

/** @param {number[]} scores @param {string[]} names @param {{all: boolean}} view kept between answers */
export function bars(scores, names, view) {
  const order = scores.map((score, place) => ({ score, name: names[place] })).sort((one, other) => (other.score || 0) - (one.score || 0));
  const list = el("ol.bars");
  const fill = () => list.replaceChildren(...order.slice(0, view.all ? order.length : SHOWN).map(line));
  fill();
  if (order.length <= SHOWN) return el("div", {}, list);
  const text = () => (view.all ? `Show the best ${SHOWN}` : `Show all ${order.length}`);
  const button = el("button", { class: "button plain more", type: "button", "aria-expanded": String(view.all) }, text());
  button.addEventListener("click", () => {
    view.all = !view.all;
    button.textContent = text();
    button.setAttribute("aria-expanded", String(view.all));
    fill();
  });
  return el("div", {}, list, button);
}

/** One score without a name of its own. @param {number} score */
export function bar(score) {
  return el("ol.bars.single", {}, el("li", {}, track(score)));
}

/** @param {{score: number, name: string}} one */
function line({ score, name }) {
  return el("li", {}, el("span.bar-name", { title: name }, name), track(score), el("span.bar-value", {}, percent(score)));
}

/** @param {number} score */
function track(score) {
  const fill = el("span.bar-fill");
  fill.style.transform = `scaleX(${Math.min(1, Math.max(0, Number.isFinite(score) ? score : 0))})`;
  return el("span.bar", { "aria-hidden": "true" }, fill);
}
