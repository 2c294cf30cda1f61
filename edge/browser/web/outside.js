/**
 * Answers that no model in this page gave, an endpoint's and a default's: believed no more than a model, so they pass the door
 * that inputs pass. The port of what `cloud/endpoint.py` and `cloud/resolving.py` check.
 */

import { Door } from "./door.js";
import { PortsideError } from "./errors.js";

/** An endpoint's outputs, all there and as the signature has them, for this many rows; or an error. @param {any} outputs @param {any} signature @param {number} rows */
export function checkOutputs(outputs, signature, rows) {
  const absent = signature.outputs.find((spec) => outputs?.[spec.name] === undefined);
  if (absent !== undefined) throw unlike("lacks an output", { got: Object.keys(outputs ?? {}).join(", "), expected: absent.name });
  const door = new Door({ inputs: signature.outputs.map((spec) => loose(spec)) });
  const { values } = admitted(door, Object.fromEntries(signature.outputs.map((spec) => [spec.name, coded(spec, outputs[spec.name])])), unlike);
  const odd = signature.outputs.find(({ name, batch_axis: axis }) => isAxis(axis) && values[name].shape[axis] !== rows);
  if (odd !== undefined) throw unlike("has another number of rows", { got: `${odd.name}: ${values[odd.name].shape[odd.batch_axis]}`, expected: rows });
}

/** A default's outputs for one row: every output, a value that it allows, categories by name or code. @param {any} values @param {any} signature @returns {Record<string, any>} */
export function defaultRow(values, signature) {
  const names = signature.outputs.map((spec) => spec.name);
  const odd = Object.keys(values).find((name) => !names.includes(name)) ?? names.find((name) => values[name] === undefined);
  if (odd !== undefined) {
    throw new PortsideError("FormatError", `The default ${names.includes(odd) ? "lacks" : "has an unknown"} output '${odd}'`, { got: Object.keys(values).join(", "), expected: names.join(", ") });
  }
  for (const spec of signature.outputs) {
    const strict = { ...loose(spec), range: spec.range, on_range: "reject", missing: spec.missing };
    admitted(new Door({ inputs: [strict] }), { [spec.name]: along(coded(spec, values[spec.name]), spec.batch_axis, 1) }, unallowed);
  }
  return Object.fromEntries(signature.outputs.map((spec) => [spec.name, named(spec, values[spec.name])]));
}

/** A default's answer for this many rows. @param {Record<string, any>} row @param {number} rows @param {any} signature */
export function repeated(row, rows, signature) {
  return Object.fromEntries(signature.outputs.map((spec) => [spec.name, along(row[spec.name], spec.batch_axis, rows)]));
}

/** An output's spec as an input's. */
function loose({ name, dtype, shape, batch_axis, categories }) {
  return { name, dtype, shape, batch_axis, categories, on_unknown: "reject", missing: true };
}

function admitted(door, values, refused) {
  try {
    return door.check(values);
  } catch (error) {
    throw refused(error.what ?? String(error), { got: error.got, expected: error.expected, field: error.field });
  }
}

function unlike(why, details) {
  return new PortsideError("EngineError", `The endpoint's answer does not fit the signature: ${why}`, { ...details, reason: "failed" });
}

function unallowed(why, details) {
  return new PortsideError("FormatError", `The default is not an answer that the signature allows: ${why}`, details);
}

/** Names of categories as codes; one that is not known is a code that the door refuses. */
function coded({ categories, dtype }, value) {
  return categories && !dtype.startsWith("f") ? each(value, (name) => (typeof name === "string" ? unknown(categories.indexOf(name)) : name)) : value;
}

/** Codes of categories as names; null for none. */
function named({ categories, dtype }, value) {
  return categories && !dtype.startsWith("f") ? each(value, (code) => (typeof code === "number" ? categories[code] ?? null : code)) : value;
}

function unknown(code) {
  return code < 0 ? -2 : code;
}

function each(value, change) {
  return Array.isArray(value) ? value.map((part) => each(part, change)) : change(value);
}

function isAxis(axis) {
  return axis !== null && axis !== undefined;
}

/** One row's value, this many times along the batch axis. */
function along(value, axis, rows) {
  if (!isAxis(axis)) return value;
  return axis === 0 ? Array.from({ length: rows }, () => value) : value.map((part) => along(part, axis - 1, rows));
}
