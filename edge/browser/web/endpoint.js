/** Another server with the same typed route: `POST url` with {"inputs": ...}. The only place where a page leaves its own origin. */

import { PortsideError } from "./errors.js";
import { checkOutputs } from "./outside.js";
import { imagesOf, plainWire, rowsOf } from "./wire.js";

export class Endpoint {
  /** @param {string} url @param {any} artifact @param {import("./source.js").Fetch} fetch */
  constructor(url, artifact, fetch) {
    this.url = address(url);
    this.artifact = artifact;
    this.images = imagesOf(artifact);
    this.fetch = fetch;
  }

  /** @param {Record<string, any>} wire @param {AbortSignal} signal */
  async predict(wire, signal) {
    const body = JSON.stringify({ inputs: await plainWire(wire, this.images) });
    const response = await this.fetch(new URL(this.url), { method: "POST", body, signal, headers: { "content-type": "application/json" } });
    if (response.status === 422 || response.status === 400) throw await refused(response);
    if (!response.ok) throw new PortsideError("EngineError", "The endpoint did not answer with 200", { got: response.status, reason: "failed" });
    return this.#read(await response.json(), rowsOf(wire, this.artifact));
  }

  /** Outputs as the signature has them, and whether a number is missing where it has none missing. */
  #read(said, rows) {
    const { outputs, flags } = said ?? {};
    checkOutputs(outputs, this.artifact.signature, rows);
    const { outputs: specs } = this.artifact.signature;
    const flaw = specs.find((spec) => spec.dtype.startsWith("f") && !spec.missing && holed(outputs[spec.name]));
    return { outputs: Object.fromEntries(specs.map((spec) => [spec.name, outputs[spec.name]])), flags: Array.isArray(flags) ? flags : [], flaw: flaw?.name ?? null };
  }
}

function address(url) {
  try {
    return new URL(url, globalThis.location?.href).href;
  } catch {
    throw new PortsideError("FormatError", "An endpoint of the failover chain has no address", { got: url, expected: "a URL" });
  }
}

function holed(value) {
  return Array.isArray(value) ? value.some(holed) : value === null;
}

async function refused(response) {
  const said = await response.json().catch(() => ({}));
  return new PortsideError("InputError", said.what ?? "The endpoint refused the input", { field: said.field, row: said.row, got: said.got, expected: said.expected, fix: said.fix });
}
