/** BMP: every header and depth that is in use, with run lengths and bit fields. */

import { lookedUp } from "./png.js";
import { Damaged, Reader, Unsupported } from "./reader.js";

/** @typedef {{width: number, height: number, upward: boolean, bits: number, packing: number, colours: number, padding: number, after: number, masks: number[], offset: number}} Head */

const HEADERS = [12, 40, 52, 56, 64, 108, 124];
const [RAW, RLE8, RLE4, BITFIELDS] = [0, 1, 2, 3];
/** Bytes of a pixel by its masks of red, green, blue and alpha: the place of each colour; -1 where there is no alpha. */
const LAYOUTS = new Map([
  ["ff0000 ff00 ff 0", [2, 1, 0, -1]], ["ff000000 ff0000 ff00 0", [3, 2, 1, -1]], ["ff000000 ff00 ff 0", [3, 1, 0, -1]],
  ["ff000000 ff0000 ff00 ff", [3, 2, 1, 0]], ["ff ff00 ff0000 ff000000", [0, 1, 2, 3]], ["ff0000 ff00 ff ff000000", [2, 1, 0, 3]],
  ["ff000000 ff00 ff ff0000", [3, 1, 0, 2]], ["0 0 0 0", [2, 1, 0, 3]],
]);

/** @param {Uint8Array} bytes */
export function bmpSize(bytes) {
  return headOf(new Reader(bytes));
}

/** @param {Uint8Array} bytes @returns {{pixels: import("./pixels.js").Pixels, exif: null}} */
export function decodeBmp(bytes) {
  const reader = new Reader(bytes);
  const head = headOf(reader);
  if (!head.width || !head.height) throw new Damaged("the picture is empty");
  const made = head.bits <= 8 ? indexed(reader, head) : coloured(reader, head);
  return { pixels: { width: head.width, height: head.height, ...made }, exif: null };
}

/** @param {Reader} reader @returns {Head} */
function headOf(reader) {
  const size = reader.u32(14);
  if (!HEADERS.includes(size)) throw new Unsupported(`a BMP header of ${size} bytes`);
  reader.slice(14, size);
  const head = size === 12 ? oldHead(reader) : newHead(reader, size);
  const table = head.bits <= 8 ? head.padding * head.colours : 0;
  const stored = reader.u32(10);
  return { ...head, offset: stored === 14 + size ? stored + table : stored || head.after + table };
}

/** @param {Reader} reader */
function oldHead(reader) {
  const bits = reader.u16(24);
  return { width: reader.u16(18), height: reader.u16(20), upward: true, bits, packing: RAW, colours: 2 ** bits, padding: 3, after: 26, masks: [] };
}

/** @param {Reader} reader @param {number} size */
function newHead(reader, size) {
  const downward = reader.u8(25) === 0xff; // a negative height
  const [bits, packing] = [reader.u16(28), reader.u32(30)];
  const height = downward ? 2 ** 32 - reader.u32(22) : reader.u32(22);
  const behind = packing === BITFIELDS && size < 52; // three masks follow the header
  const count = packing !== BITFIELDS ? 0 : size < 56 ? 3 : 4;
  const masks = Array.from({ length: count }, (_, place) => reader.u32(54 + 4 * place));
  const colours = reader.u32(46) || 2 ** bits;
  return { width: reader.u32(18), height, upward: !downward, bits, packing, colours, padding: 4, after: 14 + size + (behind ? 12 : 0), masks };
}

/** Palettes. @param {Reader} reader @param {Head} head */
function indexed(reader, head) {
  if (![1, 4, 8].includes(head.bits) || ![RAW, RLE8, RLE4].includes(head.packing) || head.colours > 65_536) {
    throw new Unsupported(`BMP of ${head.bits} bits, kind ${head.packing}, ${head.colours} colours`);
  }
  const table = reader.bytes.subarray(head.after, head.after + head.padding * head.colours);
  const count = Math.min(256, Math.floor(table.length / head.padding));
  const palette = Uint8Array.from({ length: 768 }, (_, at) => (at < 3 * count ? table[Math.floor(at / 3) * head.padding + 2 - (at % 3)] : 0));
  return lookedUp(head.packing === RAW ? unpacked(reader, head) : runs(reader, head), palette, null);
}

/** @param {Head} head */
function lineOf({ width, bits }) {
  return Math.ceil((width * bits) / 32) * 4;
}

/** Where the row at height y starts; a row that the file lacks is damage. @param {Reader} reader @param {Head} head */
function rowsOf(reader, head) {
  const line = lineOf(head);
  const used = Math.ceil((head.width * head.bits) / 8);
  reader.slice(head.offset + line * (head.height - 1), used);
  return (/** @type {number} */ y) => head.offset + line * (head.upward ? head.height - 1 - y : y);
}

