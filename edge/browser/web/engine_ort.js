/**
 * onnxruntime-web as an engine: three local files, compared with artifact.json before they run.
 *
 * The WebAssembly that is instantiated is made of the very bytes that were hashed. Its two scripts are hashed and then imported
 * from where they were fetched, because a strict content security policy allows no script that is made at run time.
 */

import { dtypeOf } from "./dtypes.js";
import { PortsideError } from "./errors.js";

const PLACE = "engine/ort/";
const API = `${PLACE}ort.wasm.min.mjs`;
const GLUE = `${PLACE}ort-wasm-simd-threaded.mjs`;
const WASM = `${PLACE}ort-wasm-simd-threaded.wasm`;
const TYPES = { f32: "float32", f64: "float64", i8: "int8", u8: "uint8", i32: "int32", i64: "int64", bool: "bool" };
const DTYPES = Object.fromEntries(Object.entries(TYPES).map(([dtype, type]) => [type, dtype]));

/** A module of WebAssembly that uses one SIMD instruction: what a browser without it refuses. */
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

/** @param {import("./source.js").Source} source @param {{threads: number}} options @returns {Promise<import("./engines.js").Engine>} */
export async function open(source, { threads }) {
  refuseOldBrowsers();
  const [wasm] = await Promise.all([source.read(WASM), source.read(API), source.read(GLUE)]);
  const ort = await imported(new URL(API, source.base));
  const used = globalThis.crossOriginIsolated ? Math.max(1, threads) : 1;
  ort.env.logLevel = "fatal";
  Object.assign(ort.env.wasm, { numThreads: used, proxy: false, wasmBinary: wasm, wasmPaths: { mjs: new URL(GLUE, source.base).href } });
  const opened = [];
  return {
    threads: used,
    async open(file, spec) {
      const segment = await Ort.open(ort, await source.read(file), file, spec);
      opened.push(segment);
      return segment;
    },
    async close() {
      await Promise.all(opened.splice(0).map((segment) => segment.close()));
    },
  };
}

function refuseOldBrowsers() {
  if (typeof WebAssembly !== "object") {
    throw new PortsideError("UnsupportedError", "This browser runs no WebAssembly", { fix: "Use a current browser, or give load() a failover with a server." });
  }
  if (!WebAssembly.validate(SIMD)) {
    throw new PortsideError("UnsupportedError", "This browser's WebAssembly has no SIMD instructions", { fix: "Use a browser of 2023 or newer, or give load() a failover with a server." });
  }
}

async function imported(url) {
  try {
    return await import(url.href);
  } catch (error) {
    throw new PortsideError("EngineError", "The engine's script cannot be loaded", { got: error?.message ?? String(error), fix: "Serve .mjs files as text/javascript." });
  }
}

class Ort {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
    this.inputs = [...session.inputNames];
    this.outputs = [...session.outputNames];
  }

  static async open(ort, bytes, file, spec) {
    try {
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 4 });
      return new Ort(ort, session);
    } catch (error) {
      throw new PortsideError("EngineError", `The browser's engine cannot open the model: ${short(error)}`, { got: file });
    }
  }

  async run(names, values) {
    const given = {};
    for (const name of this.inputs) given[name] = this.#tensor(values[name]);
    try {
      const made = await this.session.run(given, names);
      for (const name of names) values[name] = taken(made[name]);
    } catch (error) {
      throw new PortsideError("EngineError", `The browser's engine failed: ${short(error)}`, { reason: "failed" });
    }
  }

  #tensor({ dtype, shape, data }) {
    return new this.ort.Tensor(TYPES[dtype ?? dtypeOf(data)], data, shape);
  }

  async close() {
    await this.session.release();
  }
}

function taken({ type, dims, data }) {
  return { dtype: DTYPES[type] ?? "f32", shape: [...dims], data };
}

function short(error) {
  return String(error?.message ?? error).split("\n")[0].slice(0, 300);
}
