/** The receipt as a line that people read, the times of the last answers, and the raw answer on demand. */

import { copyButton, el, svg } from "./element.js";
import { bytes, milliseconds } from "./figures.js";

const LAST = 40;

/** @param {any} info @param {any} artifact */
export function receiptPart(info, artifact) {
  const node = /** @type {HTMLElement} */ (document.getElementById("receipt"));
  const line = el("p");
  const times = el("p");
  const place = el("p", {}, placeOf(info, artifact));
  const spark = el("div.spark");
  const raw = el("pre", { tabindex: 0, "aria-label": "Raw answer as JSON" });
  const details = el("details", { hidden: true }, el("summary", {}, "Raw answer"), el("div.raw", {}, raw, copyButton("Copy", () => raw.textContent ?? "", "button.button")));
  node.replaceChildren(line, spark, times, place, details);
  /** @type {number[]} */
  const past = []; // without the first, which is slower
  let warm = false;
  const show = (/** @type {any} */ answer) => {
    const { receipt } = answer;
    if (warm) past.push(receipt.time_ms);
    if (past.length > LAST) past.shift();
    const first = warm ? "" : ", warming up";
    warm = true;
    line.replaceChildren(el("b", {}, receipt.model), ` took ${milliseconds(receipt.time_ms)} for the last answer${first}`);
    times.textContent = [timesOf(receipt), whyOf(receipt)].filter(Boolean).join(" · ");
    times.hidden = !times.textContent;
    spark.replaceChildren(...sparkline(past));
    raw.textContent = JSON.stringify(answer, plain, 1);
    details.hidden = false;
  };
  return { show };
}

/** @param {any} info @param {any} artifact */
function placeOf(info, artifact) {
  const size = Object.values(artifact.files).reduce((sum, entry) => sum + /** @type {any} */ (entry).size, 0);
  const model = Object.entries(artifact.files).reduce((sum, [name, entry]) => (/^engine\/(?!ort\/)/.test(name) ? sum + /** @type {any} */ (entry).size : sum), 0);
  const threads = info.threads > 1 ? `${info.threads} threads` : "1 thread";
  const why = info.isolated ? "" : " (page not isolated)";
  return `${threads}${why} · model ${bytes(model)} · bundle ${bytes(size)}`;
}

/** @param {any} receipt */
function timesOf({ codec_ms: codec, engine_ms: engine }) {
  const parts = [["reading the input", codec], ["model", engine]].filter(([, value]) => typeof value === "number");
  return parts.map(([name, value]) => `${name} ${milliseconds(/** @type {number} */ (value))}`).join(" · ");
}

/** @param {any} receipt */
function whyOf(receipt) {
  if (!receipt.reason || receipt.reason === "primary") return "";
  const tried = receipt.attempts?.length ? `; tried ${receipt.attempts.join(", ")}` : "";
  return `in place of the model in this page: ${receipt.reason}${tried}`;
}

/** @param {number[]} times */
function sparkline(times) {
  if (times.length < 3) return [];
  const most = Math.max(...times);
  const x = (/** @type {number} */ place) => ((place / (times.length - 1)) * 100).toFixed(1);
  const path = times.map((time, place) => `${place ? "L" : "M"}${x(place)} ${(31 - (time / most) * 28).toFixed(1)}`).join("");
  const middle = [...times].sort((one, other) => one - other)[times.length >> 1];
  const words = `Times of the last ${times.length} answers: half of them took less than ${milliseconds(middle)}`;
  return [svg("svg", { viewBox: "0 0 100 32", preserveAspectRatio: "none", role: "img", "aria-label": words }, svg("path", { d: path })), el("span", { title: words }, `last ${times.length} answers:`, el("br"), `median ${milliseconds(middle)}`)];
}

/** @param {string} _ @param {unknown} value */
function plain(_, value) {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
