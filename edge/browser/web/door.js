/**
 * The door: values against a signature, before anything runs. The port of `sdk/core/door.py`, which states the rules;
 * `tests/vectors/door.json` pins both.
 */

import { Gate } from "./gate.js";
import { refusal } from "./refusal.js";

export class Door {
  /** @param {any} signature as in artifact.json */
  constructor(signature) {
    const state = new Set((signature.state ?? []).map((pair) => pair.input));
    /** @type {Gate[]} */
    this.gates = signature.inputs.map((spec) => new Gate(spec, state.has(spec.name)));
    this.known = new Set(this.gates.map((gate) => gate.name));
  }

  /**
   * Enforce the signature.
   * @param {Record<string, unknown>} inputs
   * @returns {{values: Record<string, any>, flags: import("./gate.js").Flag[]}} tensors in rim dtypes (images as a list), and what was noticed
   */
  check(inputs) {
    const [made, dims, flags] = [new Map(), new Map(), []];
    for (const gate of this.gates) {
      if (Object.hasOwn(inputs, gate.name) && inputs[gate.name] !== undefined) made.set(gate.name, gate.admit(inputs[gate.name], dims, flags));
    }
    this.#refuseUnknown(inputs);
    for (const gate of this.gates) {
      if (made.has(gate.name)) continue;
      const filled = gate.fill(dims, flags);
      if (filled !== null) made.set(gate.name, filled);
    }
    return { values: Object.fromEntries(made), flags };
  }

  #refuseUnknown(inputs) {
    for (const name of Object.keys(inputs)) {
      if (!this.known.has(name)) throw refusal("there is no such input", name.slice(0, 60), null, { expected: [...this.known].join(", ") });
    }
  }
}
