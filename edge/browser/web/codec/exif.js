/** The orientation in an EXIF block. A malformed block changes nothing; docs/codec.md says what counts. */

import { Reader } from "./reader.js";

const [ORIENTATION, SHORT, LONG] = [0x0112, 3, 4];

/** 1 where there is none. @param {Uint8Array|null} block with or without "Exif\0\0" in front @returns {number} */
export function orientationOf(block) {
  if (!block) return 1;
  let bytes = block;
  while (headed(bytes)) bytes = bytes.subarray(6);
  const head = String.fromCharCode(...bytes.subarray(0, 4));
  if (head !== "II*\0" && head !== "MM\0*") return 1;
  try {
    return read(new Reader(bytes, head[0] === "I"));
  } catch {
    return 1; // shorter than its header says
  }
}

/** @param {Uint8Array} bytes */
export function headed(bytes) {
  return String.fromCharCode(...bytes.subarray(0, 6)) === "Exif\0\0";
}

/** @param {Reader} reader */
function read(reader) {
  const start = reader.u32(4);
  const end = Math.min(start + 2 + 12 * reader.u16(start), reader.length - 11);
  let found = 1;
  for (let entry = start + 2; entry < end; entry += 12) {
    if (reader.u16(entry) !== ORIENTATION || reader.u32(entry + 4) !== 1) continue;
    const kind = reader.u16(entry + 2);
    if (kind === SHORT) found = reader.u16(entry + 8);
    else if (kind === LONG) found = reader.u32(entry + 8);
  }
  return found;
}
