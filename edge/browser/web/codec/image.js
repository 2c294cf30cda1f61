/** Encoded or raw pictures to uint8 pixels: decode, orientation, colour rules, size. Specified in docs/codec.md. */

import { brief, refusal } from "../refusal.js";
import { base64Bytes, base64Size } from "./base64.js";
import { bmpSize, decodeBmp } from "./bmp.js";
import { orientationOf } from "./exif.js";
import { decodeGif, gifSize } from "./gif.js";
import { decodeJpeg, jpegSize } from "./jpeg.js";
import { centred, containSize, coverBox, cropped, oriented, planes, toMode } from "./pixels.js";
import { decodePng, pngSize } from "./png.js";
import { Damaged, Unsupported } from "./reader.js";
import { resize } from "./resize.js";
import { checkedOptions, malformed } from "./step.js";
import { decodeWebp, webpSize } from "./webp.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {{starts: string, size: (bytes: Uint8Array) => {width: number, height: number}, decode: (bytes: Uint8Array) => any}} Format */

const noTiff = () => {
  throw new Unsupported("browsers do not decode TIFF: send PNG or JPEG");
};
/** @type {Record<string, Format>} `starts`: a pattern of the first bytes, read one character a byte. */
const FORMATS = {
  PNG: { starts: "\\x89PNG\\r\\n\\x1a\\n", size: pngSize, decode: decodePng },
  JPEG: { starts: "\\xff\\xd8\\xff", size: jpegSize, decode: decodeJpeg },
  WEBP: { starts: "RIFF[^]{4}WEBP", size: webpSize, decode: decodeWebp },
  BMP: { starts: "BM", size: bmpSize, decode: decodeBmp },
  GIF: { starts: "GIF8[79]a", size: gifSize, decode: decodeGif },
  TIFF: { starts: "II\\*\\0|MM\\0\\*|II\\+\\0|MM\\0\\+", size: noTiff, decode: noTiff },
};
const NAMES = Object.keys(FORMATS);
const OPTIONS = ["size", "mode", "fit", "layout", "fill", "max_bytes", "max_pixels", "formats"];
const MAX_SIDE = 65_535;
const whole = (/** @type {any} */ value, /** @type {number} */ low, /** @type {number} */ high) => Number.isInteger(value) && low <= value && value <= high;

/** Pictures to uint8: (N, H, W, 3) for RGB, (N, H, W) for L; a list of tensors where they differ in size. */
export class Image {
  /** @param {Record<string, any>} options */
  constructor(options) {
    const held = checkedOptions("image", options, OPTIONS);
    this.size = held.size ?? null;
    this.mode = held.mode ?? "RGB";
    this.fit = held.fit ?? "stretch";
    this.layout = held.layout ?? (this.mode === "RGB" || this.size === null ? "HWC" : "HW");
    this.fill = held.fill ?? 0;
    this.maxBytes = held.max_bytes ?? 32 << 20;
    this.maxPixels = held.max_pixels ?? 50_000_000;
    /** @type {string[]} */
    this.formats = held.formats ?? NAMES;
    checkOptions(this);
  }

  wire = "image";
  missing = false;

  /** @param {string} field */
  names(field) {
    return [field];
  }

  /** A uint8 tensor; a list of them where sizes differ. @param {string} field @param {any} values */
  async encode(field, values) {
    const images = [];
    for (const [row, value] of picturesOf(field, values).entries()) images.push(this.#laid(await this.#pixels(field, value, row)));
    if (!images.length) throw refusal("there are no rows", field);
    const [{ shape }] = images;
    if (images.some((image) => String(image.shape) !== String(shape))) return [images];
    return [images.length === 1 ? { ...images[0], shape: [1, ...shape] } : stacked(images)];
  }

  /** @param {string} field @param {any} value @param {number} row */
  async #pixels(field, value, row) {
    const stored = isPixels(value) ? rawPixels(field, value, row) : await this.#decoded(field, value, row);
    return this.#sized(toMode(stored, this.mode));
  }

