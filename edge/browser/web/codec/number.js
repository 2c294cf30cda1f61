/** Numbers as people and files write them, to float64 with NaN for missing. No locale: a point, no grouping. */

import { brief, refusal } from "../refusal.js";
import { checkedOptions, isMissing, objectRows, rowsOf } from "./step.js";

const NUMBER = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITY = /^[+-]?inf(?:inity)?$/i;
const MAX_TEXT = 1000;

/** Numbers or their text to float64; the door narrows to what the signature says. */
export class Numbers {
  /** @param {Record<string, any>} options */
  constructor(options) {
    const { missing = ["", "NA", "NaN", "nan", "null"] } = checkedOptions("number", options, ["missing"]);
    this.tokens = new Set(missing);
  }

  wire = "number";
  missing = true;

  /** @param {string} field */
  names(field) {
    return [field];
  }

  /** float64 in the shape of the batch. @param {string} field @param {any} values */
  encode(field, values) {
    const { shape, cells } = objectRows(values);
    const row = rowsOf(shape, cells.length);
    const data = Float64Array.from(cells, (value, place) => this.#number(field, value, row(place)));
    return [{ dtype: "f64", shape, data }];
  }

  /** @param {string} field @param {any} value @param {number} row */
  #number(field, value, row) {
    if (isMissing(value)) return NaN;
    if (typeof value === "string") return this.#parsed(field, value, row);
    if (typeof value === "number") return value;
    if (typeof value !== "bigint") throw refusal("this is not a number", field, row, { got: brief(value) });
    const number = Number(value);
    if (!Number.isFinite(number)) throw refusal("this number is too large", field, row, { got: brief(value) });
    return number;
  }

  /** @param {string} field @param {string} text @param {number} row */
  #parsed(field, text, row) {
    const trimmed = trim(text);
    if (this.tokens.has(trimmed)) return NaN;
    if (trimmed.length <= MAX_TEXT && NUMBER.test(trimmed)) return Number(trimmed);
    if (INFINITY.test(trimmed)) return trimmed.startsWith("-") ? -Infinity : Infinity;
    throw refusal("this is not a number", field, row, { got: brief(text), expected: "a number like -12.5 or 3e4" });
  }
}

/** Without space, tab, CR and LF at its ends: not `trim`, which takes more, and no pattern, which would take quadratic time. @param {string} text */
function trim(text) {
  let start = 0;
  let end = text.length;
  while (start < end && " \t\r\n".includes(text[start])) start += 1;
  while (end > start && " \t\r\n".includes(text[end - 1])) end -= 1;
  return text.slice(start, end);
}
