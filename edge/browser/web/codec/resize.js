/**
 * Resizing of 8-bit images by a triangle filter, in integers: every implementation gets the same bytes. docs/codec.md says
 * which weights; nothing is rounded between the passes, so their order is free and the cheaper one is taken.
 */

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {{first: Int32Array, start: Int32Array, weights: Int32Array}} Taps of output i: weights[start[i] .. start[i + 1]], on sources from first[i] */

const ONE = 1 << 15;

/** Integer weights per output position, which sum to 2**15. @param {number} size @param {number} out @returns {Taps} */
export function taps(size, out) {
  const first = new Int32Array(out);
  const start = new Int32Array(out + 1);
  /** @type {number[]} */
  const weights = [];
  for (let place = 0; place < out; place += 1) {
    const made = weightsAt(size, out, place);
    first[place] = made.first;
    for (const weight of made.weights) weights.push(weight);
    start[place + 1] = weights.length;
  }
  return { first, start, weights: Int32Array.from(weights) };
}

/** @param {number} size @param {number} out @param {number} place */
function weightsAt(size, out, place) {
  const reach = 2 * Math.max(size, out);
  const centre = size * (2 * place + 1);
  const raw = (/** @type {number} */ source) => Math.max(0, reach - Math.abs(out * (2 * source + 1) - centre));
  let first = Math.max(0, Math.floor((centre - reach) / (2 * out)) - 1);
  let last = Math.min(size, Math.floor((centre + reach) / (2 * out)) + 2);
  while (!raw(first)) first += 1;
  while (!raw(last - 1)) last -= 1;
  const held = Array.from({ length: last - first }, (_, at) => raw(first + at));
  return { first, weights: rounded(held) };
}

/** Shares of 2**15; the first of the largest takes the remainder. @param {number[]} raw */
function rounded(raw) {
  const total = raw.reduce((sum, value) => sum + value, 0);
  const weights = raw.map((value) => Math.floor((2 * ONE * value + total) / (2 * total)));
  const largest = weights.reduce((best, weight, at) => (weight > weights[best] ? at : best), 0);
  weights[largest] += ONE - weights.reduce((sum, weight) => sum + weight, 0);
  return weights;
}

/** The picture in another size; the same size returns the same pixels. @param {Pixels} image @param {number} height @param {number} width @returns {Pixels} */
export function resize(image, height, width) {
  const { height: h, width: w, channels, data } = image;
  if (h === height && w === width) return image;
  const [rows, columns] = [taps(h, height), taps(w, width)];
  const sums = new Float64Array(height * width * channels);
  if (height * w <= h * width) {
    const between = new Int32Array(height * w * channels); // sums of the first pass stay below 2**23
    alongRows(data, w * channels, rows, between);
    alongColumns(between, height, w, channels, columns, sums);
  } else {
    const between = new Int32Array(h * width * channels);
    alongColumns(data, h, w, channels, columns, between);
    alongRows(between, width * channels, rows, sums);
  }
  return { height, width, channels, data: narrowed(sums) };
}

/** Weighted sums of whole rows. @param {ArrayLike<number>} source @param {number} line @param {Taps} taps @param {Int32Array|Float64Array} sums */
function alongRows(source, line, { first, start, weights }, sums) {
  for (let place = 0; place < first.length; place += 1) {
    const out = place * line;
    for (let tap = start[place]; tap < start[place + 1]; tap += 1) {
      const weight = weights[tap];
      const from = (first[place] + tap - start[place]) * line;
      for (let at = 0; at < line; at += 1) sums[out + at] += weight * source[from + at];
    }
  }
}

/**
 * Weighted sums along each row.
 * @param {ArrayLike<number>} source @param {number} height @param {number} width @param {number} channels @param {Taps} taps
 * @param {Int32Array|Float64Array} sums
 */
function alongColumns(source, height, width, channels, { first, start, weights }, sums) {
  for (let y = 0, out = 0; y < height; y += 1) {
    for (let place = 0; place < first.length; place += 1) {
      const base = (y * width + first[place]) * channels;
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let tap = start[place], from = base + channel; tap < start[place + 1]; tap += 1, from += channels) sum += weights[tap] * source[from];
        sums[out++] = sum;
      }
    }
  }
}

/** The only rounding of pixels. @param {Float64Array} sums */
function narrowed(sums) {
  const made = new Uint8Array(sums.length);
  for (let place = 0; place < sums.length; place += 1) made[place] = (sums[place] + 2 ** 29) / 2 ** 30; // an array of bytes drops the fraction
  return made;
}
