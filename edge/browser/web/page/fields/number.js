/** A number: a field with unit and range, a slider where the range is finite, and a switch for a missing value. */

import { el, fresh, readable } from "../element.js";
import { figure } from "../figures.js";
import { card } from "./card.js";

const WHOLE = new Set(["i8", "u8", "i32", "i64"]);

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function numberField(field, changed) {
  const id = fresh("number");
  const range = finite(field.spec?.range);
  const whole = WHOLE.has(field.spec?.dtype);
  const { node, head, add, fail } = card(field, "", { small: true, label: id });
  const start = standard(field) ?? (range ? rounded((range[0] + range[1]) / 2, whole) : null);
  const placeholder = whole ? "a whole number" : "a number";
  const box = el("input.control", { id, type: "number", step: whole ? 1 : "any", inputmode: whole ? "numeric" : "decimal", value: start, placeholder, autocomplete: "off" });
  const slider = range && sliderOf(field.name, range, whole, start ?? range[0]);
  const missing = field.missing ? el("input", { type: "checkbox", "aria-label": `${field.name} is missing` }) : null;
  if (field.spec?.unit) box.style.paddingRight = `${field.spec.unit.length + 2.5}ch`;
  const become = () => {
    box.disabled = Boolean(missing?.checked);
    if (slider) slider.disabled = box.disabled;
    changed();
  };
  box.addEventListener("input", () => {
    if (slider) slide(slider, box.value);
    changed();
  });
  slider?.addEventListener("input", () => {
    box.value = slider.value;
    slide(slider, box.value);
    changed();
  });
  missing?.addEventListener("change", become);
  if (missing) head.append(el("label.tick.missing", {}, "Missing", missing));
  add(
    el("div.amount", {}, box, field.spec?.unit && el("span.unit", {}, field.spec.unit)),
    slider && range ? el("div.scale", {}, figure(range[0]), slider, figure(range[1])) : "",
  );
  const none = field.type === "tensor" ? NaN : null;
  const fill = (/** @type {number} */ value) => {
    if (missing) missing.checked = Number.isNaN(value);
    box.value = Number.isNaN(value) ? box.value : String(value);
    box.disabled = Boolean(missing?.checked);
    if (slider) slide(slider, box.value);
    if (slider) slider.disabled = box.disabled;
  };
  return {
    name: field.name, node, fail,
    fill: ({ data }) => fill(shortest(Number(data[0]))),
    read: () => {
      if (missing?.checked) return { ready: true, value: [none] };
      if (box.value === "" || Number.isNaN(box.valueAsNumber)) return { ready: false, why: `Enter a number for ${readable(field.name)}.` };
      return { ready: true, value: field.spec?.batch_axis === null ? box.valueAsNumber : [box.valueAsNumber] };
    },
    summary: () => (missing?.checked ? "missing" : box.value),
  };
}

/** The number that the signature gives where none is sent. @param {import("./card.js").Description} field @returns {number|null} */
export function standard(field) {
  return typeof field.spec?.default === "number" ? field.spec.default : null;
}

/** @param {string} name @param {[number, number]} range @param {boolean} whole @param {number} start */
function sliderOf(name, [low, high], whole, start) {
  const slider = el("input", { type: "range", min: low, max: high, step: whole ? 1 : (high - low) / 1000, value: start, "aria-label": `${name}, slider` });
  slide(slider, start);
  return slider;
}

/** Put a slider at a value, its track filled up to there. @param {HTMLInputElement} slider @param {string|number} value */
function slide(slider, value) {
  slider.value = String(value);
  const [low, high] = [Number(slider.min), Number(slider.max)];
  slider.style.setProperty("--share", `${((Number(slider.value) - low) / (high - low)) * 100}%`);
}

/** @param {unknown} range @returns {[number, number]|null} */
function finite(range) {
  if (!Array.isArray(range) || !range.every((end) => typeof end === "number" && Number.isFinite(end))) return null;
  return range[1] > range[0] ? [range[0], range[1]] : null;
}

/** @param {number} value @param {boolean} whole */
function rounded(value, whole) {
  return whole ? Math.round(value) : Number(value.toPrecision(4));
}

/** The shortest decimals that are the same float32, so that 0.1 is not shown as 0.10000000149. @param {number} value */
export function shortest(value) {
  for (let digits = 1; digits <= 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
