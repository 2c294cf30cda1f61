/** How data is refused: an InputError that names the field, and the row where there is one. */

import { PortsideError } from "./errors.js";

/**
 * @param {string} what @param {string} field @param {number|null} [row] @param {import("./errors.js").Details} [rest]
 */
export function refusal(what, field, row = null, rest = {}) {
  return new PortsideError("InputError", what, { field, row, ...rest });
}

/** The row of a flat position, along the batch axis where the rank fits; null where there is none. */
export function rowOf(spec, shape, place) {
  const axis = spec.batch_axis;
  if (axis === null || axis === undefined || shape.length !== spec.shape.length || !shape.length) return null;
  const inner = shape.slice(axis + 1).reduce((size, side) => size * side, 1);
  return Math.floor(place / inner) % shape[axis];
}

/** A value short enough to print. @param {unknown} value */
export function brief(value) {
  const text = typeof value === "string" ? JSON.stringify(value) : typeof value === "object" && value !== null ? value.constructor?.name ?? "object" : String(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
