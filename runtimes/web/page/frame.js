/** The page's end of `runtimes/web/frame.py`, where the layout is described. */

const ALIGN = 8;
const ARRAYS = {
  f32: Float32Array, f64: Float64Array, i8: Int8Array, u8: Uint8Array, i32: Int32Array, i64: BigInt64Array, bool: Uint8Array,
};

/** The value of a frame. Tensors become {dtype, shape, data}. @param {ArrayBuffer} buffer */
export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  return plain(head, buffer, aligned(4 + size));
}

/** A value as a frame. @param {unknown} value @returns {Blob} */
export function pack(value) {
  const blobs = { parts: [], size: 0 };
  const head = new TextEncoder().encode(JSON.stringify(tagged(value, blobs)));
  const start = new Uint8Array(aligned(4 + head.length));
  new DataView(start.buffer).setUint32(0, head.length, true);
  start.set(head, 4);
  return new Blob([start, ...blobs.parts]);
}

function aligned(size) {
  return Math.ceil(size / ALIGN) * ALIGN;
}

function plain(value, buffer, start) {
  if (Array.isArray(value)) return value.map((item) => plain(item, buffer, start));
  if (value === null || typeof value !== "object") return value;
  switch (value.$) {
    case "float": return Number(value.v);
    case "int": return BigInt(value.v);
    case "map": return Object.fromEntries(value.v.map(([key, item]) => [key, plain(item, buffer, start)]));
    case "bytes": return new Uint8Array(buffer.slice(start + value.at, start + value.at + value.size));
    default: return tensor(value, buffer, start);
  }
}

function tensor({ dtype, shape, at, size, values }, buffer, start) {
  if (dtype === "string") return { dtype, shape, data: values };
  return { dtype, shape, data: new ARRAYS[dtype](buffer.slice(start + at, start + at + size)) };
}

function tagged(value, blobs) {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return { $: "int", v: String(value) };
  if (typeof value === "number") return exact(value) ? value : { $: "float", v: Object.is(value, -0) ? "-0" : String(value) };
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => tagged(item, blobs));
  if (isTensor(value)) return tensorTag(value, blobs);
  if (ArrayBuffer.isView(value)) return tensorTag({ data: value, shape: [value.length] }, blobs);
  return { $: "map", v: Object.entries(value).map(([key, item]) => [key, tagged(item, blobs)]) };
}

function exact(value) {
  return Number.isFinite(value) && !Object.is(value, -0);
}

function isTensor(value) {
  return Array.isArray(value.shape) && (Array.isArray(value.data) || ArrayBuffer.isView(value.data));
}

function tensorTag({ dtype, shape, data }, blobs) {
  if (Array.isArray(data)) return { $: "tensor", dtype: "string", shape, values: data.map((item) => item ?? null) };
  const at = blobs.size;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const padding = aligned(bytes.length) - bytes.length;
  blobs.parts.push(bytes, new Uint8Array(padding));
  blobs.size += bytes.length + padding;
  return { $: "tensor", dtype: stored(dtype, data), shape, at, size: bytes.length };
}

/** The dtype of the bytes themselves, whatever they stand for: a bool may be kept as bytes, an i64 as 32 bits. */
function stored(dtype, data) {
  if (dtype === "bool" && data.BYTES_PER_ELEMENT === 1) return "bool";
  const found = Object.entries(ARRAYS).find(([, kind]) => data instanceof kind);
  if (found === undefined) throw new TypeError(`A ${data.constructor.name} does not go into a frame`);
  return found[0];
}
