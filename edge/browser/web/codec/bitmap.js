/** Pixels of the formats that the browser decodes, read back from a canvas; works in pages and in workers. */

import { Damaged, Unsupported } from "./reader.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

const ACROSS = 8192; // tiles, because browsers bound a canvas: by its sides, some also by its area
const AREA = 1 << 22;
const UNTOUCHED = /** @type {ImageBitmapOptions} */ ({ imageOrientation: "none", colorSpaceConversion: "none", premultiplyAlpha: "none" });

/**
 * @param {Uint8Array[]} file @param {string} type @param {{width: number, height: number}} size what the header says
 * @param {3|4} channels RGB, or RGBA @returns {Promise<Pixels>}
 */
export async function bitmapPixels(file, type, { width, height }, channels) {
  if (typeof createImageBitmap !== "function") throw new Unsupported(`${type} is decoded by browsers only`);
  const bitmap = await decoded(new Blob(/** @type {BlobPart[]} */ (file), { type }));
  try {
    if (bitmap.width === width && bitmap.height === height) return readBack(bitmap, channels);
    throw new Damaged(`the header says ${width} x ${height}, its pixels are ${bitmap.width} x ${bitmap.height}`);
  } finally {
    bitmap.close();
  }
}

/** @param {Blob} blob */
async function decoded(blob) {
  try {
    return await createImageBitmap(blob, UNTOUCHED);
  } catch (error) {
    throw new Damaged(`the browser cannot decode it: ${error}`);
  }
}

/** @param {ImageBitmap} bitmap @param {3|4} channels @returns {Pixels} */
function readBack(bitmap, channels) {
  const { width, height } = bitmap;
  const wide = Math.min(width, ACROSS);
  const tall = Math.min(height, ACROSS, Math.max(1, Math.floor(AREA / wide)));
  const canvas = canvasOf(wide, tall);
  const made = { height, width, channels, data: new Uint8Array(height * width * channels) };
  for (let top = 0; top < height; top += tall) {
    for (let left = 0; left < width; left += wide) {
      canvas.clearRect(0, 0, wide, tall);
      canvas.drawImage(bitmap, -left, -top);
      const [tileWide, tileTall] = [Math.min(wide, width - left), Math.min(tall, height - top)];
      put(canvas.getImageData(0, 0, tileWide, tileTall), made, left, top);
    }
  }
  return made;
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  const held = typeof OffscreenCanvas === "function" ? new OffscreenCanvas(width, height) : Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {OffscreenCanvasRenderingContext2D|null} */ (held.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" }));
  if (!context) throw new Unsupported("this browser lends no canvas");
  return context;
}

/** @param {ImageData} tile @param {Pixels} image @param {number} left @param {number} top */
function put({ data, width, height }, { width: line, channels, data: made }, left, top) {
  for (let y = 0, from = 0; y < height; y += 1) {
    let out = ((top + y) * line + left) * channels;
    for (let x = 0; x < width; x += 1, from += 4, out += channels) {
      made[out] = data[from];
      made[out + 1] = data[from + 1];
      made[out + 2] = data[from + 2];
      if (channels === 4) made[out + 3] = data[from + 3];
    }
  }
}
