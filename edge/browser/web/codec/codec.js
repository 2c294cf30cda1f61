/**
 * The codec of a bundle: ordered steps from wire fields to typed tensors, and category names on the way out.
 *
 * The port of `sdk/core/codec/codec.py`; docs/codec.md specifies it and tests/vectors/codec hold both to it.
 */

import { PortsideError } from "../errors.js";
import { refusal } from "../refusal.js";
import { BPE } from "./bpe.js";
import { Categories } from "./category.js";
import { Image } from "./image.js";
import { Numbers } from "./number.js";
import { malformed } from "./step.js";
import { WordPiece } from "./wordpiece.js";

/** @typedef {import("./step.js").Tensor} Tensor */
/** @typedef {{name: string, type: "image"|"text"|"category"|"number"|"tensor", missing: boolean, inputs: string[], values: string[]|null}} WireField */

/** @type {Record<string, any>} */
const KINDS = { image: Image, categories: Categories, number: Numbers, wordpiece: WordPiece, bpe: BPE };
const UNKNOWN = -2;

/** An immutable list of steps; `Codec.fromSteps` reads one. */
export class Codec {
  /** @type {{field: string, produces: string[], step: any}[]} */
  #bound;
  /** @type {Set<string>} */
  #read;

  /** @param {{field: string, produces: string[], step: any}[]} bound */
  constructor(bound) {
    const made = bound.flatMap(({ produces }) => produces);
    const twice = made.find((name, place) => made.indexOf(name) !== place);
    if (twice !== undefined) throw malformed("Two codec steps make the same typed input", { got: twice });
    this.#bound = bound;
    this.#read = new Set(bound.map(({ field }) => field));
  }

  /**
   * Parse the steps of an artifact. A malformed step, an unknown kind or option is a FormatError.
   * @param {import("./step.js").StepData[]} steps @param {(path: string) => Promise<Uint8Array>} read content of a path of the artifact
   * @returns {Promise<Codec>}
   */
  static async fromSteps(steps, read) {
    return new Codec(await Promise.all(steps.map((data) => parsed(data, read))));
  }

  /** The wire fields that steps read, in order; a field read twice is listed once. @returns {WireField[]} */
  get fields() {
    /** @type {Map<string, WireField>} */
    const found = new Map();
    for (const { field, produces, step } of this.#bound) {
      const inputs = [...(found.get(field)?.inputs ?? []), ...produces];
      found.set(field, { name: field, type: step.wire, missing: step.missing, inputs, values: step.values ?? null });
    }
    return [...found.values()];
  }

  /**
   * Wire values to typed tensors; a list of tensors only for images of different sizes. Typed inputs pass through.
   * @param {Record<string, any>} wire field -> batch @returns {Promise<Record<string, any>>}
   */
  async encode(wire) {
    return this.coded(wire);
  }

  /** As `encode`, and a promise only where images wait for a decoder: fast models answer in less time than promises take. @param {Record<string, any>} wire */
  coded(wire) {
    return this.#from(0, wire, {}, new Map());
  }

  /** @param {number} place of the first step that is left @param {Record<string, any>} wire @param {Record<string, any>} typed @param {Map<string, number>} rows */
  #from(place, wire, typed, rows) {
    for (let at = place; at < this.#bound.length; at += 1) {
      const bound = this.#bound[at];
      if (!Object.hasOwn(wire, bound.field)) {
        this.#refuseAbsent(bound, wire);
        continue;
      }
      const made = bound.step.encode(bound.field, wire[bound.field]);
      if (made instanceof Promise) return made.then((/** @type {any[]} */ tensors) => this.#from(at + 1, wire, kept(bound, tensors, typed, rows), rows));
      kept(bound, made, typed, rows);
    }
    checkRows(rows);
    return this.#joined(typed, wire);
  }

