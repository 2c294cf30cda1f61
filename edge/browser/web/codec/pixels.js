/** Rules for pixels, in integers: orientation, alpha, grey, and where a picture goes when its aspect ratio differs. */

/** @typedef {{height: number, width: number, channels: number, data: Uint8Array|Uint8ClampedArray}} Pixels rows from the top, channels last */

const TILE = 64;

/**
 * Upright, by the EXIF orientation that the picture was stored with; values other than 2 to 8 change nothing.
 * @param {Pixels} image @param {number} orientation @returns {Pixels}
 */
export function oriented(image, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return image;
  const { height: h, width: w, channels, data } = image;
  const turned = orientation >= 5;
  const [height, width] = turned ? [w, h] : [h, w];
  const [fromRight, fromBottom] = [[2, 3, 7, 8].includes(orientation), [3, 4, 6, 7].includes(orientation)]; // in the stored picture
  const across = (fromRight ? -1 : 1) * channels;
  const down = (fromBottom ? -1 : 1) * w * channels;
  const start = ((fromBottom ? h - 1 : 0) * w + (fromRight ? w - 1 : 0)) * channels;
  const made = { height, width, channels, data: new Uint8Array(data.length) };
  gather(data, start, turned ? across : down, turned ? down : across, made);
  return made;
}

/**
 * Pixel (y, x) from `start + y * perRow + x * perColumn`, by tiles: what a turned picture reads lies far apart.
 * @param {ArrayLike<number>} source @param {number} start @param {number} perRow @param {number} perColumn @param {Pixels} made
 */
function gather(source, start, perRow, perColumn, { height, width, channels, data }) {
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      const [bottom, right] = [Math.min(top + TILE, height), Math.min(left + TILE, width)];
      for (let y = top; y < bottom; y += 1) {
        let from = start + y * perRow + left * perColumn;
        let out = (y * width + left) * channels;
        for (let x = left; x < right; x += 1, from += perColumn) {
          for (let channel = 0; channel < channels; channel += 1) data[out++] = source[from + channel];
        }
      }
    }
  }
}

/** Alpha composed on white, then grey from RGB or RGB from grey. @param {Pixels} image @param {"RGB"|"L"} mode @returns {Pixels} */
export function toMode(image, mode) {
  const opaque = image.channels === 2 || image.channels === 4 ? composed(image) : image;
  if (mode === "RGB") return opaque.channels === 3 ? opaque : repeated(opaque);
  return opaque.channels === 1 ? opaque : grey(opaque);
}

/** @param {Pixels} image @returns {Pixels} */
function composed({ height, width, channels, data }) {
  const colours = channels - 1;
  const made = new Uint8Array(height * width * colours);
  for (let from = 0, out = 0; from < data.length; from += channels) {
    const alpha = data[from + colours];
    const white = 255 * (255 - alpha) + 127;
    for (let place = 0; place < colours; place += 1) made[out++] = (data[from + place] * alpha + white) / 255;
  }
  return { height, width, channels: colours, data: made };
}

/** @param {Pixels} image @returns {Pixels} */
function repeated({ height, width, data }) {
  const made = new Uint8Array(3 * data.length);
  for (let from = 0, out = 0; from < data.length; from += 1, out += 3) made[out] = made[out + 1] = made[out + 2] = data[from];
  return { height, width, channels: 3, data: made };
}

/** @param {Pixels} image @returns {Pixels} */
function grey({ height, width, data }) {
  const made = new Uint8Array(height * width);
  for (let from = 0, out = 0; out < made.length; from += 3, out += 1) {
    made[out] = (19595 * data[from] + 38470 * data[from + 1] + 7471 * data[from + 2] + 32768) >> 16;
  }
  return { height, width, channels: 1, data: made };
}

/**
 * The centred box of an (h, w) picture that has the aspect ratio of (height, width).
 * @param {number} h @param {number} w @param {number} height @param {number} width
 */
export function coverBox(h, w, height, width) {
  if (h * width > w * height) {
    const tall = Math.min(h, Math.max(1, Math.floor((2 * w * height + width) / (2 * width))));
    return { top: Math.floor((h - tall) / 2), left: 0, height: tall, width: w };
  }
  const wide = Math.min(w, Math.max(1, Math.floor((2 * h * width + height) / (2 * height))));
  return { top: 0, left: Math.floor((w - wide) / 2), height: h, width: wide };
}

/**
 * The largest [height, width] of the aspect ratio of (h, w) inside (height, width).
 * @param {number} h @param {number} w @param {number} height @param {number} width
 */
export function containSize(h, w, height, width) {
  if (h * width > w * height) return [height, Math.min(width, Math.max(1, Math.floor((2 * w * height + h) / (2 * h))))];
  return [Math.min(height, Math.max(1, Math.floor((2 * h * width + w) / (2 * w)))), width];
}

/** @param {Pixels} image @param {{top: number, left: number, height: number, width: number}} box @returns {Pixels} */
export function cropped(image, { top, left, height, width }) {
  if (height === image.height && width === image.width) return image;
  const { channels, data } = image;
  const made = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y += 1) {
    const from = ((top + y) * image.width + left) * channels;
    made.set(data.subarray(from, from + width * channels), y * width * channels);
  }
  return { height, width, channels, data: made };
}

/** The picture in the middle of a grey canvas. @param {Pixels} image @param {number} height @param {number} width @param {number} fill @returns {Pixels} */
export function centred(image, height, width, fill) {
  const { channels, data } = image;
  const made = new Uint8Array(height * width * channels).fill(fill);
  const [top, left] = [Math.floor((height - image.height) / 2), Math.floor((width - image.width) / 2)];
  const line = image.width * channels;
  for (let y = 0; y < image.height; y += 1) made.set(data.subarray(y * line, (y + 1) * line), ((top + y) * width + left) * channels);
  return { height, width, channels, data: made };
}

/** Channels first. @param {Pixels} image */
export function planes({ height, width, channels, data }) {
  const made = new Uint8Array(data.length);
  for (let channel = 0, out = 0; channel < channels; channel += 1) {
    for (let from = channel; out < (channel + 1) * height * width; from += channels) made[out++] = data[from];
  }
  return made;
}
