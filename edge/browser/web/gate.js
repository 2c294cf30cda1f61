/** One input at the door: its dtype, shape, missing values, range and categories. The port of `sdk/core/door_gate.py`. */

import { ARRAYS, rimOf, sizeOf, sort } from "./dtypes.js";
import { PortsideError } from "./errors.js";
import { toRim } from "./cells.js";
import { refusal, rowOf } from "./refusal.js";

const MISSING_CODE = -1;
const UNKNOWN_CODE = -2;
const FINITE = 3.4028234663852886e38;

/** @typedef {Map<string, {size: number, by: string}>} Dims symbolic dimension -> its length here, and the input that set it */
/** @typedef {{field: string, row: number|null, why: "range"|"clamped"|"unknown"|"absent", value: any}} Flag */

export class Gate {
  /** @param {any} spec @param {boolean} state */
  constructor(spec, state) {
    this.spec = spec;
    this.name = spec.name;
    this.state = state;
    this.rim = rimOf(spec.dtype);
    this.kind = sort(this.rim);
    this.coded = Boolean(spec.categories) && this.kind === "i";
    this.ranged = Boolean(spec.range) && this.kind !== "b";
    const [low, high] = limits(spec.range, this.kind);
    this.low = low;
    this.high = high;
    if (low > high) throw new PortsideError("FormatError", `The range of '${spec.name}' is empty`, { got: spec.range });
  }

  /** The value as the program takes it; images of different sizes as a list. @param {any} value @param {Dims} dims @param {Flag[]} flags */
  admit(value, dims, flags) {
    if (this.spec.canvas) return this.#images(value, dims);
    const tensor = toRim(this.spec, value);
    if (tensor.shape.length !== this.spec.shape.length) throw this.#wrongShape(tensor.shape);
    for (let axis = 0; axis < tensor.shape.length; axis += 1) {
      const [size, wanted] = [tensor.shape[axis], this.spec.shape[axis]];
      if (size !== wanted && (typeof wanted !== "string" || !this.#binds(wanted, size, dims))) throw this.#wrongShape(tensor.shape, wanted, dims);
    }
    if (this.kind === "f") return this.#floats(tensor, flags);
    if (this.coded) return this.#codes(tensor, flags);
    return this.ranged ? this.#range(tensor, flags) : tensor;
  }

  /** The default of an absent input, in the shape that the others imply. @returns {import("./dtypes.js").Tensor|null} */
  fill(dims, flags) {
    const { spec } = this;
    if (this.state) return null;
    if (spec.required ?? true) throw refusal("this input is required", this.name, null, { expected: `${spec.dtype} ${text(spec.shape)}` });
    const shape = spec.shape.map((size) => (typeof size === "string" ? dims.get(size)?.size ?? 1 : size));
    flags.push({ field: this.name, row: null, why: "absent", value: spec.default ?? null });
    return { dtype: this.rim, shape, data: new ARRAYS[this.rim](sizeOf(shape)).fill(this.#default()) };
  }

  #default() {
    const { default: held, categories, missing } = this.spec;
    if (held !== undefined && held !== null) return this.coded && categories.includes(held) ? categories.indexOf(held) : held;
    if (missing && (this.kind === "f" || this.coded)) return this.kind === "f" ? NaN : MISSING_CODE;
    throw refusal("this input is absent and has no default", this.name, null, { fix: "Send it, or give it a default in the signature." });
  }

  #binds(name, size, dims) {
    const known = dims.get(name);
    if (known !== undefined) return known.size === size;
    dims.set(name, { size, by: this.name });
    return size > 0;
  }

  #floats(tensor, flags) {
    if (within(tensor.data, this.low, this.high)) return tensor;
    if (!this.spec.missing) {
      const row = this.#first(tensor, Number.isNaN);
      if (row !== undefined) throw refusal("a value is missing (NaN) and this input takes no missing values", this.name, row.row);
    }
    return this.#range(tensor, flags);
  }

  #range(tensor, flags) {
    const outside = (value) => value < this.low || value > this.high;
    const first = this.#first(tensor, outside);
    if (first === undefined) return tensor;
    const how = this.spec.on_range ?? "flag";
    if (how === "reject") {
      const expected = this.ranged ? `${this.low} to ${this.high}` : "a finite number";
      throw refusal("a value is out of range", this.name, first.row, { got: first.value, expected });
    }
    const clamp = how === "clamp" && this.ranged;
    this.#flag(tensor, outside, clamp ? "clamped" : "range", flags);
    if (!clamp) return tensor;
    return { ...tensor, data: tensor.data.map((value) => (outside(value) ? Math.min(Math.max(value, this.low), this.high) : value)) };
  }

