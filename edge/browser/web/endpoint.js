/** Another server with the same typed route: `POST url` with {"inputs": ...}. The only place where a page leaves its own origin. */

import { PortsideError } from "./errors.js";
import { plainWire } from "./wire.js";

export class Endpoint {
  /** @param {string} url @param {any} artifact @param {import("./source.js").Fetch} fetch */
  constructor(url, { signature, codec }, fetch) {
    this.url = new URL(url, globalThis.location?.href).href;
    this.signature = signature;
    this.images = new Set(codec.filter((step) => step.kind === "image").map((step) => step.field));
    this.fetch = fetch;
  }

  /** @param {Record<string, any>} wire @param {AbortSignal} signal */
  async predict(wire, signal) {
    const body = JSON.stringify({ inputs: await plainWire(wire, this.images) });
    const response = await this.fetch(new URL(this.url), { method: "POST", body, signal, headers: { "content-type": "application/json" } });
    if (response.status === 422 || response.status === 400) throw await refused(response);
    if (!response.ok) throw new PortsideError("EngineError", "The endpoint did not answer with 200", { got: response.status, reason: "failed" });
    return this.#read(await response.json());
  }

  /** Every output is there, and no number is missing where the signature has none missing. */
  #read({ outputs, flags }) {
    const absent = this.signature.outputs.find((spec) => outputs?.[spec.name] === undefined);
    if (absent !== undefined) throw new PortsideError("EngineError", "The endpoint's answer lacks an output", { got: Object.keys(outputs ?? {}).join(", "), expected: absent.name, reason: "failed" });
    const flaw = this.signature.outputs.find((spec) => spec.dtype.startsWith("f") && !spec.missing && holed(outputs[spec.name]));
    return { outputs: Object.fromEntries(this.signature.outputs.map((spec) => [spec.name, outputs[spec.name]])), flags, flaw: flaw?.name ?? null };
  }
}

function holed(value) {
  return Array.isArray(value) ? value.some(holed) : value === null;
}

async function refused(response) {
  const said = await response.json().catch(() => ({}));
  return new PortsideError("InputError", said.what ?? "The endpoint refused the input", { field: said.field, row: said.row, got: said.got, expected: said.expected, fix: said.fix });
}
