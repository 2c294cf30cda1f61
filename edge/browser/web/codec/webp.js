/** WebP: the file is checked here and its pixels come from the browser, without the parts that could turn or recolour them. */

import { bitmapPixels } from "./bitmap.js";
import { Damaged, Reader } from "./reader.js";

/** @typedef {{name: string, start: number, at: number, end: number}} Chunk */

const DROPPED = ["ICCP", "EXIF", "XMP "];
const ALPHA = 0x10;
const FLAGS = 0x20 | 0x08 | 0x04; // the header's words for the dropped three

/** @param {Uint8Array} bytes @returns {{width: number, height: number}} */
export function webpSize(bytes) {
  const reader = new Reader(bytes);
  const name = reader.name(12, 4);
  if (name === "VP8X") return { width: 1 + (reader.u32(24) & 0xffffff), height: 1 + (reader.u32(26) >>> 8) };
  if (name === "VP8 ") return { width: reader.u16(26) & 0x3fff, height: reader.u16(28) & 0x3fff };
  if (name !== "VP8L" || reader.u8(20) !== 0x2f) throw new Damaged("there is no header");
  const bits = reader.u32(21);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

/** @param {Uint8Array} bytes @returns {Promise<{pixels: import("./pixels.js").Pixels, exif: Uint8Array|null}>} */
export async function decodeWebp(bytes) {
  const reader = new Reader(bytes);
  const chunks = chunksOf(reader);
  const size = webpSize(bytes);
  if (!size.width || !size.height) throw new Damaged("the picture is empty");
  const kept = chunks.filter(({ name }) => !DROPPED.includes(name)).map(({ name, start, end }) => (name === "VP8X" ? plain(bytes.slice(start, end)) : bytes.subarray(start, end)));
  const exif = chunks.find(({ name }) => name === "EXIF");
  const pixels = await bitmapPixels([headOf(kept), ...kept], "image/webp", size, opaque(reader) ? 3 : 4);
  return { pixels, exif: exif ? bytes.subarray(exif.at, exif.end) : null };
}

/** Whether the file says that it has no alpha: what a first frame leaves free is then black. @param {Reader} reader */
function opaque(reader) {
  const name = reader.name(12, 4);
  return name === "VP8X" ? (reader.u8(20) & ALPHA) === 0 : name === "VP8 ";
}

/** Chunks that the container says it has; one that is cut off is damage. @param {Reader} reader @returns {Chunk[]} */
function chunksOf(reader) {
  const last = 8 + reader.u32(4);
  reader.slice(0, last - (last % 2));
  const found = [];
  for (let start = 12; start + 8 <= last; ) {
    const length = reader.u32(start + 4);
    const end = start + 8 + length;
    reader.slice(start, 8 + length);
    found.push({ name: reader.name(start, 4), start, at: start + 8, end: Math.min(end + (length % 2), reader.length) });
    start = end + (length % 2);
  }
  return found;
}

/** @param {Uint8Array} header */
function plain(header) {
  header[8] &= ~FLAGS;
  return header;
}

/** @param {Uint8Array[]} chunks */
function headOf(chunks) {
  const head = new Uint8Array(12);
  head.set([0x52, 0x49, 0x46, 0x46, 0, 0, 0, 0, 0x57, 0x45, 0x42, 0x50]);
  new DataView(head.buffer).setUint32(4, 4 + chunks.reduce((sum, { length }) => sum + length, 0), true);
  return head;
}