/** @param {Reader} reader @param {Head} head */
function unpacked(reader, head) {
  const { width, height, bits } = head;
  const rowAt = rowsOf(reader, head);
  const made = new Uint8Array(width * height);
  for (let y = 0, out = 0; y < height; y += 1) {
    const row = rowAt(y);
    for (let x = 0; x < width; x += 1) {
      const bit = x * bits;
      made[out++] = (reader.bytes[row + (bit >> 3)] >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
    }
  }
  return made;
}

/** Run lengths. Every row must be there. @param {Reader} reader @param {Head} head */
function runs(reader, { width, height, upward, packing, offset }) {
  const made = new Uint8Array(width * height);
  const small = packing === RLE4;
  let [at, out, x] = [offset, 0, 0];
  const put = (/** @type {number} */ value) => {
    if (out < made.length) made[out++] = value;
  };
  while (out < made.length) {
    const [count, byte] = [reader.u8(at), reader.u8(at + 1)];
    at += 2;
    if (count) {
      const room = Math.max(0, Math.min(count, width - x));
      for (let place = 0; place < room; place += 1) put(!small ? byte : place % 2 ? byte & 15 : byte >> 4);
      x += room;
    } else if (byte === 0) {
      while (out % width) put(0);
      x = 0;
    } else if (byte === 1) {
      throw new Damaged("the pixels are cut off");
    } else if (byte === 2) {
      for (let skip = reader.u8(at) + reader.u8(at + 1) * width; skip > 0 && out < made.length; skip -= 1) put(0);
      at += 2;
      x = out % width;
    } else {
      const length = small ? (byte + 1) >> 1 : byte;
      const part = reader.slice(at, Math.min(length, small ? (made.length - out + 1) >> 1 : made.length - out));
      for (let place = 0; place < byte; place += 1) put(!small ? part[place] : place % 2 ? part[place >> 1] & 15 : part[place >> 1] >> 4);
      x += byte;
      at += length + (length % 2);
    }
  }
  return upward ? flipped(made, width, height) : made;
}

/** @param {Uint8Array} rows @param {number} width @param {number} height */
function flipped(rows, width, height) {
  const made = new Uint8Array(rows.length);
  for (let y = 0; y < height; y += 1) made.set(rows.subarray(y * width, (y + 1) * width), (height - 1 - y) * width);
  return made;
}

/** @param {Reader} reader @param {Head} head */
function coloured(reader, head) {
  const [red, green, blue, alpha] = placesOf(head);
  const { width, height, bits } = head;
  const channels = alpha < 0 ? 3 : 4;
  const made = new Uint8Array(width * height * channels);
  const rowAt = rowsOf(reader, head);
  const { bytes } = reader;
  for (let y = 0, out = 0; y < height; y += 1) {
    let from = rowAt(y);
    for (let x = 0; x < width; x += 1, out += channels, from += bits >> 3) {
      if (bits === 16) {
        wide(bytes[from] | (bytes[from + 1] << 8), green, made, out);
        continue;
      }
      made[out] = bytes[from + red];
      made[out + 1] = bytes[from + green];
      made[out + 2] = bytes[from + blue];
      if (channels === 4) made[out + 3] = bytes[from + alpha];
    }
  }
  return { channels, data: made };
}

/** The places of red, green, blue and alpha in a pixel; for 16 bits the second is how many bits green has. @param {Head} head */
function placesOf({ bits, packing, masks }) {
  if (![16, 24, 32].includes(bits) || ![RAW, BITFIELDS].includes(packing)) throw new Unsupported(`BMP of ${bits} bits, kind ${packing}`);
  const plain = bits === 16 ? [0, 5, 0, -1] : [2, 1, 0, -1];
  if (packing === RAW) return plain;
  const told = masks.map((mask) => mask.toString(16)).join(" ");
  if (bits === 32) {
    const layout = LAYOUTS.get(masks.length === 3 ? `${told} 0` : told);
    if (layout) return layout;
  } else {
    const colours = masks.slice(0, 3).map((mask) => mask.toString(16)).join(" ");
    if (bits === 24 && colours === "ff0000 ff00 ff") return plain;
    if (bits === 16 && colours === "f800 7e0 1f") return [0, 6, 0, -1];
    if (bits === 16 && colours === "7c00 3e0 1f") return plain;
  }
  throw new Unsupported(`BMP of ${bits} bits with masks ${told}`);
}

/** A pixel of 16 bits: five or six of each, widened. @param {number} value @param {number} green @param {Uint8Array} made @param {number} out */
function wide(value, green, made, out) {
  const most = 2 ** green - 1;
  made[out] = (((value >> (5 + green)) & 31) * 255) / 31;
  made[out + 1] = (((value >> 5) & most) * 255) / most;
  made[out + 2] = ((value & 31) * 255) / 31;
}
