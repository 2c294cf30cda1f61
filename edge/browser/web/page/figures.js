/** Numbers as people read them. */

/** A number in at most `digits` significant digits, without noise. @param {unknown} value @param {number} [digits] */
export function figure(value, digits = 4) {
  if (value === null || value === undefined) return "missing";
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return powered(value, digits);
  return value.toLocaleString("en", { maximumSignificantDigits: digits });
}

/** `3.0 × 10⁻⁸` @param {number} value @param {number} digits */
function powered(value, digits) {
  const [part, power] = value.toExponential(Math.max(0, Math.min(digits, 3) - 1)).split("e");
  return `${part} × 10${[...power.replace("+", "")].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("")}`;
}

/** A share of one as a percentage that never claims certainty it has not. @param {number} value */
export function percent(value) {
  if (!Number.isFinite(value) || value < 0 || value > 1) return figure(value);
  const shown = value * 100;
  if (shown !== 0 && shown < 0.1) return "< 0.1 %";
  if (shown !== 100 && shown > 99.9) return "> 99.9 %";
  return `${shown.toFixed(1)} %`;
}

/** Bytes: `1.5 MB`. @param {number} count */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let place = 0;
  for (; count >= 1000 && place < units.length - 1; place += 1) count /= 1000;
  return `${place && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[place]}`;
}

/** Milliseconds with the digits that matter. @param {number} value */
export function milliseconds(value) {
  if (value < 0.1) return "< 0.1 ms";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** A list of nested arrays, flat, with its shape. @param {unknown} nested @returns {{shape: number[], values: unknown[]}} */
export function flat(nested) {
  const shape = [];
  for (let at = nested; Array.isArray(at); at = at[0]) shape.push(at.length);
  return { shape, values: Array.isArray(nested) ? nested.flat(Infinity) : [nested] };
}

/** Nested arrays from flat values; the value itself without a shape. @param {ArrayLike<unknown>} data @param {number[]} shape @returns {any} */
export function nest(data, shape) {
  if (shape.length === 0) return data[0];
  if (shape.length === 1) return Array.from(data);
  const size = shape.slice(1).reduce((product, length) => product * length, 1);
  const rows = Array.from({ length: shape[0] });
  return rows.map((_, row) => nest(Array.prototype.slice.call(data, row * size, (row + 1) * size), shape.slice(1)));
}

/** Cosine of the angle between two vectors. @param {number[]} one @param {number[]} other */
export function cosine(one, other) {
  const dot = (/** @type {number[]} */ a, /** @type {number[]} */ b) => a.reduce((sum, value, place) => sum + value * b[place], 0);
  return dot(one, other) / (Math.sqrt(dot(one, one) * dot(other, other)) || 1);
}
