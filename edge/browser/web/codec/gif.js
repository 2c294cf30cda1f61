/** The first frame of a GIF. */

import { lookedUp } from "./png.js";
import { Damaged, Reader } from "./reader.js";

/** @typedef {{left: number, top: number, width: number, height: number, interlaced: boolean, palette: Uint8Array|null, clear: number, data: number}} Frame */

/** @param {Uint8Array} bytes */
export function gifSize(bytes) {
  const reader = new Reader(bytes);
  return sizeWith(reader, frameOf(reader));
}

/** The screen, grown where the frame reaches over its edge. @param {Reader} reader @param {Frame} frame */
function sizeWith(reader, frame) {
  return { width: Math.max(reader.u16(6), frame.left + frame.width), height: Math.max(reader.u16(8), frame.top + frame.height) };
}

/** @param {Uint8Array} bytes @returns {{pixels: import("./pixels.js").Pixels, exif: null}} */
export function decodeGif(bytes) {
  const reader = new Reader(bytes);
  const frame = frameOf(reader);
  const { width, height } = sizeWith(reader, frame);
  if (!width || !height || !frame.width || !frame.height) throw new Damaged("the picture is empty");
  const screen = new Uint8Array(width * height).fill(Math.max(frame.clear, 0));
  const codes = unpacked(reader, frame);
  rowsOf(frame).forEach((y, row) => screen.set(codes.subarray(row * frame.width, (row + 1) * frame.width), (frame.top + y) * width + frame.left));
  const alpha = frame.clear < 0 ? null : Uint8Array.from({ length: 256 }, (_, index) => (index === frame.clear ? 0 : 255));
  const palette = frame.palette ?? Uint8Array.from({ length: 768 }, (_, at) => at / 3);
  return { pixels: { width, height, ...lookedUp(screen, palette, alpha) }, exif: null };
}

/** @param {Reader} reader @returns {Frame} */
function frameOf(reader) {
  const flags = reader.u8(10);
  const global = flags & 128 ? reader.slice(13, 3 << ((flags & 7) + 1)) : null;
  let clear = -1;
  for (let at = 13 + (global?.length ?? 0); ; ) {
    const kind = reader.u8(at);
    if (kind === 0x2c) return described(reader, at + 1, global, clear);
    if (kind === 0x3b) throw new Damaged("there is no picture");
    if (kind !== 0x21) {
      at += 1; // padding between blocks
      continue;
    }
    if (reader.u8(at + 1) === 0xf9 && reader.u8(at + 2) >= 4) clear = reader.u8(at + 3) & 1 ? reader.u8(at + 6) : -1;
    for (at += 2; reader.u8(at); at += 1 + reader.u8(at));
    at += 1;
  }
}

/** @param {Reader} reader @param {number} at @param {Uint8Array|null} global @param {number} clear @returns {Frame} */
function described(reader, at, global, clear) {
  const flags = reader.u8(at + 8);
  const local = flags & 128 ? reader.slice(at + 9, 3 << ((flags & 7) + 1)) : null;
  const frame = { left: reader.u16(at), top: reader.u16(at + 2), width: reader.u16(at + 4), height: reader.u16(at + 6) };
  return { ...frame, interlaced: (flags & 64) !== 0, palette: local ?? global, clear, data: at + 9 + (local?.length ?? 0) };
}

/** Rows of the frame in the order in which they are stored. @param {Frame} frame */
function rowsOf({ height, interlaced }) {
  const passes = interlaced ? [[0, 8], [4, 8], [2, 4], [1, 2]] : [[0, 1]];
  return passes.flatMap(([first, step]) => Array.from({ length: Math.max(0, Math.ceil((height - first) / step)) }, (_, place) => first + place * step));
}

/** LZW. @param {Reader} reader @param {Frame} frame */
function unpacked(reader, frame) {
  const least = reader.u8(frame.data);
  if (least < 1 || least > 11) throw new Damaged("the width of the codes is wrong");
  const data = joined(reader, frame.data + 1);
  const made = new Uint8Array(frame.width * frame.height);
  const [reset, end] = [1 << least, (1 << least) + 1];
  const before = new Int16Array(4096);
  const last = new Uint8Array(4096);
  const length = new Int32Array(4096).fill(1);
  for (let code = 0; code < reset; code += 1) last[code] = code;
  let [next, width, held, bits, at, previous, out] = [end + 1, least + 1, 0, 0, 0, -1, 0];
  while (out < made.length) {
    while (bits < width) {
      if (at >= data.length) throw new Damaged("the pixels are cut off");
      held |= data[at++] << bits;
      bits += 8;
    }
    const code = held & ((1 << width) - 1);
    held >>>= width;
    bits -= width;
    if (code === reset) {
      [next, width, previous] = [end + 1, least + 1, -1];
      continue;
    }
    if (code === end) throw new Damaged("the pixels are cut off");
    if (code > next || (code === next && (previous < 0 || next >= 4096)) || (previous < 0 && code > end)) throw new Damaged("a code is unknown");
    const known = code < next ? code : previous;
    let first = known;
    const count = length[code < next ? code : previous] + (code < next ? 0 : 1);
    let place = out + length[known] - 1;
    for (let walk = known, left = length[known]; left > 0; left -= 1, walk = before[walk], place -= 1) {
      if (place < made.length) made[place] = last[walk];
      first = walk;
    }
    if (code >= next && out + count - 1 < made.length) made[out + count - 1] = last[first];
    if (previous >= 0 && next < 4096) {
      before[next] = previous;
      last[next] = last[first];
      length[next] = length[previous] + 1;
      next += 1;
      if (next === 1 << width && width < 12) width += 1;
    }
    previous = code;
    out += count;
  }
  return made;
}

/** The sub-blocks of a frame; all must be there, to the empty one that ends them. @param {Reader} reader @param {number} from */
function joined(reader, from) {
  const parts = [];
  for (let at = from, length; (length = reader.u8(at)); at += 1 + length) parts.push(reader.slice(at + 1, length));
  const made = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  parts.reduce((place, part) => (made.set(part, place), place + part.length), 0);
  return made;
}
