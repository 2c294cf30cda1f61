/** Images of any size: padded with zeros to one canvas, their true sizes beside it as `<name>_size`. The port of `runtimes/canvas.py`. */

import { ARRAYS, sizeOf } from "./dtypes.js";

/** The program's input that holds the true sizes of the canvas `name`. @param {string} name */
export function sizeName(name) {
  return `${name}_size`;
}

/** `values` with every canvas padded and its sizes added. @param {any} signature @param {Record<string, any>} values */
export function padAll(signature, values) {
  const canvases = signature.inputs.filter((spec) => spec.canvas && Array.isArray(values[spec.name]));
  if (!canvases.length) return values;
  const padded = { ...values };
  for (const spec of canvases) [padded[spec.name], padded[sizeName(spec.name)]] = pad(values[spec.name], spec.canvas);
  return padded;
}

/**
 * @param {import("./dtypes.js").Tensor[]} images (height, width[, channels]) each @param {[number, number]} largest
 * @returns {[import("./dtypes.js").Tensor, import("./dtypes.js").Tensor]} canvas (batch, H, W[, channels]) and int32 (batch, 2)
 */
export function pad(images, [height, width]) {
  const { dtype, shape } = images[0];
  const rest = shape.slice(2);
  const pixel = sizeOf(rest);
  const whole = new ARRAYS[dtype](images.length * height * width * pixel);
  const sizes = new Int32Array(images.length * 2);
  images.forEach((image, row) => {
    const [h, w] = image.shape;
    sizes.set([h, w], row * 2);
    for (let y = 0; y < h; y += 1) whole.set(image.data.subarray(y * w * pixel, (y + 1) * w * pixel), ((row * height + y) * width) * pixel);
  });
  return [{ dtype, shape: [images.length, height, width, ...rest], data: whole }, { dtype: "i32", shape: [images.length, 2], data: sizes }];
}
