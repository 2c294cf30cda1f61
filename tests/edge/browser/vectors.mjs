/** Judges the codec by vectors (docs/codec.md, "Vectors"): run by node, and by a page that is served the repository. */

const CODEC = new URL("../../../edge/browser/web/codec/codec.js", import.meta.url);
const ARRAYS = { u8: Uint8Array, i32: Int32Array, f64: Float64Array };

/**
 * Files of vectors hold cases of `wire` with `typed` or `refused`; the weights of resizing are a list of their own.
 * @returns {Promise<{cases: number, failures: string[], largest: number}>} largest: the largest difference that was accepted
 */
export async function check(name, data) {
  return name.startsWith("resize_weights") ? weights(data) : cases(data);
}

async function weights(entries) {
  const { taps } = await import(new URL("resize.js", CODEC).href);
  const failures = entries.filter(({ size, out, taps: wanted }) => JSON.stringify(listed(taps(size, out))) !== JSON.stringify(wanted)).map(({ size, out }) => `${size} to ${out}`);
  return { cases: entries.length, failures, largest: 0 };
}

function listed({ first, start, weights: held }) {
  return Array.from(first, (from, place) => [from, Array.from(held.subarray(start[place], start[place + 1]))]);
}

async function cases({ steps, files = {}, tolerance = 0, cases: held }) {
  const { Codec } = await import(CODEC.href);
  const codec = await Codec.fromSteps(steps, async (path) => bytesOf(files[path]));
  const result = { cases: 0, failures: [], largest: 0 };
  for (const [place, { wire, typed, refused }] of held.entries()) {
    result.cases += 1;
    const got = await codec.encode(wireOf(wire)).catch((error) => ({ error }));
    const problem = refused ? refusalProblem(got.error, refused) : got.error ? String(got.error.stack ?? got.error) : tensorsProblem(got, typed, tolerance, result);
    if (problem) result.failures.push(`case ${place}: ${problem}`);
  }
  return result;
}

/** Pixels travel as {shape, base64}; everything else as it is. */
function wireOf(value) {
  if (Array.isArray(value)) return value.map(wireOf);
  if (typeof value !== "object" || value === null) return value;
  if (value.shape && value.base64 !== undefined) return { shape: value.shape, data: bytesOf(value.base64) };
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, wireOf(held)]));
}

function refusalProblem(error, { field, row }) {
  if (!error) return "was not refused";
  const said = error.kind === "InputError" && error.field === field && (error.row ?? null) === row;
  return said ? "" : `refused for another reason: ${error.stack ?? error}`;
}

function tensorsProblem(got, typed, tolerance, result) {
  if (String(Object.keys(got)) !== String(Object.keys(typed))) return `makes ${Object.keys(got)}`;
  for (const [name, expected] of Object.entries(typed)) {
    if (Array.isArray(expected) !== Array.isArray(got[name])) return `${name} is ${Array.isArray(got[name]) ? "a list" : "one tensor"}`;
    const pairs = Array.isArray(expected) ? expected.map((held, row) => [got[name][row], held]) : [[got[name], expected]];
    for (const [made, wanted] of pairs) {
      const problem = tensorProblem(made, wanted, tolerance, result);
      if (problem) return `${name}: ${problem}`;
    }
  }
  return "";
}

function tensorProblem(made, { dtype, shape, base64, data }, tolerance, result) {
  if (made.dtype !== dtype || String(made.shape) !== String(shape)) return `${made.dtype} (${made.shape}), not ${dtype} (${shape})`;
  if (made.data.constructor !== ARRAYS[dtype]) return `held as ${made.data.constructor.name}`;
  const wanted = base64 === undefined ? data.map((value) => (value === null ? NaN : Number(value))) : bytesOf(base64);
  if (made.data.length !== wanted.length) return `${made.data.length} values, not ${wanted.length}`;
  for (let at = 0; at < wanted.length; at += 1) {
    if (Object.is(made.data[at], wanted[at])) continue;
    const off = Math.abs(made.data[at] - wanted[at]);
    if (!(off <= tolerance)) return `${made.data[at]} at ${at}, not ${wanted[at]}`;
    result.largest = Math.max(result.largest, off);
  }
  return "";
}

function bytesOf(text) {
  const chars = atob(text);
  const made = new Uint8Array(chars.length);
  for (let at = 0; at < made.length; at += 1) made[at] = chars.charCodeAt(at);
  return made;
}