  /** @param {{field: string, produces: string[]}} bound @param {Record<string, any>} wire */
  #refuseAbsent({ field, produces }, wire) {
    if (produces.some((name) => Object.hasOwn(wire, name))) return;
    throw refusal("this field is missing", field, null, { expected: this.fields.map(({ name }) => name).join(", ") });
  }

  /** @param {Record<string, any>} typed @param {Record<string, any>} wire */
  #joined(typed, wire) {
    /** @type {string[]} */
    const through = [];
    for (const name of Object.keys(wire)) if (!this.#read.has(name)) through.push(name);
    const twice = through.filter((name) => Object.hasOwn(typed, name));
    if (twice.length) throw refusal("this input is given twice: as a wire field and as a typed tensor", twice.sort()[0]);
    for (const name of through) put(typed, name, wire[name]);
    return typed;
  }

  /**
   * Integer outputs with categories leave as names, null for missing and unknown; the rest unchanged.
   * @param {Record<string, Tensor>} outputs @param {{outputs: {name: string, categories?: string[]|null}[]}} signature
   * @returns {Record<string, Tensor>}
   */
  decode(outputs, signature) {
    const decoded = { ...outputs };
    for (const { name, categories } of signature.outputs) {
      if (categories && Object.hasOwn(outputs, name)) decoded[name] = names(name, outputs[name], categories);
    }
    return decoded;
  }
}

/**
 * What a step made, under the names that it makes.
 * @param {{field: string, produces: string[]}} bound @param {any[]} made @param {Record<string, any>} typed @param {Map<string, number>} rows
 */
function kept({ field, produces }, made, typed, rows) {
  rows.set(field, Array.isArray(made[0]) ? made[0].length : made[0].shape[0]);
  for (let place = 0; place < produces.length; place += 1) typed[produces[place]] = made[place];
  return typed;
}

/** An own property, whatever its name: callers choose it. @param {Record<string, any>} target @param {string} name @param {any} value */
function put(target, name, value) {
  if (name === "__proto__") Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}

/** @param {import("./step.js").StepData} data @param {(path: string) => Promise<Uint8Array>} read */
async function parsed(data, read) {
  const { kind, field, options = {}, files = {} } = data;
  if (typeof field !== "string" || !Object.hasOwn(KINDS, kind)) {
    throw malformed("A codec step has an unknown kind or no field", { got: `${kind}, ${field}`, expected: Object.keys(KINDS).join(", ") });
  }
  const contents = await Promise.all(Object.entries(files).map(async ([role, path]) => [role, await read(path)]));
  const step = new KINDS[kind](options, Object.fromEntries(contents));
  const produces = data.produces ?? step.names(field);
  if (produces.length !== step.names(field).length) {
    throw malformed(`The codec step for '${field}' names the wrong number of typed inputs`, { got: produces.join(", ") });
  }
  return { field, produces, step };
}

/** @param {Map<string, number>} rows */
function checkRows(rows) {
  const [size] = rows.values();
  let odd = size === 0;
  for (const count of rows.values()) odd ||= count !== size;
  if (!odd) return;
  const counts = [...rows];
  if (new Set(rows.values()).size > 1) {
    const [field] = counts.reduce((least, held) => (held[1] < least[1] ? held : least));
    throw refusal("The fields have different numbers of rows", field, null, { got: counts.map((held) => held.join(": ")).join(", ") });
  }
  for (const [name, count] of counts) if (!count) throw refusal("there are no rows", name);
}

/** @param {string} name @param {Tensor} tensor @param {string[]} categories @returns {Tensor} */
function names(name, tensor, categories) {
  if (!["i8", "u8", "i32", "i64"].includes(tensor.dtype)) return tensor;
  const data = Array.from(tensor.data, (held) => {
    const code = Number(held);
    if (code < UNKNOWN || code >= categories.length) {
      throw new PortsideError("EngineError", `Output '${name}' holds a code that has no name`, { got: code, expected: `0 to ${categories.length - 1}` });
    }
    return categories[code] ?? null;
  });
  return { dtype: "string", shape: tensor.shape, data };
}
