/** What callers may hand to the codec in JavaScript, and what they get back: `node codec_values.mjs` prints {checked, wrong}. */

import { isDeepStrictEqual } from "node:util";

const { Codec } = await import(new URL("../../../edge/browser/web/codec/codec.js", import.meta.url).href);
const wrong = [];
let checked = 0;

/** Two pixels, red and green, as BMP. */
const FILE = Uint8Array.from(atob("Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAD/AP8AAAA="), (char) => char.charCodeAt(0));
const TEXT = btoa(String.fromCharCode(...FILE));
const PIXELS = [255, 0, 0, 0, 255, 0];

function same(name, got, wanted) {
  checked += 1;
  if (!isDeepStrictEqual(got, wanted)) wrong.push(`${name}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
}

async function fails(name, work, kind, field, row = null) {
  const error = await work().then(() => null, (caught) => caught);
  same(name, error && [error.kind, error.field, error.row], [kind, field, row]);
}

const step = (kind, field, options = {}, more = {}) => ({ kind, field, options, ...more });
const of = (...steps) => Codec.fromSteps(steps, async () => new Uint8Array());
const plain = (tensor) => (Array.isArray(tensor) ? tensor.map(plain) : [tensor.dtype, tensor.shape, Array.from(tensor.data)]);
const photo = await of(step("image", "photo", { max_bytes: 200, max_pixels: 100 }));
const encoded = async (codec, wire) => Object.fromEntries(Object.entries(await codec.encode(wire)).map(([name, tensor]) => [name, plain(tensor)]));
const picture = ["u8", [1, 1, 2, 3], PIXELS];

for (const [name, value] of Object.entries({
  "a Uint8Array": FILE, "an ArrayBuffer": FILE.slice().buffer, "a Blob": new Blob([FILE]), base64: TEXT, "a data URL": `data:image/bmp;base64,${TEXT}`,
  "a view": new Uint8Array([9, ...FILE, 9]).subarray(1, -1), "a list": [new Blob([FILE])],
  "RGB pixels": { shape: [1, 2, 3], data: Uint8Array.from(PIXELS) }, "a batch of pixels": { shape: [1, 1, 2, 3], dtype: "u8", data: Uint8Array.from(PIXELS) },
  "what a canvas gives": { width: 2, height: 1, data: Uint8ClampedArray.of(255, 0, 0, 255, 0, 255, 0, 255) },
})) same(name, await encoded(photo, { photo: value }), { photo: picture });

same("grey pixels", await encoded(photo, { photo: { shape: [1, 2], data: Uint8Array.of(7, 8) } }), { photo: ["u8", [1, 1, 2, 3], [7, 7, 7, 8, 8, 8]] });
same("a file and pixels of the same size", await encoded(photo, { photo: [FILE, { shape: [1, 2], data: Uint8Array.of(7, 8) }] }), { photo: ["u8", [2, 1, 2, 3], [...PIXELS, 7, 7, 7, 8, 8, 8]] });
same("sizes that differ", await encoded(photo, { photo: [FILE, { shape: [1, 1], data: Uint8Array.of(7) }] }), { photo: [["u8", [1, 2, 3], PIXELS], ["u8", [1, 1, 3], [7, 7, 7]]] });
await fails("no rows", () => photo.encode({ photo: [] }), "InputError", "photo");
await fails("an object", () => photo.encode({ photo: {} }), "InputError", "photo");
await fails("null", () => photo.encode({ photo: [FILE, null] }), "InputError", "photo", 1);
await fails("floats", () => photo.encode({ photo: [{ shape: [1, 2], data: Float32Array.of(7, 8) }] }), "InputError", "photo", 0);
await fails("too few bytes for a shape", () => photo.encode({ photo: [{ shape: [2, 2], data: Uint8Array.of(7, 8) }] }), "InputError", "photo", 0);
await fails("two channels", () => photo.encode({ photo: [{ shape: [1, 1, 2], data: Uint8Array.of(7, 8) }] }), "InputError", "photo", 0);
await fails("a large file", () => photo.encode({ photo: [FILE, new Blob([new Uint8Array(201)])] }), "InputError", "photo", 1);
await fails("large base64", () => photo.encode({ photo: [btoa("a".repeat(201))] }), "InputError", "photo", 0);
await fails("base64 with a space", () => photo.encode({ photo: `${TEXT.slice(0, 8)} ${TEXT.slice(8)}` }), "InputError", "photo", 0);
await fails("base64 without padding", () => photo.encode({ photo: TEXT.replace(/=+$/, "") }), "InputError", "photo", 0);
await fails("TIFF", () => photo.encode({ photo: Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0) }), "InputError", "photo", 0);

const cells = await of(step("number", "n"), step("categories", "c", { values: ["no", "yes", "true"], missing: ["?"] }));
const through = { shape: [2], dtype: "f32", data: Float32Array.of(5, 6) };
const typed = await cells.encode({ n: ["1e2", null], c: ["yes", "?"], x: through });
same("what no step reads", typed.x, through);
same("names of the typed inputs", Object.keys(typed), ["n", "c", "x"]);
same("typed arrays", await encoded(cells, { n: Float32Array.of(1, NaN), c: { shape: [2], dtype: "bool", data: Uint8Array.of(1, 0) } }), { n: ["f64", [2], [1, NaN]], c: ["i32", [2], [2, -2]] });
same("nested lists", await encoded(cells, { n: [[1, "2"], [3, 4n]], c: [["no"], ["yes"]] }), { n: ["f64", [2, 2], [1, 2, 3, 4]], c: ["i32", [2, 1], [0, 1]] });
same("bare values", await encoded(cells, { n: 4, c: true }), { n: ["f64", [1], [4]], c: ["i32", [1], [2]] });
await fails("booleans are no numbers", () => cells.encode({ n: { shape: [2], dtype: "bool", data: Uint8Array.of(1, 0) }, c: ["no", "no"] }), "InputError", "n", 0);
await fails("a field that is missing", () => cells.encode({ n: [1] }), "InputError", "c");
await fails("rows that differ", () => cells.encode({ n: [1, 2], c: ["no"] }), "InputError", "c");
const coded = await of(step("categories", "colour", { values: ["red"] }, { produces: ["code"] }));
const given = { shape: [1], dtype: "i32", data: Int32Array.of(0) };
same("a field given typed", await coded.encode({ code: given }), { code: given });
await fails("a field given twice", () => coded.encode({ colour: "red", code: given }), "InputError", "code");
same("fields", cells.fields, [
  { name: "n", type: "number", missing: true, inputs: ["n"], values: null },
  { name: "c", type: "category", missing: true, inputs: ["c"], values: ["no", "yes", "true"] },
]);

const signature = { outputs: [{ name: "label", categories: ["low", "high"] }, { name: "score", categories: null }] };
const score = { dtype: "f32", shape: [1], data: Float32Array.of(0.5) };
const answer = cells.decode({ label: { dtype: "i64", shape: [2, 2], data: BigInt64Array.of(0n, 1n, -1n, -2n) }, score }, signature);
same("codes become names", [answer.label.shape, answer.label.data], [[2, 2], ["low", "high", null, null]]);
same("other outputs stay", answer.score, score);
await fails("a code without a name", async () => cells.decode({ label: { dtype: "i32", shape: [1], data: Int32Array.of(2) } }, signature), "EngineError", undefined);

await fails("an unknown kind", () => of(step("sound", "s")), "FormatError", undefined);
await fails("an unknown option", () => of(step("number", "n", { locale: "de" })), "FormatError", undefined);
await fails("the same input twice", () => of(step("number", "n"), step("number", "m", {}, { produces: ["n"] })), "FormatError", undefined);
await fails("a vocabulary that is missing", () => of(step("wordpiece", "t")), "FormatError", undefined);
for (const options of [{ size: [0, 4] }, { size: [4] }, { mode: "CMYK" }, { fit: "tile" }, { fill: 256 }, { layout: "HW" }, { formats: ["PSD"] }]) {
  await fails(`an image step with ${JSON.stringify(options)}`, () => of(step("image", "p", options)), "FormatError", undefined);
}
console.log(JSON.stringify({ checked, wrong }));