  #codes(tensor, flags) {
    const known = this.spec.categories.length;
    if (within(tensor.data, 0, known - 1)) return tensor;
    const missing = this.#first(tensor, (code) => code === MISSING_CODE);
    if (!this.spec.missing && missing !== undefined) {
      throw refusal("a category is missing and this input takes no missing values", this.name, missing.row);
    }
    const unknown = (code) => (code < 0 || code >= known) && code !== MISSING_CODE;
    const first = this.#first(tensor, unknown);
    if (first === undefined) return tensor;
    if (this.spec.on_unknown === "reject") {
      const names = this.spec.categories.slice(0, 10).join(", ") + (known > 10 ? ", ..." : "");
      throw refusal("this category is unknown", this.name, first.row, { got: first.value === UNKNOWN_CODE ? undefined : first.value, expected: names });
    }
    this.#flag(tensor, unknown, "unknown", flags);
    if (this.rim === "u8") return tensor;
    return { ...tensor, data: tensor.data.map((code) => (unknown(code) ? UNKNOWN_CODE : code)) };
  }

  #images(value, dims) {
    const images = Array.isArray(value) && value.length ? value.map((image, row) => toRim(this.spec, image, row)) : this.#stacked(value);
    if (!this.#binds(String(this.spec.shape[0]), images.length, dims)) {
      throw refusal("the number of images differs from the rows of other inputs", this.name, null, { got: images.length });
    }
    images.forEach((image, row) => this.#image(image, row));
    return images;
  }

  /** A batch of images of one size, image by image. */
  #stacked(value) {
    const batch = toRim(this.spec, value);
    if (batch.shape.length !== this.spec.shape.length) throw this.#wrongShape(batch.shape);
    const [rows, ...shape] = batch.shape;
    const size = sizeOf(shape);
    return Array.from({ length: rows }, (_, row) => ({ dtype: batch.dtype, shape, data: batch.data.subarray(row * size, (row + 1) * size) }));
  }

  #image({ shape }, row) {
    const [height, width] = this.spec.canvas;
    const tail = this.spec.shape.slice(3);
    if (shape.length !== this.spec.shape.length - 1 || shape.slice(2).some((size, axis) => size !== tail[axis])) {
      throw refusal("this is not one image", this.name, row, { got: `shape ${text(shape)}`, expected: `(height, width, ${tail[0] ?? ""})` });
    }
    if (!(shape[0] > 0 && shape[0] <= height && shape[1] > 0 && shape[1] <= width)) {
      throw refusal("this image does not fit", this.name, row, {
        got: `${shape[0]} x ${shape[1]}`, expected: `at most ${height} x ${width}`, fix: "Send a smaller one, or pack with a codec that resizes.",
      });
    }
  }

  /** The first value that is wrong, in the lowest row that has one; undefined where none is. */
  #first(tensor, wrong) {
    let found;
    for (let place = 0; place < tensor.data.length; place += 1) {
      if (!wrong(tensor.data[place])) continue;
      const row = rowOf(this.spec, tensor.shape, place);
      if (found === undefined || (row !== null && row < found.row)) found = { row, value: tensor.data[place] };
      if (found.row === null || found.row === 0) break;
    }
    return found;
  }

  #flag(tensor, wrong, why, flags) {
    const rows = new Map();
    tensor.data.forEach((value, place) => {
      const row = wrong(value) ? rowOf(this.spec, tensor.shape, place) : undefined;
      if (row !== undefined && !rows.has(row)) rows.set(row, value);
    });
    for (const [row, value] of [...rows].sort(([one], [other]) => one - other)) flags.push({ field: this.name, row, why, value });
  }

  #wrongShape(shape, dim = null, dims = null) {
    const known = typeof dim === "string" ? dims?.get(dim) : undefined;
    const rest = { got: text(shape), expected: text(this.spec.shape) };
    if (known !== undefined && known.size > 0) return refusal(`'${dim}' is ${known.size} in '${known.by}'`, this.name, null, rest);
    const empty = shape.includes(0) && shape.length === this.spec.shape.length;
    const fix = this.#isOneRow(shape) ? "An input is a batch: put this one row in a list." : undefined;
    return refusal(empty ? "a dimension is empty" : "the shape does not fit", this.name, null, { ...rest, fix });
  }

  #isOneRow(shape) {
    const row = this.spec.shape.filter((_, axis) => axis !== this.spec.batch_axis);
    if (row.length === this.spec.shape.length || row.length !== shape.length) return false;
    return row.every((size, axis) => typeof size === "string" || size === shape[axis]);
  }
}

/** All values between these; NaN is not. */
function within(data, low, high) {
  for (let place = 0; place < data.length; place += 1) if (!(data[place] >= low && data[place] <= high)) return false;
  return true;
}

/** The range in values that the rim's dtype has: rounded like the data for floats, inward for integers. */
function limits(range, kind) {
  if (!range) return [-FINITE, FINITE];
  const [low, high] = range.map(Number);
  return kind === "f" ? [Math.fround(low), Math.fround(high)] : [Math.ceil(low), Math.floor(high)];
}

/** @param {(number|string)[]} shape */
function text(shape) {
  return `(${shape.join(", ")})`;
}
