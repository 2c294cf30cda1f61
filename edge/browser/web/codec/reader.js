/** Bytes of a file, read by position; what lies beyond the end is damage. */

/** A file that is damaged or cut off; `image.js` says where it came from. */
export class Damaged extends Error {}

/** A picture of a kind that has no rule, or that this platform cannot decode. */
export class Unsupported extends Error {}

/** Chunks or segments of one file; more are refused. */
export const MAX_PARTS = 65_536;

/** Integers in either byte order. */
export class Reader {
  /** @param {Uint8Array} bytes @param {boolean} [little] */
  constructor(bytes, little = true) {
    this.bytes = bytes;
    this.little = little;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length() {
    return this.bytes.length;
  }

  /** @param {number} at */
  u8(at) {
    this.#held(at, 1);
    return this.bytes[at];
  }

  /** @param {number} at */
  u16(at) {
    this.#held(at, 2);
    return this.view.getUint16(at, this.little);
  }

  /** @param {number} at */
  u32(at) {
    this.#held(at, 4);
    return this.view.getUint32(at, this.little);
  }

  /** @param {number} at */
  i32(at) {
    this.#held(at, 4);
    return this.view.getInt32(at, this.little);
  }

  /** @param {number} at @param {number} length */
  slice(at, length) {
    this.#held(at, length);
    return this.bytes.subarray(at, at + length);
  }

  /** One character a byte. @param {number} at @param {number} length */
  name(at, length) {
    return String.fromCharCode(...this.slice(at, length));
  }

  /** @param {number} at @param {number} length */
  #held(at, length) {
    if (at < 0 || at + length > this.bytes.length) throw new Damaged(`the file ends at byte ${this.bytes.length}`);
  }
}
