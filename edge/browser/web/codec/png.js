/** PNG, decoded here so that the pixels are exact in every browser: all kinds and depths, interlaced or not. */

import { Damaged, MAX_PARTS, Reader } from "./reader.js";

/** @typedef {{width: number, height: number, depth: number, colour: number, interlaced: boolean, palette: Uint8Array|null, transparency: Uint8Array|null, exif: Uint8Array|null, parts: Uint8Array[]}} Png */

const SAMPLES = new Map([[0, 1], [2, 3], [3, 1], [4, 2], [6, 4]]);
const DEPTHS = new Map([[0, [1, 2, 4, 8, 16]], [2, [8, 16]], [3, [1, 2, 4, 8]], [4, [8, 16]], [6, [8, 16]]]);
/** Adam7: first column, first row, step of columns, step of rows. */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const CRC = crcTable();

/** @param {Uint8Array} bytes */
export function pngSize(bytes) {
  const reader = new Reader(bytes, false);
  if (reader.name(12, 4) !== "IHDR" || reader.u32(8) !== 13) throw new Damaged("the file does not start with its header");
  return { width: reader.u32(16), height: reader.u32(20) };
}

/** @param {Uint8Array} bytes @returns {Promise<{pixels: import("./pixels.js").Pixels, exif: Uint8Array|null}>} */
export async function decodePng(bytes) {
  const png = chunksOf(bytes);
  const passes = (png.interlaced ? PASSES : [[0, 0, 1, 1]]).map((pass) => passOf(png, pass)).filter(({ width, height }) => width && height);
  const packed = await inflated(png.parts, passes.reduce((sum, pass) => sum + (pass.line + 1) * pass.height, 0));
  const samples = /** @type {number} */ (SAMPLES.get(png.colour));
  const data = new Uint8Array(png.width * png.height * samples);
  let at = 0;
  for (const pass of passes) {
    const size = (pass.line + 1) * pass.height;
    const part = packed.subarray(at, at + size);
    unfilter(part, pass.line, pass.height, Math.max(1, (png.depth * samples) >> 3));
    spread(part, pass, png, samples, data);
    at += size;
  }
  return { pixels: { width: png.width, height: png.height, ...coloured(data, samples, png) }, exif: png.exif };
}

/** @param {Uint8Array} bytes @returns {Png} */
function chunksOf(bytes) {
  const reader = new Reader(bytes, false);
  const png = header(reader);
  for (let at = 33, parts = 2; ; parts += 1) {
    if (parts > MAX_PARTS) throw new Damaged(`it has more than ${MAX_PARTS} parts`);
    const length = reader.u32(at);
    const name = reader.name(at + 4, 4);
    const content = reader.slice(at + 8, length);
    if (crc(reader.slice(at + 4, length + 4)) !== reader.u32(at + 8 + length)) throw new Damaged(`the checksum of ${name} is wrong`);
    if (name === "IEND") break;
    if (png.parts.length && (name === "PLTE" || name === "tRNS")) throw new Damaged("its parts are out of order");
    if (name === "PLTE") png.palette = content;
    else if (name === "tRNS") png.transparency = content;
    else if (name === "eXIf") png.exif = content;
    else if (name === "IDAT") png.parts.push(content);
    at += 12 + length;
  }
  if (!png.parts.length) throw new Damaged("there are no pixels");
  return png;
}

/** @param {Reader} reader @returns {Png} */
function header(reader) {
  const { width, height } = pngSize(reader.bytes);
  const [depth, colour, packing, filter, interlace] = reader.slice(24, 5);
  if (crc(reader.slice(12, 17)) !== reader.u32(29)) throw new Damaged("the checksum of IHDR is wrong");
  if (!width || !height || !DEPTHS.get(colour)?.includes(depth) || packing || filter || interlace > 1) throw new Damaged("the header is malformed");
  return { width, height, depth, colour, interlaced: interlace === 1, palette: null, transparency: null, exif: null, parts: [] };
}

/** @param {Png} png @param {number[]} pass */
function passOf(png, [left, top, across, down]) {
  const width = Math.ceil(Math.max(0, png.width - left) / across);
  const height = Math.ceil(Math.max(0, png.height - top) / down);
  const line = Math.ceil((width * /** @type {number} */ (SAMPLES.get(png.colour)) * png.depth) / 8);
  return { left, top, across, down, width, height, line };
}

/** Exactly `size` bytes. @param {Uint8Array[]} parts @param {number} size */
async function inflated(parts, size) {
  const made = new Uint8Array(size);
  const stream = new Blob(/** @type {BlobPart[]} */ (parts)).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let held = 0;
  try {
    for (let step = await stream.read(); !step.done; step = await stream.read()) {
      if (held + step.value.length <= size) made.set(step.value, held);
      held += step.value.length;
      if (held > size) break;
    }
  } catch (error) {
    throw new Damaged(`the compressed pixels are damaged (${error})`);
  }
  if (held === size) return made;
  await stream.cancel().catch(() => undefined); // damage behind what was read changes nothing
  throw new Damaged("the pixels are cut off, or there is more behind them");
}

