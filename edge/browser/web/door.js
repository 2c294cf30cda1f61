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
    const values = {};
    const flags = [];
    const dims = new Map();
    const absent = [];
    for (const gate of this.gates) {
      const given = Object.hasOwn(inputs, gate.name) ? inputs[gate.name] : undefined;
      if (given === undefined) absent.push(gate);
      else values[gate.name] = gate.admit(given, dims, flags);
    }
    this.#refuseUnknown(inputs);
    for (const gate of absent) {
      const filled = gate.fill(dims, flags);
      if (filled !== null) values[gate.name] = filled;
    }
    return { values, flags };
  }

  #refuseUnknown(inputs) {
    for (const name of Object.keys(inputs)) {
      if (!this.known.has(name)) throw refusal("there is no such input", name.slice(0, 60), null, { expected: [...this.known].join(", ") });
    }
  }
}
