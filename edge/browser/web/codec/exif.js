/** The orientation in an EXIF block. A malformed block changes nothing. */

import { Reader } from "./reader.js";

const ORIENTATION = 0x0112;
const WHOLE = new Map([[3, "u16"], [4, "u32"], [8, "u16"], [9, "u32"]]); // the sign does not matter: 1 to 8 are what is looked for
const HEADS = ["II*\0", "MM\0*", "MM*\0", "II\0*"];

/** 1 where there is none. @param {Uint8Array|null} block with or without "Exif\0\0" in front @returns {number} */
export function orientationOf(block) {
  if (!block) return 1;
  let bytes = block;
  while (headed(bytes)) bytes = bytes.subarray(6);
  try {
    return read(bytes);
  } catch {
    return 1; // shorter than its header says
  }
}

/** @param {Uint8Array} bytes */
export function headed(bytes) {
  return bytes.length >= 6 && String.fromCharCode(...bytes.subarray(0, 6)) === "Exif\0\0";
}

/** @param {Uint8Array} bytes */
function read(bytes) {
  const head = String.fromCharCode(...bytes.subarray(0, 4));
  if (!HEADS.includes(head)) return 1;
  const reader = new Reader(bytes, head[0] === "I");
  const start = reader.u32(4);
  const count = reader.u16(start);
  let found = 1;
  for (let entry = start + 2; entry < start + 2 + 12 * count && entry + 12 <= bytes.length; entry += 12) {
    if (reader.u16(entry) === ORIENTATION) found = valueOf(reader, entry) ?? found;
  }
  return found;
}

/** One whole number; undefined for an entry that holds nothing. @param {Reader} reader @param {number} entry @returns {number|undefined} */
function valueOf(reader, entry) {
  const count = reader.u32(entry + 4);
  if (count === 0) return undefined;
  const kind = WHOLE.get(reader.u16(entry + 2));
  return count !== 1 || !kind ? 1 : kind === "u16" ? reader.u16(entry + 8) : reader.u32(entry + 8);
}
