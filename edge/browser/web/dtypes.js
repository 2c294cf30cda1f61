/** Dtypes of a signature, and tensors in them: {dtype, shape, data}. */

/** @typedef {"f32"|"f64"|"f16"|"i8"|"u8"|"i32"|"i64"|"bool"|"string"} DType */
/** @typedef {Float32Array|Float64Array|Int8Array|Uint8Array|Uint8ClampedArray|Int16Array|Uint16Array|Int32Array|Uint32Array|BigInt64Array|BigUint64Array} Typed */
/** @typedef {{dtype: DType, shape: number[], data: Typed}} Tensor */

/** Dtype -> the array that holds it; half floats have none of their own everywhere, and keep their values in f32. */
export const ARRAYS = {
  f32: Float32Array, f64: Float64Array, f16: Float32Array, i8: Int8Array, u8: Uint8Array, i32: Int32Array, i64: BigInt64Array, bool: Uint8Array,
};

const RIM = { f64: "f32", f16: "f32", i64: "i32" };

/** The dtype that a program holds for a signature's dtype. @param {DType} dtype @returns {DType} */
export function rimOf(dtype) {
  return RIM[dtype] ?? dtype;
}

/** "f" floats, "i" integers, "b" booleans. @param {DType} dtype */
export function sort(dtype) {
  if (dtype === "bool") return "b";
  return dtype.startsWith("f") ? "f" : "i";
}

/** What the array itself says of its dtype; one of booleans looks like u8. @param {Typed} data @returns {DType} */
export function dtypeOf(data) {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Float64Array) return "f64";
  if (data instanceof Int8Array) return "i8";
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return "u8";
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return "i64";
  return "i32";
}

/** @param {number[]} shape */
export function sizeOf(shape) {
  let size = 1;
  for (const side of shape) size *= side;
  return size;
}

/** @param {any} value @returns {value is Tensor} */
export function isTensor(value) {
  return typeof value === "object" && value !== null && Array.isArray(value.shape) && (ArrayBuffer.isView(value.data) || Array.isArray(value.data));
}

/** @param {unknown} value @returns {value is Typed} */
export function isTyped(value) {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** A tensor's values in another dtype, without a check. @param {Tensor} tensor @param {DType} dtype @returns {Tensor} */
export function cast(tensor, dtype) {
  if (tensor.dtype === dtype) return tensor;
  const data = new ARRAYS[dtype](tensor.data.length);
  const as = dtype === "i64" ? BigInt : Number;
  for (let place = 0; place < data.length; place += 1) data[place] = as(tensor.data[place]);
  return { dtype, shape: tensor.shape, data };
}

/**
 * Nested arrays, as JSON has them: batch first, numbers, booleans, BigInt only where a number would lie.
 * @param {{dtype?: DType, shape: number[], data: ArrayLike<any>}} tensor
 */
export function nested({ dtype, shape, data }) {
  const read = dtype === "bool" ? (at) => Boolean(data[at]) : dtype === "i64" ? (at) => short(data[at]) : (at) => data[at];
  let place = 0;
  const level = (axis) => {
    if (axis === shape.length) return read(place++);
    const held = new Array(shape[axis]);
    for (let at = 0; at < held.length; at += 1) held[at] = level(axis + 1);
    return held;
  };
  return level(0);
}

/** @param {bigint|number} value */
function short(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
