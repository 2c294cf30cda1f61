/** A stateful model's memory before its first call: absent state inputs get their initial values. The port of `runtimes/state.py`. */

import { ARRAYS, rimOf, sizeOf } from "./dtypes.js";

/** `values` with every absent state input filled, for as many rows as the other inputs have. @param {any} signature @param {Record<string, any>} values */
export function withInitial(signature, values) {
  if (!signature.state?.length) return values;
  const absent = signature.state.filter((pair) => values[pair.input] === undefined);
  if (!absent.length) return values;
  const dims = bound(signature, values);
  return { ...values, ...Object.fromEntries(absent.map((pair) => [pair.input, initial(signature, pair, dims)])) };
}

function initial(signature, pair, dims) {
  const shape = pair.shape.map((size) => (typeof size === "string" ? dims.get(size) ?? 1 : size));
  const dtype = rimOf(signature.inputs.find((spec) => spec.name === pair.input).dtype);
  const data = new ARRAYS[dtype](sizeOf(shape));
  const { values, sides } = flat(pair.initial);
  for (let place = 0; place < data.length; place += 1) data[place] = values[broadcast(place, shape, sides)];
  return { dtype, shape, data };
}

/** Nested initial values and their shape. */
function flat(initial) {
  const sides = [];
  for (let level = initial; Array.isArray(level); [level] = level) sides.push(level.length);
  return { values: Array.isArray(initial) ? initial.flat(Infinity) : [initial], sides };
}

/** Where the value of a flat position lies in an array of fewer or shorter axes. */
function broadcast(place, shape, sides) {
  let [at, stride] = [0, 1];
  for (let axis = shape.length - 1, side = sides.length - 1; side >= 0; axis -= 1, side -= 1) {
    const index = place % shape[axis];
    place = Math.floor(place / shape[axis]);
    at += (sides[side] === 1 ? 0 : index) * stride;
    stride *= sides[side];
  }
  return at;
}

/** Symbolic dimension -> its size in these values. */
function bound(signature, values) {
  const dims = new Map();
  for (const spec of signature.inputs) {
    const value = values[spec.name];
    if (value === undefined) continue;
    const shape = Array.isArray(value) ? [value.length] : value.shape;
    spec.shape.forEach((symbol, axis) => {
      if (typeof symbol === "string" && axis < shape.length && !dims.has(symbol)) dims.set(symbol, shape[axis]);
    });
  }
  return dims;
}
