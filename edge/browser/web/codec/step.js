/** What the kinds of step share: batches, options, files. The port of `sdk/core/codec/step.py`; docs/codec.md specifies it. */

import { PortsideError } from "../errors.js";

/**
 * @typedef {{dtype: string, shape: number[], data: any}} Tensor
 * @typedef {{kind: string, field: string, produces?: string[], options?: Record<string, any>, files?: Record<string, string>}} StepData
 */

/** @param {string} what @param {import("../errors.js").Details} [details] */
export function malformed(what, details) {
  return new PortsideError("FormatError", what, details);
}

/** The options of a step; one that is not known would change answers. @param {string} kind @param {Record<string, any>} options @param {string[]} known */
export function checkedOptions(kind, options, known) {
  const unknown = Object.keys(options).filter((name) => !known.includes(name)).sort();
  if (unknown.length) throw malformed(`A codec step of kind '${kind}' has an unknown option`, { got: unknown[0], expected: known.join(", ") });
  return options;
}

/** @param {string} kind @param {Record<string, Uint8Array>} files @param {string} role */
export function fileOf(kind, files, role) {
  if (!(role in files)) throw malformed(`A codec step of kind '${kind}' lacks its file`, { expected: role });
  return files[role];
}

/** UTF-8, a byte order mark kept, as the reference reads it. @param {string} kind @param {Uint8Array} bytes */
export function textOf(kind, bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw malformed(`A file of a codec step of kind '${kind}' is not UTF-8`, { got: String(error) });
  }
}

/** @param {unknown} value */
const isList = (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/**
 * A batch as cells whose first axis counts rows; a bare value is a batch of one. Lists of unequal lengths stay cells.
 * @param {any} values @returns {{shape: number[], cells: any[]}}
 */
export function objectRows(values) {
  if (values !== null && typeof values === "object" && Array.isArray(values.shape) && values.data !== undefined) {
    const cells = values.dtype === "bool" ? Array.from(values.data, Boolean) : Array.from(values.data);
    return { shape: values.shape.length ? [...values.shape] : [1], cells };
  }
  if (!isList(values)) return { shape: [1], cells: [values] };
  const shape = [values.length];
  let cells = Array.isArray(values) ? values : Array.from(values);
  while (cells.length && cells.every((cell) => isList(cell) && cell.length === cells[0].length)) {
    shape.push(cells[0].length);
    cells = cells.flatMap((cell) => Array.from(cell));
  }
  return { shape, cells };
}

/** The row of a flat position. @param {number[]} shape @param {number} count */
export function rowsOf(shape, count) {
  const width = Math.max(Math.floor(count / Math.max(shape[0], 1)), 1);
  return (/** @type {number} */ place) => Math.floor(place / width);
}

/** Null, NaN, and what JavaScript leaves out. @param {unknown} value */
export function isMissing(value) {
  return value === null || value === undefined || Number.isNaN(value);
}