  /** @param {Pixels} image @returns {Pixels} */
  #sized(image) {
    if (this.size === null) return image;
    const [height, width] = this.size;
    const { height: h, width: w } = image;
    if (this.fit === "stretch") return resize(image, height, width);
    if (this.fit === "cover") return resize(cropped(image, coverBox(h, w, height, width)), height, width);
    const [innerHeight, innerWidth] = containSize(h, w, height, width);
    return centred(resize(image, innerHeight, innerWidth), height, width, this.fill);
  }

  /** @param {Pixels} image @returns {{dtype: string, shape: number[], data: Uint8Array}} */
  #laid(image) {
    const { height, width, channels, data } = image;
    if (this.layout === "CHW") return { dtype: "u8", shape: [channels, height, width], data: planes(image) };
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return { dtype: "u8", shape: this.layout === "HW" ? [height, width] : [height, width, channels], data: bytes };
  }

  /** @param {string} field @param {any} value @param {number} row @returns {Promise<Pixels>} */
  async #decoded(field, value, row) {
    const bytes = await this.#bytes(field, value, row);
    const format = this.#format(bytes);
    if (!format) throw refusal("this is not an image that can be read", field, row, { got: headOf(bytes), expected: this.formats.join(", ") });
    try {
      this.#checkSize(format.size(bytes), field, row);
      const { pixels, exif } = await format.decode(bytes);
      return oriented(pixels, orientationOf(exif));
    } catch (error) {
      if (error instanceof Damaged) throw refusal(`the image is damaged or cut off (${error.message})`, field, row);
      if (error instanceof Unsupported) throw refusal(`this kind of image is not supported (${error.message})`, field, row);
      throw error;
    }
  }

  /** @param {Uint8Array} bytes */
  #format(bytes) {
    const head = String.fromCharCode(...bytes.subarray(0, 16));
    const name = this.formats.find((known) => new RegExp(`^(?:${FORMATS[known].starts})`).test(head));
    return name && FORMATS[name];
  }

  /** @param {{width: number, height: number}} size @param {string} field @param {number} row */
  #checkSize({ width, height }, field, row) {
    if (Math.max(width, height) <= MAX_SIDE && width * height <= this.maxPixels) return;
    throw refusal("the image has too many pixels", field, row, { got: `${width} x ${height}`, expected: `at most ${this.maxPixels}, no side above ${MAX_SIDE}` });
  }

  /** The content of a file, checked before it is read or unpacked. @param {string} field @param {any} value @param {number} row @returns {Promise<Uint8Array>} */
  async #bytes(field, value, row) {
    const text = typeof value !== "string" ? null : value.startsWith("data:") ? value.slice(value.indexOf(",") + 1 || value.length) : value;
    const size = text === null ? value?.size ?? value?.byteLength : base64Size(text);
    if (size > this.maxBytes) throw refusal("the file is too large", field, row, { got: `${size} bytes`, expected: `at most ${this.maxBytes}` });
    const bytes = text === null ? await contentOf(value) : base64Bytes(text);
    if (bytes) return bytes;
    if (text !== null) throw refusal("this text is not base64", field, row, { got: brief(value) });
    throw refusal("this is not an image", field, row, { got: brief(value), expected: "a file, its bytes, base64 text or uint8 pixels" });
  }
}

/** @param {Image} step */
function checkOptions({ size, mode, fit, layout, fill, formats }) {
  if (size !== null && !(size.length === 2 && size.every((/** @type {any} */ side) => whole(side, 1, 1 << 15)))) {
    throw malformed("An image size is (height, width) in pixels", { got: size });
  }
  if (!["RGB", "L"].includes(mode) || !["stretch", "cover", "contain"].includes(fit) || !whole(fill, 0, 255)) {
    throw malformed("An image step has an unknown mode, fit or fill", { got: `${mode}, ${fit}, ${fill}` });
  }
  if (!["HWC", "CHW"].includes(layout) && `${layout} ${mode}` !== "HW L") {
    throw malformed("An image step has a layout that does not fit its mode", { got: `${layout}, ${mode}` });
  }
  const unknown = formats.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw malformed("An image step names an unknown file format", { got: unknown, expected: NAMES.join(", ") });
}

/** A batch as a list: one file or one array of pixels is a batch of one. @param {string} field @param {any} values @returns {any[]} */
function picturesOf(field, values) {
  if (Array.isArray(values)) return values;
  if (!isPixels(values)) {
    if (typeof values === "string" || isFile(values)) return [values];
    throw refusal("these are not images", field, null, { got: brief(values), expected: "files, base64 text or uint8 pixels" });
  }
  const { shape } = shaped(values);
  const single = shape.length === 2 || (shape.length === 3 && [1, 3, 4].includes(shape[2]) && isBytes(values));
  return single || !shape.length ? [values] : Array.from({ length: shape[0] }, (_, row) => rowOf(shaped(values), row));
}

/** @param {any} value ImageData, or {data, shape} */
function isPixels(value) {
  return typeof value === "object" && value !== null && ArrayBuffer.isView(value.data) && (Array.isArray(value.shape) || whole(value.width, 0, Infinity));
}

/** @param {any} value */
function shaped(value) {
  return value.shape ? value : { data: value.data, shape: [value.height, value.width, 4] };
}

/** @param {any} value */
function isBytes({ data, dtype = "u8" }) {
  return dtype === "u8" && (data instanceof Uint8Array || data instanceof Uint8ClampedArray);
}

/** @param {any} batch @param {number} row */
function rowOf({ data, shape, dtype }, row) {
  const size = shape.slice(1).reduce((/** @type {number} */ product, /** @type {number} */ side) => product * side, 1);
  return { data: data.subarray(row * size, (row + 1) * size), shape: shape.slice(1), dtype };
}

/** @param {string} field @param {any} value @param {number} row @returns {Pixels} */
function rawPixels(field, value, row) {
  const { shape, data } = shaped(value);
  const [height, width, channels = 1] = shape;
  const known = [2, 3].includes(shape.length) && [1, 3, 4].includes(channels) && height > 0 && width > 0;
  if (known && isBytes(value) && data.length === height * width * channels) return { height, width, channels, data };
  throw refusal("this array is not an image", field, row, {
    got: `${data.constructor.name} (${shape.join(", ")})`, expected: "uint8 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)",
  });
}

/** @param {any} value */
function isFile(value) {
  return value instanceof ArrayBuffer || value instanceof Uint8Array || (typeof Blob !== "undefined" && value instanceof Blob);
}

/** Null for what is no file. @param {any} value @returns {Promise<Uint8Array|null>} */
async function contentOf(value) {
  if (!isFile(value)) return null;
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value instanceof ArrayBuffer ? value : await value.arrayBuffer());
}

/** @param {{dtype: string, shape: number[], data: Uint8Array}[]} images */
function stacked(images) {
  const [{ dtype, shape, data }] = images;
  const made = new Uint8Array(images.length * data.length);
  images.forEach((image, row) => made.set(image.data, row * data.length));
  return { dtype, shape: [images.length, ...shape], data: made };
}

/** @param {Uint8Array} bytes */
function headOf(bytes) {
  return bytes.length ? `bytes ${Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ")}` : "no bytes";
}
