/** What callers pass, as plain JSON: for an endpoint, and to tell one question from another. */

import { isTensor, nested } from "./dtypes.js";
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

/** How many rows a question has: those of its first field; a bare value is one. @param {Record<string, any>} wire */
export async function rowsOf(wire) {
  const [value] = Object.values(wire);
  if (isTensor(value)) return value.shape[0] ?? 1;
  return Array.isArray(value) ? value.length : 1;
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
