/**
 * The seam of engines: who runs a bundle's segments. `artifact.engine` says which one a bundle was compiled for.
 *
 * An engine module exports `open(source, options) -> Promise<Engine>`; an Engine opens segments and is closed once. onnxruntime-web
 * (`engine.ort`) is the one there is; an ahead-of-time module would be a second file here and a second line in `ENGINES`.
 *
 * @typedef {object} Segment
 * @property {string[]} inputs names of the values that it reads
 * @property {string[]} outputs names of the values that it writes
 * @property {(names: string[], values: Record<string, import("./dtypes.js").Tensor>) => Promise<void>} run reads its inputs among the values, and adds the named outputs
 *
 * @typedef {object} Engine
 * @property {number} threads how many it really uses
 * @property {(file: string, spec: any) => Promise<Segment>} open
 * @property {() => Promise<void>} close
 */

import { PortsideError } from "./errors.js";

const ENGINES = { ort: () => import("./engine_ort.js") };

/** @param {import("./source.js").Source} source @param {{threads: number}} options @returns {Promise<Engine>} */
export async function openEngine(source, options) {
  const name = Object.keys(ENGINES).find((key) => source.artifact.engine[key] !== undefined);
  if (name === undefined) {
    throw new PortsideError("UnsupportedError", "This library has no engine for the bundle", {
      got: Object.keys(source.artifact.engine).join(", "), expected: Object.keys(ENGINES).join(", "), fix: "Use the model.js of the bundle itself.",
    });
  }
  const module = await ENGINES[name]();
  return module.open(source, options);
}
