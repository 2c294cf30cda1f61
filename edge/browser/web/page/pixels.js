/** Pixels between what a page holds (files, canvases) and what a model takes (uint8 tensors in several layouts). */

/**
 * @typedef {{height: number, width: number, channels: number, first: boolean, deep: boolean}} Layout `first`: channels before rows; `deep`: there is an axis of channels
 */

/** How a picture's shape is to be read, or null where it is none. @param {readonly (number|string)[]} shape without the batch axis @returns {Layout|null} */
export function layoutOf(shape) {
  if (!shape.every((size) => typeof size === "number")) return null;
  const [a, b, c] = /** @type {number[]} */ (shape);
  if (shape.length === 2) return a >= 8 && b >= 8 ? { height: a, width: b, channels: 1, first: false, deep: false } : null;
  if (shape.length !== 3) return null;
  if (a >= 8 && b >= 8 && [1, 3, 4].includes(c)) return { height: a, width: b, channels: c, first: false, deep: true };
  return [1, 3].includes(a) && b >= 8 && c >= 8 ? { height: b, width: c, channels: a, first: true, deep: true } : null;
}

/** A canvas of a size, with its context. @param {number} width @param {number} height */
export function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  return { canvas, context };
}

/** A typed picture on a canvas. @param {ArrayLike<number>} data @param {Layout} layout */
export function drawn(data, { height, width, channels, first }) {
  const { canvas, context } = sheet(width, height);
  const image = context.createImageData(width, height);
  const at = (/** @type {number} */ place, /** @type {number} */ channel) => data[first ? channel * height * width + place : place * channels + channel];
  for (let place = 0; place < height * width; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) image.data[place * 4 + channel] = at(place, channels === 1 ? 0 : channel);
    image.data[place * 4 + 3] = channels === 4 ? at(place, 3) : 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A canvas or picture as a typed tensor of a layout; stretched to it. @param {CanvasImageSource} source @param {Layout} layout */
export function typed(source, { height, width, channels, first }) {
  const { context } = sheet(width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const made = new Uint8Array(height * width * channels);
  for (let place = 0; place < height * width; place += 1) {
    const [red, green, blue] = [data[place * 4], data[place * 4 + 1], data[place * 4 + 2]];
    const parts = channels === 1 ? [(19595 * red + 38470 * green + 7471 * blue + 32768) >> 16] : [red, green, blue, data[place * 4 + 3]];
    for (let channel = 0; channel < channels; channel += 1) made[first ? channel * height * width + place : place * channels + channel] = parts[channel];
  }
  return made;
}

/** All pixels of a canvas as the codec takes them: uint8 (H, W, 4). @param {HTMLCanvasElement} canvas */
export function raw(canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { data: new Uint8Array(data.buffer), shape: [canvas.height, canvas.width, 4], dtype: "u8" };
}

/** A canvas of a picture, its light and dark exchanged. @param {CanvasImageSource & {width: number, height: number}} source @param {number} width @param {number} height */
export function inverted(source, width, height) {
  const { canvas, context } = sheet(width, height);
  context.drawImage(source, 0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  image.data.forEach((value, place) => {
    if (place % 4 !== 3) image.data[place] = 255 - value;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The mean grey level along the border of a picture: what its ground looks like. @param {ArrayLike<number>} data @param {Layout} layout */
export function ground(data, { height, width, channels, first }) {
  const stride = first ? 1 : channels;
  const border = [];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      if (row === 0 || column === 0 || row === height - 1 || column === width - 1) border.push(data[(row * width + column) * stride]);
    }
  }
  return border.reduce((sum, value) => sum + value, 0) / border.length;
}