/** Undo the filters of rows, in place. @param {Uint8Array} data @param {number} line @param {number} height @param {number} step bytes of a pixel */
function unfilter(data, line, height, step) {
  for (let y = 0; y < height; y += 1) {
    const row = y * (line + 1) + 1;
    const kind = data[row - 1];
    const above = y ? row - line - 1 : -1;
    if (kind > 4) throw new Damaged("a row has an unknown filter");
    if (kind === 1) for (let at = row + step; at < row + line; at += 1) data[at] += data[at - step];
    else if (kind === 2 && y) for (let at = 0; at < line; at += 1) data[row + at] += data[above + at];
    else if (kind === 3) for (let at = 0; at < line; at += 1) data[row + at] += ((at < step ? 0 : data[row + at - step]) + (y ? data[above + at] : 0)) >> 1;
    else if (kind === 4) paeth(data, row, above, line, step);
  }
}

/** @param {Uint8Array} data @param {number} row @param {number} above -1 in the first row @param {number} line @param {number} step */
function paeth(data, row, above, line, step) {
  if (above < 0) {
    for (let at = row + step; at < row + line; at += 1) data[at] += data[at - step]; // left is nearest where all above is 0
    return;
  }
  for (let at = 0; at < Math.min(step, line); at += 1) data[row + at] += data[above + at];
  for (let at = step; at < line; at += 1) {
    const left = data[row + at - step];
    const up = data[above + at];
    const corner = data[above + at - step];
    const toLeft = up > corner ? up - corner : corner - up;
    const toUp = left > corner ? left - corner : corner - left;
    const apart = left + up - 2 * corner;
    const toCorner = apart < 0 ? -apart : apart;
    data[row + at] += toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
  }
}

/**
 * Rows of a pass to samples of 8 bits: the high byte of 16, the bare value below 8.
 * @param {Uint8Array} rows @param {ReturnType<typeof passOf>} pass @param {Png} png @param {number} samples @param {Uint8Array} data
 */
function spread(rows, pass, { width, depth }, samples, data) {
  for (let y = 0; y < pass.height; y += 1) {
    const row = y * (pass.line + 1) + 1;
    const out = ((pass.top + y * pass.down) * width + pass.left) * samples;
    if (depth === 8 && pass.across === 1) data.set(rows.subarray(row, row + pass.line), out);
    else for (let x = 0; x < pass.width; x += 1) {
      for (let sample = 0; sample < samples; sample += 1) data[out + x * pass.across * samples + sample] = value(rows, row, x * samples + sample, depth);
    }
  }
}

/** @param {Uint8Array} rows @param {number} row @param {number} place @param {number} depth */
function value(rows, row, place, depth) {
  if (depth >= 8) return rows[row + place * (depth >> 3)];
  const bit = place * depth;
  return (rows[row + (bit >> 3)] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Grey widened to 255, palettes looked up, transparency as alpha. @param {Uint8Array} data @param {number} samples @param {Png} png */
function coloured(data, samples, { depth, colour, palette, transparency }) {
  if (colour === 3) return lookedUp(data, palette, transparency);
  if (depth < 8) {
    const scale = 255 / ((1 << depth) - 1);
    for (let at = 0; at < data.length; at += 1) data[at] *= scale;
  }
  const keyed = depth === 8 && transparency && (colour === 0 || colour === 2); // a colour key counts at 8 bits only
  return keyed ? withKey(data, samples, new Reader(transparency, false)) : { channels: samples, data };
}

/** @param {Uint8Array} data @param {Uint8Array|null} palette @param {Uint8Array|null} transparency */
export function lookedUp(data, palette, transparency) {
  if (!palette) throw new Damaged("there is no palette");
  const channels = transparency ? 4 : 3;
  const table = new Uint8Array(256 * channels);
  for (let index = 0; index < 256; index += 1) {
    for (let place = 0; place < 3; place += 1) table[index * channels + place] = palette[3 * index + place] ?? 0;
    if (transparency) table[index * 4 + 3] = transparency[index] ?? 255;
  }
  const made = new Uint8Array(data.length * channels);
  for (let at = 0, out = 0; at < data.length; at += 1) {
    const from = data[at] * channels;
    for (let place = 0; place < channels; place += 1) made[out++] = table[from + place];
  }
  return { channels, data: made };
}

/** @param {Uint8Array} data @param {number} samples @param {Reader} key */
function withKey(data, samples, key) {
  const clear = Array.from({ length: samples }, (_, place) => key.u16(2 * place));
  const made = new Uint8Array((data.length / samples) * (samples + 1));
  for (let at = 0, out = 0; at < data.length; at += samples) {
    let same = true;
    for (let place = 0; place < samples; place += 1) {
      same &&= data[at + place] === clear[place];
      made[out++] = data[at + place];
    }
    made[out++] = same ? 0 : 255;
  }
  return { channels: samples + 1, data: made };
}

function crcTable() {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let held = byte;
    for (let bit = 0; bit < 8; bit += 1) held = held & 1 ? 0xedb88320 ^ (held >>> 1) : held >>> 1;
    return held;
  });
}

/** The checksum of a chunk. @param {Uint8Array} bytes */
export function crc(bytes) {
  let held = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) held = CRC[(held ^ bytes[at]) & 255] ^ (held >>> 8);
  return (held ^ 0xffffffff) >>> 0;
}
