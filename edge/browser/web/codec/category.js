/** Category names to int32 codes: known 0..K-1, missing -1, unknown -2. */

import { brief, refusal } from "../refusal.js";
import { checkedOptions, isMissing, malformed, objectRows, rowsOf } from "./step.js";

const MISSING = -1;
const UNKNOWN = -2;

/** Names to codes, by exact comparison of code points. */
export class Categories {
  /** @param {Record<string, any>} options */
  constructor(options) {
    const { values = [], missing = [] } = checkedOptions("categories", options, ["values", "missing"]);
    this.values = Object.freeze(values.map(known));
    /** @type {Map<string, number>} */
    this.codes = new Map(this.values.map((/** @type {string} */ name, /** @type {number} */ code) => [name, code]));
    const repeated = this.codes.size !== values.length || missing.some((/** @type {any} */ name) => this.codes.has(known(name)));
    if (repeated) throw malformed("Categories must differ from each other and from the missing ones");
    for (const name of missing) this.codes.set(known(name), MISSING);
  }

  wire = "category";
  missing = true;

  /** @param {string} field */
  names(field) {
    return [field];
  }

  /** int32 codes in the shape of the batch. @param {string} field @param {any} values */
  encode(field, values) {
    const { shape, cells } = objectRows(values);
    const row = rowsOf(shape, cells.length);
    const data = new Int32Array(cells.length);
    for (let place = 0; place < data.length; place += 1) {
      data[place] = (typeof cells[place] === "string" ? this.codes.get(cells[place]) : undefined) ?? this.#code(field, cells[place], row(place));
    }
    return [{ dtype: "i32", shape, data }];
  }

  /** @param {string} field @param {any} value @param {number} row */
  #code(field, value, row) {
    if (isMissing(value)) return MISSING;
    const name = nameOf(value);
    if (name === null) throw refusal("a category is text", field, row, { got: brief(value) });
    return this.codes.get(name) ?? UNKNOWN;
  }
}

/** Text as it is, integers and booleans as JSON writes them, otherwise null. @param {unknown} value */
export function nameOf(value) {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  if (typeof value !== "bigint" && !Number.isInteger(value)) return null;
  const whole = BigInt(/** @type {any} */ (value));
  return (whole < 0n ? -whole : whole) < 1n << 64n ? String(whole) : null;
}

/** @param {unknown} value */
function known(value) {
  const name = nameOf(value);
  if (name === null) throw malformed("A category must be text, an integer or a boolean", { got: brief(value) });
  return name;
}
