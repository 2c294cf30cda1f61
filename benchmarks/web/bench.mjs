/** One question to a bundle and to bare onnxruntime-web on the same model, in turns, in one page. `benchmarks/bench_web.py` drives it. */

import { load } from "./model.js";
import { Codec } from "./web/codec/codec.js";

const MODEL = new URL("./engine/00-main.onnx", import.meta.url).href;
const LEAST = 5;
const LONG_MS = 0.5;

/** An onnxruntime-web of its own: the folder is a copy, so that nothing is shared with the bundle's. */
async function bareEngine(folder, proxy) {
  const ort = await import(`./${folder}/ort.wasm.min.mjs`);
  Object.assign(ort.env.wasm, { numThreads: 1, proxy, wasmPaths: new URL(`./${folder}/`, import.meta.url).href });
  const session = await ort.InferenceSession.create(MODEL, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  return { ort, session };
}

/**
 * What a page without Portside would write for each kind of input: the bytes that it has -> what it shows. onnxruntime-web's proxy
 * takes a tensor's buffer away, so what is asked again is copied.
 */
const questions = {
  async pixels(bytes, shape) {
    const ask = async ({ ort, session }) => shown(await session.run({ picture: new ort.Tensor("uint8", bytes.slice(), shape) }));
    return { wire: { picture: { data: bytes, shape } }, ask };
  },
  async photo(bytes) {
    const ask = async ({ ort, session }) => shown(await session.run({ image: new ort.Tensor("uint8", await grey(bytes), [1, 300, 300]) }));
    return { wire: { image: [bytes] }, ask };
  },
  async text(text) {
    const artifact = await (await fetch("./artifact.json")).json();
    const codec = await Codec.fromSteps(artifact.codec, async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer()));
    const ask = async ({ ort, session }) => {
      const typed = await codec.encode({ text: [text] }); // the one tokenizer there is, on both sides
      const feeds = Object.entries(typed).map(([name, { shape, data }]) => [name, new ort.Tensor("int32", data, shape)]);
      return shown(await session.run(Object.fromEntries(feeds)));
    };
    return { wire: { text: [text] }, ask };
  },
  async table(row, categories) {
    const codes = Object.fromEntries(Object.entries(categories).map(([name, values]) => [name, new Map(values.map((value, code) => [value, code]))]));
    const ask = async ({ ort, session }) => {
      const feeds = { numbers: new ort.Tensor("float32", Float32Array.from(row.numbers[0]), [1, row.numbers[0].length]) };
      for (const [name, known] of Object.entries(codes)) feeds[name] = new ort.Tensor("int32", Int32Array.of(known.get(row[name][0]) ?? -2), [1]);
      return shown(await session.run(feeds));
    };
    return { wire: row, ask };
  },
};

/** A PNG as 300 x 300 grey bytes, by the browser's decoder and a canvas. */
async function grey(bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(300, 300).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, 300, 300);
  const { data } = context.getImageData(0, 0, 300, 300);
  return Uint8Array.from({ length: 300 * 300 }, (_, place) => data[place * 4]);
}

function shown(outputs) {
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, Array.from(tensor.data)]));
}

/** Medians are taken outside: milliseconds of every call, per side and turn. */
globalThis.measure = async ({ kind, input, shape, categories, repeats, seconds }) => {
  const value = typeof input === "string" && kind !== "text" ? Uint8Array.from(atob(input), (char) => char.charCodeAt(0)) : input;
  const { wire, ask } = await questions[kind](value, shape ?? categories);
  const [inPlace, worker] = [await load(undefined, { worker: false }), await load(undefined, { worker: true })];
  const [bare, proxy] = [await bareEngine("bare", false), await bareEngine("proxy", true)];
  const sides = { page: () => inPlace.predict(wire), bare: () => ask(bare), worker: () => worker.predict(wire), proxy: () => ask(proxy) };
  const names = Object.keys(sides);
  for (const name of names) for (let call = 0; call < LEAST; call += 1) await sides[name]();
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  for (let turn = 0; turn < repeats; turn += 1) {
    for (let place = 0; place < names.length; place += 1) {
      const name = names[(place + turn) % names.length];
      taken[name].push(await timed(sides[name], seconds * 1000));
    }
  }
  const answers = { page: (await inPlace.predict(wire)).outputs, bare: await ask(bare) };
  return { taken, answers };
};

/** A page's clock ticks every 5 us: calls faster than `LONG_MS` are timed several at once. */
async function timed(call, length) {
  const together = await group(call);
  const durations = [];
  const until = performance.now() + length;
  while (durations.length < LEAST || performance.now() < until) {
    const start = performance.now();
    for (let at = 0; at < together; at += 1) await call();
    durations.push((performance.now() - start) / together);
  }
  return durations;
}

async function group(call) {
  const start = performance.now();
  for (let at = 0; at < LEAST; at += 1) await call();
  return Math.max(1, Math.round((LONG_MS * LEAST) / (performance.now() - start)));
}
