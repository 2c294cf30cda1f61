/** A loaded bundle in this thread: codec, door, canvas, state, segments in order, category names on the way out. */

import { padAll, sizeName } from "./canvas.js";
import { Codec } from "./codec/codec.js";
import { Door } from "./door.js";
import { cast, nested } from "./dtypes.js";
import { openEngine } from "./engines.js";
import { PortsideError } from "./errors.js";
import { flaw } from "./failover.js";
import { withInitial } from "./state.js";

/** @typedef {{outputs: Record<string, any>, flags: any[], flaw: string|null, codec_ms: number, engine_ms: number}} Answer */

export class Program {
  /** @private */
  constructor(artifact, codec, engine, plan) {
    this.signature = artifact.signature;
    this.codec = codec;
    this.engine = engine;
    this.plan = plan;
    this.door = new Door(artifact.signature);
    this.bare = !artifact.signature.state?.length && artifact.signature.inputs.every((spec) => !spec.canvas);
    this.closed = false;
    this.busy = false;
    /** @type {(() => void)[]} calls that wait for their turn, in order */
    this.waiting = [];
  }

  /** @param {import("./source.js").Source} source @param {{threads: number}} options */
  static async open(source, options) {
    const { artifact } = source;
    refuseHost(artifact);
    const codec = await Codec.fromSteps(artifact.codec, (path) => source.read(path));
    const engine = await openEngine(source, options);
    const segments = [];
    for (const spec of artifact.engine.segments) segments.push(await engine.open(spec.file, spec));
    return new Program(artifact, codec, engine, planned(segments, artifact.signature));
  }

  get threads() {
    return this.engine.threads;
  }

  /** Everything a caller may send: the fields of codec steps, and the typed inputs that pass through. */
  get fields() {
    const held = this.codec.fields;
    const made = new Set(held.flatMap((field) => field.inputs));
    const through = this.signature.inputs.filter((spec) => !made.has(spec.name));
    return [...held, ...through.map((spec) => ({ name: spec.name, type: "tensor", missing: spec.missing ?? false, inputs: [spec.name], values: spec.categories ?? null }))];
  }

  /** Typed tensors in, by name; outputs in the signature's dtypes and order. @param {Record<string, any>} inputs */
  async run(inputs) {
    return this.#typed(await this.#execute(this.#entered(inputs).values));
  }

  /** What a user has, by wire field. @param {Record<string, any>} wire @returns {Promise<Answer>} */
  async predict(wire) {
    const started = performance.now();
    const coded = this.codec.coded(wire);
    const typed = coded instanceof Promise ? await coded : coded;
    const encoded = performance.now();
    const { values, flags } = this.#entered(typed);
    const tensors = this.#typed(await this.#execute(values));
    const engine = performance.now() - encoded;
    const outputs = this.codec.decode(tensors, this.signature);
    for (const name of Object.keys(outputs)) outputs[name] = nested(outputs[name]);
    return { outputs, flags, flaw: flaw(tensors, this.signature.outputs), codec_ms: encoded - started, engine_ms: engine };
  }

  async close() {
    this.closed = true;
    await this.#turn();
    await this.engine.close();
    this.#over();
  }

  /** What the program reads, and what the door noticed. */
  #entered(inputs) {
    if (this.closed) throw new PortsideError("EngineError", "The model is closed", { reason: "closed", fix: "Load it again." });
    const entered = this.door.check(inputs);
    if (!this.bare) entered.values = padAll(this.signature, withInitial(this.signature, entered.values));
    return entered;
  }

  /** The outputs among what was made, in the signature's dtypes and order. */
  #typed(made) {
    const tensors = {};
    for (const { name, dtype } of this.signature.outputs) tensors[name] = cast(made[name], dtype);
    return tensors;
  }

  /** One call at a time: an engine's memory is one. @param {Record<string, any>} values ours to add to: the door made the object */
  async #execute(values) {
    if (this.busy) await this.#turn();
    this.busy = true;
    try {
      for (const { segment, writes } of this.plan) await segment.run(writes, values);
      return values;
    } finally {
      this.#over();
    }
  }

  /** Wait until all calls before this one are over. */
  async #turn() {
    if (this.busy) await new Promise((go) => this.waiting.push(() => go(undefined)));
    this.busy = true;
  }

  /** Hand the turn to who waits longest. */
  #over() {
    const next = this.waiting.shift();
    if (next) next();
    else this.busy = false;
  }
}

function refuseHost(artifact) {
  const odd = artifact.engine.segments.find((spec) => spec.kind !== "onnx");
  if (odd !== undefined) throw new PortsideError("UnsupportedError", "A segment of the bundle does not run in a page", { got: `${odd.kind}: ${odd.file}` });
  const text = artifact.signature.inputs.find((spec) => spec.dtype === "string");
  if (text !== undefined) throw new PortsideError("UnsupportedError", "An input of the program is text, which no engine holds", { got: text.name });
}

/** Which values each segment must make so that the signature's outputs come out; segments that nothing needs are left out. */
function planned(segments, signature) {
  const wanted = new Set(signature.outputs.map((spec) => spec.name));
  const steps = [];
  for (const segment of [...segments].reverse()) {
    const writes = segment.outputs.filter((name) => wanted.has(name));
    if (!writes.length) continue;
    writes.forEach((name) => wanted.delete(name));
    segment.inputs.forEach((name) => wanted.add(name));
    steps.unshift({ segment, writes });
  }
  const given = signature.inputs.flatMap((spec) => (spec.canvas ? [spec.name, sizeName(spec.name)] : [spec.name]));
  const absent = [...wanted].find((name) => !given.includes(name));
  if (absent !== undefined) throw new PortsideError("FormatError", "A value of the program is made by no segment", { got: absent, expected: given.join(", ") });
  return steps;
}
