/**
 * Whatever a caller gives for one typed input, as a tensor in the dtype of the program's rim, or an InputError.
 *
 * The port of `sdk/core/door_arrays.py`: numbers keep their value. Integers that do not fit are refused, floats are rounded to
 * nearest and refused where they would overflow; nested arrays are read as JSON.
 */

import { ARRAYS, dtypeOf, isTensor, isTyped, rimOf, sizeOf, sort } from "./dtypes.js";
import { brief, refusal, rowOf } from "./refusal.js";

const MISSING_CODE = -1;
const LIMITS = { i8: [-128, 127], u8: [0, 255], i32: [-(2 ** 31), 2 ** 31 - 1] };
const HALF_OVERFLOWS = 65520;

/**
 * @param {any} spec @param {unknown} value a tensor, a typed array, a number, or nested arrays @param {number|null} [row]
 * @returns {import("./dtypes.js").Tensor}
 */
export function toRim(spec, value, row = null) {
  const rim = rimOf(spec.dtype);
  const given = read(spec, value, row);
  const source = given.dtype ?? null;
  if (source === rim) return given;
  if (source === null) return fromCells(spec, given, rim, row);
  if (source === "bool" || rim === "bool") throw refusal("the dtype does not fit", spec.name, row, { got: source, expected: spec.dtype });
  return narrowed(spec, given, rim, row);
}

/** A tensor whose dtype is known, or one of plain cells (dtype undefined). */
function read(spec, value, row) {
  if (isTensor(value)) return ofTensor(spec, value, row);
  if (isTyped(value)) return { dtype: dtypeOf(value), shape: [value.length], data: value };
  const shape = shapeOf(value);
  const data = [];
  if (!flatten(value, shape, 0, data)) {
    throw refusal("the values are not one array", spec.name, row, { got: brief(value), expected: `nested lists of equal lengths, ${spec.dtype}` });
  }
  return { dtype: undefined, shape, data };
}

function ofTensor(spec, value, row) {
  const { shape, data } = value;
  if (sizeOf(shape) !== data.length) {
    throw refusal("the values do not fill the shape", spec.name, row, { got: `${data.length} values`, expected: `shape (${shape.join(", ")})` });
  }
  if (Array.isArray(data)) return { dtype: undefined, shape, data };
  return { dtype: value.dtype === "bool" ? "bool" : dtypeOf(data), shape, data };
}

function shapeOf(value) {
  const shape = [];
  for (let level = value; Array.isArray(level) || isTyped(level); [level] = level) {
    shape.push(level.length);
    if (!level.length) break;
  }
  return shape;
}

/** Put the cells of nested arrays into `data`; false where they are ragged. */
function flatten(value, shape, axis, data) {
  const list = Array.isArray(value) || isTyped(value);
  if (axis === shape.length) {
    data.push(value);
    return !list;
  }
  if (!list || value.length !== shape[axis]) return false;
  for (const part of value) if (!flatten(part, shape, axis + 1, data)) return false;
  return true;
}

function fromCells(spec, { shape, data }, rim, row) {
  const made = new ARRAYS[rim](data.length);
  const kind = sort(rim);
  const place = { spec, shape, row, at: 0 };
  for (; place.at < data.length; place.at += 1) {
    const cell = number(spec, data[place.at], kind, place);
    made[place.at] = kind === "f" ? narrowFloat(spec, Number(cell), place) : kind === "b" ? cell : narrowInteger(spec, cell, rim, place);
  }
  return { dtype: rim, shape, data: made };
}

/** The row of a place, worked out where something is refused. @param {{spec: any, shape: number[], row: number|null, at: number}} place */
function rowAt({ spec, shape, row, at }) {
  return row ?? rowOf(spec, shape, at);
}

/** One cell as a number, a BigInt or a boolean. */
function number(spec, cell, kind, place) {
  if (typeof cell === "boolean" && kind === "b") return cell;
  if ((cell === null || cell === undefined) && kind === "f") return NaN;
  if ((cell === null || cell === undefined) && kind === "i" && spec.categories && rimOf(spec.dtype) !== "u8") return MISSING_CODE;
  if (kind !== "b" && (typeof cell === "number" || typeof cell === "bigint")) return cell;
  const what = cell === null || cell === undefined ? "this is missing (null)" : "the value has the wrong type";
  const coded = typeof cell === "string" && spec.categories;
  throw refusal(coded ? "this is not the code of a category" : what, spec.name, rowAt(place), { got: brief(cell), expected: expected(spec) });
}

function expected(spec) {
  return spec.categories ? `0 to ${spec.categories.length - 1}, for ${spec.categories.slice(0, 10).join(", ")}` : spec.dtype;
}

function narrowed(spec, { shape, data }, rim, row) {
  const made = new ARRAYS[rim](data.length);
  const float = sort(rim) === "f";
  const place = { spec, shape, row, at: 0 };
  for (; place.at < data.length; place.at += 1) {
    made[place.at] = float ? narrowFloat(spec, Number(data[place.at]), place) : narrowInteger(spec, data[place.at], rim, place);
  }
  return { dtype: rim, shape, data: made };
}

function narrowFloat(spec, value, place) {
  const lost = spec.dtype === "f16" ? Math.abs(value) >= HALF_OVERFLOWS : Math.abs(Math.fround(value)) === Infinity;
  if (lost && Number.isFinite(value)) {
    const largest = spec.dtype === "f16" ? 65504 : 3.4028234663852886e38;
    throw refusal("the number does not fit", spec.name, rowAt(place), { got: value, expected: `at most ${largest} in size (${spec.dtype})` });
  }
  return value;
}

function narrowInteger(spec, value, rim, place) {
  if (typeof value === "number" && !Number.isInteger(value)) {
    if (Number.isNaN(value) && spec.categories && rim !== "u8") return MISSING_CODE;
    throw refusal("the number does not fit", spec.name, rowAt(place), { got: value, expected: "a whole number" });
  }
  const [low, high] = LIMITS[rim];
  if (value < low || value > high) throw refusal("the number does not fit", spec.name, rowAt(place), { got: String(value), expected: `${low} to ${high}` });
  return Number(value);
}
