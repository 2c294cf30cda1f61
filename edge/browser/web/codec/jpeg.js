/**
 * JPEG: the file is checked here and its pixels come from the browser. What could make a browser turn or recolour them
 * (EXIF, colour profiles) is left out of what it gets, so that every browser does the same.
 */

import { bitmapPixels } from "./bitmap.js";
import { headed } from "./exif.js";
import { Damaged, MAX_PARTS, Reader, Unsupported } from "./reader.js";

/** @typedef {{kind: number, start: number, at: number, end: number}} Part a marker segment: its marker, its content, its end */

const [RST0, RST7, SOI, EOI, SOS, APP0, APP1, APP14, COM] = [0xd0, 0xd7, 0xd8, 0xd9, 0xda, 0xe0, 0xe1, 0xee, 0xfe];
const FRAMES = [0xc0, 0xc1, 0xc2];
const TABLES = [0xc4, 0xc8, 0xcc]; // between the frames' numbers, but no frames

/** @param {Uint8Array} bytes @returns {{width: number, height: number}} */
export function jpegSize(bytes) {
  const reader = new Reader(bytes, false);
  for (const { kind, at } of partsOf(reader)) if (isFrame(kind)) return { height: reader.u16(at + 1), width: reader.u16(at + 3) };
  throw new Damaged("there is no header");
}

/** @param {Uint8Array} bytes @returns {Promise<{pixels: import("./pixels.js").Pixels, exif: Uint8Array|null}>} */
export async function decodeJpeg(bytes) {
  const reader = new Reader(bytes, false);
  const parts = Array.from(partsOf(reader));
  check(reader, parts);
  const size = jpegSize(bytes);
  const kept = parts.filter(({ kind }) => kind === APP0 || kind === APP14 || !(kind > APP0 && kind <= 0xef) && kind !== COM);
  const file = [bytes.subarray(0, 2), ...kept.map(({ start, end }) => bytes.subarray(start, end))];
  return { pixels: await bitmapPixels(file, "image/jpeg", size, 3), exif: exifOf(bytes, parts) };
}

/** The segments, the compressed pixels as a part of their SOS; it ends behind EOI. @param {Reader} reader @returns {Generator<Part>} */
function* partsOf(reader) {
  for (let place = 2, parts = 0; parts < MAX_PARTS; parts += 1) {
    const start = markerAt(reader, place);
    const kind = reader.u8(start + 1);
    if (kind === EOI) return yield { kind, start, at: start + 2, end: start + 2 };
    const bare = (kind >= RST0 && kind <= SOI) || kind === 0x01;
    const end = bare ? start + 2 : start + 2 + Math.max(2, reader.u16(start + 2));
    place = kind === SOS ? scanEnd(reader, end) : end;
    if (!bare) yield { kind, start, at: start + 4, end: place };
  }
  throw new Damaged(`it has more than ${MAX_PARTS} parts`);
}

/** The next marker, with what fills the room before it skipped. @param {Reader} reader @param {number} from */
function markerAt(reader, from) {
  let at = reader.bytes.indexOf(0xff, from);
  while (at >= 0 && [0x00, 0xff].includes(reader.bytes[at + 1])) at = reader.bytes.indexOf(0xff, at + 1);
  if (at < 0) throw new Damaged(`the file ends at byte ${reader.length}`);
  return at;
}

/** Where the compressed pixels of a scan end: the next marker that is no restart. @param {Reader} reader @param {number} from */
function scanEnd(reader, from) {
  let at = markerAt(reader, from);
  while (reader.u8(at + 1) >= RST0 && reader.u8(at + 1) <= RST7) at = markerAt(reader, at + 2);
  return at;
}

/** @param {number} kind */
function isFrame(kind) {
  return kind >= 0xc0 && kind <= 0xcf && !TABLES.includes(kind);
}

/** @param {Reader} reader @param {Part[]} parts */
function check(reader, parts) {
  const frame = parts.find(({ kind }) => isFrame(kind));
  if (!frame) throw new Damaged("there is no header");
  if (!FRAMES.includes(frame.kind)) throw new Unsupported("a JPEG that is lossless, hierarchical or coded arithmetically");
  if (reader.u8(frame.at) !== 8) throw new Unsupported(`a JPEG of ${reader.u8(frame.at)} bits`);
  if (!reader.u16(frame.at + 1) || !reader.u16(frame.at + 3)) throw new Damaged("the picture is empty");
  if (!parts.some(({ kind }) => kind === SOS)) throw new Damaged("there are no pixels");
}

/** The EXIF block; further ones continue the first. @param {Uint8Array} bytes @param {Part[]} parts */
function exifOf(bytes, parts) {
  const blocks = parts.filter(({ kind }) => kind === APP1).map(({ at, end }) => bytes.subarray(at, end)).filter(headed);
  if (!blocks.length) return null;
  const held = blocks.map((block, place) => block.subarray(place ? 6 : 0));
  const made = new Uint8Array(held.reduce((size, { length }) => size + length, 0));
  held.reduce((place, block) => (made.set(block, place), place + block.length), 0);
  return made;
}
