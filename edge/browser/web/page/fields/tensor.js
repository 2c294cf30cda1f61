/** Any tensor: a grid of cells where it is small, else a text area for JSON or CSV, with zeros and random values at hand. */

import { el, fresh, readable } from "../element.js";
import { flat, nest } from "../figures.js";
import { card } from "./card.js";
import { shortest, standard } from "./number.js";

const MOST_CELLS = 32;
const FREE_LENGTH = { samples: 16000, sequence: 8 };
/** What a dimension without a fixed length is at first, by its name; 1 elsewhere. */

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function tensorField(field, changed) {
  const fixed = field.rowShape.every((size) => typeof size === "number");
  const count = fixed ? product(/** @type {number[]} */ (field.rowShape)) : Infinity;
  const small = fixed && count <= MOST_CELLS && field.rowShape.length <= 2;
  return small ? gridField(field, changed) : listField(field, changed);
}

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
function gridField(field, changed) {
  const { node, add, fail } = card(field, hint(field));
  const shape = /** @type {number[]} */ (field.rowShape);
  const columns = shape.length === 2 ? shape[1] : Math.min(shape[0], 4);
  const whole = !/^f/.test(field.spec.dtype);
  const cells = Array.from({ length: product(shape) }, (_, place) => cell(field, indexOf(place, shape), whole, changed));
  const grid = el("div.cells", { role: "group", "aria-label": field.name }, ...cells.map((one) => one.node));
  grid.style.gridTemplateColumns = `repeat(${columns}, minmax(72px, 1fr))`;
  const set = (/** @type {ArrayLike<number>} */ values) => cells.forEach((one, place) => (one.box.value = Number.isNaN(Number(values[place])) ? "" : String(shortest(Number(values[place])))));
  add(grid, el("div.actions", {}, ...quick(field, shape, set, changed)), field.missing ? el("p.under", {}, "An empty cell is missing.") : "");
  return {
    name: field.name, node, fail,
    fill: ({ data }) => set(data),
    read: () => {
      const values = cells.map(({ box }) => (box.value === "" ? NaN : box.valueAsNumber));
      if (!field.missing && values.some(Number.isNaN)) return { ready: false, why: `Fill every cell of ${readable(field.name)}.` };
      return { ready: true, value: batched(field, nest(values, shape)) };
    },
    summary: () => cells.slice(0, 4).map(({ box }) => box.value || "missing").join(", "),
  };
}

/** @param {import("./card.js").Description} field @param {string} index @param {boolean} whole @param {() => void} changed */
function cell(field, index, whole, changed) {
  const box = el("input.control", { type: "number", step: whole ? 1 : "any", inputmode: "decimal", value: standard(field), autocomplete: "off", placeholder: field.missing ? "missing" : "–",
                                    "aria-label": `${field.name} ${index}`, on: { input: changed } });
  return { box, node: el("label.cell", {}, el("span", { "aria-hidden": "true" }, index), box) };
}

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
function listField(field, changed) {
  const id = fresh("tensor");
  const { node, add, fail } = card(field, hint(field), { label: id });
  const area = el("textarea.control.numbers", { id, rows: 4, spellcheck: "false", placeholder: "[0.1, 0.2, ...] or lines of 0.1, 0.2", on: { input: changed } });
  const size = el("span");
  const shape = field.rowShape.map((length) => (typeof length === "number" ? length : FREE_LENGTH[/** @type {"samples"} */ (length)] ?? 1));
  /** @type {{text: string, value: any}|null} */
  let held = null; // large values stay numbers: a text of them would be slow to write and to read back
  const set = (/** @type {ArrayLike<number>} */ values, at = shape) => {
    const nested = nest(Array.from(values, Number), at);
    const text = values.length > 4096 ? `${values.length.toLocaleString("en")} values set` : JSON.stringify(nested, (_, value) => (typeof value === "number" ? (Number.isNaN(value) ? null : shortest(value)) : value));
    area.value = text;
    held = { text, value: nested };
  };
  const start = standard(field);
  if (start !== null) set(new Float64Array(product(shape)).fill(start));
  add(area, el("div.under", {}, size), el("div.actions", {}, ...quick(field, shape, set, changed)));
  const value = () => (held && held.text === area.value ? held.value : parse(area.value, shape));
  return {
    name: field.name, node, fail,
    fill: ({ data, shape: row }) => set(data, row),
    read: () => {
      const read = value();
      if (read === undefined) return { ready: false, why: `Write ${readable(field.name)} as JSON, for example [0.1, 0.2], or as lines of numbers.` };
      return { ready: true, value: batched(field, read) };
    },
    summary: () => area.value.slice(0, 40),
  };
}

/** @param {import("./card.js").Description} field @param {number[]} shape @param {(values: ArrayLike<number>) => void} set @param {() => void} changed */
function quick(field, shape, set, changed) {
  const count = product(shape);
  const [low, high] = field.spec.range ?? (/^f/.test(field.spec.dtype) ? [-1, 1] : field.spec.dtype === "u8" ? [0, 255] : [0, 9]);
  const random = () => low + Math.random() * (high - low);
  const draw = () => (/^f/.test(field.spec.dtype) ? Math.fround(Number(random().toPrecision(3))) : Math.round(random()));
  const button = (/** @type {string} */ text, /** @type {() => number} */ make) =>
    el("button.button", { type: "button", on: { click: () => (set(Array.from({ length: count }, make)), changed()) } }, text);
  return [button("Zeros", () => 0), button("Random", draw)];
}

/**
 * JSON, or lines of numbers between commas, semicolons, tabs or spaces, put into the tensor's shape where their number fits.
 * @param {string} text @param {number[]} shape
 */
export function parse(text, shape) {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  try {
    const read = JSON.parse(trimmed, (_, value) => (value === null ? NaN : value));
    return Array.isArray(read) || shape.length === 0 ? read : undefined;
  } catch {
    const rows = trimmed.split(/\r?\n/).map((line) => line.split(/[,;\t ]+/).filter(Boolean).map(Number));
    const { values } = flat(rows);
    if (/[^\d\s.,;+\-eE]/.test(trimmed)) return undefined;
    return values.length === product(shape) ? nest(values, shape) : rows.length === 1 ? rows[0] : rows;
  }
}

/** @param {import("./card.js").Description} field @param {unknown} row */
function batched(field, row) {
  const axis = field.spec.batch_axis;
  if (axis === null || axis === undefined) return row;
  return axis === 0 ? [row] : insert(row, axis);
}

/** A batch of one at another axis than the first. @param {any} value @param {number} axis @returns {any} */
function insert(value, axis) {
  return axis === 0 ? [value] : value.map((/** @type {any} */ part) => insert(part, axis - 1));
}

/** @param {import("./card.js").Description} field */
function hint(field) {
  const shape = field.rowShape.map((size) => (typeof size === "number" ? size : `any ${size}`)).join(" × ");
  return [`${shape}${field.rowShape.every((size) => typeof size === "number") ? "" : ","} ${/^f/.test(field.spec.dtype) ? "numbers" : "whole numbers"}`, field.spec.unit].filter(Boolean).join(", ");
}

/** @param {number} place @param {number[]} shape */
function indexOf(place, shape) {
  return shape.length === 2 ? `${Math.floor(place / shape[1])}, ${place % shape[1]}` : String(place);
}

/** @param {readonly number[]} shape */
function product(shape) {
  return shape.reduce((all, length) => all * length, 1);
}
