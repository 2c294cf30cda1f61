/** What callers pass, as plain JSON: for an endpoint, and to tell one question from another. */

import { isTensor, isTyped, nested } from "./dtypes.js";
import { pixelsOf, png } from "./picture.js";

/**
 * Every field as JSON has it: files and bytes as base64, tensors as nested lists, NaN as null.
 * @param {Record<string, any>} wire @param {Set<string>} [images] fields that take files: pixels become one each
 */
export async function plainWire(wire, images = new Set()) {
  const fields = await Promise.all(Object.entries(wire).map(async ([name, value]) => [name, await (images.has(name) ? files(value) : plain(value))]));
  return Object.fromEntries(fields);
}

/** A batch of pictures as base64 text of files. */
async function files(value) {
  const made = (Array.isArray(value) ? value : [value]).map(async (item) => {
    const pixels = pixelsOf(item);
    return pixels === null ? [await plain(item)] : Promise.all(pixels.map(async (picture) => base64(await png(picture))));
  });
  return (await Promise.all(made)).flat();
}

/** Fields that take files of pictures. @param {any} artifact @returns {Set<string>} */
export function imagesOf({ codec }) {
  return new Set(codec.filter((step) => step.kind === "image").map((step) => step.field));
}

/** How many rows a question has: those of its first field that has a batch; 1 where none has. @param {Record<string, any>} wire @param {any} artifact */
export function rowsOf(wire, artifact) {
  const [images, axes] = [imagesOf(artifact), new Map(artifact.signature.inputs.map((spec) => [spec.name, spec.batch_axis]))];
  const read = new Set(artifact.codec.map((step) => step.field));
  for (const [name, value] of Object.entries(wire)) {
    if (images.has(name)) return Array.isArray(value) ? value.length : pixelsOf(value)?.length ?? 1;
    const axis = read.has(name) ? 0 : axes.get(name) ?? null;
    if (axis !== null) return lengthAt(value, axis);
  }
  return 1;
}

/** The length of a value along an axis; a bare value is one. */
function lengthAt(value, axis) {
  if (isTensor(value)) return value.shape[axis] ?? 1;
  if (axis > 0) return Array.isArray(value) ? lengthAt(value[0], axis - 1) : 1;
  return Array.isArray(value) || isTyped(value) ? value.length : 1;
}

async function plain(value) {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : spelled(value);
  if (typeof value !== "object" || value === null) return value ?? null;
  if (isTensor(value)) return plain(nested(value));
  if (Array.isArray(value)) return Promise.all(value.map(plain));
  if (typeof Blob !== "undefined" && value instanceof Blob) return base64(new Uint8Array(await value.arrayBuffer()));
  if (value instanceof ArrayBuffer) return base64(new Uint8Array(value));
  if (value instanceof Uint8Array) return base64(value);
  if (ArrayBuffer.isView(value)) return plain(Array.from(/** @type {any} */ (value)));
  if (typeof ImageData !== "undefined" && value instanceof ImageData) return pixels(value);
  return value;
}

/** NaN is null; infinities are what number fields read. */
function spelled(value) {
  return Number.isNaN(value) ? null : value > 0 ? "Infinity" : "-Infinity";
}

/** @param {ImageData} image */
function pixels({ data, width, height }) {
  return nested({ shape: [height, width, 4], data });
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}
