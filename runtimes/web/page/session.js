/** The page that a Python session drives: it loads a bundle's own `model.js` and hands calls to it, nothing more. */

import { pack, unpack } from "./frame.js";
import { measure, memory } from "./figures.js";

const BUNDLE = new URL("../bundle/", import.meta.url).href;
const running = new Map();
let model;

const methods = {
  async load(options) {
    const { load } = await import(`${BUNDLE}model.js`);
    model = await load(BUNDLE, options);
    const { threads, isolated } = model.info;
    return { threads, isolated };
  },
  async run(inputs, signal) {
    return model.run(inputs, { signal });
  },
  async predict(inputs, signal) {
    return (await model.predict(inputs, { signal })).outputs;
  },
  async measure({ inputs, repeats, seconds }, signal) {
    return measure(() => model.run(inputs, { signal }), repeats, seconds);
  },
  async start({ inputs, options }) {
    await methods.load(options);
    await model.run(inputs);
    return performance.now();
  },
  async memory() {
    return memory();
  },
  async close() {
    await model?.close();
  },
};

/** Fetch what a call sends, make it, post what came of it. @param {string} call @param {keyof methods} method */
async function make(call, method) {
  const url = new URL(`../${call}`, import.meta.url);
  const abort = new AbortController();
  running.set(call, abort);
  try {
    const sent = await fetch(url);
    if (!sent.ok) return;
    await fetch(url, { method: "POST", body: pack(await outcome(method, unpack(await sent.arrayBuffer()), abort.signal)) });
  } finally {
    running.delete(call);
  }
}

async function outcome(method, sent, signal) {
  try {
    return { value: await methods[method](sent, signal) };
  } catch (error) {
    return { error: described(error) };
  }
}

function described(error) {
  if (typeof error?.kind === "string" && typeof error.toJSON === "function") return error.toJSON();
  return { kind: "EngineError", what: `The page failed: ${error?.name ?? "Error"}: ${error?.message ?? error}` };
}

function cancel(call) {
  running.get(call)?.abort();
}

globalThis.portside = { make, cancel };
