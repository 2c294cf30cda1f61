/** Reads a .safetensors file: eight bytes of length, a JSON header, then the tensors' bytes. */

import { PortsideError } from "../errors.js";

/** @typedef {{dtype: string, shape: number[], data: any}} Tensor `data`: a typed array (int64 as BigInt64Array) */

const KINDS = /** @type {Record<string, [string, any]>} */ ({
  F64: ["f64", Float64Array], F32: ["f32", Float32Array], I64: ["i64", BigInt64Array], I32: ["i32", Int32Array],
  I8: ["i8", Int8Array], U8: ["u8", Uint8Array], BOOL: ["bool", Uint8Array],
});

/** @param {ArrayBuffer} buffer @returns {Map<string, Tensor>} */
export function readSafetensors(buffer) {
  const size = buffer.byteLength >= 8 ? Number(new DataView(buffer).getBigUint64(0, true)) : NaN;
  if (!(size <= buffer.byteLength - 8)) throw new PortsideError("FormatError", "This is not a safetensors file");
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, size)));
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(entries.map(([name, entry]) => [name, tensor(name, entry, buffer, 8 + size)]));
}

/** @param {string} name @param {any} entry @param {ArrayBuffer} buffer @param {number} start @returns {Tensor} */
function tensor(name, { dtype, shape, data_offsets: [from, to] }, buffer, start) {
  if (dtype === "F16") return { dtype: "f32", shape, data: halves(new Uint16Array(buffer.slice(start + from, start + to))) };
  if (!KINDS[dtype]) throw new PortsideError("FormatError", `Tensor ${name} has a dtype that this page cannot read`, { got: dtype });
  const [kind, Kind] = KINDS[dtype];
  const count = shape.reduce((/** @type {number} */ all, /** @type {number} */ length) => all * length, 1);
  if (to > buffer.byteLength - start || to - from !== count * Kind.BYTES_PER_ELEMENT) {
    throw new PortsideError("FormatError", `Tensor ${name} lies outside its file or has another size than its shape`, { got: to - from });
  }
  return { dtype: kind, shape, data: new Kind(buffer.slice(start + from, start + to)) };
}

/** float16 to float32. @param {Uint16Array} bits */
function halves(bits) {
  return Float32Array.from(bits, (half) => {
    const [sign, exponent, part] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
    if (exponent === 31) return part ? NaN : sign * Infinity;
    return exponent ? sign * 2 ** (exponent - 15) * (1 + part / 1024) : sign * 2 ** -14 * (part / 1024);
  });
}
