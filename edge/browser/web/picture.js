/** Pixels as a PNG file, for a server that takes files: what was drawn here goes the same way as what was chosen. */

import { crc } from "./codec/png.js";

const COLOUR = { 1: 0, 3: 2, 4: 6 };

/**
 * Pictures of pixels, one tensor each: (H, W), (H, W, 1 | 3 | 4), or a batch with one more axis in front; an ImageData is one.
 * @param {any} value @returns {{shape: number[], data: Uint8Array}[]|null} null for what is no pixels
 */
export function pixelsOf(value) {
  if (typeof ImageData !== "undefined" && value instanceof ImageData) {
    return [{ shape: [value.height, value.width, 4], data: new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.length) }];
  }
  if (!Array.isArray(value?.shape) || !ArrayBuffer.isView(value.data)) return null;
  const { shape, data } = value;
  const single = shape.length === 2 || (shape.length === 3 && shape[2] in COLOUR);
  if (single) return [{ shape, data }];
  const [rows, ...rest] = shape;
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, row) => ({ shape: rest, data: data.subarray(row * size, (row + 1) * size) }));
}

/** @param {{shape: number[], data: Uint8Array}} picture uint8 (H, W[, 1 | 3 | 4]) @returns {Promise<Uint8Array>} */
export async function png({ shape: [height, width, channels = 1], data }) {
  const line = width * channels;
  const raw = new Uint8Array(height * (line + 1)); // a filter byte, 0, before each line
  for (let y = 0; y < height; y += 1) raw.set(data.subarray(y * line, (y + 1) * line), y * (line + 1) + 1);
  const head = new Uint8Array(13);
  new DataView(head.buffer).setUint32(0, width);
  new DataView(head.buffer).setUint32(4, height);
  head.set([8, COLOUR[channels], 0, 0, 0], 8);
  const packed = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"));
  const body = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", head), chunk("IDAT", body), chunk("IEND", new Uint8Array(0))];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** @param {string} name @param {Uint8Array} body */
function chunk(name, body) {
  const made = new Uint8Array(body.length + 12);
  const view = new DataView(made.buffer);
  view.setUint32(0, body.length);
  made.set([...name].map((char) => char.charCodeAt(0)), 4);
  made.set(body, 8);
  view.setUint32(body.length + 8, crc(made.subarray(4, body.length + 8)));
  return made;
}
